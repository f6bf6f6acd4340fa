"""What healthy data themselves call certain anomalies: it must not calibrate, or a model is deaf to its like.

Scores of data that judge themselves hold those of their own faults, which lie far above all others. `detect` uses the
outer fence of the quartiles (Tukey 1977), which holds up to about a quarter of faulty scores or blocks;
`calibration.trim` one of the lower half alone, which holds beyond that. A fence is no test: of healthy data with heavy
tails it cuts a little, too, which lowers thresholds and makes false alarms more frequent, so it is used on request.

Legend: n scores.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from oddwave.calibration.conformal import block_maxima

__all__ = ["below_fence", "certain_anomalies", "without_odd_blocks"]

_SMALLEST = 1e-3  # deviations of normal scores: less is rounding
_BLOCK_FENCE = 2.0  # interquartile ranges of the maxima of blocks above their upper quartile
_REACH, _QUARTILE = 7.0, 0.6745
_FENCE = 3.0  # interquartile ranges above the upper quartile: beyond it a stream's own scores count as no calibration


def below_fence(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Replace scores above the upper outer fence by NaN: what is surely anomalous must not calibrate."""
    seen = scores[np.isfinite(scores)]
    if not len(seen):
        return scores
    low, high = np.quantile(seen, [0.25, 0.75])
    return np.where(scores <= high + max(_FENCE * (high - low), _SMALLEST), scores, np.nan)


def without_odd_blocks(scores: Sequence[Float[np.ndarray, " _"]], block_size: int) -> list[Float[np.ndarray, " _"]]:
    """Replace by NaN what lies above the fence of the maxima of blocks: a stream's own faults must not calibrate it.

    Faults raise the maxima of their blocks, which are few, far above those of the others; single points hide that.
    """
    seen = [s[np.isfinite(s)] for s in scores if np.isfinite(s).any()]
    if not seen:
        return list(scores)
    maxima = np.concatenate([block_maxima(s, block_size) for s in seen])
    low, high = np.quantile(maxima, [0.25, 0.75])
    fence = high + max(_BLOCK_FENCE * (high - low), _SMALLEST)
    return [np.where(s <= fence, s, np.nan) for s in scores]


def certain_anomalies(scores: Sequence[Float[np.ndarray, " _"]], block_size: int) -> list[Bool[np.ndarray, " _"]]:
    """Return which scores of healthy data lie beyond the fence of blocks' maxima, and say so in a warning.

    With blocks of 1 (images, clips, instances) each score stands for itself.
    """
    seen = [own[np.isfinite(own)] for own in scores if np.isfinite(own).any()]
    if not seen:
        return [np.zeros(len(own), bool) for own in scores]
    fence = _lower_fence(np.concatenate([block_maxima(own, block_size) for own in seen]))
    odd = [np.isfinite(own) & (own > fence) for own in scores]
    num, total = sum(int(own.sum()) for own in odd), sum(len(own) for own in odd)
    if num:
        warnings.warn(
            f"calibration.trim leaves out {num:,} of {total:,} scores of the healthy data: they are certain anomalies",
            stacklevel=2,
        )
    return odd


def _lower_fence(maxima: Float[np.ndarray, " B"]) -> float:
    """Return a value that normal maxima hardly reach, from the lower half of all: up to half of them may be faulty.

    The median and seven deviations, one being what lies between the lower quartile and the median of a normal
    distribution; of maxima in the limit (Gumbel) about 1 in 2,000 lies beyond.
    """
    low, middle = np.quantile(maxima, [0.25, 0.5])
    return float(middle + max(_REACH * (middle - low) / _QUARTILE, _SMALLEST))
