"""Scaled streams, and the windows cut from them: what stands between the series modality and the scorers.

Legend: n points, C channels, N windows, L points per window. A panel instance is a stream that is exactly one window
long. Read `window_scorer.py` next: it scores such windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.modalities.series_windows import window_starts
from oddwave.scoring.aggregate import window_to_point

__all__ = ["Stream", "WindowSet", "at_rest", "cut_streams", "points_from_windows"]

MAX_MISSING_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class Stream:
    """One stream, scaled, gaps filled; `observed` says which points were measured, `breaks` where a stretch begins.

    `group` names the stream in a model's memory; `offset` is where it begins in the original stream.
    """

    id: str
    group: int
    values: Float[np.ndarray, "n C"]
    observed: Bool[np.ndarray, " n"]
    breaks: tuple[int, ...] = ()
    offset: int = 0

    def __len__(self) -> int:
        return len(self.values)

    def part(self, start: int, stop: int) -> "Stream":
        """Give the points from `start` up to `stop`."""
        breaks = tuple(b - start for b in self.breaks if start < b < stop)
        return Stream(
            self.id, self.group, self.values[start:stop], self.observed[start:stop], breaks, self.offset + start
        )

    def stretches(self) -> list[tuple[int, int]]:
        """Give (start, stop) of each stretch without a break."""
        return [(a, b) for a, b in pairwise([0, *self.breaks, len(self)]) if b > a]


@dataclass(frozen=True, eq=False)
class WindowSet:
    """Windows of many streams: stream number, first point in it, and the place for a memory's self-exclusion."""

    windows: Float[np.ndarray, "N C L"]
    stream: Int[np.ndarray, " N"]
    local_starts: Int[np.ndarray, " N"]
    groups: Int[np.ndarray, " N"]
    starts: Int[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.windows)

    def take(self, index: Int[np.ndarray, " n"]) -> "WindowSet":
        """Give the windows at these positions."""
        return WindowSet(
            self.windows[index], self.stream[index], self.local_starts[index], self.groups[index], self.starts[index]
        )

    def joined(self, other: "WindowSet") -> "WindowSet":
        """Give the windows of both; stream numbers no longer name streams of one list."""
        names = ("windows", "stream", "local_starts", "groups", "starts")
        return WindowSet(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))

    def with_windows(self, windows: Float[np.ndarray, "N C L"]) -> "WindowSet":
        """Give other contents at the same places."""
        return WindowSet(windows, self.stream, self.local_starts, self.groups, self.starts)


def at_rest(streams: Sequence[Stream]) -> bool:
    """Say whether no value of any stream ever changes, so that nothing can be told of how scores vary."""
    return not any((stream.values != stream.values[:1]).any() for stream in streams)


def cut_streams(streams: Sequence[Stream], window_size: int, stride: int) -> WindowSet:
    """Cut every stretch of every stream into windows; those mostly made of filled-in points are left out.

    Stretches shorter than a window yield none.
    """
    windows, numbers, local = [], [], []
    for number, stream in enumerate(streams):
        for start, stop in stream.stretches():
            if stop - start < window_size:
                continue
            starts = start + window_starts(stop - start, window_size, min(stride, window_size))
            filled = np.concatenate([[0], np.cumsum(~stream.observed)])
            starts = starts[filled[starts + window_size] - filled[starts] <= MAX_MISSING_SHARE * window_size]
            view = np.lib.stride_tricks.sliding_window_view(stream.values, window_size, axis=0)
            windows.append(view[starts])
            numbers.append(np.full(len(starts), number))
            local.append(starts)
    if not windows:
        channels = streams[0].values.shape[1] if streams else 1
        empty = np.zeros(0, np.int64)
        return WindowSet(np.zeros((0, channels, window_size), np.float32), empty, empty, empty, empty)
    stream_of, local_starts = np.concatenate(numbers), np.concatenate(local)
    groups = np.array([s.group for s in streams])[stream_of]
    offsets = np.array([s.offset for s in streams])[stream_of]
    joined = np.concatenate(windows).astype(np.float32, copy=False)
    return WindowSet(joined, stream_of, local_starts, groups, local_starts + offsets)


def points_from_windows(
    scores: Float[np.ndarray, " N"], cut: WindowSet, streams: Sequence[Stream], window_size: int
) -> list[Float[np.ndarray, " _"]]:
    """Give each point of each stream the mean score of the windows around it, nearer ones first; NaN where none is."""
    order = np.argsort(cut.stream, kind="stable")
    bounds = np.searchsorted(cut.stream[order], np.arange(len(streams) + 1))
    result = []
    for number, stream in enumerate(streams):
        own = order[bounds[number] : bounds[number + 1]]
        result.append(window_to_point(scores[own], cut.local_starts[own], window_size, len(stream), triangular=True))
    return result
