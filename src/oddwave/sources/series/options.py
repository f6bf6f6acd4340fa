"""What `read_series` was told: checked once, and what it means for the columns of a table.

Read `reader.py` next: its reader carries these.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from oddwave.errors import ConfigError
from oddwave.sources.bounded import Limits
from oddwave.sources.series.items import has_names, place_of
from oddwave.sources.series.panel import LabelColumn
from oddwave.sources.series.table import Table

__all__ = ["Kind", "ReadOptions"]

Kind = Literal["stream", "panel"]


@dataclass(frozen=True)
class ReadOptions:
    """The options of one `read_series` call, in its order; see there."""

    timestamp: str | int | None
    columns: str | Sequence[str | int] | None
    exclude: str | Sequence[str | int] | None
    delimiter: str | None
    decimal: str | None
    day_first: bool | None
    header: bool | None
    kind: Literal["auto", "stream", "panel"]
    label_column: LabelColumn
    max_gap: int
    limits: Limits
    like: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what no option can be, before anything is read. Raises: ConfigError."""
        if self.kind not in ("auto", "stream", "panel"):
            raise ConfigError(f"kind is {self.kind!r}: give 'auto', 'stream' or 'panel'")
        if isinstance(self.max_gap, bool) or not isinstance(self.max_gap, int) or self.max_gap < 0:
            raise ConfigError(f"max_gap is {self.max_gap!r}: give 0 or more points")
        if not isinstance(self.delimiter, str | None):
            raise ConfigError(f"delimiter is {self.delimiter!r}: give one character, or 'tab' or 'whitespace'")
        if self.decimal not in (None, ".", ","):
            raise ConfigError(f"decimal is {self.decimal!r}: give '.' or ','")
        if not isinstance(self.day_first, bool | None):
            raise ConfigError(f"day_first is {self.day_first!r}: give True or False, or None to find out")
        if not isinstance(self.header, bool | None):
            raise ConfigError(f"header is {self.header!r}: give True or False, or None to find out")
        object.__setattr__(self, "timestamp", _checked_key(self.timestamp, "timestamp"))
        object.__setattr__(self, "columns", _checked_keys(self.columns, "columns"))
        object.__setattr__(self, "exclude", _checked_keys(self.exclude, "exclude"))

    def chosen(self, table: Table) -> tuple[str | Sequence[str | int] | None, tuple[str, ...]]:
        """Return the columns to read: those asked for, or a model's own where the table has all of them by name."""
        names = [column.name for column in table.columns]
        places = [place_of(name, names) for name in self.like]
        if self.columns is not None or not has_names(self.like) or None in places:
            return self.columns, ()
        chosen = tuple(place for place in places if place is not None)
        return chosen, _extra_note(table, chosen)


def _extra_note(table: Table, chosen: Sequence[int]) -> tuple[str, ...]:
    """Name the columns of numbers that a model does not know."""
    rest = [column for i, column in enumerate(table.columns) if i not in chosen]
    extra = [column.name for column in rest if column.times is None and not column.text and not column.is_empty]
    shown = ", ".join(extra[:12]) + ", ..." * (len(extra) > 12)
    return (f"left out, not among the model's channels: {shown}",) if extra else ()


def _checked_keys(keys: Any, option: str) -> str | tuple[str | int, ...] | None:
    """Return names, patterns and positions of columns; a text may list several. Raises: ConfigError."""
    if keys is None or isinstance(keys, str):
        return keys
    listed = keys if isinstance(keys, Iterable) and not isinstance(keys, bytes) else [keys]
    return tuple(key for key in (_checked_key(each, option) for each in listed) if key is not None)


def _checked_key(key: Any, option: str) -> str | int | None:
    if key is None or isinstance(key, str):
        return key
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return int(key)
    raise ConfigError(f"{option} is {key!r}: give a column's name or position")
