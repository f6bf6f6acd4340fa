"""Scaled streams, and the windows cut from them: what stands between the series modality and the scorers.

Legend: n points, C channels, N windows, L points per window. A panel instance is a stream that is exactly one window
long. Read `missing_values.py` next: it completes windows that hold gaps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.scoring.aggregate import window_to_point
from oddwave.tensors.series_windows import window_starts

__all__ = ["Stream", "WindowSet", "at_rest", "cut_streams", "points_from_windows"]

MAX_MISSING_SHARE = 0.5  # of a window's points


@dataclass(frozen=True, eq=False)
class Stream:
    """One stream, scaled, gaps filled by lines; `breaks` are the points where a stretch begins.

    `known` says which values may stand as they are: those measured, and those between measurements that lie no further
    apart than usual for their channel. `group` names the stream in a model's memory; `offset` is where it begins in the
    original stream. `places` are the points of the item that the stream's points are, where some were left out.
    """

    id: str
    group: int
    values: Float[np.ndarray, "n C"]
    known: Bool[np.ndarray, "n C"]
    breaks: tuple[int, ...] = ()
    offset: int = 0
    places: Int[np.ndarray, " n"] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def part(self, start: int, stop: int) -> "Stream":
        """Return the points from `start` up to `stop`."""
        breaks = tuple(b - start for b in self.breaks if start < b < stop)
        return Stream(
            self.id,
            self.group,
            self.values[start:stop],
            self.known[start:stop],
            breaks,
            self.offset + start,
            None if self.places is None else self.places[start:stop],
        )

    def stretches(self) -> list[tuple[int, int]]:
        """Return (start, stop) of each stretch without a break."""
        return [(a, b) for a, b in pairwise([0, *self.breaks, len(self)]) if b > a]


@dataclass(frozen=True, eq=False)
class WindowSet:
    """Windows of many streams: stream number, first point in it, and the place for a memory's self-exclusion.

    `known` says which of their values are; None: all.
    """

    windows: Float[np.ndarray, "N C L"]
    stream: Int[np.ndarray, " N"]
    local_starts: Int[np.ndarray, " N"]
    groups: Int[np.ndarray, " N"]
    starts: Int[np.ndarray, " N"]
    known: Bool[np.ndarray, "N C L"] | None = None

    def __len__(self) -> int:
        return len(self.windows)

    def take(self, index: Int[np.ndarray, " n"]) -> "WindowSet":
        """Return the windows at these positions."""
        return WindowSet(
            self.windows[index],
            self.stream[index],
            self.local_starts[index],
            self.groups[index],
            self.starts[index],
            None if self.known is None else self.known[index],
        )

    def joined(self, other: "WindowSet") -> "WindowSet":
        """Return the windows of both; stream numbers no longer name streams of one list."""
        names = ("windows", "stream", "local_starts", "groups", "starts")
        joined = (np.concatenate([getattr(self, name), getattr(other, name)]) for name in names)
        whole = self.known is None and other.known is None
        known = None if whole else np.concatenate([part.all_known for part in (self, other)])
        return replace(WindowSet(*joined), known=known)

    def with_windows(self, windows: Float[np.ndarray, "N C L"]) -> "WindowSet":
        """Return other contents, known throughout, at the same places."""
        return replace(self, windows=windows, known=None)

    @property
    def all_known(self) -> Bool[np.ndarray, "N C L"]:
        """Which values are known, written out."""
        return np.ones(self.windows.shape, bool) if self.known is None else self.known

    def learnable(self, max_missing: float) -> Bool[np.ndarray, " N"]:
        """Return which windows have enough of every channel to learn from: of none more than this share is missing."""
        if self.known is None:
            return np.ones(len(self), bool)
        enough: np.ndarray = self.known.mean(2).min(1) >= 1.0 - max_missing
        return enough


def at_rest(streams: Sequence[Stream]) -> bool:
    """Return whether no value of any stream ever changes, so that nothing can be told of how scores vary."""
    return not any((stream.values != stream.values[:1]).any() for stream in streams)


def cut_streams(streams: Sequence[Stream], window_size: int, stride: int) -> WindowSet:
    """Cut every stretch of every stream into windows; those mostly made of filled-in points are left out.

    Stretches shorter than a window yield none.
    """
    windows, known, numbers, local = [], [], [], []
    gaps = not all(stream.known.all() for stream in streams)
    for number, stream in enumerate(streams):
        for start, stop in stream.stretches():
            if stop - start < window_size:
                continue
            starts = start + window_starts(stop - start, window_size, min(stride, window_size))
            filled = np.concatenate([[0], np.cumsum(~stream.known.any(1))])
            starts = starts[filled[starts + window_size] - filled[starts] <= MAX_MISSING_SHARE * window_size]
            view = np.lib.stride_tricks.sliding_window_view(stream.values, window_size, axis=0)
            windows.append(view[starts])
            if gaps:
                known.append(np.lib.stride_tricks.sliding_window_view(stream.known, window_size, axis=0)[starts])
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
    own = np.concatenate(known) if known else None
    return WindowSet(joined, stream_of, local_starts, groups, local_starts + offsets, own)


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
