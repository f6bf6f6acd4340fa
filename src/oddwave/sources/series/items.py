"""What the series reader returns: one `SeriesItem` per stream or panel instance, all of them in a `SeriesSet`.

Files that could not be read among others are a `SeriesFailure` each. Channels are told apart by their names, here and
nowhere else: see `match_channels`.

Legend: n points on the item's own grid, C channels, R rows of the source. Read `reader.py` next: it fills
these in.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.errors import DataError, ShapeError
from oddwave.sources.base import Failure

__all__ = [
    "SeriesFailure", "SeriesItem", "SeriesSet", "channel_notes", "check_ids", "check_lengths", "fingerprint_items",
    "has_names", "in_order", "match_channels", "place_of", "plain_item", "same_channels", "without_infinities",
]  # fmt: skip

_T = TypeVar("_T")
# What readers call channels that have no name: arrays, tables without a header, frames numbered by pandas.
_NO_NAME = re.compile(r"(column_|channel_)?\d+|value")


@dataclass(frozen=True, eq=False)
class SeriesItem:
    """One stream or panel instance, missing points as NaN.

    `timestamps` are datetime64[ns] (n,), or None where the source has no clock; in UTC where the source names a
    `timezone` ("Europe/Berlin", "+02:00"). `row_index[r]` is the point that row r
    of the source became, -1 for a row without a timestamp; rows that share a timestamp share a point, points that fill
    a gap belong to no row. `breaks` are the points that follow a gap too long to fill: a window across one joins two
    stretches. `row_timestamps` are the times as given, row by row. `class_label` is the class column of a panel, for
    evaluation only: nothing that fits or scores may look at it. `timezone` is the zone that the source gave, as an IANA
    name or an offset such as "+02:00"; the times are then UTC. `day_first` is the order of its dates that end in the
    year, None where there are none.
    """

    id: str
    values: Float[np.ndarray, "n C"]
    channel_names: tuple[str, ...]
    row_index: Int[np.ndarray, " R"]
    timestamps: np.ndarray | None = None
    row_timestamps: np.ndarray | None = None
    sample_period_s: float | None = None
    breaks: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    class_label: str | None = None
    timezone: str | None = None
    day_first: bool | None = None

    @property
    def observed(self) -> Bool[np.ndarray, "n C"]:
        """True where a value was measured."""
        observed: np.ndarray = ~np.isnan(self.values)
        return observed

    @property
    def n_timepoints(self) -> int:
        """How many points the grid has, missing ones included."""
        return int(self.values.shape[0])

    @property
    def n_channels(self) -> int:
        """How many channels each point has."""
        return int(self.values.shape[1])

    def per_row(self, points: Float[np.ndarray, "n *rest"]) -> Float[np.ndarray, "R *rest"]:
        """Return the point values for each row of the source, NaN for rows that became no point.

        Raises: ShapeError where `points` does not hold one entry per point.
        """
        if len(points) != self.n_timepoints:
            raise ShapeError(
                f"{len(points)} point values for '{self.id}', which has {self.n_timepoints} points: give one per point"
            )
        rows: np.ndarray = np.asarray(points, dtype=np.float64)[self.row_index]
        rows[self.row_index < 0] = np.nan
        return rows


@dataclass(frozen=True)
class SeriesFailure(Failure):
    """A series that could not be read; `reason` is the whole sentence, `place` its place among all entries."""

    place: int = 0

    @property
    def message(self) -> str:
        """The whole sentence."""
        return self.reason


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """Everything one source holds: streams, or the instances of a panel (all equally long).

    `failures` are those that could not be read, where `read_series` was told to skip them. `fingerprint` is a SHA-256
    over ids, channel names, values and timestamps: equal data, equal fingerprint. `history` is what came right before
    the items: looked at with them, not judged.
    """

    kind: Literal["stream", "panel"]
    items: tuple[SeriesItem, ...]
    notes: tuple[str, ...] = ()
    fingerprint: str = field(default="")
    failures: tuple[SeriesFailure, ...] = ()
    history: SeriesItem | None = None

    @property
    def entries(self) -> tuple[SeriesItem | SeriesFailure, ...]:
        """Items and failures in the order given."""
        return in_order(self.items, self.failures)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The channels that every item has, in order."""
        return self.items[0].channel_names

    @property
    def n_channels(self) -> int:
        """How many channels every item has."""
        return self.items[0].n_channels


def plain_item(
    identifier: str,
    values: Float[np.ndarray, "n C"],
    channel_names: Sequence[str] | None = None,
    class_label: str | None = None,
) -> SeriesItem:
    """Return an item without a clock: row r is point r, infinities are missing, channels named `channel_0`, ...

    Raises: DataError for no points, no channels, or no value at all.
    """
    if not values.size:
        raise DataError(f"'{identifier}' has shape {values.shape}: expected at least one point and one channel")
    names = tuple(channel_names) if channel_names else tuple(f"channel_{i}" for i in range(values.shape[1]))
    clean, notes = without_infinities(values)
    notes += channel_notes(identifier, clean, names)
    return SeriesItem(identifier, clean, names, np.arange(len(values)), notes=notes, class_label=class_label)


