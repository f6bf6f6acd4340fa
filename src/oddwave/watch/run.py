"""A watch over rows: lines come, streams are judged, events go out, and the state says how far all of it is.

    lines -> rows -> one stream per series -> settled points and events -> JSON lines, alarms

What was written beyond the last saved state is cut off at the next start and comes about again, so that a kill at any
moment loses no row, judges none twice and tells of every event once. The state is saved whenever an event is told of,
and else every second or, where there is much of it, more rarely. Read `folder.py` for files that arrive.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from oddwave.errors import CheckpointError
from oddwave.files import read_bytes, write_bytes_atomic
from oddwave.stream.records import StreamEvent, StreamUpdate
from oddwave.stream.session import SeriesStream, StreamModel, update_all
from oddwave.stream.state import check_model, pack_state, unpack_state
from oddwave.watch.alarms import Alarms
from oddwave.watch.output import LineFile, LinePrinter
from oddwave.watch.rows import Row, RowReader
from oddwave.watch.sources import LineSource
from oddwave.watch.telling import Teller

__all__ = ["RowWatch", "WatchOptions", "read_watch_state"]

AlertOn = Literal["opened", "closed"]
_MOST_SERIES, _MOST_WAITING, _MOST_STATE = 2000, 10_000, 2**31
_SPARING = 20.0  # a state that takes long to write is written the more rarely
_LOST = int(np.datetime64("NaT", "ns").astype(np.int64))


@dataclass
class WatchOptions:
    """How a watch runs; `since` in nanoseconds: what ended before it is looked at and not told of."""

    state: Path | None = None
    alert_on: AlertOn = "opened"
    since: int | None = None
    every_s: float = 1.0
    save_every_s: float = 1.0
    once: bool = False


@dataclass
class RowWatch:
    """A watch over one source of rows."""

    model: StreamModel
    source: LineSource
    reader: RowReader
    out: LineFile | LinePrinter
    alarms: Alarms
    teller: Teller
    options: WatchOptions
    scores: LineFile | None = None
    known: tuple[Mapping[str, np.ndarray], Mapping[str, Any]] | None = None
    seen: Callable[[Sequence[SeriesStream], Sequence[StreamUpdate]], None] | None = None
    streams: dict[str, SeriesStream] = field(default_factory=dict)
    seq: int = 0
    num_rows: int = 0
    num_opened: int = 0

    def __post_init__(self) -> None:
        """Go on from what is known. Raises: CheckpointError for the state of another model."""
        self._saved_at, self._save_took, self._changed = time.monotonic(), 0.0, False
        if self.known is None:
            return
        arrays, numbers = self.known
        check_model(self.model.fingerprint, numbers)
        for place, own in enumerate(numbers["streams"]):
            mark = f"{place}|"
            parts = {name.removeprefix(mark): values for name, values in arrays.items() if name.startswith(mark)}
            self.streams[own["name"]] = SeriesStream.restored(self.model, parts, own)
        self.reader.restore(numbers["reader"])
        self.seq = numbers["seq"]
        for record in numbers["pending"]:
            self.alarms.add(record)

    def run(self, stopped: Callable[[float], bool]) -> None:
        """Go on until the source ends or `stopped`, which waits so many seconds, says so."""
        try:
            while True:
                ended, busy = self.tick()
                if ended or (self.options.once and not busy):
                    self._end(ended=ended)
                    return
                if stopped(0.0 if busy else self.options.every_s):
                    self._end(ended=False)
                    return
        finally:
            self.source.close()

    def tick(self) -> tuple[bool, bool]:
        """Take what is there; return whether the source has ended, and whether anything came."""
        if self.out.waiting > _MOST_WAITING or (self.scores and self.scores.waiting > _MOST_WAITING):
            self._save()  # no room: nothing more is read until there is
            return False, False
        chunk = self.source.take()
        if chunk.new_file:
            self.reader.begin_file()
        if chunk.lines:
            self.judge(self.reader.read(chunk.lines))
        self._changed |= bool(chunk.lines)
        due = time.monotonic() - self._saved_at >= max(self.options.save_every_s, _SPARING * self._save_took)
        if self.out.waiting or (due and self._changed):
            self._save()
        return chunk.ended, chunk.more or bool(chunk.lines)

    def judge(self, rows: Sequence[Row]) -> None:
        """Hand rows to their streams, and tell of what comes of it."""
        grouped: dict[str, list[Row]] = {}
        for row in rows:
            grouped.setdefault(row.series, []).append(row)
        updates = []
        for name, own in grouped.items():
            if name not in self.streams and len(self.streams) >= _MOST_SERIES:
                text = f"more than {_MOST_SERIES:,} series: '{name[:40]}' is not watched"
                self.teller.fault("series", text, len(own))
                continue
            stream = self.streams.setdefault(name, SeriesStream(self.model, name=name))
            timed = own[0].time is not None if stream.timed is None else stream.timed
            stamps = np.array([_LOST if row.time is None else row.time for row in own]).astype("datetime64[ns]")
            updates.append((stream, np.array([row.values for row in own]), stamps if timed else None))
            self.num_rows += len(own)
        if updates:
            found = update_all(updates)
            self.tell([stream for stream, _, _ in updates], found)

    def tell(self, streams: Sequence[SeriesStream], updates: Sequence[StreamUpdate]) -> None:
        """Write down what settled and which events changed, and give alarms."""
        for stream, update in zip(streams, updates, strict=True):
            for notice in update.notices:
                self.teller.note(f"{notice.kind} {stream.name}", f"{stream.name}: {notice.text}")
            if update.drift:
                text = f"{stream.name}: drift, {update.drift.moved} moved by {update.drift.shift:.1f} deviations"
                self.teller.note(f"drift {stream.name}", text)
            self._write_scores(stream, update)
            peaks = {event.id for event in update.updated} - {event.id for event in update.opened}
            for change, event in update.changes:
                if change != "updated" or event.id in peaks:
                    self._write_event(stream, change, event)
        if self.seen:
            self.seen(streams, updates)

    def _write_event(self, stream: SeriesStream, change: str, event: StreamEvent) -> None:
        if self._is_old(event.end_time):
            return
        self.seq += 1
        self.num_opened += change == "opened"
        record = {"seq": self.seq, "change": change, "series": stream.name, **event.to_dict()}
        self.out.write(record)
        if change == self.options.alert_on and event.merged_into is None:
            self.alarms.add(record)

    def _is_old(self, end_time: str | None) -> bool:
        if self.options.since is None or end_time is None:
            return False
        return int(np.datetime64(end_time, "ns").astype(np.int64)) < self.options.since

    def _write_scores(self, stream: SeriesStream, update: StreamUpdate) -> None:
        if self.scores is None or not len(update.settled):
            return
        own = update.settled
        times = (
            [None] * len(own) if own.timestamps is None else np.datetime_as_string(own.timestamps, unit="ms").tolist()
        )
        for place, (score, p_value, label) in enumerate(
            zip(own.scores.tolist(), own.p_values.tolist(), own.labels.tolist(), strict=True)
        ):
            known = score == score
            self.scores.write(
                {
                    "series": stream.name,
                    "point": own.start + place,
                    "time": times[place],
                    "score": score if known else None,
                    "p_value": p_value if known else None,
                    "label": label,
                }
            )

    def _end(self, *, ended: bool) -> None:
        """Save; a source that has ended for good, and of which no state is kept, settles to its last row."""
        rest = getattr(self.source, "rest", None)
        if self.options.state is None and (ended or self.options.once):
            if rest is not None:
                self.judge(self.reader.read(rest()))
            streams = list(self.streams.values())
            for stream in streams:
                self.tell([stream], [stream.finish()])
        self._save()
        self.alarms.finish(10.0)
        if self.options.state is None:
            self.alarms.bury()
        else:
            self._save()

    def _save(self) -> bool:
        """Bring everything to the disk, the state last: it never knows of more than what is written."""
        written = self.out.flush() and (self.scores is None or self.scores.flush())
        if not written or self.options.state is None:
            if written:
                self.source.saved()
            return written
        begun = time.monotonic()
        arrays: dict[str, np.ndarray] = {}
        told: list[dict[str, Any]] = []
        for place, stream in enumerate(self.streams.values()):
            own, numbers = stream.state()
            arrays |= {f"{place}|{name}": values for name, values in own.items()}
            told.append(numbers)
        numbers = {
            "model": self.model.fingerprint,
            "streams": told,
            "reader": self.reader.state(),
            "position": self.source.position(),
            "seq": self.seq,
            "pending": self.alarms.waiting(),
            "out": self.out.offset,
            "scores": self.scores.offset if self.scores else None,
        }
        try:
            write_bytes_atomic(self.options.state, pack_state(arrays, numbers))
        except CheckpointError as error:
            self.teller.note("state", f"{error}: kept, tried again")
            return False
        self._saved_at, self._changed = time.monotonic(), False
        self._save_took = self._saved_at - begun
        self.source.saved()
        return True


def read_watch_state(path: Path | None) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Return what a watch saved, None where there is nothing yet. Raises: CheckpointError for a damaged file."""
    if path is None or not path.exists():
        return None
    arrays, numbers = unpack_state(read_bytes(path, _MOST_STATE), str(path))
    if "streams" not in numbers:
        raise CheckpointError(f"{path} is the state of a single stream, not of a watch: give another file")
    return arrays, numbers
