"""What a stream tells as it goes on: settled points, events that open, change and close, and what was noticed."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from oddwave.records import Drift

__all__ = ["Change", "Changes", "Delay", "Notice", "Settled", "StreamEvent", "StreamUpdate", "time_text"]

Change = Literal["opened", "updated", "closed"]


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event, opened once and closed once under one `id`; its fields are those of `SeriesEvent`, and the times of it.

    Points are counted from the first one of the stream. While it is open, its end is that of what has settled. Where
    its start has moved since it opened, `opened_start` is the start that was told then, None where it has not. An event
    that turns out to be part of another one closes with that one's id as `merged_into`.
    """

    id: str
    start: int
    end: int
    peak: int
    score: float
    p_value: float
    start_time: str | None = None
    end_time: str | None = None
    peak_time: str | None = None
    merged_into: str | None = None
    opened_start: int | None = None
    opened_start_time: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a form that JSON can hold."""
        return {name: getattr(self, name) for name in self.__slots__}

    def going_on(self, known: "StreamEvent") -> "StreamEvent":
        """Return what an event that is known has become, under its id, with the start that was told of it first."""
        first = known.start if known.opened_start is None else known.opened_start
        time = known.start_time if known.opened_start is None else known.opened_start_time
        moved = self.start != first
        return replace(
            self, id=known.id, opened_start=first if moved else None, opened_start_time=time if moved else None
        )

    def joined(self, earlier: "StreamEvent") -> "StreamEvent":
        """Return what is one event with an earlier part of it, under that part's id."""
        higher = self if self.score > earlier.score else earlier
        return replace(
            higher,
            id=earlier.id,
            start=earlier.start,
            start_time=earlier.start_time,
            end=self.end,
            end_time=self.end_time,
        )


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about the data that a person should know: a short `kind`, a sentence, the point, and how many rows."""

    kind: str
    text: str
    point: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class Delay:
    """After how many further points a point is settled: usually, and at the latest; in seconds where known."""

    points: int
    most_points: int
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class Settled:
    """Points whose scores no longer change, `start` the number of the first; `timestamps` None without a clock.

    `labels` say of each point by itself whether it is as rare as alpha (1), is not (0), or was not judged (-1). What
    belongs together, and is rare for a whole stretch, is an event.
    """

    start: int
    scores: Float[np.ndarray, " n"]
    p_values: Float[np.ndarray, " n"]
    labels: Int[np.ndarray, " n"]
    timestamps: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, eq=False)
class StreamUpdate:
    """What has come of an update: what settled, which events opened, changed and closed, and what was noticed.

    An event that opens and closes at once is in both. `drift` is the drift that was found with the last whole block.
    """

    settled: Settled
    opened: tuple[StreamEvent, ...] = ()
    updated: tuple[StreamEvent, ...] = ()
    closed: tuple[StreamEvent, ...] = ()
    notices: tuple[Notice, ...] = ()
    drift: Drift | None = None

    @property
    def changes(self) -> tuple[tuple[Change, StreamEvent], ...]:
        """Return every change of an event, in the order of the events."""
        kinds: tuple[tuple[Change, tuple[StreamEvent, ...]], ...] = (
            ("opened", self.opened),
            ("updated", self.updated),
            ("closed", self.closed),
        )
        return tuple((kind, event) for kind, events in kinds for event in events)


@dataclass
class Changes:
    """Changes of events as they are found."""

    opened: list[StreamEvent] = field(default_factory=list)
    updated: list[StreamEvent] = field(default_factory=list)
    closed: list[StreamEvent] = field(default_factory=list)

    def add(self, later: "Changes") -> None:
        """Add what has changed since; of an event's updates the last one is kept, none where it has closed."""
        self.opened += later.opened
        self.closed += later.closed
        newer = {event.id for event in (*later.updated, *self.closed)}
        self.updated = [event for event in self.updated if event.id not in newer] + later.updated


def time_text(time: np.datetime64 | None) -> str | None:
    """Return a time as ISO 8601 writes it, to the second where nothing is finer."""
    if time is None or np.isnat(time):
        return None
    text = str(np.datetime_as_string(time, unit="ms"))
    return text.removesuffix(".000")
