"""From a stream to overlapping windows, and from window scores back to one score per point.

Legend: n points, C channels, N windows, S starts (one per window, checked), L points per window (`window_size`).
Two ways back to points:

    window   a window's score belongs to every point in it; a point gets the mean over the windows that cover it
    point    a window has one error per point; a point gets the mean of its own errors over those windows

`window_to_point` is the first (it finds events much better on long labels), `point_overlap_mean` the second; a blend is
the mean of both after standardising each, which is the caller's to do. Read `baselines/base.py` for a plain use.
"""

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import ConfigError, ShapeError

__all__ = ["covered_mean", "point_overlap_mean", "sliding_windows", "window_starts", "window_to_point"]


def window_starts(n: int, window_size: int, stride: int = 1) -> Int[np.ndarray, " N"]:
    """Return the first index of each window; one more window is added at the end where `stride` would leave a rest.

    Raises: ConfigError for a stride that would leave points out; ShapeError for fewer points than one window.
    """
    if window_size < 1 or not 1 <= stride <= window_size:
        raise ConfigError(
            f"window_size {window_size} with stride {stride}: both must be >= 1 and stride <= window_size"
        )
    if n < window_size:
        raise ShapeError(
            f"the series has {n} points, window_size is {window_size}: give a longer series or a smaller one"
        )
    starts = np.arange(0, n - window_size + 1, stride)
    return starts if starts[-1] == n - window_size else np.append(starts, n - window_size)


def sliding_windows(
    x: np.ndarray, window_size: int, stride: int = 1
) -> tuple[Float[np.ndarray, "N C L"], Int[np.ndarray, " N"]]:
    """Cut a stream (n, C) into windows that cover every point; return them and their first indices.

    The windows may be a read-only view on `x` (no memory of their own): copy before writing.
    Raises: as `window_starts`, and ShapeError for another shape than (n, C).
    """
    if x.ndim != 2:
        raise ShapeError(f"the series has shape {x.shape}: expected (n, C), for one channel x[:, None]")
    starts = window_starts(len(x), window_size, stride)
    view = np.lib.stride_tricks.sliding_window_view(x, window_size, axis=0)
    aligned = (len(x) - window_size) % stride == 0
    return (view[::stride] if aligned else view[starts]), starts


def window_to_point(
    scores: Float[np.ndarray, " N"], starts: Int[np.ndarray, " S"], window_size: int, n: int
) -> Float[np.ndarray, " n"]:
    """Give every point the mean score of the windows that cover it, in O(N + n) by cumulative sums.

    Raises: ShapeError where the windows do not fit `n`, are not in rising order, or leave a point uncovered.
    """
    _check_starts(len(scores), starts, window_size, n)
    point = np.arange(n)
    first = np.searchsorted(starts, point - window_size, side="right")
    stop = np.searchsorted(starts, point, side="right")
    centre = float(np.mean(scores))  # smaller sums lose fewer digits
    total = np.concatenate(([0.0], np.cumsum(scores - centre)))
    mean = centre + (total[stop] - total[first]) / (stop - first)
    bounded: np.ndarray = np.clip(mean, scores.min(), scores.max())  # rounding must not leave the range of the scores
    return bounded


def covered_mean(
    scores: Float[np.ndarray, " N"], starts: Int[np.ndarray, " S"], window_size: int, n: int
) -> Float[np.ndarray, " n"]:
    """Give every point the mean score of the windows that cover it, NaN where none does; windows may leave gaps."""
    total, count = np.zeros(n + 1), np.zeros(n + 1)
    for array, weight in ((total, scores), (count, np.ones(len(starts)))):
        np.add.at(array, starts, weight)
        np.subtract.at(array, starts + window_size, weight)
    covering = np.rint(np.cumsum(count)[:n])
    with np.errstate(invalid="ignore"):
        return np.where(covering > 0, np.cumsum(total)[:n] / np.maximum(covering, 1), np.nan)


def point_overlap_mean(
    errors: Float[np.ndarray, "N L"], starts: Int[np.ndarray, " S"], n: int
) -> Float[np.ndarray, " n"]:
    """Give every point the mean of its own errors over the windows that cover it.

    Raises: as `window_to_point`.
    """
    window_size = errors.shape[1]
    _check_starts(len(errors), starts, window_size, n)
    total, count = np.zeros(n), np.zeros(n)
    for offset in range(window_size):
        total[starts + offset] += errors[:, offset]
        count[starts + offset] += 1.0
    return total / count


def _check_starts(num_windows: int, starts: Int[np.ndarray, " S"], window_size: int, n: int) -> None:
    step = np.diff(starts)
    if num_windows != len(starts) or not len(starts) or (step < 1).any():
        raise ShapeError(f"{num_windows} windows with {len(starts)} starts: give one start per window, in rising order")
    if starts[0] != 0 or starts[-1] + window_size != n or (step > window_size).any():
        raise ShapeError(
            f"windows of {window_size} points from {starts[0]} to {starts[-1] + window_size} do not cover {n} points:"
            " use the starts that sliding_windows returned for this series"
        )
