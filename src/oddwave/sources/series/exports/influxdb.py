"""InfluxDB's annotated CSV: lines #group, #datatype and #default above each table, blank lines between tables.

Of its columns, `result`, `table`, `_start` and `_stop` describe the query; `_time` is the clock, `_value` the value,
and all others are tags, `_field` and `_measurement` first. The same tables without annotations are known by their
header.
"""

import csv
from collections.abc import Sequence

from oddwave.sources.series.exports.layout import Block, Layout

__all__ = ["recognise_influxdb"]

_ANNOTATIONS = ("#datatype", "#group", "#default")
_QUERY_COLUMNS = frozenset({"result", "table", "_start", "_stop"})
_VALUES = frozenset({"_time", "_value"})


def recognise_influxdb(lines: Sequence[str]) -> Layout | None:
    """Return the tables of an annotated CSV file; None for any other."""
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return None
    annotated = _is_annotation(lines[first])
    header = next((i for i in range(first, len(lines)) if lines[i].strip() and not _is_annotation(lines[i])), None)
    if header is None:
        return None
    names = _cells(lines[header])
    if not annotated and not ("_time" in names and "_value" in names and "table" in names):
        return None
    heads = [i for i in range(header, len(lines)) if _is_header(lines, i, names)]
    blocks: list[Block] = []
    labels: dict[str, None] = {}
    for start, after in zip(heads, [*heads[1:], len(lines)], strict=True):
        stop = next((i for i in range(start, after) if _is_annotation(lines[i])), after)
        blocks.append(Block(start, stop))
        labels |= dict.fromkeys(name for name in _cells(lines[start]) if name and name not in _QUERY_COLUMNS | _VALUES)
    pivoted = "_value" not in names  # after pivot(), fields are columns of their own: the general rules find the tags
    note = "read as InfluxDB's annotated CSV"
    return Layout(tuple(blocks), ",", _QUERY_COLUMNS | {""}, None if pivoted else tuple(labels), (note,))


def _is_header(lines: Sequence[str], index: int, names: Sequence[str]) -> bool:
    """True for the first line below annotations, and for a line of the first header's kind."""
    if not lines[index].strip() or _is_annotation(lines[index]):
        return False
    if index == 0 or _is_annotation(lines[index - 1]):
        return True
    return "_time" in lines[index] and {"_time", "table"} <= {*_cells(lines[index])} & {*names}


def _is_annotation(line: str) -> bool:
    return line.lstrip('\ufeff"').startswith(_ANNOTATIONS)


def _cells(line: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line]))]
    except (csv.Error, StopIteration):
        return []
