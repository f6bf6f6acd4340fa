"""Streams of a model that clients feed row by row: opened, fed, looked at, ended; each goes on after a restart.

What is judged is `stream/session.py`'s; here a stream has a name, its state lies in a file after every update, and its
events go into the history once they close. What the history is to keep lies in the state first: a service that is
killed before it has written a row finds it there at its next start, and a row that it has written already is passed
over by its id. Read `routes_streams.py` for who asks.
"""

import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from oddwave.calibration.budget import Asked
from oddwave.errors import CheckpointError
from oddwave.service.answers import plain
from oddwave.service.limits import Limits, ProblemError
from oddwave.service.models import ServedModel
from oddwave.service.remembered import new_id
from oddwave.service.spool import Entry
from oddwave.service.uploads import number_rows
from oddwave.stream.records import StreamEvent, StreamUpdate
from oddwave.stream.session import SeriesStream, StreamModel
from oddwave.stream.state import read_state, write_state

__all__ = ["OpenStream", "Streams", "update_answer"]

_NAME = re.compile(r"[\w][\w.-]{0,79}", re.ASCII)
_UNWRITTEN = "unwritten"  # in the state
_RULES = ("alpha", "threshold", "false_alarms")


@dataclass
class OpenStream:
    """A stream and what was last known of it; touched by its model's thread alone, but for `about`."""

    name: str
    rule: Mapping[str, Any]
    session: SeriesStream
    model: ServedModel
    open_events: dict[str, StreamEvent] = field(default_factory=dict)
    num_points: int = 0
    last_score: float | None = None
    drift: str = ""
    fed_ms: int = 0
    trouble: str = ""  # why its state cannot be written
    unwritten: list[Entry] = field(default_factory=list)  # what the history is to keep and may not have yet

    def feed(self, values: Any, timestamps: np.ndarray | None, state: Path | None) -> StreamUpdate:
        """Take rows, and write down what is known now. Raises: DataError."""
        return self._noted(self.session.update(values, timestamps), state)

    def end(self, state: Path | None) -> StreamUpdate:
        """Settle what is left and close every event."""
        return self._noted(self.session.finish(), state)

    def _noted(self, update: StreamUpdate, state: Path | None) -> StreamUpdate:
        for event in (*update.opened, *update.updated):
            self.open_events[event.id] = event
        for event in update.closed:
            self.open_events.pop(event.id, None)
        self.num_points += len(update.settled)
        known = update.settled.scores[np.isfinite(update.settled.scores)]
        self.last_score = float(known[-1]) if len(known) else self.last_score
        if update.drift is not None:
            self.drift = f"{100 * update.drift.share_since:.0f} % of the points are unlike normal ones"
        self.fed_ms = int(1000 * time.time())
        self.unwritten += _closed_entries(update, self.model, self.name)
        if state is not None:
            try:
                arrays, numbers = self.session.state()
                write_state(state, arrays, {**numbers, _UNWRITTEN: list(self.unwritten)})
                self.trouble = ""
            except CheckpointError as error:  # a full disk does not stop it: a restart would
                self.trouble = str(error)
        return update

    @property
    def about(self) -> dict[str, Any]:
        """What is told of it."""
        delay = self.session.delay
        return {
            "name": self.name,
            "rule": dict(self.rule),
            "settled_points": self.num_points,
            "last_score": self.last_score,
            "open_events": [event.to_dict() for event in list(self.open_events.values())],
            "drift": self.drift,
            "fed_ms": self.fed_ms or None,
            "trouble": self.trouble,
            "delay": {"points": delay.points, "most_points": delay.most_points, "seconds": delay.seconds},
        }


