"""Conformal calibration: from scores to p-values and thresholds with a stated false-alarm rate.

For a score s and calibration scores s_1..s_n of held-out normals:   p = (1 + #{i : s_i >= s}) / (n + 1).
If normals are exchangeable, P(p <= alpha) <= alpha for a normal item (Vovk et al. 2005; Bates et al. 2023). The points
of a stream are not independent: neighbours share windows. Their p-value is therefore read as a share of normal *time*,
and how much it can be trusted is told by the number of independent blocks (stretches of one window); an event is judged
against block maxima: `block_maxima` gives one number per block, and an event's p-value compares its peak with those.
"""

import warnings
from dataclasses import dataclass
from numbers import Real

import numpy as np
from jaxtyping import Float, Int

from oddwave.calibration.tail import Tail
from oddwave.calibration.threshold import threshold_of
from oddwave.errors import ConfigError, DataError
from oddwave.results import CalibrationSummary

__all__ = ["Calibration", "block_maxima", "conformal_p_values", "valid_alpha"]


def valid_alpha(alpha: object) -> float:
    """Return a false-alarm rate as a plain number.

    Raises:
        ConfigError: it is no number (a text, a truth value), or not within (0, 1).
    """
    value = alpha.item() if isinstance(alpha, np.ndarray) and alpha.size == 1 else alpha
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        given = f"{value!r:.60}"
        raise ConfigError(f"alpha is {given}: expected a number between 0 and 1, for example 0.01")
    try:
        rate = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        rate = np.inf
    if not 0.0 < rate < 1.0:
        raise ConfigError(f"alpha is {rate:g}: expected a false-alarm rate between 0 and 1, for example 0.01")
    return rate


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

    Raises:
        DataError: there are no scores, or some are not finite: no threshold follows from such.
    """

    scores: Float[np.ndarray, " n"]
    blocks: Float[np.ndarray, " B"]
    block_size: int
    source: str

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

    def checked_alpha(self, alpha: float | None, default: float) -> float:
        """Check a wanted alpha, or lift the default one to what the calibration supports, with a warning.

        Raises:
            ConfigError: the given alpha is no number, lies outside (0, 1) or below 1 / (n + 1).
        """
        if alpha is None:
            alpha = max(default, self.smallest_alpha)
            if alpha > default:
                warnings.warn(
                    f"alpha raised from {default:g} to {alpha:.3g}: "
                    f"{len(self.scores)} calibration scores support no less",
                    stacklevel=2,
                )
            return alpha
        alpha = valid_alpha(alpha)
        if alpha < self.smallest_alpha:
            raise ConfigError(
                f"alpha {alpha:g} needs at least {np.ceil(1 / alpha) - 1:.12g} calibration scores, this model has "
                f"{len(self.scores)}: use alpha >= {self.smallest_alpha:.3g} or fit on more normal data"
            )
        return alpha

    def summary(self, alpha: float, pixel_threshold: float | None = None) -> CalibrationSummary:
        """Return what a result says of its calibration at this alpha."""
        return CalibrationSummary(
            alpha=alpha,
            threshold=self.threshold(alpha),
            num_points=len(self.scores),
            num_blocks=len(self.blocks),
            block_size=self.block_size,
            source=self.source,
            scores=self.scores,
            pixel_threshold=pixel_threshold,
        )

    def p_values(self, scores: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return each point's (or instance's) conformal p-value."""
        return conformal_p_values(scores, self.scores)

    def labels(self, scores: Float[np.ndarray, " N"], alpha: float) -> Int[np.ndarray, " N"]:
        """Return 1 (anomalous: p <= alpha), 0 (normal) or -1 (not judged: the score is NaN)."""
        p_values = self.p_values(scores)
        return np.where(np.isnan(p_values), -1, p_values <= alpha).astype(np.int64)

    def event_p_value(self, peak: float) -> float:
        """Return the conformal p-value of an event's peak among the maxima of independent normal blocks."""
        return float(conformal_p_values(np.array([peak]), self._other_blocks(peak))[0])

    def _other_blocks(self, peak: float) -> Float[np.ndarray, " b"]:
        """Return the maxima without this very peak and its neighbours: no block of data judges itself."""
        place = np.flatnonzero(self.blocks == peak)[:1]
        if not len(place):
            return self.blocks
        return np.delete(self.blocks, np.arange(max(place[0] - 1, 0), min(place[0] + 2, len(self.blocks))))

    def tail_p_value(self, peak: float) -> float:
        """Return how rare a peak is by the tail of the block maxima, extrapolated; NaN where there are too few."""
        tail = Tail.fit(self._other_blocks(peak))
        return float("nan") if tail is None else tail.p_value(peak)

    def is_event(self, peak: float, alpha: float) -> bool:
        """Return whether a peak is rarer than `alpha` among the maxima of normal blocks.

        B blocks tell nothing below 1 / (B + 1). Where alpha lies there, the peak must be above all of them, and the
        tail must find it that rare; where there are too few for a tail, it must stand out by more than their range.
        """
        others = self._other_blocks(peak)
        p_value, floor = self.event_p_value(peak), 1.0 / (len(others) + 1.0)
        if alpha >= floor:
            return p_value <= alpha
        if np.isnan(rare := self.tail_p_value(peak)):
            return len(others) > 0 and peak > 2.0 * others.max() - others.min()
        return p_value <= floor * (1.0 + 1e-9) and rare <= alpha

    def threshold(self, alpha: float) -> float:
        """Return the lowest score with p <= alpha; infinity where alpha is below what the calibration can express."""
        return threshold_of(np.sort(self.scores)[::-1], alpha)  # type: ignore[arg-type]
