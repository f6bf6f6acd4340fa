"""Columns by name, glob or position, and the names in a text that lists several of them.

Read `table.py` next: it decides what is done with the columns.
"""

import fnmatch
from collections.abc import Sequence

from oddwave.errors import DataError
from oddwave.sources.series.cells import Table

__all__ = ["distinct_names", "listed_names", "resolve_column", "resolve_columns", "split_names"]

_LONG = 60  # characters of a name that messages show


def split_names(text: str) -> list[str]:
    r"""Split names at commas, but not at commas inside quotes ("flow, m3/h") or after a backslash (flow\, m3/h)."""
    names: list[str] = []
    name, quote, escaped, quoted = "", "", False, False
    for char in text:
        if escaped:
            name, escaped = name + (char if char in ",\\\"'" else f"\\{char}"), False
        elif char == "\\":
            escaped = True
        elif quote:
            name, quote = (name, "") if char == quote else (name + char, quote)
        elif char in "\"'" and not name.strip():
            name, quote, quoted = "", char, True
        elif char == ",":
            names.append(name if quoted else name.strip())
            name, quoted = "", False
        else:
            name += char if not quoted or char.strip() else ""
    if quote:  # never closed: an apostrophe that belongs to the name
        return [part.strip() for part in text.split(",") if part.strip()]
    names.append(name + "\\" * escaped if quoted else (name + "\\" * escaped).strip())
    return [name for name in names if name]


def distinct_names(names: Sequence[str], where: str) -> tuple[list[str], tuple[str, ...]]:
    """Number the names that come again, with a note that says `where` they do."""
    taken, counts = set(names), dict.fromkeys(names, 0)
    distinct, repeated = list[str](), list[str]()
    for name in names:
        counts[name] += 1
        new = name
        if counts[name] > 1:
            repeated.append(name)
            while new in taken:
                new = f"{name}_{counts[name]}"
                counts[name] += new in taken
            taken.add(new)
        distinct.append(new)
    shown = listed_names(list(dict.fromkeys(repeated)))
    return distinct, ((f"column names repeated in the {where} were numbered: {shown}",) if repeated else ())


def resolve_columns(table: Table, keys: str | Sequence[str | int], option: str = "columns") -> tuple[int, ...]:
    """Return the columns' positions in the order given; a text is one name, or names with commas between them.

    Raises: DataError for what is not there, or for a column named twice.
    """
    names = [column.name for column in table.columns]
    if isinstance(keys, str):
        keys = [keys] if keys in names else split_names(keys)
    chosen = tuple(place for key in keys for place in _resolve_all(table, names, key, option))
    named = [key for key in keys if not _is_glob(key, names)]
    if not chosen or (len(set(chosen)) < len(chosen) and len(named) == len(keys)):
        raise DataError(f"{option} is {list(keys)} for {table.origin}: name one or more columns, each once")
    return tuple(dict.fromkeys(chosen))


def resolve_column(table: Table, key: str | int, option: str) -> int:
    """Return one column's position. Raises: DataError for a name or position that is not there."""
    names = [column.name for column in table.columns]
    if isinstance(key, int):
        if -len(names) <= key < len(names):
            return key % len(names)
    elif key in names:
        return names.index(key)
    elif key.strip().lower() in (lowered := [name.lower() for name in names]):
        return lowered.index(key.strip().lower())
    elif key.strip().isascii() and key.strip().isdecimal() and len(key) < 9 and int(key) < len(names):
        return int(key)
    shown = listed_names(names)
    key = key if isinstance(key, int) or len(key) <= _LONG else f"{key[:_LONG]}..."
    raise DataError(f"{option} names {key!r}, but {table.origin} has the columns {shown}: choose among them")


def _resolve_all(table: Table, names: Sequence[str], key: str | int, option: str) -> list[int]:
    if _is_glob(key, names):
        found = [i for i, name in enumerate(names) if fnmatch.fnmatchcase(name.lower(), str(key).strip().lower())]
        if option == "columns":  # a pattern means columns of numbers
            found = [i for i in found if not table.columns[i].is_text and table.columns[i].times is None]
        if found:
            return found
    return [resolve_column(table, key, option)]


def _is_glob(key: str | int, names: Sequence[str]) -> bool:
    return isinstance(key, str) and key not in names and any(char in key for char in "*?[")


def listed_names(names: Sequence[str], most: int = 12) -> str:
    """Return the names with commas between them, cut where there are many."""
    shown = ", ".join(name if len(name) <= _LONG else f"{name[:_LONG]}..." for name in names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names)} in all)"
