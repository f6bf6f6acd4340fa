"""Which items of several senses are of one thing: those of one name, or those of one moment.

By item, names without folder and ending are compared; where a sense has such a name twice, the whole path without its
ending. By time, pictures and recordings that lie within the tolerance of each other are one moment, the nearest first,
each in one moment only. A stream is asked around each moment: its p-value there is that of its smallest event within
the tolerance, times the number of blocks that were judged there (Bonferroni), 1 where it has no event, and missing
where it has no reading. An event that no moment is near is a moment of its own, at its peak.

Read `outputs.py` next. Legend: M moments.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import permutations
from pathlib import PurePosixPath

import numpy as np

from oddwave.errors import ConfigError, DataError
from oddwave.senses.read import Happening, Judged, Moment, Sense

__all__ = ["Thing", "by_item", "by_time"]

_NEAREST = 2  # on either side, that are tried as partners of an item
_MAX_SHOWN = 3


@dataclass
class Thing:
    """What several senses look at: p-values and reasons by the senses' names, and what each calls it."""

    name: str
    p_values: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    known_as: dict[str, str] = field(default_factory=dict)
    flagged_by: list[str] = field(default_factory=list)
    when: datetime | None = None

    def add(self, sense: Sense, item: Judged) -> None:
        """Put down what a sense says of it."""
        self.known_as[sense.name] = item.id
        self.flagged_by += [sense.name] * item.flagged
        if item.reason:
            self.reasons[sense.name] = item.reason
        else:
            self.p_values[sense.name] = item.p_value


def by_item(senses: Sequence[Sense]) -> list[Thing]:
    """Bring items together by name, in order of appearance.

    Raises: DataError where a sense has a name twice, or no name is common to two senses.
    """
    key = _key(senses)
    things: dict[str, Thing] = {}
    for sense in senses:
        for item in sense.items:
            name = key(item.id)
            things.setdefault(name, Thing(name)).add(sense, item)
    if not any(len(thing.known_as) > 1 for thing in things.values()):
        shown = "; ".join(f"'{sense.name}' has {_some([item.id for item in sense.items])}" for sense in senses)
        raise DataError(f"no item is common to two senses: {shown}. Give files of one thing one name "
                        "(pump_7.png, pump_7.wav), or match them by time (--by time)")  # fmt: skip
    return list(things.values())


def _key(senses: Sequence[Sense]) -> Callable[[str], str]:
    """Return what turns an id into its thing's name: the stem, or where that is not enough the path without ending."""

    def path(item: str) -> str:
        return PurePosixPath(item.replace("\\", "/")).with_suffix("").as_posix() if item.strip("./\\") else item

    def stem(item: str) -> str:
        return PurePosixPath(item.replace("\\", "/")).stem

    for key in (stem, path):
        doubled = [
            (sense, name)
            for sense in senses
            for name, count in Counter(key(item.id) for item in sense.items).items()
            if count > 1
        ]
        if not doubled:
            return key
    sense, name = doubled[0]
    both = [item.id for item in sense.items if path(item.id) == name]
    raise DataError(f"'{sense.name}' has more than one item for '{name}': {_some(both)}. Score one of them, or the "
                    "channels of a recording as one (audio.channels=mix)")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Sighting:
    sense: Sense
    start: datetime
    end: datetime
    item: Judged | None  # None: an event of a stream


def by_time(senses: Sequence[Sense], tolerance_s: float) -> tuple[list[Thing], list[str]]:
    """Bring together what was seen at one time, in order of time; also give notes.

    Raises:
        ConfigError: the tolerance is none.
        DataError: a sense has no times at all, or no moment has two senses.
    """
    if not 0.0 <= tolerance_s <= 366 * 86400:
        raise ConfigError(f"the tolerance is {tolerance_s:g} s: give 0 to a year, for example 60s")
    near, notes = timedelta(seconds=tolerance_s), []
    for sense in senses:
        notes += _check_times(sense)
    utc = all(sense.is_stream and len(sense.utc) for sense in senses)
    zoned = [f"'{sense.name}'" for sense in senses if len(sense.utc)]
    if zoned and not utc:
        notes.append(f"times of {', '.join(zoned)} have an offset, others none: all count as local clocks show")
    groups = _grouped(list(_sightings(senses)), near)
    spans = [_span(group, near) for group in groups]
    lonely = [
        _Sighting(sense, _time(event.peak, utc), _time(event.peak, utc), None)
        for sense in senses
        for event in sense.events
        if not any(_met(event, span, utc) for span in spans)
    ]
    groups = sorted(groups + _grouped(lonely, near), key=lambda group: min(own.start for own in group))
    things = [_thing(group, senses, near, utc) for group in groups]
    if things and not any(len(thing.known_as) > 1 for thing in things):
        told = "; ".join(_span_text(sense) for sense in senses)
        raise DataError(f"no moment has two senses within {tolerance_s:g} s of each other: {told}. Raise --tolerance, "
                        "or match them by name (--by item)")  # fmt: skip
    if lonely:
        notes.append(
            f"{len(lonely):,} event(s) of series have no picture or recording near them: each is a moment itself, "
            "chosen because it is an event"
        )
    return things, notes


