"""Columns of a table to channels and a clock: which column is the time, which are numbers, and what is refused.

Cells are numbers, missing (empty, NA, NaN, null, none, -, ?), or text. Text is right in the time column only; true and
false count as 1 and 0 where a column holds nothing else. Read `series_clock.py` next: it orders the rows.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import DataError
from oddwave.modalities.series_dates import CLOCK_TEXT, is_date_text, parse_numeric_times, parse_text_times

__all__ = ["MISSING_TEXT", "Column", "Table", "TableContent", "number_in", "parse_cells", "read_table"]

MISSING_TEXT = frozenset({"", "na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", "#n/a", "<na>", "nat"})
_TIME_NAME = re.compile(
    r"(time|date|datetime|timestamp|ts|clock|when|epoch|unix)(utc|gmt|local|ms|us|ns|s|stamp|time)?"
    r"|(utc|gmt|local|unix|epoch|start|record|recorded|event|sample|measurement|measured|log)(time|date|datetime|timestamp|ts)"
)
_COUNTER_NAMES = frozenset({"", "index", "idx", "row", "rowid", "id", "no", "nr", "number", "unnamed0", "column0", "#"})
_SAMPLED_CELLS = 1000  # enough to tell a column of dates
_BOOLEANS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, eq=False)
class Column:
    """One column: `numbers` with NaN where a cell is no number; `text` keeps the cells that are text, by row.

    `times` is set where the source already knows the column as times (datetime64[ns], NaT where missing).
    """

    name: str
    numbers: Float[np.ndarray, " R"]
    text: Mapping[int, str] = field(default_factory=dict)
    times: np.ndarray | None = None
    timezone: str | None = None

    @property
    def is_empty(self) -> bool:
        """True where no cell holds anything."""
        return not self.text and self.times is None and bool(np.isnan(self.numbers).all())


@dataclass(frozen=True, eq=False)
class Table:
    """Columns as read, before anything is decided about them; `origin` and `row_name` are for messages."""

    origin: str
    columns: tuple[Column, ...]
    lines: Int[np.ndarray, " R"]  # what a message calls each row: its line in a file, its position in a frame
    line_word: str = "line"
    has_header: bool = True
    notes: tuple[str, ...] = ()

    def row_name(self, row: int) -> str:
        """Return how to call a row in a message, such as 'line 7'."""
        return f"{self.line_word} {int(self.lines[row])}"


@dataclass(frozen=True, eq=False)
class TableContent:
    """Channels and clock in the source's row order."""

    values: Float[np.ndarray, "R C"]
    channel_names: tuple[str, ...]
    times: np.ndarray | None
    notes: tuple[str, ...]
    timezone: str | None = None


def number_in(cell: str, decimal: str = ".") -> float | None:
    """Return the cell's number, NaN for a missing one, None for text."""
    cell = cell.strip()
    if cell.lower() in MISSING_TEXT:
        return float("nan")
    if "_" in cell:  # Python would read 1_2 as 12
        return None
    if decimal == ",":
        if "." in cell:
            return None
        cell = cell.replace(",", ".")
    try:
        return float(cell)
    except ValueError:
        return None


def parse_cells(cells: Sequence[str], decimal: str = ".") -> tuple[Float[np.ndarray, " n"], dict[int, str]]:
    """Return the cells' numbers (NaN where there is none) and the cells that are text, by position."""
    if decimal == "." and not any("_" in cell for cell in cells):
        try:
            return np.array(cells, dtype=np.float64), {}
        except ValueError:
            pass
    numbers = [number_in(cell, decimal) for cell in cells]
    text = {i: cells[i].strip() for i, number in enumerate(numbers) if number is None}
    return np.array([np.nan if number is None else number for number in numbers], dtype=np.float64), text