class Streams:
    """The open streams of one model; their states lie in `folder`, where one is given."""

    def __init__(self, model: ServedModel, limits: Limits, folder: Path | None) -> None:
        self.model, self._limits = model, limits
        self._folder = None if folder is None else folder / model.name
        self._open: dict[str, OpenStream] = {}
        self._lock = threading.Lock()

    def __iter__(self) -> Any:
        """Yield what is told of each."""
        return (stream.about for stream in list(self._open.values()))

    def unwritten(self) -> list[Entry]:
        """Return what an earlier service may not have written into the history; damaged states hold nothing."""
        found: list[Entry] = []
        for path in sorted(self._folder.glob("*.state")) if self._folder is not None else ():
            with suppress(CheckpointError):
                found += read_state(path)[1].get(_UNWRITTEN, ())
        return found

    def state_of(self, name: str) -> Path | None:
        """Return where a stream's state lies."""
        return None if self._folder is None else self._folder / f"{name}.state"

    def get(self, name: str) -> OpenStream:
        """Return a stream. Raises: ProblemError."""
        if name not in self._open:
            raise ProblemError(404, f"'{self.model.name}' has no stream '{name:.80}': open it first")
        return self._open[name]

    def open(self, name: str, rule: Mapping[str, Any], period_s: float | None) -> OpenStream:
        """Open a stream, or go on with the one of this name that an earlier service had. Raises: as `SeriesStream`."""
        if not _NAME.fullmatch(name):
            raise ProblemError(422, f"'{name:.80}' is no name for a stream: letters, digits, dots, dashes, 80 at most")
        with self._lock:
            if name in self._open:
                raise ProblemError(409, f"'{self.model.name}' has a stream '{name}' already: feed it, or end it first")
            if len(self._open) >= self._limits.max_streams:
                raise ProblemError(429, f"{len(self._open)} streams are open, as many as may be: end some")
            asked = Asked(rule.get("alpha"), rule.get("threshold"), None, rule.get("false_alarms"))
            judge, state = StreamModel(self.model.detector.inner, asked), self.state_of(name)
            if state is not None and state.exists():
                try:
                    session = SeriesStream.load(judge, state)
                    if session.finished:  # it was ended, and the service with it
                        session = SeriesStream(judge, name=name, period_s=period_s)
                except CheckpointError as error:
                    raise ProblemError(409, f"what was known of '{name}' cannot be gone on with ({error}): end it "
                                            "first, or choose another name") from None  # fmt: skip
            else:
                session = SeriesStream(judge, name=name, period_s=period_s)
                if state is not None:
                    state.parent.mkdir(parents=True, exist_ok=True)
            asked_for = {key: rule[key] for key in _RULES if rule.get(key) is not None}
            self._open[name] = OpenStream(name, asked_for, session, self.model)
            return self._open[name]

    def forget(self, name: str) -> None:
        """Drop a stream and what is known of it."""
        with self._lock:
            self._open.pop(name, None)
            state = self.state_of(name)
            if state is not None:
                state.unlink(missing_ok=True)

    def rows(self, body: Any) -> tuple[np.ndarray | dict[str, np.ndarray], np.ndarray | None]:
        """Read rows of JSON: values by row, or channels by name, and times. Raises: ProblemError."""
        if not isinstance(body, dict) or set(body) - {"timestamps"} not in ({"values"}, {"channels"}):
            raise ProblemError(
                422, 'send {"values": [[...]]} or {"channels": {name: [...]}}, with "timestamps" or none'
            )
        if "values" in body:
            values: Any = number_rows("rows", body["values"], self._limits)
            count = len(values)
        else:
            named = body["channels"]
            if not isinstance(named, dict) or not named:
                raise ProblemError(422, "'channels' is not an object of name: list of numbers")
            values = {key: number_rows(key, own, self._limits) for key, own in named.items()}
            count = max(len(own) for own in values.values())
        given = body.get("timestamps")
        if given is None:
            return values, None
        if not isinstance(given, list) or len(given) != count:
            raise ProblemError(422, f"'timestamps' is no list of {count} times, one for each row")
        return values, np.array([_time(text) for text in given], "datetime64[ns]")


def _time(text: Any) -> np.datetime64:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ProblemError(422, f"{str(text)[:40]!r} is no time: send ISO 8601, 2026-01-31T12:00:00Z") from None
    moment = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(moment, "ns")


def update_answer(update: StreamUpdate) -> dict[str, Any]:
    """Return what a client is told of an update."""
    settled = update.settled
    stamps = settled.timestamps
    return {
        "settled": {
            "start": settled.start,
            **{name: plain(getattr(settled, name)) for name in ("scores", "p_values", "labels")},
            "timestamps": None if stamps is None else [None if np.isnat(own) else str(own) for own in stamps],
        },
        **{name: [event.to_dict() for event in getattr(update, name)] for name in ("opened", "updated", "closed")},
        "notices": [plain(own) for own in update.notices],
        "drift": None if update.drift is None else plain(update.drift),
    }  # fmt: skip


def _closed_entries(update: StreamUpdate, model: ServedModel, stream: str) -> list[Entry]:
    """Return what the history keeps: an item and an event for each event that closed."""
    entries: list[Entry] = []
    for event in update.closed:
        if event.merged_into is not None:
            continue
        start, end = (event.start_time or str(event.start)), (event.end_time or str(event.end))
        row = {"received_ms": int(1000 * time.time()), "model": model.name, "fingerprint": model.fingerprint,
               "modality": model.modality, "source": stream, "item": event.id, "label": 1, "score": event.score,
               "p_value": event.p_value, "threshold": model.about["threshold"], "severity": "", "reason": "",
               "num_events": 1, "drift": "", "excerpt": None, "excerpt_type": None}  # fmt: skip
        identifier = new_id()
        entries += [
            {"table": "oddwave_items", "id": identifier, **row},
            {"table": "oddwave_events", "item_id": identifier, "number": 0, "score": event.score,
             "p_value": event.p_value, "start": start, "end": end, "facts": "{}"},
        ]  # fmt: skip
    return entries
