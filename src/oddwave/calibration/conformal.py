"""Conformal calibration: from scores to p-values and thresholds with a stated false-alarm rate.

For a score s and calibration scores s_1..s_n of held-out normals:   p = (1 + #{i : s_i >= s}) / (n + 1).
If normals are exchangeable, P(p <= alpha) <= alpha for a normal item (Vovk et al. 2005; Bates et al. 2023). The points
of a stream are not independent: neighbours share windows. Their p-value is therefore read as a share of normal *time*,
and how much it can be trusted is told by the number of independent blocks (stretches of one window); an event is judged
against block maxima: `block_maxima` gives one number per block, and an event's p-value compares its peak with those.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int

from oddwave.calibration.rule import Rule
from oddwave.calibration.tail import Tail
from oddwave.calibration.threshold import threshold_of
from oddwave.errors import DataError
from oddwave.records import UNKNOWN, CalibrationSummary, Strength

__all__ = ["Calibration", "block_maxima", "conformal_p_values"]

_ROUNDING = 1e-9
_ROBUST = 1.4826  # median absolute deviations of a normal distribution in one standard deviation


def conformal_p_values(
    scores: Float[np.ndarray, " N"], calibration: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " N"]:
    """Return p = (1 + #{s_i >= s}) / (n + 1) for each score; NaN scores give NaN.

    Raises:
        DataError: a calibration score is no number: it would count as higher than every score, and hide anomalies.
    """
    if np.isnan(calibration).any():
        raise DataError("calibration scores hold NaN: fit the model again")
    ordered = np.sort(calibration)
    at_least = len(ordered) - np.searchsorted(ordered, scores, side="left")
    return np.where(np.isnan(scores), np.nan, (1.0 + at_least) / (len(ordered) + 1.0))


def block_maxima(scores: Float[np.ndarray, " n"], block_size: int) -> Float[np.ndarray, " B"]:
    """Give the highest score of each block of `block_size` consecutive points (a shorter rest joins the last block)."""
    num_blocks = max(1, len(scores) // block_size)
    edges = np.arange(num_blocks) * block_size
    maxima: np.ndarray = np.maximum.reduceat(scores, edges)
    return maxima


@dataclass(frozen=True)
class Calibration:
    """Scores of held-out normals: one per point (stream) or instance (panel), and the maxima of independent blocks.

    `judges_itself` says that they are scores of the very data that are judged: each is compared with
    the others then, and not with itself.

    Raises:
        DataError: there are no scores, or some are not finite: no threshold follows from such.
    """

    scores: Float[np.ndarray, " n"]
    blocks: Float[np.ndarray, " B"]
    block_size: int
    source: str
    judges_itself: bool = False
    _thresholds: dict[tuple[Rule, int], float] = field(default_factory=dict, init=False, repr=False, compare=False)
    _tails: dict[int, Tail | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what would judge silently wrong."""
        for name, values in (("scores", self.scores), ("block maxima", self.blocks)):
            if not len(values) or not np.isfinite(values).all():
                raise DataError(f"{len(values)} calibration {name}: one or more are needed, all finite; fit again")

    @classmethod
    def fit(cls, streams: list[Float[np.ndarray, " _"]], block_size: int, source: str) -> "Calibration":
        """Collect the scores of held-out normal streams; NaN (unmonitored) points are left out.

        Raises:
            DataError: nothing is left to calibrate on, or a score is infinite.
        """
        kept = [s[~np.isnan(s)] for s in streams]
        kept = [s for s in kept if len(s)]
        if not kept:
            raise DataError("no held-out normal data is left to calibrate on: give a longer series or more instances")
        return cls(
            np.concatenate(kept), np.concatenate([block_maxima(s, block_size) for s in kept]), block_size, source
        )

    @property
    def smallest_alpha(self) -> float:
        """The lowest false-alarm rate this many calibration scores can express: 1 / (n + 1)."""
        return 1.0 / (len(self.scores) + 1.0)

    def summary(self, rule: Rule, pixel_threshold: float | None = None, *, num_blocks: int = 1) -> CalibrationSummary:
        """Return what a result says of its calibration under this rule, for items of up to `num_blocks` blocks."""
        num_stretches = max(1, len(self.blocks) // num_blocks)
        return CalibrationSummary(
            alpha=rule.alpha,
            threshold=self.threshold(rule, num_blocks),
            num_points=len(self.scores),
            num_blocks=len(self.blocks),
            block_size=self.block_size,
            source=self.source,
            scores=self.scores,
            pixel_threshold=pixel_threshold,
            asked=rule.asked,
            confirmed=rule.threshold is not None or rule.alpha * (num_stretches + 1.0) >= 1.0 - _ROUNDING,
        )

    def p_values(self, scores: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return each point's (or instance's) conformal p-value."""
        known = conformal_p_values(scores, self.scores)
        if not self.judges_itself:
            return known
        num = len(self.scores)
        return np.where(np.isin(scores, self.scores), (known * (num + 1.0) - 1.0) / num, known)

    def without(self, own: slice) -> "Calibration":
        """Return the calibration by all scores but these, for the item that they are of; itself where none is left.

        The scores must be of blocks of one.
        """
        kept = np.delete(self.scores, own)
        if not len(kept):
            return self
        return Calibration(kept, kept, 1, self.source)

    def labels(self, scores: Float[np.ndarray, " N"], rule: Rule) -> Int[np.ndarray, " N"]:
        """Return 1 (anomalous by the rule), 0 (normal) or -1 (not judged: the score is NaN)."""
        odd = self.p_values(scores) <= rule.alpha if rule.threshold is None else scores >= rule.threshold
        return np.where(np.isnan(scores), -1, odd).astype(np.int64)

    def event_p_value(self, peak: float, num_blocks: int = 1) -> float:
        """Return the conformal p-value of a peak among the maxima of normal stretches of `num_blocks` blocks."""
        return float(conformal_p_values(np.array([peak]), self._maxima(peak, num_blocks))[0])

    def is_event(self, peak: float, rule: Rule, num_blocks: int = 1) -> bool:
        """Return whether a peak is rarer than alpha among the maxima of normal stretches of `num_blocks` blocks.

        B stretches tell nothing below 1 / (B + 1). Where alpha lies there, it is not confirmed: the peak must be above
        all of them and, by their tail, more likely than not that rare (of stretches of several blocks: that rare in the
        mean over all that the tail may be); where there are too few for a tail, it must stand out by more than their
        range.
        """
        if rule.threshold is not None:
            return peak >= rule.threshold
        others = self._maxima(peak, num_blocks)
        p_value, floor = self.event_p_value(peak, num_blocks), 1.0 / (len(others) + 1.0)
        if rule.alpha >= floor * (1.0 - _ROUNDING):
            return p_value <= rule.alpha * (1.0 + _ROUNDING)
        blocks = self._maxima(peak)
        tail = self._tail(blocks, num_blocks)
        if tail is None:
            return len(blocks) > 0 and peak > 2.0 * blocks.max() - blocks.min()
        return p_value <= floor * (1.0 + _ROUNDING) and tail.verdict(peak, num_blocks) <= rule.alpha

    def strength(self, peak: float, num_blocks: int = 1) -> Strength:
        """Return how far a peak lies beyond normal: see `Strength`.

        Up to the highest normal the tail's p-value is the conformal one; it is never above that.
        """
        blocks = self._maxima(peak)
        if np.isnan(peak) or not len(blocks):
            return UNKNOWN
        highest, reached = _deviations(float(blocks.max()), blocks), int((blocks >= peak).sum())
        own = Strength(
            deviations=_deviations(peak, blocks),
            highest_deviations=highest,
            num_normals=len(blocks),
            num_as_high=reached,
        )
        tail = self._tail(blocks, num_blocks)
        if tail is None:
            return own
        p_value = self.event_p_value(peak, num_blocks)
        if reached:
            return replace(own, p_tail=p_value, p_tail_low=p_value, p_tail_high=p_value)
        rare, low, high = (_any_of(num_blocks, rate) for rate in (tail.p_value(peak), *tail.interval(peak)))
        return replace(own, p_tail=min(rare, p_value), p_tail_low=low, p_tail_high=high)

    def threshold(self, rule: Rule, num_blocks: int = 1) -> float:
        """Return the lowest score that the rule calls anomalous: of streams, the lowest peak of an event.

        It is that of items of `num_blocks` blocks. Infinity where items of one are too few for alpha: nothing is
        anomalous then.
        """
        if (rule, num_blocks) not in self._thresholds:  # a tail costs as much as the scores of some short items
            self._thresholds[rule, num_blocks] = self._computed_threshold(rule, num_blocks)
        return self._thresholds[rule, num_blocks]

    def _computed_threshold(self, rule: Rule, num_blocks: int) -> float:
        if rule.threshold is not None:
            return rule.threshold
        maxima = self.blocks if num_blocks == 1 else block_maxima(self.blocks, num_blocks)
        if (
            self.judges_itself
            and self.block_size == 1
            and (rank := int(rule.alpha * len(maxima) * (1.0 + _ROUNDING))) > 0
        ):
            return float(np.sort(maxima)[-rank])
        exact = threshold_of(np.sort(maxima)[::-1], rule.alpha)  # type: ignore[arg-type]
        if np.isfinite(exact) or (self.block_size == 1 and num_blocks == 1):
            return exact
        highest, tail = float(self.blocks.max()), self._tail(self.blocks, num_blocks)
        if tail is None:
            return 2.0 * highest - float(self.blocks.min())
        return float(max(np.nextafter(highest, np.inf), tail.score(rule.alpha, num_blocks)))

    def _tail(self, blocks: Float[np.ndarray, " b"], num_blocks: int) -> Tail | None:
        """Return the tail of these maxima: that of all of them is fitted once."""
        if blocks is not self.blocks:
            return Tail.fit(blocks, num_blocks)
        if num_blocks not in self._tails:
            self._tails[num_blocks] = Tail.fit(blocks, num_blocks)
        return self._tails[num_blocks]

    def _maxima(self, peak: float, num_blocks: int = 1) -> Float[np.ndarray, " b"]:
        """Return the maxima of normal stretches, without this very peak and its neighbours: no block judges itself.

        Items have no neighbours, and a block of one is left out only where the data judge themselves.
        """
        apart, reach = self.block_size > 1 or self.judges_itself, int(self.block_size > 1)
        place = np.flatnonzero(self.blocks == peak)[:1] if apart else np.zeros(0, int)
        blocks = self.blocks
        if len(place):
            blocks = np.delete(blocks, np.arange(max(place[0] - reach, 0), min(place[0] + reach + 1, len(blocks))))
        return blocks if num_blocks == 1 or not len(blocks) else block_maxima(blocks, num_blocks)


def _any_of(count: int, p_value: float) -> float:
    """Return how probable it is that any of `count` independent stretches is as rare."""
    return float(-np.expm1(count * np.log1p(-min(p_value, 1.0)))) if p_value < 1.0 else p_value


def _deviations(peak: float, normals: Float[np.ndarray, " n"]) -> float:
    """Return how many of their robust deviations a peak lies above the median of normals; NaN where these are equal."""
    if len(normals) < 2:
        return float("nan")
    usual = float(np.median(normals))
    spread = _ROBUST * float(np.median(np.abs(normals - usual))) or float(normals.std())
    return float((peak - usual) / spread) if spread > 0.0 else float("nan")