def read_table(
    table: Table,
    timestamp: str | int | None,
    columns: str | Sequence[str | int] | None,
    exclude: str | Sequence[str | int] | None = None,
) -> TableContent:
    """Choose clock and channels and return them as arrays.

    The clock is `timestamp`, else the first column named like a time that holds times, else the first column of dates;
    a column listed in `columns` is never taken for the clock. Raises: DataError for an unknown column, text in a number
    column, or no number column at all.
    """
    if exclude:
        left_out = [
            i for key in ([exclude] if isinstance(exclude, str) else exclude) for i in [_resolve(table, key, "exclude")]
        ]
        kept = tuple(column for i, column in enumerate(table.columns) if i not in left_out)
        table = Table(table.origin, kept, table.lines, table.line_word, table.has_header, table.notes)
    chosen = None if columns is None else _resolve_all(table, columns)
    clock, times, notes = _find_clock(table, timestamp, chosen or ())
    if chosen is None:
        chosen, more = _default_channels(table, clock)
        notes += more
    values = [_channel(table, table.columns[i], explicit=columns is not None) for i in chosen]
    stacked = np.stack(values, axis=1) if values else np.empty((len(table.lines), 0))
    infinite = np.isinf(stacked)
    if infinite.any():
        stacked[infinite] = np.nan
        count = int(infinite.sum())
        notes += (f"{count} infinite value{'s' * (count > 1)} taken as missing",)
    zone = next((table.columns[i].timezone for i in clock), None)
    return TableContent(stacked, tuple(table.columns[i].name for i in chosen), times, table.notes + notes, zone)


def _resolve_all(table: Table, keys: str | Sequence[str | int]) -> tuple[int, ...]:
    chosen = tuple(_resolve(table, key, "columns") for key in ([keys] if isinstance(keys, str) else keys))
    if not chosen or len(set(chosen)) < len(chosen):
        raise DataError(f"columns is {list(keys)} for {table.origin}: name one or more columns, each once")
    return chosen


def _resolve(table: Table, key: str | int, option: str) -> int:
    names = [column.name for column in table.columns]
    if isinstance(key, int):
        if -len(names) <= key < len(names):
            return key % len(names)
    elif key in names:
        return names.index(key)
    elif key.strip().lower() in (lowered := [name.lower() for name in names]):
        return lowered.index(key.strip().lower())
    raise DataError(f"{option} names {key!r}, but {table.origin} has the columns {_listed(names)}: choose among them")


def _find_clock(
    table: Table, timestamp: str | int | None, taken: Sequence[int]
) -> tuple[tuple[int, ...], np.ndarray | None, tuple[str, ...]]:
    """Return the columns that make up the clock, its times, and notes; nothing where the table has no clock."""
    if timestamp is not None:
        index = _resolve(table, timestamp, "timestamp")
        if index in taken:
            raise DataError(f"column '{table.columns[index].name}' is named as timestamp and in columns: name it once")
        found = _times_of(table.columns[index], elapsed=True)
        if found is None:
            raise DataError(f"column '{table.columns[index].name}' of {table.origin} holds no dates or times")
        return _with_time_of_day(table, index, *found, taken)
    free = [i for i in range(len(table.columns)) if i not in taken]
    for index in [i for i in free if _is_time_name(table.columns[i].name)]:
        found = _times_of(table.columns[index])
        if found is not None:
            return _with_time_of_day(table, index, *found, taken)
    for index in [i for i in free if table.columns[i].text or table.columns[i].times is not None]:
        found = _times_of(table.columns[index])
        if found is not None:
            return _with_time_of_day(table, index, *found, taken)
    return (), None, ()


def _is_time_name(name: str) -> bool:
    return _TIME_NAME.fullmatch(_plain(name)) is not None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9#]", "", name.lower())


def _times_of(column: Column, elapsed: bool = False) -> tuple[np.ndarray, tuple[str, ...]] | None:
    """Return the column's times, or None where it is no time column (less than nine tenths of its cells are dates)."""
    if column.times is not None:
        return column.times, ()
    if not column.text:
        return parse_numeric_times(column.numbers, elapsed=elapsed)
    filled = int((~np.isnan(column.numbers)).sum()) + len(column.text)
    some = list(itertools.islice(column.text.values(), _SAMPLED_CELLS))
    if sum(map(is_date_text, some)) < 0.9 * len(some) or len(column.text) < 0.9 * filled:
        return None
    cells = [column.text.get(i, "") for i in range(len(column.numbers))]
    return parse_text_times(cells)


