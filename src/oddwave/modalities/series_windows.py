"""Windows of a stream and back: cut and join, resample to a fixed length, fold over a period, level and spread.

Legend: n points, C channels, L points of a window, N windows, P period, M new length. Every function takes plain
arrays; read `series.py` next for the modality that puts them together.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import ConfigError, ShapeError

__all__ = [
    "LOG_STD_FLOOR",
    "cut_windows",
    "fold_window",
    "join_windows",
    "resample_windows",
    "spans_break",
    "unfold_window",
    "window_starts",
    "window_statistics",
]

LOG_STD_FLOOR = 1e-3  # in the units of the windows; keeps the log of a flat window finite


def window_starts(n: int, window_size: int, stride: int) -> Int[np.ndarray, " N"]:
    """Return where the windows begin: every `stride` points, and a last one that ends with the stream.

    Raises: ConfigError for a size or stride below 1; ShapeError for a stream shorter than a window.
    """
    if window_size < 1 or stride < 1:
        raise ConfigError(f"window_size is {window_size} and stride {stride}: both must be 1 or more")
    if n < window_size:
        raise ShapeError(
            f"a series of {n} points is shorter than its window of {window_size}: give a smaller window_size"
        )
    last = n - window_size
    starts = np.arange(0, last + 1, stride)
    return starts if starts[-1] == last else np.append(starts, last)


def cut_windows(
    x: Float[np.ndarray, "n C"], window_size: int, stride: int
) -> tuple[Float[np.ndarray, "N C L"], Int[np.ndarray, " N"]]:
    """Return the windows of a stream, channels first, and where each begins; together they cover every point.

    Raises: ConfigError, ShapeError (see `window_starts`).
    """
    if x.ndim != 2:
        raise ShapeError(f"x has shape {x.shape}: expected (n_timepoints, n_channels)")
    starts = window_starts(len(x), window_size, stride)
    return np.lib.stride_tricks.sliding_window_view(x, window_size, axis=0)[starts], starts


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


def fold_window(window: Float[np.ndarray, "*N L"], period: int) -> Float[np.ndarray, "*N R P"]:
    """Return the window as a picture, one period per row; rows below one another show the same phase.

    A window that ends within a period is continued by the values one period earlier, so that no edge is made up.
    Raises: ConfigError for a period below 1; ShapeError for a window shorter than a period.
    """
    size = window.shape[-1]
    if period < 1:
        raise ConfigError(f"period is {period}: give 1 point or more")
    if size < period:
        raise ShapeError(f"a window of {size} points cannot be folded over a period of {period}: use a longer window")
    rows = -(-size // period)
    missing = rows * period - size
    if missing:
        window = np.concatenate([window, window[..., size - period : size - period + missing]], axis=-1)
    folded: np.ndarray = window.reshape(*window.shape[:-1], rows, period)
    return folded


def unfold_window(folded: Float[np.ndarray, "*N R P"], length: int) -> Float[np.ndarray, "*N L"]:
    """Return the first `length` points of a folded window, row after row. Raises: ShapeError where it has fewer."""
    rows, period = folded.shape[-2:]
    if length > rows * period:
        raise ShapeError(f"a folded window of {rows} x {period} holds no {length} points")
    flat: np.ndarray = folded.reshape(*folded.shape[:-2], rows * period)[..., :length]
    return flat


def spans_break(starts: Sequence[int] | Int[np.ndarray, " N"], size: int, breaks: Sequence[int]) -> np.ndarray:
    """Say for each window whether it spans a break in time, so that a caller may leave it out of training."""
    first = np.asarray(starts)
    spans = np.zeros(len(first), dtype=bool)
    for point in breaks:
        spans |= (first < point) & (point < first + size)
    return spans
