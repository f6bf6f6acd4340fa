"""CloudWatch's CSV of a graph: head lines such as "Full label,..." and "Label,..." in place of a header, then rows.

The first cell of each head line says what the line holds; the names of the series stand in the line "Label", or, where
these are alike, in "Full label".
"""

import csv
import re
from collections.abc import Sequence

from oddwave.sources.series.exports.layout import Block, Layout

__all__ = ["recognise_cloudwatch"]

_HEAD = re.compile(r"""\s*["']?(full label|label)\s*["']?\s*(?P<mark>[,;\t:])""", re.IGNORECASE)
_ROW = re.compile(r"""\s*["']?\d{4}[-/]\d{2}[-/]\d{2}|\s*["']?\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\s*["']?\d{10,13}\b""")
_MOST_HEAD_LINES = 60


def recognise_cloudwatch(lines: Sequence[str]) -> Layout | None:
    """Return the rows below the head lines and the names found in these; None for any other file."""
    first = next((i for i, line in enumerate(lines[:_MOST_HEAD_LINES]) if line.strip("\ufeff \t")), None)
    if first is None or not (found := _HEAD.match(lines[first].lstrip("\ufeff"))):
        return None
    start = next((i for i in range(first, min(len(lines), first + _MOST_HEAD_LINES)) if _ROW.match(lines[i])), None)
    if start is None:
        return None
    mark = "," if found["mark"] == ":" else found["mark"]
    heads: dict[str, list[str]] = {}
    for line in lines[first:start]:
        cells = _cells(line.lstrip("\ufeff"), mark)
        if len(cells) == 1 and ":" in cells[0]:  # "Label: CPUUtilization"
            cells = [part.strip() for part in cells[0].split(":", 1)]
        if cells:
            heads.setdefault(cells[0].strip().rstrip(":").lower(), [cell.strip() for cell in cells[1:]])
    width = len(_cells(lines[start], mark)) - 1
    rows = [heads.get(key, []) for key in ("label", "full label")]
    names = next((row for row in rows if len(row) == width and len(set(row)) == width and all(row)), None)
    names = names or next((row for row in rows if len(row) == width), [f"series {i + 1}" for i in range(width)])
    note = f"read as a CloudWatch export: {start - first} head lines above the rows"
    return Layout((Block(start, len(lines), ("timestamp", *names)),), mark, notes=(note,))


def _cells(line: str, mark: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=mark, skipinitialspace=True), [])
    except csv.Error:
        return []
