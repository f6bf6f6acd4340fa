"""The score at which a verdict turns, from calibration scores alone: one rule, with arrays and with saved numbers.

Read `conformal.py` for what the threshold means.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence

__all__ = ["threshold_of"]


def threshold_of(falling: Sequence[float], alpha: float) -> float:
    """Return the lowest score with p <= alpha, given the calibration scores from the highest to the lowest.

    A score with k of n calibration scores at or above it has p = (1 + k) / (n + 1). Infinity where alpha is below all
    of these.
    """
    total = len(falling) + 1
    allowed = bisect_right(range(1, total + 1), alpha, key=lambda rank: rank / total) - 1
    if allowed < 0:
        return math.inf
    return math.nextafter(float(falling[allowed]), math.inf) if allowed < len(falling) else -math.inf
