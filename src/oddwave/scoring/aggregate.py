"""From window scores to one score per point: a window's score belongs to every point in it.

A point gets the (weighted) mean over the windows that cover it, which finds events much better on long labels than each
point's own error does (`join_windows` in `tensors/series_windows.py` spreads those). Used by
`detection/series/streams.py`.

Legend: n points, N windows, S starts (one per window, checked), L points per window (`window_size`).
"""

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import ShapeError

__all__ = ["window_to_point"]


def window_to_point(
    scores: Float[np.ndarray, " N"],
    starts: Int[np.ndarray, " S"],
    window_size: int,
    n: int,
    *,
    triangular: bool = False,
) -> Float[np.ndarray, " n"]:
    """Return every point the mean score of the windows that cover it, NaN where none does.

    With `triangular` a window counts most for the points in its middle, least for those at its ends.
    Raises: ShapeError where the windows do not fit in n points or are not in rising order.
    """
    _check_starts(len(scores), starts, window_size, n)
    if not len(scores):
        return np.full(n, np.nan)
    kernel = np.bartlett(window_size + 2)[1:-1] if triangular else np.ones(window_size)
    centre = float(np.mean(scores))  # smaller sums lose fewer digits
    placed, count = np.zeros(n), np.zeros(n)
    placed[starts], count[starts] = scores - centre, 1.0
    total, weight = np.convolve(placed, kernel)[:n], np.convolve(count, kernel)[:n]
    covered = weight > 0
    mean = centre + total / np.where(covered, weight, 1.0)
    bounded = np.clip(mean, scores.min(), scores.max())  # rounding must not leave the range of the scores
    return np.where(covered, bounded, np.nan)


def _check_starts(num_windows: int, starts: Int[np.ndarray, " S"], window_size: int, n: int) -> None:
    if num_windows != len(starts) or (np.diff(starts) < 1).any():
        raise ShapeError(f"{num_windows} windows with {len(starts)} starts: give one start per window, in rising order")
    if num_windows and (starts[0] < 0 or starts[-1] + window_size > n):
        raise ShapeError(
            f"windows of {window_size} points from {starts[0]} to {starts[-1] + window_size} do not fit in {n} points:"
            " use the starts that sliding_windows returned for this series"
        )
