"""A stream that is judged while it is measured: rows go in, settled points and events come out.

    stream = detector.stream()
    update = stream.update(values, timestamps)      # (k, C) and k times
    update.settled.scores, update.opened, update.closed, update.notices
    stream.save("pump.state")                       # and later: detector.stream(state="pump.state")

Scores are those of the batch path on the same rows, to the last digits, once settled: see `detection/series/online.py`
for when that is. Events follow the same rule; `events.py` says what differs. Rows become points in `clock.py`.

Several streams of one model are best updated together (`update_all`): their windows are looked at in one go.

Legend: k rows, n points, C channels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.calibration.budget import Asked, Verdict, settled
from oddwave.calibration.rule import Rule
from oddwave.detection.base import ModalityDetector
from oddwave.detection.series.detector import SeriesDetector
from oddwave.detection.series.online import OnlineModel, OnlineStream, advance
from oddwave.detection.series.retrieval_model import RetrievalModel
from oddwave.errors import ConfigError, DataError
from oddwave.records import Drift
from oddwave.sources.series.arrays import numbers_of
from oddwave.stream.clock import Points, RowClock
from oddwave.stream.counters import CounterWatch
from oddwave.stream.drift import DriftTracker
from oddwave.stream.events import EventTracker
from oddwave.stream.records import Changes, Delay, Notice, Settled, StreamUpdate
from oddwave.stream.state import check_model, read_state, write_state

__all__ = ["SeriesStream", "StreamModel", "update_all"]

_AT_ONCE = 4096  # rows: more are taken in parts, so that memory stays bounded
_PARTS_OF_EVENTS = 8  # longest windows that a run of flagged points is judged in


class StreamModel:
    """A fitted detector of streams, ready to judge any number of them while they are measured."""

    def __init__(self, inner: ModalityDetector, asked: Asked | None = None) -> None:
        """Take a fitted detector.

        Raises: NotFittedError; ConfigError for a model or a request that needs all of a series.
        """
        inner.fitted_calibration()
        asked = asked or Asked()
        if not isinstance(inner, SeriesDetector):
            raise ConfigError(f"streams are of series, this model is of {inner.modality}: score its files one by one")
        if inner.kind == "panel":
            raise ConfigError("the model judges instances of a panel, each as a whole: use score for each of them")
        if not isinstance(inner.model, RetrievalModel):
            raise ConfigError(
                "a model by series.method=denoiser draws its noise for a series as a whole: fit with "
                "series.method=retrieval to judge a stream, or score its latest rows with history="
            )
        if asked.flag is not None:
            raise ConfigError("flag needs all scores before the first verdict: give alpha, threshold or false_alarms")
        if inner.config.calibration.adaptive == "rolling":
            raise ConfigError("calibration.adaptive=rolling is for series as a whole: set it to off to judge a stream")
        assert inner.scaler is not None
        self.inner, self.asked = inner, asked
        self.online = OnlineModel(inner.model, inner.scaler)
        self.rule(None)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The channels of a row, in order."""
        return self.inner.channel_names

    def rule(self, period_s: float | None) -> Rule:
        """Return the rule for a stream of this period; before it is known a budget over time is taken as it stands.

        Raises: ConfigError, as `settled`.
        """
        calibration = self.inner.fitted_calibration()
        size = calibration.block_size
        seconds = None if period_s is None else period_s * size
        waits = period_s is None and self.asked.false_alarms is not None
        asked = Asked() if waits else self.asked
        return settled(asked, calibration, self.inner.config.calibration.alpha, Verdict("point", size, seconds))

    @property
    def fingerprint(self) -> str:
        """What tells this model from others: a saved state belongs to one."""
        return f"{self.inner.meta['data_fingerprint']}:{len(self.inner.meta.get('added', ()))}"


