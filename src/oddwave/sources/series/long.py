"""Long tables to wide ones: several series in one table, told apart by label columns, never read as one series.

Entities (host, machine, id, instance, sensor) become streams of their own; names of what was measured (field, metric,
variable) and an export's other labels become channels. Read `table.py` for what follows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from oddwave.errors import DataError
from oddwave.sources.series.bookkeeping import plain_name
from oddwave.sources.series.cells import Table
from oddwave.sources.series.columns import listed_names, resolve_columns
from oddwave.sources.series.options import ReadOptions
from oddwave.sources.series.pivot import METRIC_NAMES, Label, pivoted
from oddwave.sources.series.table import TableContent, find_clock, read_table

__all__ = ["Part", "read_parts", "split_table"]

_MOST_SERIES = 10_000
_LEFT_SHARE = 0.05  # rows of one time and one label that may remain: they are averaged
_SHARED_SHARE = 0.3  # of the rows must share their time with others for a column without a telling name to be a label
_UNION_SHARE = 0.5  # entities that share this much of their fields are streams of the same channels


@dataclass(frozen=True, eq=False)
class Part:
    """One series of a table: what tells it apart ("" where the table is one series), its rows, what to read of them."""

    label: str
    table: Table
    timestamp: str | int | None
    columns: Sequence[str | int] | None


def split_table(
    table: Table,
    timestamp: str | int | None = None,
    columns: str | Sequence[str | int] | None = None,
    day_first: bool | None = None,
) -> list[Part]:
    """Return the table's series, each as a table of its own; most tables are one series and come back as they are.

    Raises: DataError where rows of one time differ by labels that do not tell them all apart.
    """
    whole = [Part("", table, timestamp, _as_list(table, columns))]
    chosen = () if columns is None else _known(table, columns)
    labels = [label for i in range(len(table.columns)) if i not in chosen and (label := _label(table, i)) is not None]
    if not labels:
        return whole
    clock = find_clock(table, timestamp, chosen, day_first)
    labels = [label for label in labels if label.place not in clock.columns]
    if clock.read is None:
        keys = _keys_without_clock(table, labels)
        times = np.arange(len(table.lines))
    else:
        times = clock.read.times.astype(np.int64)
        keys = _keys_with_clock(table, labels, times, set(clock.columns))
    if not keys:
        return whole
    count = len(np.unique(np.column_stack([key.codes for key in keys]), axis=0))
    if count > _MOST_SERIES:
        raise DataError(
            f"{table.origin}: {_told(keys)} tell {count} series apart (at most {_MOST_SERIES}): split it up"
        )
    return _parts(table, keys, clock.columns, times, whole[0], clock.read is not None)


def read_parts(table: Table, options: ReadOptions) -> list[tuple[str, Table, TableContent]]:
    """Return each series of a table, by its label, with what is read of it, all with the same channels."""
    parts = split_table(table, options.timestamp, options.columns, options.day_first)

    def read(part: Part, expected: Sequence[str]) -> tuple[str, Table, TableContent]:
        columns, notes = (part.columns, ()) if options.columns is not None else options.chosen(part.table)
        content = read_table(
            part.table,
            part.timestamp,
            columns,
            options.exclude,
            day_first=options.day_first,
            expected=[*options.like, *expected],
        )
        return part.label, part.table, replace(content, notes=content.notes + notes)

    found = [read(part, ()) for part in parts]
    names = list(dict.fromkeys(name for _, _, content in found for name in content.channel_names))
    if any(len(content.channel_names) < len(names) for _, _, content in found):
        found = [read(part, names) for part in parts]  # one part's counter is another part's reading
    return found


def _as_list(table: Table, columns: str | Sequence[str | int] | None) -> Sequence[str | int] | None:
    """Name the columns that are given by position, for parts have other positions."""
    if columns is None:
        return None
    places = _known(table, columns)
    if isinstance(columns, str) and places:
        return [table.columns[i].name for i in places]
    names = [table.columns[i].name for i in range(len(table.columns))]
    keys = [columns] if isinstance(columns, str) else columns
    return [names[key] if isinstance(key, int) and -len(names) <= key < len(names) else key for key in keys]


def _known(table: Table, columns: str | Sequence[str | int]) -> tuple[int, ...]:
    """Return the positions of the columns; none where a name is not there, such as that of a channel still to come."""
    try:
        return resolve_columns(table, columns)
    except DataError:
        return ()


def _label(table: Table, place: int) -> Label | None:
    """Return the column as a label where it is words, or whole numbers of few values; None where it is neither."""
    column = table.columns[place]
    if column.times is not None or column.is_empty:
        return None
    rows = len(table.lines)
    told = column.name in table.labels
    if column.is_text:
        cells = np.array([column.text.get(i, "") or _shown(column.numbers[i]) for i in range(rows)], dtype=object)
        values, codes = np.unique(cells.astype(str), return_inverse=True)
    else:
        known = column.numbers
        if column.text or (not told and (np.isnan(known).any() or (known != np.rint(known)).any())):
            return None
        numbers, codes = np.unique(known, return_inverse=True)
        values = np.array([_shown(number) for number in numbers])
    label = Label(place, column.name, codes.ravel(), tuple(values.tolist()), not column.is_text)
    if told:
        return label if len(values) > 1 or plain_name(column.name) in METRIC_NAMES else None
    return label if 2 <= len(values) <= rows / 2 else None


def _shown(number: float) -> str:
    return "" if np.isnan(number) else f"{number:.15g}"


def _keys_with_clock(table: Table, labels: list[Label], times: Int[np.ndarray, " R"], clock: set[int]) -> list[Label]:
    """Return the fewest labels that leave one row per time and series."""
    if table.labels:
        told = [label for label in labels if label.name in table.labels]
        return [label for label in told if len(label.values) > 1 or label.is_field]
    named = [label for label in labels if label.is_field or label.is_entity]
    distinct = _distinct_rows(table, times, clock)
    shared = _repeats(times[distinct], [])
    few = max(1, int(_LEFT_SHARE * len(distinct)))
    if shared <= few:
        return [label for label in named if np.bincount(label.codes).min() >= 3]
    words = [label for label in labels if label not in named and table.columns[label.place].is_text]
    others = [label for label in labels if label not in named and label not in words]
    candidates = [*sorted(named, key=lambda label: not label.is_entity), *words]
    if shared >= _SHARED_SHARE * len(distinct):
        candidates += [label for label in others if _covers(label, times, distinct)]
    keys: list[Label] = []
    left = shared
    for label in candidates:
        without = _repeats(times[distinct], [key.codes[distinct] for key in (*keys, label)])
        if without < left:
            keys, left = [*keys, label], without
        if not left:
            break
    for label in reversed(keys):
        rest = [key for key in keys if key is not label]
        if _repeats(times[distinct], [key.codes[distinct] for key in rest]) == left:
            keys = rest
    if left <= few or any(key.is_field or key.is_entity for key in keys):
        return keys
    if left <= shared / 2 and keys:
        raise DataError(
            f"{table.origin} holds several series in one column: {shared} rows share their time with others, and "
            f"{_told(keys)} tell only some of them apart: give one file per series, or one column per series"
        )
    return []


def _told(keys: Sequence[Label]) -> str:
    return "; ".join(f"column '{key.name}' ({listed_names(key.values, 4)})" for key in keys)


def _distinct_rows(table: Table, times: Int[np.ndarray, " R"], clock: set[int]) -> Int[np.ndarray, " r"]:
    """Return the rows with a time, of rows alike in all columns the first one only."""
    parts = [times]
    for i, column in enumerate(table.columns):
        if i in clock or column.times is not None:
            continue
        parts.append(np.where(np.isnan(column.numbers), np.nan, column.numbers + 0.0).view(np.int64))
        if column.text:
            kinds = {cell: code for code, cell in enumerate(dict.fromkeys(column.text.values()), 1)}
            codes = np.zeros(len(times), dtype=np.int64)
            codes[list(column.text)] = [kinds[cell] for cell in column.text.values()]
            parts.append(codes)
    _, first = np.unique(np.column_stack(parts), axis=0, return_index=True)
    rows = np.sort(first)
    known: np.ndarray = rows[times[rows] != np.iinfo(np.int64).min]
    return known


def _repeats(times: Int[np.ndarray, " r"], codes: Sequence[Int[np.ndarray, " r"]]) -> int:
    """Return how many rows repeat the time and labels of another."""
    return len(times) - len(np.unique(np.column_stack([times, *codes]), axis=0))


def _covers(label: Label, times: Int[np.ndarray, " R"], rows: Int[np.ndarray, " r"]) -> bool:
    """True where each value has its row at many of the times, once: a machine's number does, a reading does not."""
    codes = label.codes[rows]
    if _repeats(times[rows], [codes]):
        return False
    return bool(np.median(np.bincount(codes)) >= _SHARED_SHARE * len(np.unique(times[rows])))


