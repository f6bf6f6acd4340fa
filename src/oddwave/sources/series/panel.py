"""Panels: many short instances of equal length, one per row of a table (the UCR archive's form) or of an array.

Legend: N instances, C channels, L points. Read `reader.py` next: it decides when a table is a panel.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from oddwave.errors import ConfigError, DataError
from oddwave.sources.series.items import SeriesFailure, SeriesItem, plain_item
from oddwave.sources.series.table import Table

__all__ = ["LabelColumn", "array_panel", "looks_like_panel", "table_panel"]

LabelColumn = Literal["auto", "first"] | None
MIN_PANEL_COLUMNS = 16  # the class and 15 points: the shortest instances of the UCR archive
_MAX_CLASSES = 100


def array_panel(values: Float[np.ndarray, "N *CL"], prefix: str = "") -> list[SeriesItem | SeriesFailure]:
    """Return one item per instance of (N, C, L), or (N, L) for one channel; ids are the positions.

    An instance without any value is a failure in its place.
    """
    panel = values[:, None, :] if values.ndim == 2 else values
    return [_instance(f"{prefix}{i}", instance.T) for i, instance in enumerate(panel)]


def _instance(identifier: str, values: Float[np.ndarray, "L C"]) -> SeriesItem | SeriesFailure:
    try:
        return plain_item(identifier, values)
    except DataError as error:
        return SeriesFailure(identifier, None, str(error))


def table_panel(table: Table, label_column: LabelColumn, prefix: str = "") -> list[SeriesItem | SeriesFailure]:
    """Return one single-channel item per row; "first" takes the first column as the class, "auto" where it looks so.

    Raises: ConfigError for an unknown `label_column`; DataError for text, or a table too narrow to hold a series.
    """
    if label_column not in ("auto", "first", None):
        raise ConfigError(f"label_column is {label_column!r}: give 'auto', 'first' or None")
    has_label = label_column == "first" or (label_column == "auto" and _is_class(table))
    points = table.columns[1:] if has_label else table.columns
    for column in points:
        if column.refusal:
            raise DataError(f"column '{column.name}' of {table.origin} {column.refusal}")
        if column.text or column.times is not None:
            row = min(column.text, default=0)
            raise DataError(
                f"{table.origin} {table.row_name(row)}, column '{column.name}': {column.text.get(row, 'a time')!r} is "
                "not a number, and every column of a panel is a point"
            )
    if len(points) < 2:
        raise DataError(
            f"{table.origin} has {len(points)} point(s) per row: a panel needs at least 2 columns of points"
        )
    values = np.stack([column.numbers for column in points], axis=1)
    labels = [_label(table, row) if has_label else None for row in range(len(values))]
    note = "first column taken as the class, for evaluation only" if has_label else "no class column"
    return [
        replace(item, channel_names=("value",), notes=(*table.notes, note, *item.notes), class_label=label)
        if isinstance(item, SeriesItem)
        else item
        for item, label in zip(array_panel(values, prefix), labels, strict=True)
    ]


def _label(table: Table, row: int) -> str:
    column = table.columns[0]
    number = column.numbers[row]
    return column.text.get(row, "") or (f"{number:g}" if np.isfinite(number) else "")


def _is_class(table: Table) -> bool:
    """True where the first column holds few different whole numbers, or words, and no cell of it is missing."""
    column = table.columns[0]
    if column.times is not None:
        return False
    if column.text:
        return len(column.text) == len(column.numbers)
    numbers = column.numbers
    if not np.isfinite(numbers).all() or (numbers != np.rint(numbers)).any():
        return False
    return len(np.unique(numbers)) <= min(_MAX_CLASSES, max(1, len(numbers) // 2))


def looks_like_panel(table: Table) -> bool:
    """Return whether a table is a panel with a class column rather than a stream of many channels.

    It has no header, 16 columns or more, whole numbers of few different values in its first column, numbers in all
    others, and neighbours within a row are nearer to each other than neighbours within a column: points in time run
    along the rows. A stream's rows are near to the next row instead.
    """
    if table.has_header or len(table.columns) < MIN_PANEL_COLUMNS or len(table.lines) < 2 or not _is_class(table):
        return False
    if any(column.text or column.times is not None for column in table.columns):
        return False
    values = np.stack([column.numbers for column in table.columns[1:]], axis=1)
    along, across = np.abs(np.diff(values, axis=1)), np.abs(np.diff(values, axis=0))
    if np.isnan(along).all() or np.isnan(across).all():
        return False
    return bool(np.nanmean(along) < np.nanmean(across))
