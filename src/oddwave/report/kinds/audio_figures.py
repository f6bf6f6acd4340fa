"""What is drawn of a recording: its map as images against hertz and seconds, and its score over time.

An image's rows are laid out anew on a logarithmic axis of frequency, so that maps of any spacing look alike and boxes
lie where their hertz say. Input and normal version share one scale of levels; the difference has orange for louder and
blue for quieter. Read `image_figures.py` for the heat map and how images are embedded.

Legend: F rows of a map, rising in frequency, M columns; f, m those of the image; h, w those of the anomaly map.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from oddwave.report.histogram import ScoreAxis, apart, round_numbers
from oddwave.report.kinds.audio_words import hertz_text, moment_text
from oddwave.report.kinds.image_figures import MapScale, heat_map, interpolated, signed_colours
from oddwave.results import AudioExcerpt, AudioResult, CalibrationSummary

__all__ = [
    "FrequencyAxis",
    "LevelScale",
    "difference_image",
    "heat_image",
    "level_image",
    "level_stops",
    "score_course",
    "time_ticks",
]

IMAGE_ROWS = 256
MOST_COLUMNS = 900
LEVELS_SHOWN_DB = 80.0
LEAST_DIFFERENCE_DB = 6.0
MOST_COURSE_POINTS = 600
_TICKS_HZ = tuple(float(lead * 10**power) for power in range(5) for lead in (1, 2, 5))
_CLOCK_STEPS_S = (30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
_TICK_GAP = 7.5  # percent of the axis: closer numbers would run into each other
# From silence to the loudest: their lightness rises evenly, and no colour of the heat map is among them.
_LEVEL_COLOURS = np.array([(9, 16, 29), (24, 50, 82), (47, 93, 129), (93, 144, 168), (161, 196, 204), (241, 246, 243)])


@dataclass(frozen=True, slots=True)
class FrequencyAxis:
    """A logarithmic axis from `lowest_hz`, at the bottom of an image, to `highest_hz` at its top."""

    lowest_hz: float
    highest_hz: float

    @classmethod
    def of(cls, frequencies_hz: Float[np.ndarray, " F"]) -> "FrequencyAxis":
        """Span a map's rows; a lowest row at 0 Hz lies an octave below the second."""
        rows = _row_octaves(frequencies_hz)
        return cls(2.0 ** float(rows[0]), 2.0 ** float(rows[-1]))

    def from_top(self, frequency_hz: float) -> float:
        """Return where a frequency lies, from 0 at the top to 1 at the bottom."""
        octaves = math.log2(self.highest_hz / max(frequency_hz, self.lowest_hz))
        return min(1.0, max(0.0, octaves / math.log2(self.highest_hz / self.lowest_hz)))

    def ticks(self) -> list[tuple[float, str]]:
        """Return a few round frequencies as (percent from the top, text)."""
        inside = [hertz for hertz in _TICKS_HZ if self.lowest_hz <= hertz <= self.highest_hz]
        ticks = [(round(100 * self.from_top(hertz), 2), hertz_text(hertz)) for hertz in inside]
        return apart([(place, text) for place, text in ticks if 2 <= place <= 98], _TICK_GAP)

    def lay_out(self, values: Float[np.ndarray, "F M"], frequencies_hz: Float[np.ndarray, " F"]) -> np.ndarray:
        """Return a map's rows on this axis, the highest frequency first, as float32 of shape (f, M)."""
        octaves = np.linspace(math.log2(self.highest_hz), math.log2(self.lowest_hz), IMAGE_ROWS)
        rows = _row_octaves(frequencies_hz)
        at = np.interp(octaves, rows, np.arange(len(rows)))
        below = np.minimum(at.astype(int), len(rows) - 2)
        share = (at - below)[:, None]
        laid_out: np.ndarray = (1 - share) * values[below] + share * values[below + 1]
        return laid_out.astype(np.float32)


def _row_octaves(frequencies_hz: Float[np.ndarray, " F"]) -> Float[np.ndarray, " F"]:
    rows = np.asarray(frequencies_hz, dtype=np.float64).copy()
    if rows[0] <= 0:
        rows[0] = rows[1] / 2
    return np.asarray(np.log2(rows))


@dataclass(frozen=True, slots=True)
class LevelScale:
    """Which levels in dB the colours stand for, and from which difference on its colour is full."""

    quietest_db: float
    loudest_db: float
    full_difference_db: float

    @classmethod
    def of(cls, excerpt: AudioExcerpt) -> "LevelScale":
        """Choose a scale for an excerpt and its normal version; a few loud or quiet cells do not stretch it."""
        both = np.concatenate([excerpt.levels_db.ravel(), excerpt.normal_levels_db.ravel()])
        both = both[np.isfinite(both)] if np.isfinite(both).any() else np.zeros(1)
        loudest = math.ceil(float(np.quantile(both, 0.999)))
        quietest = max(math.floor(float(np.quantile(both, 0.02))), loudest - LEVELS_SHOWN_DB)
        gap = np.abs(_gap_db(excerpt))
        full = max(LEAST_DIFFERENCE_DB, math.ceil(float(np.quantile(gap, 0.998))))
        return cls(float(min(quietest, loudest - 1)), float(loudest), float(full))


def _gap_db(excerpt: AudioExcerpt) -> Float[np.ndarray, "F M"]:
    with np.errstate(invalid="ignore"):  # digital silence on both sides
        gap = excerpt.levels_db - excerpt.normal_levels_db
    return np.asarray(np.nan_to_num(gap, posinf=0.0, neginf=0.0))


