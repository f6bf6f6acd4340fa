"""Windows of a stream and back: cut and join, scores to points, resample to a fixed length, level, spread.

Legend: n points, C channels, L points of a window, N windows, M new length. Every function takes plain arrays; read
`representation.py` next for how a window becomes a tensor.
"""

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import ConfigError, ShapeError

__all__ = [
    "LOG_STD_FLOOR",
    "join_windows",
    "resample_windows",
    "sliding_windows",
    "window_starts",
    "window_statistics",
    "window_to_point",
]

LOG_STD_FLOOR = 1e-3  # in the units of the windows; keeps the log of a flat window finite


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


def join_windows(
    windows: Float[np.ndarray, "N C L"], starts: Int[np.ndarray, " N"], n: int
) -> Float[np.ndarray, "n C"]:
    """Return a stream of n points, each the mean of the windows that cover it (NaN where none does).

    Raises: ShapeError where a window reaches beyond the stream.
    """
    num_windows, num_channels, size = windows.shape
    if len(starts) != num_windows or (num_windows and (starts.min() < 0 or starts.max() + size > n)):
        raise ShapeError(f"{num_windows} windows of {size} points at {len(starts)} starts do not fit in {n} points")
    total, cover = np.zeros((n, num_channels)), np.zeros(n)
    for window, start in zip(windows, starts, strict=True):
        total[start : start + size] += window.T
        cover[start : start + size] += 1
    return np.where(cover[:, None] > 0, total / np.maximum(cover, 1)[:, None], np.nan)


def window_to_point(
    scores: Float[np.ndarray, " N"],
    starts: Int[np.ndarray, " S"],
    window_size: int,
    n: int,
    *,
    triangular: bool = False,
) -> Float[np.ndarray, " n"]:
    """Return every point the mean score of the windows that cover it, NaN where none does.

    That finds events much better on long labels than each point's own error does, which `join_windows` spreads.
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


def window_statistics(windows: Float[np.ndarray, "N C L"]) -> Float[np.ndarray, "N 2*C"]:
    """Return each window's mean and the log of its standard deviation, channel by channel: [means, log-stds].

    They say what a per-window scale takes away: the level and the spread. Windows are expected in scaled units.
    """
    return np.concatenate([windows.mean(axis=2), np.log(windows.std(axis=2) + LOG_STD_FLOOR)], axis=1)


def resample_windows(windows: Float[np.ndarray, "*N L"], length: int) -> Float[np.ndarray, "*N M"]:
    """Return windows of `length` points: mean pooling over exact areas when shorter, linear interpolation when longer.

    Pooling keeps the mean of every window, also where the lengths do not divide each other. Raises: ConfigError.
    """
    if length < 1:
        raise ConfigError(f"length is {length}: a window needs 1 point or more")
    size = windows.shape[-1]
    if size == length:
        return windows.copy()
    weights = _pooling_weights(size, length) if size > length else _interpolation_weights(size, length)
    resampled: np.ndarray = windows @ weights.T
    return resampled


def _pooling_weights(size: int, length: int) -> Float[np.ndarray, "M L"]:
    """Share of each old point in each new one: the overlap of their intervals, rows summing to one."""
    edges = np.arange(length + 1) * (size / length)
    points = np.arange(size)
    overlap = np.minimum(edges[1:, None], points + 1) - np.maximum(edges[:-1, None], points)
    weights: np.ndarray = np.maximum(overlap, 0.0) * (length / size)
    return weights


def _interpolation_weights(size: int, length: int) -> Float[np.ndarray, "M L"]:
    centres = np.clip((np.arange(length) + 0.5) * (size / length) - 0.5, 0, size - 1)
    left = np.minimum(np.floor(centres).astype(np.int64), max(size - 2, 0))
    part = centres - left
    weights = np.zeros((length, size))
    weights[np.arange(length), left] = 1 - part
    weights[np.arange(length), np.minimum(left + 1, size - 1)] += part
    return weights
