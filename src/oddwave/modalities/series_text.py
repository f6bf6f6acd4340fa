"""Delimited text to a `Table`: decoding, delimiter, decimal comma, header, and cells with their line numbers.

The delimiter is the one of tab, semicolon, bar, comma and white space that splits the lines most evenly into cells that
are numbers or dates. Read `series_table.py` next: it decides what the columns mean.
"""

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from oddwave.errors import ConfigError, DataError
from oddwave.modalities.series_dates import CLOCK_TEXT, is_date_text
from oddwave.modalities.series_table import Column, Table, number_in, parse_cells
from oddwave.modalities.source_bytes import Limits, open_file, unpacked

__all__ = ["Dialect", "parse_text", "read_text_table", "sniff_dialect"]

_DELIMITERS = ("\t", ";", "|", ",", " ")  # in this order where several fit equally well; " " is any white space
_SPELLED = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";", "bar": "|", "space": " ", "whitespace": " "}
_NO_DELIMITER = "\x1f"  # for files of one column
_SAMPLE_LINES = 100
_BLOCK_ROWS = 20_000
_CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1e]")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Dialect:
    """How a file is written: the delimiter (" " is any white space), the decimal sign, whether a header comes first."""

    delimiter: str
    decimal: str
    header: bool


def read_text_table(
    path: Path, *, delimiter: str | None = None, header: bool | None = None, raw: bytes | None = None
) -> Table:
    """Read a delimited text file, gzipped or not; `raw` are its bytes where they were read already.

    Raises: DataError for a file that is missing, empty, binary, not UTF-8, ragged, or holds a header only.
    """
    if raw is None:
        with open_file(path, Limits()) as file:
            raw = unpacked(file, f"'{path}'", Limits())
    text, notes = _decode(raw, path)
    return parse_text(text, f"'{path}'", delimiter=delimiter, header=header, notes=notes)


def parse_text(
    text: str, origin: str, *, delimiter: str | None = None, header: bool | None = None, notes: tuple[str, ...] = ()
) -> Table:
    """Read delimited text; leading lines that begin with # are comments.

    Raises: DataError as `read_text_table`; ConfigError for a delimiter that is not one character.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")
    skip = sum(1 for _ in itertools.takewhile(lambda line: not line.strip() or line.lstrip().startswith("#"), lines))
    sample = [line for line in itertools.islice(lines, skip, skip + 4 * _SAMPLE_LINES) if line.strip()][:_SAMPLE_LINES]
    if not sample:
        raise DataError(f"{origin} is empty: expected rows of numbers")
    dialect = sniff_dialect(sample, delimiter, header)
    rows = _rows(lines, skip, dialect.delimiter, origin)
    number, first = next(rows)
    if not dialect.header:
        rows = itertools.chain([(number, first)], rows)
    names, more = _names(first, dialect.header)
    columns, numbers = _columns(rows, names, dialect.decimal, origin)
    if not numbers.size:
        raise DataError(f"{origin} holds a header and no rows: expected rows of numbers below it")
    return Table(origin, columns, numbers, "line", dialect.header, notes + more + _dialect_notes(dialect, lines, skip))


def _decode(raw: bytes, path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the text; Latin-1 is accepted where only the first line (a header with units) is not UTF-8."""
    if not raw.strip():
        raise DataError(f"'{path}' is empty: expected rows of numbers")
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return raw.decode("utf-16"), ()
        except UnicodeDecodeError as error:
            raise DataError(f"'{path}' is damaged UTF-16 text ({error.reason}): save it as UTF-8") from error
    if _CONTROL_BYTES.search(raw):
        raise DataError(
            f"'{path}' is a binary file: expected text (CSV, TSV), Parquet, NPY or NPZ with its usual ending"
        )
    try:
        return raw.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        head, newline, body = raw.partition(b"\n")
        if line == 1 and newline:
            try:
                return head.decode("latin-1") + "\n" + body.decode("utf-8"), ("header is not UTF-8: read as Latin-1",)
            except UnicodeDecodeError as later:
                line = 2 + body.count(b"\n", 0, later.start)
        raise DataError(f"'{path}' line {line} is not UTF-8 text: save the file as UTF-8") from error


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
    rows = list(_split(sample, delimiter, strict=False))
    decimal = _decimal_sign(rows[1:] or rows, delimiter)
    return Dialect(delimiter, decimal, _has_header(rows, decimal) if header is None else header)