def _with_time_of_day(
    table: Table, index: int, times: np.ndarray, notes: tuple[str, ...], taken: Sequence[int]
) -> tuple[tuple[int, ...], np.ndarray, tuple[str, ...]]:
    """Join a column of bare dates with a column of times of day, where there is one; refuse cells that are no time."""
    column = table.columns[index]
    used = {index}
    other = None if column.times is not None else _clock_column(table, index, taken)
    if other is not None and (times[~np.isnat(times)] == times[~np.isnat(times)].astype("datetime64[D]")).all():
        clock = table.columns[other]
        cells = [
            f"{column.text[i]} {clock.text[i]}" if i in column.text and i in clock.text else ""
            for i in range(len(times))
        ]
        times, notes = parse_text_times(cells)
        notes += (f"timestamps joined from the columns '{column.name}' and '{clock.name}'",)
        used.add(other)
    filled = np.zeros(len(times), dtype=bool)
    filled[list(column.text)] = True
    bad = np.flatnonzero(np.isnat(times) & (filled | ~np.isnan(column.numbers)))
    if bad.size and column.times is None:
        row = int(bad[0])
        cell = column.text.get(row, f"{column.numbers[row]:g}")
        raise DataError(
            f"{table.origin} {table.row_name(row)}, time column '{column.name}': {cell!r} is no date or time like the "
            "others: mend or empty that cell"
        )
    return tuple(sorted(used)), times, notes


def _clock_column(table: Table, index: int, taken: Sequence[int]) -> int | None:
    for i, column in enumerate(table.columns):
        if i == index or i in taken or not column.text or not np.isnan(column.numbers).all():
            continue
        if all(CLOCK_TEXT.fullmatch(cell) for cell in column.text.values()):
            return i
    return None


def _default_channels(table: Table, clock: Sequence[int]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """All columns that are neither the clock nor a row counter, nor unnamed and empty; refuse columns of text."""
    chosen: list[int] = []
    notes: list[str] = [f"timestamps from column '{table.columns[i].name}'" for i in clock if len(clock) == 1]
    for i, column in enumerate(table.columns):
        if i in clock or (column.is_empty and _plain(column.name) in ("", f"column{i}")):
            continue
        if not column.text and _is_counter(column):
            notes.append(f"column '{column.name}' counts the rows and is not monitored")
        elif not column.text and not clock and _is_time_name(column.name) and (np.diff(column.numbers) >= 0).all():
            notes.append(
                f"column '{column.name}' rises without being a date or epoch time and is not monitored: name it with "
                "timestamp= to use it as seconds, or in columns= to monitor it"
            )
        else:
            chosen.append(i)
    numeric = [table.columns[i].name for i in chosen if not _is_text(table.columns[i])]
    texts = [table.columns[i] for i in chosen if _is_text(table.columns[i])]
    if texts:
        row, cell = next(iter(texts[0].text.items()))
        hint = f"choose number columns with columns=, e.g. {_listed(numeric)}" if numeric else "no column holds numbers"
        raise DataError(
            f"{table.origin} {table.row_name(row)}, column '{texts[0].name}' holds text ({cell!r}), not numbers: {hint}"
        )
    if not chosen:
        raise DataError(f"{table.origin} has no number column beside its time or counter column: nothing to monitor")
    return tuple(chosen), tuple(notes)


def _is_text(column: Column) -> bool:
    """True for a column of words (categories, names): more text than numbers, and not all of it true or false."""
    words = {cell.lower() for cell in column.text.values()}
    return len(column.text) > int((~np.isnan(column.numbers)).sum()) and not words <= set(_BOOLEANS)


def _is_counter(column: Column) -> bool:
    numbers = column.numbers
    if _plain(column.name) not in _COUNTER_NAMES or len(numbers) < 3 or np.isnan(numbers).any():
        return False
    return bool((np.diff(np.sort(numbers)) == 1).all() and numbers.min() in (0, 1))


def _channel(table: Table, column: Column, explicit: bool) -> Float[np.ndarray, " R"]:
    if column.times is not None:
        raise DataError(f"column '{column.name}' of {table.origin} holds times, not numbers: name it with timestamp=")
    numbers = column.numbers.copy()
    if column.text and {cell.lower() for cell in column.text.values()} <= set(_BOOLEANS) and np.isnan(numbers).all():
        for row, cell in column.text.items():
            numbers[row] = _BOOLEANS[cell.lower()]
        return numbers
    if column.text:
        row, cell = next(iter(column.text.items()))
        hint = "mend or empty that cell" + ("" if explicit else ", or leave the column out with columns=")
        raise DataError(
            f"{table.origin} {table.row_name(row)}, column '{column.name}': {cell[:40]!r} is not a number: {hint}"
        )
    return numbers


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names)} in all)"
