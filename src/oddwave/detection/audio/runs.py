"""Runs of anomalous clips: where one begins and ends, and what lasts from its first clip to its last.

Alpha is the rate of false alarms per recording: a clip is anomalous where its score is rarer than alpha among the
highest scores of stretches of normal sound as long as the recording. Anomalous clips in a row are one event, and a clip
between two of them belongs to it. What lasts is told by the levels of bands, second by second; what is short is looked
up in the anomaly maps of the run's clips (`events.py`).

Legend: N clips of a recording, S equal parts of a clip, P parts of several clips, B bands, R rows of a map. Read
`explain.py` next.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from torch import Tensor

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.detection.audio.events import row_edges_hz
from oddwave.results import AudioEvent

__all__ = [
    "NUM_BANDS",
    "BandLevels",
    "Evidence",
    "Run",
    "band_levels",
    "find_runs",
    "lowest_event_score",
    "run_event",
    "run_labels",
]

NUM_BANDS = 32
_PARTS_OF_A_CLIP = 4
_LONGEST_GAP = 1  # clips
_MOSTLY = 0.8  # of a recording's clips: all of it is one run
_FEWEST_FOR_ALL = 3
_SURE_DEVIATIONS, _SMALLEST_CHANGE_DB = 2.5, 1.0  # of a band that changed
_LASTS, _HALF = 0.9, 0.5  # of the parts hold so much of the change
_BROAD = 0.6  # of the bands: what changes is the level of all
_HIGHEST = 1e9  # times the spread of normal scores
_HALVINGS = 60

Evidence = Callable[[float, float], tuple[float, float]]  # from, to -> score, p-value


@dataclass(frozen=True, slots=True)
class Run:
    """Clips in a row that are anomalous together; `last` is included."""

    first: int
    last: int

    @property
    def num_clips(self) -> int:
        """How many clips it has."""
        return self.last - self.first + 1


@dataclass(frozen=True, eq=False)
class BandLevels:
    """The level in dB of each band in normal clips, and by how much it differs from clip to clip."""

    mean_db: Float[np.ndarray, " B"]
    deviation_db: Float[np.ndarray, " B"]


def band_levels(levels_db: Float[Tensor, "N R T"]) -> Float[Tensor, "N S B"]:
    """Return the mean level of each band in each part of a clip."""
    bands: Tensor = levels_db.unflatten(1, (NUM_BANDS, -1)).mean(2)  # type: ignore[no-untyped-call]
    parts: Tensor = bands.unflatten(2, (_PARTS_OF_A_CLIP, -1)).mean(3)  # type: ignore[no-untyped-call]
    return parts.movedim(1, 2)


def lowest_event_score(calibration: Calibration, rule: Rule, num_clips: int) -> float:
    """Return the score from which on a clip is an event in a recording of this many; infinity where none is.

    `Calibration.is_event` rises with the score, so that halving finds where it turns.
    """
    if rule.threshold is not None:
        return rule.threshold
    low, high = float(calibration.blocks.min()), float(calibration.blocks.max())
    spread = max(high - low, 1e-9 * max(1.0, abs(high)))
    low, high, step = low - spread, high + spread, spread
    while not calibration.is_event(high, rule, num_clips):
        if step > _HIGHEST * spread:
            return float("inf")
        low, step = high, 2.0 * step
        high += step
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if calibration.is_event(middle, rule, num_clips):
            high = middle
        else:
            low = middle
    return high


def find_runs(scores: Float[np.ndarray, " N"], threshold: float) -> tuple[Run, ...]:
    """Return the runs of clips at or above a threshold; where most of several clips are, all of them are one run."""
    flagged = np.flatnonzero(scores >= threshold)
    if not len(flagged):
        return ()
    if len(flagged) >= max(_FEWEST_FOR_ALL, _MOSTLY * len(scores)):
        return (Run(0, len(scores) - 1),)
    parts = np.split(flagged, np.flatnonzero(np.diff(flagged) > 1 + _LONGEST_GAP) + 1)
    return tuple(Run(int(part[0]), int(part[-1])) for part in parts)


def run_labels(runs: Sequence[Run], num_clips: int) -> Int[np.ndarray, " N"]:
    """Return 1 for clips in runs, 0 for others."""
    labels = np.zeros(num_clips, np.int64)
    for run in runs:
        labels[run.first : run.last + 1] = 1
    return labels


def run_event(
    item: str,
    span_s: tuple[float, float],
    bands_db: Float[np.ndarray, "P B"],
    starts_s: Float[np.ndarray, " P"],
    normal: BandLevels,
    frequencies_hz: Float[np.ndarray, " R"],
    evidence: Evidence,
    *,
    whole: bool,
) -> tuple[AudioEvent, bool]:
    """Return a run as one event: which bands changed, from when to when, by how much; and whether that lasts.

    `span_s` is from when to when its clips last, `starts_s` where their parts begin, each a second long, say. `whole`
    says that the run is all of its recording: what lasts in it is there throughout.
    """
    away = bands_db - normal.mean_db
    change = np.median(away, 0)
    carrying, clear = _carrying(change, normal)
    share = away[:, carrying].mean(1) / (float(change[carrying].mean()) or 1.0)
    held = share >= _HALF
    part_s = (span_s[1] - span_s[0]) / max(1, len(np.unique(starts_s)))
    first_s, last_s = (float(starts_s[held].min()), float(starts_s[held].max())) if held.any() else span_s
    inside = (starts_s >= first_s) & (starts_s <= last_s)
    lasts = clear and bool(held.any()) and float(held[inside].mean()) >= _LASTS
    throughout = whole and lasts and float(held.mean()) >= _LASTS
    if lasts and not throughout:
        span_s = max(span_s[0], first_s), min(span_s[1], last_s + part_s)
    edges, per_band, numbers = (
        row_edges_hz(frequencies_hz),
        len(frequencies_hz) // len(change),
        np.flatnonzero(carrying),
    )
    was, now = (10 ** (level[carrying] / 10) for level in (normal.mean_db, normal.mean_db + change))
    peak = int(numbers[np.abs(now - was).argmax()])
    score, p_value = evidence(*span_s)
    event = AudioEvent(
        item=item,
        start_s=span_s[0],
        end_s=span_s[1],
        low_hz=float(edges[numbers[0] * per_band]),
        high_hz=float(edges[(numbers[-1] + 1) * per_band]),
        peak_hz=float(np.median(frequencies_hz[peak * per_band : (peak + 1) * per_band])),
        level_db=float(10 * np.log10(now.sum() / was.sum())),
        score=score,
        p_value=p_value,
        throughout=throughout,
    )
    return event, lasts


def _carrying(change_db: Float[np.ndarray, " B"], normal: BandLevels) -> tuple[Bool[np.ndarray, " B"], bool]:
    """Return the bands that carry a change, and whether it is clear.

    Of a change of most bands, all that surely changed that way; else those around the one whose power changed most
    among the ones that surely did, with at least half of its change.
    """
    unusual = np.abs(change_db) / normal.deviation_db
    sure = (np.abs(change_db) >= _SMALLEST_CHANGE_DB) & (unusual >= _SURE_DEVIATIONS)
    same = sure & (np.sign(change_db) == np.sign((np.sign(change_db) * unusual).sum()))
    if same.mean() >= _BROAD:
        return same, True
    power = np.abs(10 ** ((normal.mean_db + change_db) / 10) - 10 ** (normal.mean_db / 10))
    peak = int(np.where(sure, power, -1.0).argmax()) if sure.any() else int(unusual.argmax())
    high = np.sign(change_db[peak]) * change_db >= _HALF * abs(change_db[peak])
    labels, _ = ndimage.label(ndimage.binary_closing(np.pad(high, 2), np.ones(3, bool))[2:-2] | high)
    return high & (labels == labels[peak]), bool(sure.any())