def _fit_of(sample: Sequence[str], delimiter: str) -> float:
    """Score a delimiter: the share of lines split into the same number (two or more) of cells, times usable cells."""
    rows = list(_split(sample, delimiter, strict=False))
    widths = [len(row) for row in rows]
    width = max(set(widths), key=lambda w: (widths.count(w), w))
    if width < 2:
        return 0.0
    body = rows[1:] or rows
    cells = [cell for row in body for cell in row]
    usable = sum(_is_usable(cell) for cell in cells) / max(len(cells), 1)
    return round(widths.count(width) / len(widths) * (0.01 + usable), 4)


def _is_usable(cell: str) -> bool:
    cell = cell.strip()
    if number_in(cell) is not None or _DECIMAL_COMMA.fullmatch(cell):
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
    if all(is_text(cell) or not cell.strip() for cell in first):
        return True
    return any(
        is_text(cell) and any(i < len(row) and not is_text(row[i]) for row in body) for i, cell in enumerate(first)
    )


def _split(lines: Iterable[str], delimiter: str, strict: bool) -> Iterator[list[str]]:
    if delimiter == " ":
        return (line.split() for line in lines)
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != "\t", strict=strict)


def _rows(lines: list[str], skip: int, delimiter: str, origin: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of every line that is not blank."""
    body = itertools.islice(lines, skip, None)
    if delimiter == " ":
        yield from ((number, line.split()) for number, line in enumerate(body, skip + 1) if line.strip())
        return
    reader = csv.reader(
        (line + "\n" for line in body), delimiter=delimiter, skipinitialspace=delimiter != "\t", strict=True
    )
    try:
        for row in reader:
            if row and (len(row) > 1 or row[0].strip()):
                yield skip + reader.line_num, row
    except csv.Error as error:
        raise DataError(f"{origin} line {skip + reader.line_num}: {error}: mend the quotes there") from error


def _names(first: Sequence[str], header: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name the columns by the header, or `column_0` and so on; a name that comes again gets a number."""
    names: list[str] = []
    repeated: list[str] = []
    for i, cell in enumerate(first):
        name = (cell.strip() if header else "") or f"column_{i}"
        if name in names:
            repeated.append(name)
            name = next(f"{name}_{k}" for k in itertools.count(2) if f"{name}_{k}" not in (*names, *first))
        names.append(name)
    notes: tuple[str, ...] = ()
    if repeated:
        notes = (f"column names repeated in the header were numbered: {', '.join(repeated)}",)
    if header and any(number_in(cell) is not None and cell.strip() for cell in first):
        notes += ("the first line holds text and numbers and was taken as the header",)
    return tuple(names), notes


def _columns(
    rows: Iterator[tuple[int, list[str]]], names: Sequence[str], decimal: str, origin: str
) -> tuple[tuple[Column, ...], np.ndarray]:
    """Parse the rows block by block, so that the text of a long file is not held twice as Python strings."""
    parts: list[list[Float[np.ndarray, " b"]]] = [[] for _ in names]
    texts: list[dict[int, str]] = [{} for _ in names]
    lines: list[int] = []
    while block := list(itertools.islice(rows, _BLOCK_ROWS)):
        for number, row in block:
            if len(row) != len(names):
                raise DataError(
                    f"{origin} line {number} has {len(row)} cell(s), expected {len(names)} like the first line: mend "
                    "that line, or name the delimiter"
                )
        for i, cells in enumerate(zip(*(row for _, row in block), strict=True)):
            numbers, text = parse_cells(cells, decimal)
            parts[i].append(numbers)
            texts[i].update({len(lines) + position: cell for position, cell in text.items()})
        lines.extend(number for number, _ in block)
    if not lines:
        return (), np.empty(0, dtype=np.int64)
    columns = tuple(Column(n, np.concatenate(p), t) for n, p, t in zip(names, parts, texts, strict=True))
    return columns, np.array(lines, dtype=np.int64)


def _dialect_notes(dialect: Dialect, lines: Sequence[str], skip: int) -> tuple[str, ...]:
    blank = sum(1 for line in itertools.islice(lines, skip, None) if not line.strip())
    comments = sum(1 for line in itertools.islice(lines, skip) if line.strip())
    return (
        *(["numbers read with a decimal comma"] if dialect.decimal == "," else []),
        *([f"{blank} blank line{'s' * (blank > 1)} skipped"] if blank else []),
        *([f"{comments} comment line{'s' * (comments > 1)} skipped"] if comments else []),
    )
