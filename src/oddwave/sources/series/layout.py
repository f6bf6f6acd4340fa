"""How a text is written and where its table begins: delimiter, decimal sign, head lines, header, units below it.

Read `text.py` next: it reads the table.
"""

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from oddwave.errors import ConfigError
from oddwave.sources.series.bookkeeping import is_time_name
from oddwave.sources.series.cells import STATUS_WORDS, is_number_text, number_in
from oddwave.sources.series.dates import CLOCK_TEXT, is_date_text

__all__ = ["Dialect", "Start", "find_start", "sniff_dialect"]

_DELIMITERS = ("\t", ";", "|", ",", " ")  # in this order where several fit equally well; " " is any white space
_NEVER_IN_NUMBERS = ("\t", ";", "|")
_SPELLED = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";", "bar": "|", "space": " ", "whitespace": " "}
_NO_DELIMITER = "\x1f"  # for files of one column
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_UNIT_CELL = re.compile(r"[\[(]?\s*(-|°?[CFK]|%|[a-zA-Zµμ°Ω]{1,5}([/²³^*.\d-]+[a-zA-Zµ\d²³]{0,5})*)?\s*[\])]?")
_USABLE_SHARE = 0.9


@dataclass(frozen=True)
class Dialect:
    """How a file is written: the delimiter (" " is any white space), the decimal sign, whether a header comes first."""

    delimiter: str
    decimal: str
    header: bool


@dataclass(frozen=True)
class Start:
    """Where the rows begin: after `passed` rows that are none; `header` is the place of the header among these.

    `unnamed_first` is 1 where the header has no cell for the first column.
    """

    passed: int
    header: int | None
    unnamed_first: int = 0
    notes: tuple[str, ...] = ()


def sniff_dialect(sample: Sequence[str], delimiter: str | None = None, header: bool | None = None) -> Dialect:
    """Find delimiter, decimal sign and header from the first lines; what is given is taken as given.

    The first line is a header where it is text over a column of numbers or dates, or holds nothing but text.
    Raises: ConfigError for a delimiter that is not one character.
    """
    if delimiter is not None:
        delimiter = _SPELLED.get(delimiter, delimiter)
        if len(delimiter) != 1 or delimiter in '"\n\r':
            raise ConfigError(f"delimiter is {delimiter!r}: give one character, or 'tab' or 'whitespace'")
    else:
        scores = {candidate: _fit_of(sample, candidate) for candidate in _DELIMITERS}
        best = max(scores, key=lambda candidate: scores[candidate])  # the first one where several are equal
        delimiter = best if scores[best] > 0 else _NO_DELIMITER
    rows = _sample_rows(sample, delimiter) or [[""]]
    decimal = _decimal_sign(rows[1:] or rows, delimiter)
    return Dialect(delimiter, decimal, _has_header(rows, decimal) if header is None else header)


def _fit_of(sample: Sequence[str], delimiter: str) -> float:
    """Score a delimiter: the share of lines split into the same number (two or more) of cells, times usable cells.

    One that never stands within a number and splits all lines alike comes before all that do not.
    """
    rows = _sample_rows(sample, delimiter)
    if not rows:
        return 0.0
    width = _usual_width(rows)
    if width < 2:
        return 0.0
    body = rows[1:] or rows
    cells = [cell for row in body for cell in row]
    usable = sum(_is_usable(cell) for cell in cells) / max(len(cells), 1)
    agreeing = sum(len(row) == width for row in rows) / len(rows)
    sure = agreeing == 1.0 and delimiter in _NEVER_IN_NUMBERS  # commas and spaces also stand within numbers: 1,000.00
    return round(agreeing * (0.01 + usable), 4) + sure


def _usual_width(rows: Sequence[Sequence[str]]) -> int:
    widths = [len(row) for row in rows]
    return max(set(widths), key=lambda w: (widths.count(w), w))


def _is_usable(cell: str) -> bool:
    cell = cell.strip()
    if is_number_text(cell) or _DECIMAL_COMMA.fullmatch(cell):
        return True
    return is_date_text(cell) or CLOCK_TEXT.fullmatch(cell) is not None