def _keys_without_clock(table: Table, labels: list[Label]) -> list[Label]:
    """Return the labels by name; else a column of numbers that changes exactly where a counter begins anew."""
    named = [label for label in labels if (label.is_entity or label.is_field) and label.name not in ("id", "ID")]
    words = [label for label in named if table.columns[label.place].is_text or label.name in table.labels]
    if words:
        return words
    begins = {
        tuple(np.flatnonzero(steps != 1) + 1)
        for column in table.columns
        if not column.text and column.times is None and len(column.numbers) > 3
        and not np.isnan(steps := np.diff(column.numbers)).any()
        and 0 < (steps != 1).sum() < len(steps) / 3
    }  # fmt: skip
    for label in labels:
        if tuple(np.flatnonzero(np.diff(label.codes)) + 1) in begins:
            return [label]
    return []


def _parts(
    table: Table, keys: list[Label], clock: Sequence[int], times: Int[np.ndarray, " R"], whole: Part, timed: bool
) -> list[Part]:
    entities = [key for key in keys if key.is_entity or not (key.is_field or table.labels)]
    fields = [key for key in keys if key not in entities]
    groups = _groups(entities, len(table.lines))
    channels = _groups(fields, len(table.lines))
    seen = [set(channels[1][rows]) for rows in groups[0]]
    if fields and len(groups[0]) > 1:
        shared, every = set.intersection(*seen), set.union(*seen)
        if len(shared) < _UNION_SHARE * len(every):  # what they measure differs: one stream, a channel each
            entities, fields = [], [*fields, *entities]
            groups, channels = _groups([], len(table.lines)), _groups(fields, len(table.lines))
    varying = {key.place for key in keys}
    plain = [i for i in range(len(table.columns)) if i not in varying]
    note = f"several series in one table, told apart by {_told([key for key in keys if len(key.values) > 1])}"
    notes = (note,) if any(len(key.values) > 1 for key in keys) else ()
    parts = []
    for rows, codes in zip(groups[0], _first_codes(groups), strict=True):
        label = ",".join(f"{key.name}={key.values[key.codes[codes]]}" for key in entities)
        if fields:
            wanted = _chosen_values(table, whole.columns)
            part = pivoted(table, fields, channels[1], rows, times, plain, clock, wanted, timed)
            columns = None if wanted is not None else whole.columns
        else:
            part = replace(
                table, columns=tuple(table.columns[i].take(rows) for i in plain), lines=table.lines[rows], labels=()
            )
            columns = whole.columns
        parts.append(Part(label, replace(part, notes=part.notes + notes), whole.timestamp, columns))
    return parts


def _groups(keys: Sequence[Label], num_rows: int) -> tuple[list[Int[np.ndarray, " r"]], Int[np.ndarray, " R"]]:
    """Return the rows of each combination of the keys' values, in order of first appearance, and each row's code."""
    if not keys:
        return [np.arange(num_rows)], np.zeros(num_rows, dtype=np.int64)
    _, first, codes = np.unique(
        np.column_stack([key.codes for key in keys]), axis=0, return_index=True, return_inverse=True
    )
    rank = np.argsort(np.argsort(first))[codes.ravel()]
    by_code = np.argsort(rank, kind="stable")
    return np.split(by_code, np.flatnonzero(np.diff(rank[by_code])) + 1), rank


def _first_codes(groups: tuple[list[Int[np.ndarray, " r"]], Int[np.ndarray, " R"]]) -> list[int]:
    return [int(rows[0]) for rows in groups[0]]


def _chosen_values(table: Table, columns: Sequence[str | int] | None) -> set[str] | None:
    """Return the value columns that `columns` names, None where it names channels that are still to come."""
    if columns is None:
        return None
    places = _known(table, columns)
    return {table.columns[i].name for i in places} or None