def _check_times(sense: Sense) -> list[str]:
    """Return a note on items without a time. Raises: DataError where no item has one."""
    if sense.is_stream:
        if not len(sense.clock):
            raise DataError(f"'{sense.name}' ({sense.folder}) has no dates and times: match by name (--by item)")
        return []
    without = [item.id for item in sense.items if item.when is None]
    if len(without) == len(sense.items):
        raise DataError(
            f"no item of '{sense.name}' tells when it was made ({_some(without)}): put date and time into the names "
            "(2024-05-01T12-30-00.png), or match by name (--by item)"
        )
    return [f"left out of '{sense.name}', as no time is known: {_some(without)}"] if without else []


def _sightings(senses: Sequence[Sense]) -> Iterator[_Sighting]:
    for sense in senses:
        for item in sense.items:
            if item.when is not None and not sense.is_stream:
                start = item.when.clock
                yield _Sighting(sense, start, start + timedelta(seconds=item.duration_s), item)


def _grouped(seen: list[_Sighting], near: timedelta) -> list[list[_Sighting]]:
    """Bring sightings of different senses together, the nearest first, all of a group within `near` of each other."""
    group_of = list(range(len(seen)))
    members = {number: [number] for number in group_of}
    for _, _, one, other in sorted(_partners(seen, near)):
        mine, theirs = group_of[one], group_of[other]
        if mine == theirs:
            continue
        pairs = [(seen[a], seen[b]) for a in members[mine] for b in members[theirs]]
        if all(a.sense is not b.sense and _gap(a, b) <= near for a, b in pairs):
            members[mine] += members.pop(theirs)
            for number in members[mine]:
                group_of[number] = mine
    return [[seen[number] for number in own] for own in members.values()]


def _partners(seen: Sequence[_Sighting], near: timedelta) -> Iterator[tuple[timedelta, timedelta, int, int]]:
    """Yield pairs of different senses within `near`, each as (gap, distance of beginnings, one, other)."""
    starts = np.array([own.start for own in seen], "datetime64[us]")
    by_sense: dict[str, list[int]] = {}
    for number in np.argsort(starts, kind="stable").tolist():
        by_sense.setdefault(seen[number].sense.name, []).append(number)
    for mine, theirs in permutations(by_sense.values(), 2):
        places = np.searchsorted(starts[theirs], starts[mine])
        for one, place in zip(mine, places.tolist(), strict=True):
            for other in theirs[max(0, place - _NEAREST) : place + _NEAREST]:
                gap = _gap(seen[one], seen[other])
                if gap <= near:
                    yield gap, abs(seen[one].start - seen[other].start), min(one, other), max(one, other)


def _gap(one: _Sighting, other: _Sighting) -> timedelta:
    return max(timedelta(), one.start - other.end, other.start - one.end)


def _span(group: Sequence[_Sighting], near: timedelta) -> tuple[datetime, datetime]:
    """Return from when to when a stream is asked about a moment."""
    try:
        return min(own.start for own in group) - near, max(own.end for own in group) + near
    except OverflowError:  # the year 1, or 9999
        return datetime.min, datetime.max


def _time(moment: Moment, utc: bool) -> datetime:
    return moment.utc if utc and moment.utc is not None else moment.clock


def _met(event: Happening, span: tuple[datetime, datetime], utc: bool) -> bool:
    return _time(event.start, utc) <= span[1] and _time(event.end, utc) >= span[0]


def _thing(group: Sequence[_Sighting], senses: Sequence[Sense], near: timedelta, utc: bool) -> Thing:
    """Return what all senses say of a moment."""
    first, span = min(own.start for own in group), _span(group, near)
    thing = Thing(first.isoformat(sep=" ", timespec="seconds"), when=first)
    items = {own.sense.name: own.item for own in group if own.item is not None}
    for sense in senses:
        if sense.is_stream:
            _ask_stream(thing, sense, span, utc)
        elif sense.name in items:
            thing.add(sense, items[sense.name])
        else:
            thing.reasons[sense.name] = "has no item at this time"
    return thing


def _ask_stream(thing: Thing, sense: Sense, span: tuple[datetime, datetime], utc: bool) -> None:
    """Put down a stream's p-value around a moment: its smallest event's there, times the number of blocks there."""
    times = sense.utc if utc else sense.clock
    first, last = np.array(span, "datetime64[us]")
    low, high = int(np.searchsorted(times, first, "left")), int(np.searchsorted(times, last, "right"))
    there = [event.p_value for event in sense.events if _met(event, span, utc)]
    if high <= low and not there:
        thing.reasons[sense.name] = "has no reading at this time"
        return
    blocks = max(1, -(-(high - low) // sense.block_size))
    thing.p_values[sense.name] = min(1.0, blocks * min(there, default=1.0))
    thing.flagged_by += [sense.name] * bool(there)
    thing.known_as[sense.name] = "1 event" if len(there) == 1 else f"{len(there) or 'no'} event{'s' if there else ''}"


def _some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - _MAX_SHOWN:,} more" if len(names) > _MAX_SHOWN else ""
    return ", ".join(name[:80] for name in names[:_MAX_SHOWN]) + more


def _span_text(sense: Sense) -> str:
    times = (
        sense.clock
        if sense.is_stream
        else np.array([item.when.clock for item in sense.items if item.when is not None], "datetime64[us]")
    )
    return f"'{sense.name}' from {times.min().astype('datetime64[s]')} to {times.max().astype('datetime64[s]')}"