def _decimal_sign(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """A decimal comma needs another delimiter, cells written so, and no cell with a decimal point."""
    if delimiter == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    with_comma = any(_DECIMAL_COMMA.fullmatch(cell) for cell in cells)
    with_point = any("." in cell and number_in(cell) is not None for cell in cells)
    return "," if with_comma and not with_point else "."


def _has_header(rows: Sequence[Sequence[str]], decimal: str) -> bool:
    def is_text(cell: str) -> bool:
        return number_in(cell, decimal) is None and not is_date_text(cell) and not CLOCK_TEXT.fullmatch(cell.strip())

    first, body = rows[0], rows[1:]
    if all(is_text(cell) or not cell.strip() for cell in first) or _numbers_the_columns(first, body):
        return True
    return any(
        is_text(cell) and any(i < len(row) and _is_value(row[i]) for row in body) for i, cell in enumerate(first)
    ) and not (is_number_text(first[0]) and all(is_number_text(cell) for cell in first))


def _numbers_the_columns(first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """True for the header of a frame whose columns have no names: ",0,1", or "0,1" above numbers with decimals."""
    cells = [cell.strip() for cell in first]
    index = len(cells) > 1 and not cells[0]
    counted = cells[1:] if index else cells
    if counted != [str(i) for i in range(len(counted))] or not body:
        return False
    if index:
        return all(row[0].strip() for row in body if row)
    return len(counted) > 1 and all("." in cell for row in body for cell in row if cell.strip())


def find_start(sample: Sequence[str], dialect: Dialect) -> Start | None:
    """Find head lines above the table, units below the header, and a header without a cell for the first column.

    Rows begin where every column that is numbers or dates further down is so. None: the dialect's own view holds, as in
    any file whose first or second line is a row.
    """
    rows = _sample_rows(sample, dialect.delimiter)
    width = _usual_width(rows) if rows else 0
    body = [row for row in rows[len(rows) // 2 :] if len(row) == width]
    if width < 2 or len(rows) < 3 or not body:
        return None
    useful = [c for c in range(width) if sum(_is_usable(row[c]) for row in body) >= _USABLE_SHARE * len(body)]
    if not useful:
        return None

    def fits(row: Sequence[str]) -> bool:
        return len(row) == width and all(_is_usable(row[c]) for c in useful) and any(row[c].strip() for c in useful)

    passed = next((i for i in range(len(rows)) if all(map(fits, rows[i : i + 3]))), 0)
    if passed == 1:
        return _start_below_one_line(rows, width)
    if passed < 2:
        return None
    heads = [i for i in range(passed) if len(rows[i]) == width and not any(_is_value(cell) for cell in rows[i])]
    header = _header_among(rows, heads)
    if header is None:
        if any(len(row) >= width for row in rows[:passed]):
            return None
        return Start(passed, None, notes=(f"{passed} head lines above the rows skipped",))
    if (header == 0 and passed - header > 3) or any(i not in heads for i in range(header, passed)):
        return None
    below = passed - header - 1
    notes = (
        *([f"{header} head line{'s' * (header > 1)} above the table skipped"] if header else []),
        *([f"{below} line{'s' * (below > 1)} of text below the header skipped"] if below else []),
    )
    return Start(passed, header, notes=notes)


def _start_below_one_line(rows: Sequence[Sequence[str]], width: int) -> Start | None:
    first = rows[0]
    if len(first) == 1:
        return Start(1, None, notes=("1 head line above the rows skipped",))
    if len(first) == width - 1 and rows[1][-1].strip() and not any(_is_value(cell) for cell in first):
        leading = [row[0].strip() for row in rows[1:] if len(row) == width]
        counts = [number_in(cell) for cell in leading]
        rising = all(b is not None and a is not None and b == a + 1 for a, b in itertools.pairwise(counts))
        if rising or all(map(is_date_text, leading)):
            return Start(1, 0, 1, ("the header has no name for the first column",))
    return None


def _header_among(rows: Sequence[Sequence[str]], heads: Sequence[int]) -> int | None:
    """Choose the line that names the columns: one that names a clock, else the last one that is no line of units."""
    full = [i for i in heads if sum(bool(cell.strip()) for cell in rows[i]) >= max(2, len(rows[i]) - 1)]
    for i in full:
        if any(is_time_name(cell) for cell in rows[i]):
            return i
    for i in reversed(full):
        if i == full[0] or not all(_UNIT_CELL.fullmatch(cell.strip()) for cell in rows[i]):
            return i
    return None


def _is_value(cell: str) -> bool:
    return bool(cell.strip()) and cell.strip().lower() not in STATUS_WORDS and _is_usable(cell)


def _sample_rows(sample: Sequence[str], delimiter: str) -> list[list[str]]:
    """Split the sample; nothing where a cell is too long for any row of numbers."""
    try:
        return [row for row in _split(sample, delimiter) if row]
    except csv.Error:
        return []


def _split(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    if delimiter == " ":
        return (line.split() for line in lines)
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != "\t")
