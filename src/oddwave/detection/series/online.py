"""Scores of a stream that is still being measured: the batch path's own numbers, as soon as they can no longer change.

A point is settled once every window that covers it is whole, and the last one of the stretch, which ends with it, can
no longer cover it: one longest window after it. What is kept is bounded by the longest
window: the values that windows to come will cover, and what was found in the windows that cover points not settled yet.

Windows of several streams are looked at together (`advance`), which costs far less than one by one. How a stretch ends,
and what stands in for missing values, is that of `points.py`. Read `oddwave/stream/session.py` next.

Legend: n points, C channels, N windows, L points of a window's evidence.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.detection.series.points import filled_stretch, reach_ahead, row_reach
from oddwave.detection.series.retrieval_model import RetrievalModel, seen_alone
from oddwave.detection.series.size_memory import PRIOR_LENGTH
from oddwave.detection.series.streams import Stream, WindowSet, cut_streams
from oddwave.detection.series.window_evidence import Look
from oddwave.detection.threads import one_thread
from oddwave.tensors.series_scale import SeriesScaler
from oddwave.tensors.series_windows import window_starts

__all__ = ["OnlineModel", "OnlineStream", "SettledPoints", "advance"]


@dataclass(frozen=True, eq=False)
class SettledPoints:
    """Points whose scores no longer change: the first one's number, their scores and the evidence of each by itself."""

    start: int
    scores: Float[np.ndarray, " n"]
    points: Float[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.scores)


class OnlineModel:
    """A fitted model and how its points are read, for any number of streams."""

    def __init__(self, model: RetrievalModel, scaler: SeriesScaler) -> None:
        self.model, self.scaler = model, scaler
        self.row_reach, self.reach = row_reach(scaler), reach_ahead(scaler)

    @property
    def longest(self) -> int:
        """How many points the longest window has."""
        return max(self.model.plan.sizes)

    @property
    def delay(self) -> int:
        """After how many further points at the latest a point is settled."""
        return self.longest + self.reach + self.row_reach

    @property
    def num_layers(self) -> int:
        """How many window sizes and views of the channels look at a stream."""
        return len(self.model.sizes)


@dataclass(eq=False)
class _Found:
    """What was found in the windows of one size and view that cover points not settled yet; `due` begins next."""

    due: int = 0
    starts: Int[np.ndarray, " N"] = field(default_factory=lambda: np.zeros(0, np.int64))
    windows: Float[np.ndarray, " N"] = field(default_factory=lambda: np.zeros(0))
    maps: Float[np.ndarray, "N L"] = field(default_factory=lambda: np.zeros((0, PRIOR_LENGTH), np.float32))

    def add(self, starts: np.ndarray, windows: np.ndarray, maps: np.ndarray) -> None:
        self.starts = np.concatenate([self.starts, starts])
        self.windows, self.maps = np.concatenate([self.windows, windows]), np.concatenate([self.maps, maps])

    def keep(self, chosen: np.ndarray) -> None:
        self.starts, self.windows, self.maps = self.starts[chosen], self.windows[chosen], self.maps[chosen]


