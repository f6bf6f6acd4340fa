"""Columns of a table to channels and a clock: which column is the time, which are numbers, and what is refused.

Columns of words, and those that only count rows or tell the date (`bookkeeping.py`), are left out and named in a
note. Read `clock.py` next: it orders the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from oddwave.errors import DataError
from oddwave.sources.series.bookkeeping import bookkeeping_columns, calendar_times, is_time_name, plain_name
from oddwave.sources.series.cells import (
    BOOLEANS,
    MISSING_TEXT,
    Column,
    Table,
    number_in,
    parse_cells,
)
from oddwave.sources.series.columns import listed_names, resolve_column, resolve_columns, split_names
from oddwave.sources.series.dates import CLOCK_TEXT, ReadTimes, is_date_text, parse_numeric_times, parse_text_times
from oddwave.sources.series.items import without_infinities
from oddwave.sources.series.writing import cells_column

__all__ = [
    "MISSING_TEXT",
    "Clock",
    "Column",
    "Table",
    "TableContent",
    "cells_column",
    "find_clock",
    "number_in",
    "parse_cells",
    "read_table",
    "split_names",
]

_SAMPLED_CELLS = 1000  # enough to tell a column of dates
_DATE_SHARE = 0.9  # of the filled cells must be dates for a column to be a clock


@dataclass(frozen=True, eq=False)
class TableContent:
    """Channels and clock in the source's row order.

    `times` are UTC where `timezone` is set, else on the source's own clock; `is_local` says that they are local times
    of a zone that is not known. `day_first` is the order of dates that end in the year, None where there are none.
    """

    values: Float[np.ndarray, "R C"]
    channel_names: tuple[str, ...]
    times: np.ndarray | None
    notes: tuple[str, ...]
    timezone: str | None = None
    day_first: bool | None = None
    is_local: bool = False


@dataclass(frozen=True, eq=False)
class Clock:
    """The columns that make up the clock (none: the table has no clock) and what they say."""

    columns: tuple[int, ...] = ()
    read: ReadTimes | None = None
    is_local: bool = False


def read_table(
    table: Table,
    timestamp: str | int | None,
    columns: str | Sequence[str | int] | None,
    exclude: str | Sequence[str | int] | None = None,
    *,
    day_first: bool | None = None,
    expected: Sequence[str] = (),
) -> TableContent:
    """Choose clock and channels and return them as arrays.

    The clock is `timestamp`, else the first column named like a time that holds times, else the first column of dates,
    else year, month and day columns; a column listed in `columns` is never taken for the clock. `columns` and `exclude`
    hold names, globs or positions. Columns `expected` by a model are kept however they look. `day_first` is what other
    data of this source proved.
    Raises: DataError for an unknown column, text in a number column, or no number column at all.
    """
    dropped, notes = _excluded(table, exclude or ())
    chosen = None if columns is None else tuple(i for i in resolve_columns(table, columns) if i not in dropped)
    clock = find_clock(table, timestamp, chosen or (), day_first)
    read = clock.read or ReadTimes(np.empty(0, dtype="datetime64[ns]"))
    notes += read.notes
    if chosen is None:
        chosen, more = _default_channels(table, clock, dropped, expected)
        notes += more
    if not chosen:
        raise DataError(f"{table.origin} has no column left to monitor: exclude= names all that columns= chooses")
    channels = np.stack([_channel(table, table.columns[i], columns is not None) for i in chosen], axis=1)
    values, infinite = without_infinities(channels)
    notes += (*(note for i in chosen for note in table.columns[i].notes), *infinite)
    names = tuple(table.columns[i].name for i in chosen)
    times = None if clock.read is None else read.times
    return TableContent(values, names, times, table.notes + notes, read.timezone, read.day_first, clock.is_local)


def _excluded(table: Table, exclude: str | Sequence[str | int]) -> tuple[frozenset[int], tuple[str, ...]]:
    """Return the columns to leave out; a name that is not there is only noted, for data may lack what is not wanted."""
    notes: list[str] = []
    dropped: set[int] = set()
    names = [column.name for column in table.columns]
    if isinstance(exclude, str):
        exclude = [exclude] if exclude in names else split_names(exclude)
    for key in exclude:
        try:
            dropped.update(resolve_columns(table, [key], "exclude"))
        except DataError:
            notes.append(f"exclude names {key!r}, which is no column here")
    return frozenset(dropped), tuple(notes)


def find_clock(
    table: Table, timestamp: str | int | None, taken: Sequence[int] = (), day_first: bool | None = None
) -> Clock:
    """Return the columns that make up the clock and their times. Raises: DataError for a cell that is no time."""
    if timestamp is not None:
        index = resolve_column(table, timestamp, "timestamp")
        if index in taken:
            raise DataError(f"column '{table.columns[index].name}' is named as timestamp and in columns: name it once")
        found = _times_of(table.columns[index], day_first, elapsed=True)
        if found is None:
            raise DataError(f"column '{table.columns[index].name}' of {table.origin} holds no dates or times")
        return _with_time_of_day(table, index, found, taken, day_first)
    free = [i for i in range(len(table.columns)) if i not in taken]
    named = [i for i in free if is_time_name(table.columns[i].name)]
    dated = [i for i in free if table.columns[i].text or table.columns[i].times is not None]
    for index in [*named, *dated]:
        found = _times_of(table.columns[index], day_first)
        if found is not None:
            return _with_time_of_day(table, index, found, taken, day_first)
    for index in named:
        column = table.columns[index]
        if column.is_text:
            row, cell = next(iter(column.text.items()))
            raise DataError(
                f"{table.origin} {table.row_name(row)}, time column '{column.name}': {cell[:40]!r} is no date or time "
                "that oddwave knows: write 2024-12-31 23:59:59, or leave the column out"
            )
    parts, times = calendar_times(table, free)
    if times is None:
        return Clock()
    names = ", ".join(table.columns[i].name for i in parts)
    return Clock(parts, ReadTimes(times, (f"timestamps joined from the columns {names}",)), True)


def _times_of(column: Column, day_first: bool | None, elapsed: bool = False) -> ReadTimes | None:
    """Return the column's times, or None where it is no time column (less than nine tenths of its cells are dates)."""
    if column.times is not None:
        return ReadTimes(column.times, timezone=column.timezone)
    known = int((~np.isnan(column.numbers)).sum())
    if len(column.text) <= (1 - _DATE_SHARE) * (known + len(column.text)):
        return parse_numeric_times(column.numbers, elapsed=elapsed)
    some = [cell for _, cell in zip(range(_SAMPLED_CELLS), column.text.values(), strict=False)]
    if sum(map(is_date_text, some)) < _DATE_SHARE * len(some) or len(column.text) < _DATE_SHARE * (
        known + len(column.text)
    ):
        return None
    return parse_text_times([column.text.get(i, "") for i in range(len(column.numbers))], day_first)


