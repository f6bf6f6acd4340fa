"""Which columns a list of names, patterns and positions means: "flow,temp", "pump*", '"flow, m3/h"', 0.

Nothing here reads data. Read `series_table.py` next: it takes the columns.
"""

import fnmatch
from collections.abc import Sequence

from oddwave.errors import DataError

__all__ = ["choose_columns", "split_names"]

_QUOTES = "\"'"
_PATTERN = frozenset("*?[")


def split_names(text: str) -> list[str]:
    r"""Split a list of names at its commas; one within quotes, or written as `\,`, belongs to its name."""
    names, current, quote, quoted = [], "", "", False
    characters = iter(text)
    for c in characters:
        if c == "\\":
            following = next(characters, "")
            current += following if following and following in f",\\{_QUOTES}" else c + following
        elif quote:
            quote, current = ("", current) if c == quote else (quote, current + c)
        elif c in _QUOTES and not current.strip():
            quote, current, quoted = c, "", True
        elif c == ",":
            names.append(current if quoted else current.strip())
            current, quoted = "", False
        elif not quoted or not c.isspace():  # after a closing quote, spaces up to the comma mean nothing
            current += c
    return [name for name in [*names, current if quoted else current.strip()] if name]


def choose_columns(names: Sequence[str], keys: str | Sequence[str | int], option: str, origin: str) -> tuple[int, ...]:
    """Return the positions of the columns that the keys mean, in the keys' order.

    A text is one name where there is such a column, else a list of names. A key is a name, whatever its case, else a
    position (from 0), else a pattern with `*`, `?` or `[...]`. Raises: DataError for a key that no column answers to,
    for one named twice, and for no key at all.
    """
    if isinstance(keys, str):
        keys = [keys] if _named(names, keys) else split_names(keys)
    chosen: list[int] = []
    for key in keys:
        found = _matches(names, key)
        if not found:
            raise DataError(f"{option} names {key!r}, but {origin} has the columns {_listed(names)}: choose among them")
        if len(found) == 1 and found[0] in chosen:
            raise DataError(f"{option} names '{names[found[0]]}' of {origin} twice: name each column once")
        chosen += [i for i in found if i not in chosen]
    if not chosen:
        raise DataError(f"{option} is {list(keys)} for {origin}: name one or more columns")
    return tuple(chosen)


def _named(names: Sequence[str], key: str) -> list[int]:
    exact = [i for i, name in enumerate(names) if name == key]
    lowered = key.strip().lower()
    return exact[:1] or [i for i, name in enumerate(names) if name.strip().lower() == lowered][:1]


def _matches(names: Sequence[str], key: str | int) -> list[int]:
    if isinstance(key, str) and (found := _named(names, key)):
        return found
    if isinstance(key, int) or (key.strip().isascii() and key.strip().isdecimal()):
        position = int(key)
        return [position % len(names)] if -len(names) <= position < len(names) else []
    if _PATTERN & set(key):
        return [i for i, name in enumerate(names) if fnmatch.fnmatchcase(name.lower(), key.strip().lower())]
    return []


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names)} in all)"