def channel_notes(identifier: str, values: Float[np.ndarray, "n C"], names: Sequence[str]) -> tuple[str, ...]:
    """Return which channels hold missing values, no value, or one value only.

    Raises: DataError where no channel holds any value.
    """
    seen = ~np.isnan(values)
    if not seen.any():
        raise DataError(f"'{identifier}' holds no number at all, only missing values: check the file and its columns")
    empty = [name for name, some in zip(names, seen.any(axis=0), strict=True) if not some]
    low, high = np.where(seen, values, np.inf).min(axis=0), np.where(seen, values, -np.inf).max(axis=0)
    constant = [name for name, a, b in zip(names, low, high, strict=True) if a == b] if len(values) > 1 else []
    gaps = int((~seen).sum()) - len(empty) * len(values)
    return (
        *([f"{gaps} missing value{'s' * (gaps > 1)} kept as missing"] if gaps else []),
        *([f"not monitored, no value at all: {', '.join(empty)}"] if empty else []),
        *([f"constant, not monitored unless it changes later: {', '.join(constant)}"] if constant else []),
    )


def without_infinities(values: Float[np.ndarray, "n C"]) -> tuple[Float[np.ndarray, "n C"], tuple[str, ...]]:
    """Return a copy in which infinite values are missing, and a note where there were any."""
    clean = np.array(values, dtype=np.float64)
    infinite = np.isinf(clean)
    clean[infinite] = np.nan
    count = int(infinite.sum())
    return clean, ((f"{count} infinite value{'s' * (count > 1)} taken as missing",) if count else ())


def fingerprint_items(items: Iterable[SeriesItem]) -> str:
    """Return the SHA-256 of the items' ids, channel names, values and timestamps."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(repr((item.id, item.channel_names, item.values.shape)).encode())
        # One NaN and one zero: their bit patterns differ between sources that hold the same data.
        with np.errstate(invalid="ignore"):  # of a NaN that signals
            digest.update(np.where(np.isnan(item.values), np.nan, item.values + 0.0).tobytes())
        if item.timestamps is not None:
            digest.update(item.timestamps.astype("datetime64[ns]").tobytes())
    return digest.hexdigest()


def in_order(items: Sequence[_T], failures: Iterable[SeriesFailure]) -> tuple[_T | SeriesFailure, ...]:
    """Put failures back at their places among items, or among what became of those."""
    entries: list[_T | SeriesFailure] = list(items)
    for failure in sorted(failures, key=lambda failure: failure.place):
        entries.insert(failure.place, failure)
    return tuple(entries)


def has_names(channel_names: Sequence[str]) -> bool:
    """Return whether any channel has a name of its own, rather than the number that readers give it."""
    return any(_NO_NAME.fullmatch(name) is None for name in channel_names)


def place_of(name: str, names: Sequence[str]) -> int | None:
    """Return where a name stands, in another case or with other spaces around it if only one is like it; else None."""
    if name in names:
        return names.index(name)
    like = [i for i, other in enumerate(names) if other.strip().casefold() == name.strip().casefold()]
    return like[0] if len(like) == 1 else None


def match_channels(item: SeriesItem, channel_names: Sequence[str]) -> SeriesItem:
    """Choose an item's channels by their names and bring them into the given order; note what is left out.

    Only where neither side has names, as between arrays, do equally many channels go by their position.
    Raises: ShapeError where one is missing, with both lists.
    """
    wanted, given = tuple(channel_names), item.channel_names
    if given == wanted:
        return item
    if not has_names(wanted) and not has_names(given) and set(given) != set(wanted):
        if len(given) == len(wanted):
            note = f"channels {_listed(given)} taken, by position, as {_listed(wanted)}"
            return replace(item, channel_names=wanted, notes=(*item.notes, note))
        raise ShapeError(
            f"'{item.id}' has {len(given)} channel(s) ({_listed(given)}), expected {len(wanted)} ({_listed(wanted)}): "
            "choose as many with columns="
        )
    places = [place_of(name, given) for name in wanted]
    twice = [place in places[:i] for i, place in enumerate(places)]
    missing = [name for name, place, again in zip(wanted, places, twice, strict=True) if place is None or again]
    if missing:
        raise ShapeError(
            f"'{item.id}' has no channel {_listed(missing)}: it has {_listed(given)}, expected {_listed(wanted)}: give "
            "data with these columns, under these names"
        )
    order = [place for place in places if place is not None]
    extra = [name for i, name in enumerate(given) if i not in order]
    notes = item.notes + ((f"left out, not among the channels expected: {_listed(extra)}",) if extra else ())
    return replace(item, values=item.values[:, order], channel_names=wanted, notes=notes)


def _listed(names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, ... {len(names) - most} more"


def check_ids(items: Sequence[SeriesItem]) -> None:
    """Refuse two items of one name. Raises: DataError."""
    ids = [item.id for item in items]
    if len(set(ids)) < len(ids):
        twice = next(identifier for identifier in ids if ids.count(identifier) > 1)
        raise DataError(f"two series are called '{twice}': give each its own name")


def same_channels(items: Sequence[SeriesItem]) -> tuple[SeriesItem, ...]:
    """Bring all items' channels into the first one's order.

    Raises: ShapeError where one has a channel that another lacks: which of them are meant, only a person can say.
    """
    first = items[0]
    matched = tuple(match_channels(item, first.channel_names) for item in items)
    for item, before in zip(matched, items, strict=True):
        extra = [name for name in before.channel_names if place_of(name, first.channel_names) is None]
        if extra and has_names(item.channel_names):
            raise ShapeError(
                f"'{item.id}' has {', '.join(extra[:6])}, which '{first.id}' has not: give the files the same columns, "
                "or choose those that all have with columns="
            )
    return matched


def check_lengths(items: Sequence[SeriesItem]) -> None:
    """Refuse instances of a panel that differ in length. Raises: ShapeError."""
    lengths = {item.n_timepoints for item in items}
    if len(lengths) > 1:
        raise ShapeError(
            f"the instances of a panel have {min(lengths)} to {max(lengths)} points: make them equally long"
        )
