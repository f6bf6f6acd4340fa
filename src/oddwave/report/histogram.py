"""The histogram of data with one score each, drawn as SVG: normal data against the data at hand.

Nothing is cut off: up to the threshold the axis of scores is linear, and beyond it logarithmic where scores reach far,
so that both the normal scores and the highest ones can be read. Read `templates/macros.html` next: it draws the shapes.

Legend: n scores.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.report import wording
from oddwave.results import CalibrationSummary

__all__ = ["ScoreAxis", "apart", "histogram_figure", "round_numbers"]

FAR_IN_THRESHOLDS = 4.0  # scores this many threshold distances above the usual one bend the axis
TICK_GAP = 0.085  # of the axis: closer numbers would run into each other
LOWEST_BAR_PX = 2.0  # so that one image among thousands is seen


@dataclass(frozen=True, slots=True)
class ScoreAxis:
    """From `first` to `last`; beyond `bend` equal steps are equal factors of the distance to `middle`.

    `bend` is infinite where the whole axis is linear.
    """

    first: float
    last: float
    middle: float
    bend: float

    @classmethod
    def choose(cls, normal: Float[np.ndarray, " n"], scored: Float[np.ndarray, " n2"], threshold: float) -> "ScoreAxis":
        """Choose an axis on which every score lies."""
        both = np.concatenate([normal, scored])
        first, last, middle = float(both.min()), float(both.max()), float(np.median(normal))
        if first == last:
            first, last = first - 0.5, last + 0.5
        bend = threshold if math.isfinite(threshold) else float(normal.max())
        step = bend - middle if bend > middle else 0.1 * abs(middle) or 1.0
        far = last > middle + FAR_IN_THRESHOLDS * step
        return cls(first, last, middle, middle + step if far else math.inf)

    @property
    def is_bent(self) -> bool:
        """Whether part of the axis is logarithmic."""
        return math.isfinite(self.bend)

    def place(self, scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Return where scores lie, from 0 at the first to 1 at the last."""
        low, high = self._bent(np.array([self.first, self.last]))
        return np.asarray(np.clip((self._bent(scores) - low) / (high - low), 0.0, 1.0))

    def ticks(self) -> list[tuple[float, str]]:
        """Return places and round numbers that stand far enough apart to be read."""
        linear, decimals = round_numbers(self.first, min(self.last, self.bend), 3 if self.is_bent else 5)
        found = [(score, f"{score:,.{decimals}f}") for score in linear]
        if self.is_bent:
            powers = range(math.floor(math.log10(max(self.last - self.bend, 1e-9))) - 1, 20)
            factors = [lead * 10.0**power for power in powers for lead in (1, 2, 5)]
            beyond = [*factors, *round_numbers(self.bend, self.last)[0]]
            found += [(score, _tick_text(score, decimals)) for score in beyond if self.bend < score <= self.last]
        places = self.place(np.array([score for score, _ in found])).tolist()
        return sorted(apart([(place, text) for place, (_, text) in zip(places, found, strict=True)], TICK_GAP))

    def _bent(self, scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        if not self.is_bent:
            return scores
        steps = (scores - self.middle) / (self.bend - self.middle)
        return np.where(steps > 1.0, 1.0 + np.log(np.maximum(steps, 1.0)), steps)  # value and slope agree at 1


def apart(ticks: Sequence[tuple[float, str]], gap: float) -> list[tuple[float, str]]:
    """Return those ticks (place, text) that lie at least `gap` from all that are kept before them."""
    kept: list[tuple[float, str]] = []
    for place, text in ticks:
        if all(abs(place - other) >= gap for other, _ in kept):
            kept.append((place, text))
    return kept


def histogram_figure(
    calibration: CalibrationSummary,
    scores: Float[np.ndarray, " n"],
    *,
    num_bins: int = 32,
    width: int = 460,
    height: int = 220,
) -> dict[str, Any] | None:
    """Return the shapes of a histogram of shares: bars of the normals, a stepped line of the rest; None without scores.

    Bars and steps that are not empty are at least two pixels high.
    """
    normal = np.asarray(calibration.scores, dtype=np.float64)
    normal, scored = normal[np.isfinite(normal)], scores[np.isfinite(scores)].astype(np.float64)
    if not normal.size or not scored.size:
        return None
    axis = ScoreAxis.choose(normal, scored, calibration.threshold)
    shares = [np.histogram(axis.place(own), num_bins, (0.0, 1.0))[0] / len(own) for own in (normal, scored)]
    frame = left, top, right, bottom = 46.0, 10.0, width - 14.0, height - 38.0
    ticks, decimals = round_numbers(0.0, 100 * float(np.max(shares)), 4)
    highest = max(ticks[-1], 100 * float(np.max(shares)))

    def x_of(place: float) -> float:
        return round(left + place * (right - left), 1)

    def y_of(percent: float) -> float:
        reach = percent / highest * (bottom - top)
        return round(bottom - (max(LOWEST_BAR_PX, reach) if percent > 0 else 0.0), 1)

    heights = [[y_of(100 * float(share)) for share in own] for own in shares]
    edges = [x_of(place) for place in np.linspace(0.0, 1.0, num_bins + 1)]
    steps = [f"{edge} {y}" for at, y in enumerate(heights[1]) for edge in edges[at : at + 2]]
    threshold = calibration.threshold
    shown = math.isfinite(threshold) and axis.first <= threshold <= axis.last
    return {
        "width": width,
        "height": height,
        "frame": frame,
        "bars": [
            (edges[at], y, round(edges[at + 1] - edges[at], 1), round(bottom - y, 1))
            for at, y in enumerate(heights[0])
            if y < bottom
        ],
        "path": f"M{left} {bottom}L{'L'.join(steps)}L{right} {bottom}",
        "threshold": x_of(float(axis.place(np.array([threshold]))[0])) if shown else None,
        "x_ticks": [(x_of(place), text) for place, text in axis.ticks()],
        "y_ticks": [(y_of(percent), f"{percent:.{decimals}f} %") for percent in ticks],
        "x_title": "score, logarithmic beyond the threshold" if axis.is_bent else "score",
    }


def _tick_text(score: float, decimals: int) -> str:
    return wording.fixed_text(score, decimals) if score < 1000 else wording.number_text(score)


def round_numbers(low: float, high: float, about: int = 5) -> tuple[Sequence[float], int]:
    """Return some round numbers from `low` to `high`, and how many decimals all of them need."""
    power = math.floor(math.log10((high - low) / about))
    lead = next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * 10.0**power) <= about + 1)
    step = lead * 10.0**power
    numbers = [number * step for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    return numbers, max(0, -power - (lead == 10))