def level_image(
    levels_db: Float[np.ndarray, "F M"], axis: FrequencyAxis, excerpt: AudioExcerpt, scale: LevelScale
) -> Image.Image:
    """Return levels as an image: dark where it is silent, light where it is loud."""
    drawn = _fitted(axis.lay_out(np.nan_to_num(levels_db, neginf=scale.quietest_db), excerpt.frequencies_hz))
    place = (drawn - scale.quietest_db) / (scale.loudest_db - scale.quietest_db)
    return Image.fromarray(interpolated(_LEVEL_COLOURS, place))


def difference_image(axis: FrequencyAxis, excerpt: AudioExcerpt, scale: LevelScale) -> Image.Image:
    """Return where an excerpt is louder (orange) or quieter (blue) than its normal version."""
    drawn = _fitted(axis.lay_out(_gap_db(excerpt), excerpt.frequencies_hz))
    return signed_colours(drawn, scale.full_difference_db)


def heat_image(axis: FrequencyAxis, excerpt: AudioExcerpt, scale: MapScale) -> Image.Image | None:
    """Return the anomaly map as an overlay of the levels; None where there is no map."""
    if not excerpt.anomaly_map.size:
        return None
    shape = (excerpt.levels_db.shape[1], len(excerpt.frequencies_hz))
    finite = np.nan_to_num(excerpt.anomaly_map.astype(np.float32), posinf=scale.top, neginf=0.0)
    rows = np.asarray(Image.fromarray(finite).resize(shape, Image.Resampling.BILINEAR))
    drawn = axis.lay_out(rows, excerpt.frequencies_hz)
    return heat_map(drawn, _image_size(drawn.shape[1]), scale)


def _image_size(num_columns: int) -> tuple[int, int]:
    return min(num_columns, MOST_COLUMNS), IMAGE_ROWS


def _fitted(values: np.ndarray) -> np.ndarray:
    """Average columns where there are more than an image shows."""
    size = _image_size(values.shape[1])
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX))


def level_stops() -> str:
    """Return the colours of levels as the stops of a CSS gradient."""
    return ", ".join(f"rgb({r} {g} {b})" for r, g, b in _LEVEL_COLOURS.tolist())


def time_ticks(start_s: float, end_s: float, about: int = 6) -> list[tuple[float, str]]:
    """Return a few round moments between two as (percent from the left, text); from a minute on, round on a clock."""
    moments, decimals = round_numbers(start_s, end_s, about)
    step_s = next((step for step in _CLOCK_STEPS_S if (end_s - start_s) / step <= about + 1), None)
    if step_s is not None and (end_s - start_s) / about > 15:
        moments = [float(step_s * n) for n in range(math.ceil(start_s / step_s), math.floor(end_s / step_s) + 1)]
    ticks = [(100 * (moment - start_s) / (end_s - start_s), moment_text(moment, decimals)) for moment in moments]
    return [(round(place, 2), text) for place, text in ticks]


def score_course(
    item: AudioResult, calibration: CalibrationSummary, *, width: int = 900, height: int = 150
) -> dict[str, Any] | None:
    """Return the shapes of a recording's score over time, each clip's at its middle; None for fewer than four clips.

    Where there are many clips the highest of several stands for them, so that no peak is lost.
    """
    seen = np.isfinite(item.scores)
    if seen.sum() < 4 or not item.duration_s > 0:
        return None
    frame = left, top, right, bottom = 52.0, 10.0, width - 12.0, height - 24.0
    times = np.clip(item.starts_s + 0.5 * item.clip_s, 0.0, item.duration_s)[seen]
    times, scores = _highest_of_several(times, item.scores[seen])
    normal = calibration.scores[np.isfinite(calibration.scores)]
    threshold = item.threshold if math.isfinite(item.threshold) else calibration.threshold
    axis = ScoreAxis.choose(normal if normal.size else scores, scores, threshold)

    def x_of(time_s: float) -> float:
        return round(left + time_s / item.duration_s * (right - left), 1)

    def y_of(place: float) -> float:
        return round(bottom - place * (bottom - top), 1)

    points = [f"{x_of(time)} {y_of(place)}" for time, place in zip(times, axis.place(scores), strict=True)]
    shown = math.isfinite(threshold) and axis.first <= threshold <= axis.last
    return {
        "width": width,
        "height": height,
        "frame": frame,
        "path": f"M{'L'.join(points)}",
        "threshold": y_of(float(axis.place(np.array([threshold]))[0])) if shown else None,
        "excerpts": [(x_of(own.start_s), x_of(min(own.end_s, item.duration_s))) for own in item.excerpts],
        "events": [(x_of(event.start_s), x_of(event.end_s)) for event in item.events],
        "x_ticks": [(x_of(place / 100 * item.duration_s), text) for place, text in time_ticks(0.0, item.duration_s, 8)],
        "y_ticks": apart([(y_of(place), text) for place, text in axis.ticks()], 16.0),
    }


def _highest_of_several(
    times: Float[np.ndarray, " N"], scores: Float[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    per_point = math.ceil(len(scores) / MOST_COURSE_POINTS)
    firsts = np.arange(0, len(scores), per_point)
    kept = [first + int(np.argmax(scores[first : first + per_point])) for first in firsts]
    return times[kept], scores[kept]