class _Stretch:
    """Points without a break between them; numbers count from its first point.

    `values` and `known` hold the points from `base` to `final`, filled; `raw` those from `raw_start`, the last of which
    wait for what stands in for their missing values. `seen` says of each point not settled whether anything that
    counts was measured, `places` its number in the stream.
    """

    def __init__(self, own: OnlineModel) -> None:
        num = len(own.scaler.centre)
        self.own, self.ended, self.settled = own, False, 0
        self.base = self.final = self.raw_start = 0
        self.values, self.known = np.zeros((0, num), np.float32), np.zeros((0, num), bool)
        self.raw, self.carry = np.zeros((0, num)), np.full(num, np.nan)
        self.places, self.seen = np.zeros(0, np.int64), np.zeros(0, bool)
        self.found = [_Found() for _ in range(own.num_layers)]

    @property
    def size(self) -> int:
        return self.raw_start + len(self.raw)

    def append(self, scaled: Float[np.ndarray, "k C"], places: np.ndarray, seen: np.ndarray) -> None:
        self.raw = np.concatenate([self.raw, np.where(self.own.scaler.monitored, scaled, np.nan)])
        self.places, self.seen = np.concatenate([self.places, places]), np.concatenate([self.seen, seen])

    def fill(self) -> None:
        """Fill what can be filled for good, and forget what nothing is filled from any more."""
        stop = self.size if self.ended else self._certain()
        if stop > self.final:
            before = self.raw_start > 0
            window = np.concatenate([self.carry[None], self.raw]) if before else self.raw
            filled, known = filled_stretch(window, self.own.scaler, self.own.reach)
            rows = slice(self.final - self.raw_start + before, stop - self.raw_start + before)
            self.values, self.known = (
                np.concatenate([self.values, filled[rows]]),
                np.concatenate([self.known, known[rows]]),
            )
            self.final = stop
        if (drop := self.final - self.own.reach - 1 - self.raw_start) > 0:
            for c in range(self.raw.shape[1]):
                seen = np.flatnonzero(np.isfinite(self.raw[:drop, c]))
                if len(seen):
                    self.carry[c] = self.raw[seen[-1], c]
            self.raw, self.raw_start = self.raw[drop:], self.raw_start + drop

    def _certain(self) -> int:
        """Return up to where values are filled for good: no channel's gap that is still open begins before it."""
        missing = ~np.isfinite(self.raw[:, self.own.scaler.monitored])
        if not missing[-1:].any():
            return self.size
        open_for = max((int(np.argmin(gap)) if not gap.all() else len(gap)) for gap in missing[::-1].T)
        return max(self.final, self.size - min(open_for, self.own.reach + 1))

    def due(self, number: int) -> Stream | None:
        """Return the part of the stretch that the windows which have become whole cover, or None."""
        memory, found = self.own.model.sizes[number], self.found[number]
        size, stride = memory.window_size, self.own.model.query_stride(memory)
        if self.final < size:
            return None
        starts = window_starts(self.final, size, stride) if self.ended else np.arange(0, self.final - size + 1, stride)
        starts = starts[starts > found.due - stride] if found.due else starts
        if not len(starts):
            return None
        found.due = int(starts[-1]) + stride
        rows = slice(int(starts[0]) - self.base, int(starts[-1]) + size - self.base)
        return Stream("", 0, self.values[rows], self.known[rows], offset=int(starts[0]))

    def settle(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the places, scores and point evidence of what has settled, and forget what it rested on."""
        stop = self.size if self.ended else min([self.final - self.own.longest, *(own.due for own in self.found)])
        count = max(0, stop - self.settled)
        scores, points = self._scored(self.settled, stop) if count else (np.zeros(0), np.zeros(0))
        scores = np.where(self.seen[:count], scores, np.nan)
        places = self.places[:count]
        self.places, self.seen, self.settled = self.places[count:], self.seen[count:], self.settled + count
        for own, memory in zip(self.found, self.own.model.sizes, strict=True):
            own.keep(own.starts + memory.window_size > self.settled)
        strides = map(self.own.model.query_stride, self.own.model.sizes)
        dues = [own.due - stride for own, stride in zip(self.found, strides, strict=True)]
        first = max(self.base, min(dues))  # a last window, at the very end, may begin before the one that is due
        self.values, self.known, self.base = self.values[first - self.base :], self.known[first - self.base :], first
        return places, scores, points

    def _scored(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        model = self.own.model
        layers: dict[tuple[int, ...], list[Mapping[str, list[np.ndarray]]]] = {}
        for own, memory in zip(self.found, model.sizes, strict=True):
            chosen = np.flatnonzero(own.starts < stop)
            if not len(chosen):
                continue
            starts = own.starts[chosen]
            base = min(start, int(starts[0]))
            end = max(stop, int(starts[-1]) + memory.window_size)
            nothing = np.zeros(len(starts), np.int64)
            cut = WindowSet(np.zeros((len(starts), 1, 0), np.float32), nothing, starts - base, nothing, starts)
            around = Stream("", 0, np.zeros((end - base, 0), np.float32), np.zeros((end - base, 0), bool))
            layer = model.on_points(memory, (own.windows[chosen], own.maps[chosen]), cut, [around])
            part = {name: [values[0][start - base : stop - base]] for name, values in layer.items()}
            layers.setdefault(memory.channels, []).append(part)
        whole = model.over_views(layers, 0, stop - start)
        return whole.scores, whole.parts.get("point", np.full(stop - start, np.nan))

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        for number, own in enumerate(self.found):
            arrays |= {f"{number}.{name}": getattr(own, name) for name in ("starts", "windows", "maps")}
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        return arrays, {**numbers, "due": [own.due for own in self.found]}

    @classmethod
    def restored(cls, own: OnlineModel, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any]) -> "_Stretch":
        made = cls(own)
        for name in _ARRAYS:
            setattr(made, name, arrays[name])
        for name in _NUMBERS:
            setattr(made, name, numbers[name])
        made.found = [
            _Found(int(due), *(arrays[f"{number}.{name}"] for name in ("starts", "windows", "maps")))
            for number, due in enumerate(numbers["due"])
        ]
        return made


_ARRAYS = ("values", "known", "raw", "carry", "places", "seen")
_NUMBERS = ("ended", "settled", "base", "final", "raw_start")


class OnlineStream:
    """One stream: points go in, settled ones come out, in order and each once.

    Points of which nothing was measured that counts belong to a stretch where they are few between others, and have no
    score; more of them end the stretch.
    """

    def __init__(self, own: OnlineModel) -> None:
        self.own = own
        self.count, self.settled = 0, 0  # points put in, and given out
        self._stretches: list[_Stretch] = []
        self._unseen = np.zeros((0, len(own.scaler.centre)))  # the latest points, without any value

    def append(self, values: Float[np.ndarray, "k C"]) -> None:
        """Take the next points, NaN where nothing was measured."""
        scaled = self.own.scaler.transform(values)
        seen = np.isfinite(values[:, self.own.scaler.monitored]).any(1)
        edges = [0, *(np.flatnonzero(np.diff(seen)) + 1).tolist(), len(values)]
        for start, stop in pairwise(edges):
            if stop > start:
                (self._measured if seen[start] else self._silent)(scaled[start:stop])

    def _measured(self, scaled: Float[np.ndarray, "k C"]) -> None:
        if not self._open():
            self._stretches.append(_Stretch(self.own))
        waiting = len(self._unseen)
        both = np.concatenate([self._unseen, scaled])
        places = np.arange(self.count - waiting, self.count + len(scaled))
        self._stretches[-1].append(both, places, np.arange(len(both)) >= waiting)
        self.count, self._unseen = self.count + len(scaled), self._unseen[:0]

    def _silent(self, scaled: Float[np.ndarray, "k C"]) -> None:
        self.count += len(scaled)
        if self._open():
            self._unseen = np.concatenate([self._unseen, scaled[: self.own.row_reach + 1]])
            if len(self._unseen) > self.own.row_reach:
                self.end_stretch()

    def end_stretch(self) -> None:
        """Let a stretch end here: no window reaches across, and what is left settles."""
        if self._open():
            self._stretches[-1].ended = True
        self._unseen = self._unseen[:0]

    def _open(self) -> bool:
        return bool(self._stretches) and not self._stretches[-1].ended

    @property
    def stretches(self) -> Sequence[_Stretch]:
        """The stretches that are not settled to their end."""
        return self._stretches

    @property
    def latest(self) -> int:
        """How many points the present stretch has."""
        return self._stretches[-1].size if self._open() else 0

    def settle(self) -> SettledPoints:
        """Return what has settled since, in order; `advance` must have looked at the windows before."""
        start = self.settled
        parts = [stretch.settle() for stretch in self._stretches]
        self._stretches = [own for own in self._stretches if not own.ended]
        if self._stretches:
            left = self._stretches[-1]
            stop = int(left.places[0]) if len(left.places) else self.count - len(self._unseen)
        else:
            stop = self.count
        self.settled = stop
        found = SettledPoints(start, np.full(stop - start, np.nan), np.full(stop - start, np.nan))
        for place, score, point in parts:
            found.scores[place - start], found.points[place - start] = score, point
        return found

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return all that a settled stream is, as arrays and JSON values; stretches that ended are to be settled."""
        arrays: dict[str, np.ndarray] = {"unseen": self._unseen}
        numbers: dict[str, Any] = {"count": self.count, "settled": self.settled, "stretch": None}
        if self._stretches:
            own, numbers["stretch"] = self._stretches[-1].state()
            arrays |= {f"stretch.{name}": values for name, values in own.items()}
        return arrays, numbers

    @classmethod
    def restored(cls, own: OnlineModel, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any]) -> "OnlineStream":
        """Undo `state`."""
        made = cls(own)
        made.count, made.settled, made._unseen = numbers["count"], numbers["settled"], arrays["unseen"]
        if numbers["stretch"] is not None:
            parts = {name.removeprefix("stretch."): values for name, values in arrays.items() if "stretch." in name}
            made._stretches = [_Stretch.restored(own, parts, numbers["stretch"])]
        return made


@one_thread()
def advance(own: OnlineModel, streams: Sequence[OnlineStream]) -> None:
    """Look at every window that has become whole in any of the streams, the prior at all of them in one pass."""
    stretches = [stretch for stream in streams for stretch in stream.stretches]
    for stretch in stretches:
        stretch.fill()
    waiting: list[tuple[int, list[tuple[_Stretch, Stream]]]] = []

    def looks() -> Iterator[Look]:
        for number, memory in enumerate(own.model.sizes):
            due = [(stretch, part) for stretch in stretches if (part := stretch.due(number)) is not None]
            parts = seen_alone([part for _, part in due], memory.channels)
            cut = cut_streams(parts, memory.window_size, own.model.query_stride(memory), length=PRIOR_LENGTH)
            if len(cut):
                waiting.append((number, due))
                completed = memory.bank.completed(cut, self_join=False, reach=memory.window_size)
                yield Look(own.model.scorer(memory), memory, completed)

    for look, (windows, maps) in own.model.window_evidence(looks()):
        number, due = waiting.pop(0)
        for place, (stretch, _) in enumerate(due):
            rows: Bool[np.ndarray, " N"] = look.cut.stream == place
            stretch.found[number].add(look.cut.starts[rows], windows[rows], maps[rows])