def _with_time_of_day(
    table: Table, index: int, found: ReadTimes, taken: Sequence[int], day_first: bool | None
) -> Clock:
    """Join a column of bare dates with a column of times of day, where there is one; refuse cells that are no time."""
    column, times = table.columns[index], found.times
    used = {index}
    other = None if column.times is not None else _clock_column(table, index, taken)
    if other is not None and (times[~np.isnat(times)] == times[~np.isnat(times)].astype("datetime64[D]")).all():
        clock = table.columns[other]
        cells = [
            f"{column.text[i]} {clock.text[i]}" if i in column.text and i in clock.text else ""
            for i in range(len(times))
        ]
        found = parse_text_times(cells, day_first)
        times = found.times
        found = found._replace(
            notes=(*found.notes, f"timestamps joined from the columns '{column.name}' and '{clock.name}'")
        )
        used.add(other)
    else:
        found = found._replace(notes=(*found.notes, f"timestamps from column '{column.name}'"))
    filled = np.zeros(len(times), dtype=bool)
    filled[list(column.text)] = True
    bad = np.flatnonzero(np.isnat(times) & (filled | ~np.isnan(column.numbers)))
    if bad.size and column.times is None:
        row = int(bad[0])
        cell = column.text.get(row, f"{column.numbers[row]:.15g}")
        raise DataError(
            f"{table.origin} {table.row_name(row)}, time column '{column.name}': {cell[:40]!r} is no date or time like "
            "the others: mend or empty that cell"
        )
    numeric = column.times is None and not column.text
    return Clock(tuple(sorted(used)), found, found.timezone is None and not numeric)


def _clock_column(table: Table, index: int, taken: Sequence[int]) -> int | None:
    for i, column in enumerate(table.columns):
        if i == index or i in taken or not column.text or not np.isnan(column.numbers).all():
            continue
        if all(CLOCK_TEXT.fullmatch(cell) for cell in column.text.values()):
            return i
    return None


def _default_channels(
    table: Table, clock: Clock, dropped: frozenset[int], expected: Sequence[str]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """All columns of numbers that measure something; the others are named in notes."""
    notes: list[str] = []
    books = bookkeeping_columns(table, clock.columns, clock.read)
    chosen: list[int] = []
    words: list[str] = []
    for i, column in enumerate(table.columns):
        wanted = column.name in expected
        if i in clock.columns or i in dropped or (column.is_empty and _is_nameless(column, i) and not wanted):
            continue
        if column.times is not None:
            notes.append(f"column '{column.name}' holds times and is not monitored")
        elif column.is_text and not wanted:
            words.append(f"{column.name} ({next(iter(column.text.values()))[:30]!r})")
        elif i in books and not wanted:
            notes.append(f"column '{column.name}' {books[i]}")
        else:
            chosen.append(i)
    if words:
        notes.append(f"column{'s' * (len(words) > 1)} of text not monitored: {listed_names(words)}")
    if not chosen:
        why = f"no column holds numbers: {listed_names(words)}" if words else "nothing to monitor"
        raise DataError(f"{table.origin} has no number column beside its time or counter column: {why}")
    return tuple(chosen), tuple(notes)


def _is_nameless(column: Column, index: int) -> bool:
    return plain_name(column.name) in ("", f"column{index}")


def _channel(table: Table, column: Column, explicit: bool) -> Float[np.ndarray, " R"]:
    if column.times is not None:
        raise DataError(f"column '{column.name}' of {table.origin} holds times, not numbers: name it with timestamp=")
    if column.refusal:
        raise DataError(f"column '{column.name}' of {table.origin} {column.refusal}")
    numbers = column.numbers.copy()
    if column.text and {cell.lower() for cell in column.text.values()} <= set(BOOLEANS) and np.isnan(numbers).all():
        for row, cell in column.text.items():
            numbers[row] = BOOLEANS[cell.lower()]
        return numbers
    if column.text:
        row, cell = next(iter(column.text.items()))
        hint = "mend or empty that cell" + ("" if explicit else ", or leave the column out with exclude=")
        raise DataError(
            f"{table.origin} {table.row_name(row)}, column '{column.name}': {cell[:40]!r} is not a number: {hint}"
        )
    return numbers
