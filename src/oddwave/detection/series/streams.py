"""Scaled streams, and the windows cut from them: what stands between the series modality and the scorers.

Legend: n points, C channels, N windows, L points per window. A panel instance is a stream that is exactly one window
long. Read `missing_values.py` next: it completes windows that hold gaps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.tensors.series_windows import resample_windows, window_starts, window_to_point

__all__ = [
    "ALIKE",
    "Stream",
    "WindowSet",
    "at_rest",
    "cut_streams",
    "num_windows",
    "points_from_maps",
    "points_from_windows",
    "rare_channels",
]

ALIKE = 16  # rows: in matrix products of whole such groups a row does not depend on how many there are
MAX_MISSING_SHARE = 0.5  # of a window's points
_KNOWN_SHARE = 0.5  # of what a resampled point covers
_BLOCK_VALUES = 2**22
_MAP_BLOCK = 8192
_FEW_WINDOWS, _FEW_EVENTS = 0.05, 2  # so many normal windows with no more events than this: none are no news


@dataclass(frozen=True, eq=False)
class Stream:
    """One stream, scaled, gaps filled by lines; `breaks` are the points where a stretch begins.

    `known` says which values may stand as they are: those measured, and those between measurements that lie no further
    apart than usual for their channel. `group` names the stream in a model's memory; `offset` is where it begins in the
    original stream. `places` are the points of the item that the stream's points are, where some were left out. The
    first `history` points came before the item: they are looked at with it, and not judged.
    """

    id: str
    group: int
    values: Float[np.ndarray, "n C"]
    known: Bool[np.ndarray, "n C"]
    breaks: tuple[int, ...] = ()
    offset: int = 0
    places: Int[np.ndarray, " n"] | None = None
    history: int = 0

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

    def after(self, past: "Stream") -> "Stream":
        """Return the stream with what came right before it."""
        joined = (np.concatenate(pair) for pair in ((past.values, self.values), (past.known, self.known)))
        values, known = joined
        breaks = (*past.breaks, *(len(past) + b for b in self.breaks))
        return replace(self, values=values, known=known, breaks=breaks, history=len(past))

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


def num_windows(streams: Sequence[Stream], window_size: int, stride: int) -> int:
    """Return about how many windows `cut_streams` gives."""
    rooms = [stop - start - window_size for stream in streams for start, stop in stream.stretches()]
    return sum(room // stride + 1 + (room % stride > 0) for room in rooms if room >= 0)


def cut_streams(streams: Sequence[Stream], window_size: int, stride: int, *, length: int | None = None) -> WindowSet:
    """Cut every stretch of every stream into windows; those mostly made of filled-in points are left out.

    Stretches shorter than a window yield none. Windows are resampled to `length` points, where it is given.
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
            windows.append(_taken(view, starts, length))
            if gaps:
                seen = np.lib.stride_tricks.sliding_window_view(stream.known, window_size, axis=0)
                known.append(_taken(seen, starts, length) >= _KNOWN_SHARE)
            numbers.append(np.full(len(starts), number))
            local.append(starts)
    if not windows:
        channels = streams[0].values.shape[1] if streams else 1
        empty = np.zeros(0, np.int64)
        return WindowSet(np.zeros((0, channels, length or window_size), np.float32), empty, empty, empty, empty)
    stream_of, local_starts = np.concatenate(numbers), np.concatenate(local)
    groups = np.array([s.group for s in streams])[stream_of]
    offsets = np.array([s.offset for s in streams])[stream_of]
    joined = np.concatenate(windows).astype(np.float32, copy=False)
    own = np.concatenate(known) if known else None
    return WindowSet(joined, stream_of, local_starts, groups, local_starts + offsets, own)


def _taken(
    view: np.ndarray, starts: Int[np.ndarray, " N"], length: int | None
) -> Float[np.ndarray, "N C _"] | Bool[np.ndarray, "N C _"]:
    """Return the windows at these starts; resampled in blocks, for the whole ones may be many times as large."""
    if length is None or view.shape[2] == length:
        chosen: np.ndarray = view[starts]
        return chosen
    step = max(1, _BLOCK_VALUES // max(1, view[0].size))
    resampled = np.zeros((len(starts), view.shape[1], length), np.float32)
    for first in range(0, len(starts), step):
        rows = slice(first, first + step)
        resampled[rows] = resample_windows(view[starts[rows]].astype(np.float32), length)
    return resampled


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


def points_from_maps(
    maps: Float[np.ndarray, "N L"], cut: WindowSet, streams: Sequence[Stream], window_size: int
) -> list[Float[np.ndarray, " _"]]:
    """Give each point of each stream the mean of what the windows around it say of this very point; NaN without any."""
    result = []
    for number, stream in enumerate(streams):
        own = np.flatnonzero(cut.stream == number)
        total, count = np.zeros(len(stream)), np.zeros(len(stream))
        for first in range(0, len(own), _MAP_BLOCK):
            rows = own[first : first + _MAP_BLOCK]
            values = resample_windows(maps[rows].astype(np.float64), window_size)
            for offset in range(window_size):  # starts differ, so that no point is written twice at once
                total[cut.local_starts[rows] + offset] += values[:, offset]
                count[cut.local_starts[rows] + offset] += 1.0
        result.append(np.where(count > 0, total / np.maximum(count, 1.0), np.nan))
    return result


def rare_channels(windows: Float[np.ndarray, "M C L"]) -> tuple[int, ...]:
    """Return the channels that rest most of the time, so that a normal window may hold an event or two, or none."""
    return tuple(number for number, own in enumerate(np.moveaxis(windows, 1, 0)) if _has_few_events(own))


def _has_few_events(windows: Float[np.ndarray, "M L"]) -> bool:
    """Return whether a channel rests most of the time, and a normal window may hold an event or two, or none."""
    values, counts = np.unique(windows, return_counts=True)
    if len(values) < 2 or counts.max() < 0.5 * windows.size:
        return False
    events = (windows != values[counts.argmax()]).sum(1)
    return bool(np.quantile(events, _FEW_WINDOWS) <= _FEW_EVENTS)