class SeriesStream:
    """One stream; see the module's example. `name` begins the ids of its events."""

    def __init__(self, model: StreamModel, *, name: str = "stream", period_s: float | None = None) -> None:
        if period_s is not None and not 0.0 < period_s < np.inf:
            raise ConfigError(f"period_s is {period_s!r}: expected the seconds from one row to the next, such as 60")
        self.model, self.name = model, name
        inner, longest = model.inner, model.online.longest
        calibration, scaler = inner.fitted_calibration(), model.online.scaler
        self.clock = RowClock(longest, None if period_s is None else max(1, round(period_s * 1e9)))
        self.online = OnlineStream(model.online)
        self.drift = DriftTracker(name, inner.channel_names, calibration, scaler, inner.meta.get("block_statistics"))
        self.counters = CounterWatch(inner.channel_names)
        self.timed: bool | None = None
        self.finished = False
        self._times = np.zeros(0, np.int64)  # of points not settled
        gap, limit = min(model.online.model.plan.sizes) // 2, _PARTS_OF_EVENTS * longest
        self.events = EventTracker(name, calibration, model.rule(period_s), max_gap=gap, limit=limit)

    @property
    def delay(self) -> Delay:
        """After how many further points, and about how much time, a point is settled."""
        own, period = self.model.online, self.clock.period
        return Delay(own.longest, own.delay, own.longest * period / 1e9 if period else None)

    def update(self, values: Any, timestamps: Any = None) -> StreamUpdate:
        """Take the next rows, (k, C) or one of C values, oldest first; return what has come of them.

        `timestamps` are k times as NumPy reads them, in UTC or all of one zone; None: each row is the next point.
        Values may also be a mapping from each channel's name to its k values.
        Raises: DataError for other channels, values or times; nothing of the rows is taken then.
        """
        return update_all([(self, values, timestamps)])[0]

    def finish(self) -> StreamUpdate:
        """Settle what is left: no rows follow. Every event closes, as at the end of a table."""
        return _Update(self).finish()

    def save(self, path: Path | str) -> None:
        """Write all that is known to one file, whole or not at all. Raises: CheckpointError if it cannot be written."""
        write_state(Path(path), *self.state())

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return all that is known, as arrays and JSON values."""
        arrays: dict[str, np.ndarray] = {"times": self._times}
        numbers: dict[str, Any] = {
            "model": self.model.fingerprint,
            "name": self.name,
            "timed": self.timed,
            "finished": self.finished,
            "clock": self.clock.state(),
            "counters": self.counters.state(),
        }
        for name in _PARTS:
            own, numbers[name] = getattr(self, name).state()
            arrays |= {f"{name}/{each}": part for each, part in own.items()}
        return arrays, numbers

    @classmethod
    def restored(
        cls, model: StreamModel, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any]
    ) -> "SeriesStream":
        """Undo `state`. Raises: CheckpointError for the state of another model."""
        check_model(model.fingerprint, numbers)
        made = cls(model, name=numbers["name"])
        made.timed, made.finished, made._times = numbers["timed"], numbers["finished"], arrays["times"]
        made.clock.restore(numbers["clock"])
        made.counters.restore(numbers["counters"])
        own = {name: {each.partition("/")[2]: part for each, part in arrays.items() if each.startswith(f"{name}/")}
               for name in _PARTS}  # fmt: skip
        made.online = OnlineStream.restored(model.online, own["online"], numbers["online"])
        made.drift.restore(own["drift"], numbers["drift"])
        made.events.restore(own["events"], numbers["events"])
        made.settle_rule()
        return made

    @classmethod
    def load(cls, model: StreamModel, path: Path | str) -> "SeriesStream":
        """Go on from a saved file. Raises: CheckpointError for a missing or damaged file, or another model's."""
        return cls.restored(model, *read_state(Path(path)))

    def settle_rule(self) -> None:
        """Take over the rule for the period, once it is known."""
        if self.clock.period:
            self.events.rule = self.model.rule(self.clock.period / 1e9)

    def rows(self, values: Any, timestamps: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """Return rows as numbers, and their times in nanoseconds. Raises: DataError, and nothing has changed."""
        if self.finished:
            raise DataError(f"'{self.name}' is finished: begin a new stream")
        found = _numbers(values, self.model.channel_names, self.name)
        timed = timestamps is not None
        if len(found) and self.timed is not None and timed != self.timed:
            raise DataError(f"'{self.name}' had {'' if self.timed else 'no '}timestamps so far: give all rows alike")
        return found, _nanoseconds(timestamps, len(found), self.name) if timed else None

    def points(self, values: Float[np.ndarray, "k C"], times: np.ndarray | None) -> Points:
        """Turn rows into points."""
        if times is not None:
            return self.clock.take(times, values)
        lost = int(np.datetime64("NaT", "ns").astype(np.int64))
        self.clock.count += len(values)
        return Points(list(values), [lost] * len(values))

    def put(self, points: Points) -> None:
        """Hand points to everything that follows them."""
        values = np.array(points.values).reshape(len(points.values), len(self.model.channel_names))
        for start, stop in zip([0, *points.breaks], [*points.breaks, len(values)], strict=True):
            if start > 0 or start in points.breaks:
                self.online.end_stretch()
            self.online.append(values[start:stop])
        self.drift.append(values)
        self._times = np.concatenate([self._times, np.array(points.times, np.int64)])

    def settled(self, *, finished: bool = False) -> tuple[Settled, Changes, Drift | None]:
        """Return what has settled since, with the changes of events and a drift that was found."""
        found = self.online.settle()
        times, self._times = self._times[: len(found)].astype("datetime64[ns]"), self._times[len(found) :]
        changes = self.events.extend(found, times, finished=finished)
        calibration, rule = self.model.inner.fitted_calibration(), self.events.rule
        p_values, labels = calibration.p_values(found.scores), calibration.labels(found.scores, Rule(rule.alpha))
        own = Settled(found.start, found.scores, p_values, labels, times if self.timed else None)
        return own, changes, self.drift.settle(found.scores)


_PARTS = ("online", "drift", "events")


@dataclass(eq=False)
class _Update:
    """An update in the making: what has settled of it so far."""

    stream: SeriesStream

    def __post_init__(self) -> None:
        self.settled: list[Settled] = []
        self.changes = Changes()
        self.drift: Drift | None = None
        self.notices: list[Notice] = []

    def put(self, points: Points) -> None:
        self.notices += points.notices
        self.stream.settle_rule()
        self.stream.put(points)

    def settle(self, *, finished: bool = False) -> None:
        settled, changes, drift = self.stream.settled(finished=finished)
        self.settled.append(settled)
        self.changes.add(changes)
        self.drift = drift or self.drift

    def finish(self) -> StreamUpdate:
        self.put(self.stream.clock.rest())
        self.stream.online.end_stretch()
        advance(self.stream.model.online, [self.stream.online])
        self.settle(finished=True)
        self.stream.finished = True
        return self.whole()

    def whole(self) -> StreamUpdate:
        scores, p_values, labels = (
            np.concatenate([getattr(own, name) for own in self.settled]) for name in ("scores", "p_values", "labels")
        )
        times = [own.timestamps for own in self.settled if own.timestamps is not None]
        stamps = np.concatenate(times) if times else None
        own = self.changes
        opened, updated, closed = tuple(own.opened), tuple(own.updated), tuple(own.closed)
        settled = Settled(self.settled[0].start, scores, p_values, labels, stamps)
        return StreamUpdate(settled, opened, updated, closed, tuple(self.notices), self.drift)


def update_all(rows: Sequence[tuple[SeriesStream, Any, Any]]) -> list[StreamUpdate]:
    """Update several streams of one model, each with its values and timestamps, and return their updates in order.

    Raises: DataError, as `SeriesStream.update`, before anything of any of them is taken.
    """
    if len({id(stream.model) for stream, _, _ in rows}) > 1 or len({id(stream) for stream, _, _ in rows}) < len(rows):
        raise ConfigError("streams to be updated together are different ones of one StreamModel")
    read = [(stream, *stream.rows(values, timestamps)) for stream, values, timestamps in rows]
    updates = [_Update(stream) for stream, _, _ in read]
    longest = max((len(values) for _, values, _ in read), default=0)
    for first in range(0, max(longest, 1), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        for own, (stream, values, times) in zip(updates, read, strict=True):
            if len(values):
                stream.timed = times is not None
            own.notices += stream.counters.seen(values[part], stream.clock.count)
            own.put(stream.points(values[part], None if times is None else times[part]))
        if read:
            advance(read[0][0].model.online, [stream.online for stream, _, _ in read])
        for own in updates:
            own.settle()
    return [own.whole() for own in updates]


def _numbers(values: Any, names: tuple[str, ...], origin: str) -> Float[np.ndarray, "k C"]:
    """Return rows as doubles, infinities as missing. Raises: DataError."""
    if isinstance(values, Mapping):
        lacking = [name for name in names if name not in values]
        if lacking:
            raise DataError(f"the rows of '{origin}' lack {', '.join(lacking[:6])}: expected {', '.join(names[:6])}")
        columns = [np.atleast_1d(numbers_of(values[name], name)) for name in names]
        if len({column.shape for column in columns}) > 1:
            raise DataError(f"the columns of '{origin}' differ in length: give one value per row and channel")
        found: np.ndarray = np.stack(columns, axis=-1)
    else:
        empty = isinstance(values, Sequence | np.ndarray) and len(values) == 0
        found = np.zeros((0, len(names))) if empty else numbers_of(values, origin)
        if found.ndim < 2:
            found = found.reshape(-1, 1) if len(names) == 1 else found.reshape(1, -1)
    if found.ndim != 2 or found.shape[1] != len(names):
        raise DataError(
            f"rows of '{origin}' have shape {found.shape}: expected (rows, {len(names)}), one column for each of "
            f"{', '.join(names[:6])}"
        )
    return np.where(np.isfinite(found), found, np.nan)


def _nanoseconds(timestamps: Any, count: int, origin: str) -> np.ndarray:
    """Return times as whole nanoseconds. Raises: DataError for what is no time, or another number of them."""
    example = "datetime64, datetime or ISO 8601 text such as 2026-01-31T12:00:00"
    try:
        given = np.atleast_1d(np.asarray(timestamps))
        if given.dtype.kind not in "MUO" and given.size:
            raise ValueError(f"numbers such as {given.flat[0]}")
        times = given.astype("datetime64[ns]")
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"the timestamps of '{origin}' are no times ({error}): expected {example}") from error
    if times.shape != (count,):
        raise DataError(f"{count} rows of '{origin}' with {times.size} timestamps: give one for each row")
    return times.astype(np.int64)
