"""Delimited text to a `Table`: decoding, delimiter, decimal comma, header, and cells with their line numbers.

The delimiter is the one of tab, semicolon, bar, comma and white space that splits the lines most evenly into cells that
are numbers or dates. Where the table begins and what its header is, `layout.py` finds. Read `table.py`
next: it decides what the columns mean.
"""

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from oddwave.errors import ConfigError, DataError
from oddwave.sources.bounded import Limits, open_file, unpacked
from oddwave.sources.series.cells import Column, Table, number_in
from oddwave.sources.series.columns import distinct_names
from oddwave.sources.series.exports import Block, Layout, metric_labels, recognise_export
from oddwave.sources.series.layout import Dialect, find_start, sniff_dialect
from oddwave.sources.series.writing import CellReader

__all__ = ["Dialect", "parse_text", "read_text_table", "sniff_dialect"]

_SAMPLE_LINES = 100
_SAMPLE_CHARS = 4_000_000
_MAX_LINE = 20_000_000  # characters; the longest real rows hold some 100,000 numbers
_MAX_COLUMNS = 100_000
_MAX_NAME = 200
_BLOCK_ROWS = 20_000
_CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1e]")


def read_text_table(
    path: Path,
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    raw: bytes | None = None,
) -> Table:
    """Read a delimited text file, gzipped or not; `raw` are its bytes where they were read already.

    Raises: DataError for a file that is missing, empty, binary, not UTF-8, ragged, or holds a header only.
    """
    if raw is None:
        with open_file(path, Limits()) as file:
            raw = unpacked(file, f"'{path}'", Limits())
    text, notes = _decode(raw, path)
    return parse_text(text, f"'{path}'", delimiter=delimiter, header=header, decimal=decimal, notes=notes)


def parse_text(
    text: str,
    origin: str,
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    notes: tuple[str, ...] = (),
) -> Table:
    """Read delimited text; leading lines that begin with # are comments, head lines above the table are passed over.

    `decimal` is the decimal sign, "." or ","; by default each column's own cells tell.
    Raises: DataError as `read_text_table`; ConfigError for a delimiter that is not one character, or another decimal
    sign.
    """
    if decimal not in (None, ".", ","):
        raise ConfigError(f"decimal is {decimal!r}: give '.' or ','")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")
    if (longest := max(map(len, lines))) > _MAX_LINE:
        number = next(i for i, line in enumerate(lines, 1) if len(line) == longest)
        raise DataError(
            f"{origin} line {number} has {longest} characters (at most {_MAX_LINE}): expected rows of numbers"
        )
    layout = recognise_export(lines) or Layout((Block(0, len(lines)),))
    tables = []
    for block in layout.blocks:
        names = _TextBlock(lines, block, origin, delimiter or layout.delimiter, header, decimal)
        tables.append(names.table())
    table = tables[0] if len(tables) == 1 else _joined(tables)
    columns = tuple(column for i, column in enumerate(table.columns) if not _is_dropped(column.name, i, layout.drop))
    labels = layout.labels if layout.labels is not None else metric_labels([column.name for column in columns])
    return replace(table, columns=columns, notes=notes + layout.notes + table.notes, labels=labels)


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


class _TextBlock:
    """One table among the lines of a text."""

    def __init__(
        self,
        lines: list[str],
        block: Block,
        origin: str,
        delimiter: str | None,
        header: bool | None,
        decimal: str | None,
    ) -> None:
        self.lines, self.block, self.origin = lines, block, origin
        body = itertools.islice(lines, block.start, block.stop)
        self.skip = block.start + sum(1 for _ in itertools.takewhile(_is_comment, body))
        sample = self._sample()
        if block.names is not None:
            header = False
        self.dialect = sniff_dialect(sample, delimiter, header)
        if decimal is not None:
            self.dialect = replace(self.dialect, decimal=decimal)
        self.decimal_given = decimal is not None
        start = find_start(sample, self.dialect) if header is None else None
        self.start = start
        if start is not None:
            self.dialect = replace(self.dialect, header=start.header is not None)

    def _sample(self) -> list[str]:
        sample: list[str] = []
        total = 0
        for line in itertools.islice(self.lines, self.skip, min(self.block.stop, self.skip + 4 * _SAMPLE_LINES)):
            if line.strip():
                sample.append(line)
                total += len(line)
            if len(sample) == _SAMPLE_LINES or total > _SAMPLE_CHARS:
                break
        if not sample:
            raise DataError(f"{self.origin} is empty: expected rows of numbers")
        return sample

    def table(self) -> Table:
        """Read the block. Raises: DataError for ragged rows, damaged quotes, or a header without rows."""
        rows = self._rows()
        notes: tuple[str, ...] = ()
        if self.start is not None:
            passed, header_row = self.start.passed, self.start.header
            for _ in range(passed if header_row is None else header_row):
                next(rows)
            notes = self.start.notes
        number, first = next(rows)
        if len(first) > _MAX_COLUMNS:
            raise DataError(
                f"{self.origin} line {number} has {len(first)} cells (at most {_MAX_COLUMNS}): name the delimiter"
            )
        if self.start is not None and self.start.header is not None:
            for _ in range(self.start.passed - self.start.header - 1):  # units below the header
                next(rows)
            first = [*[""] * self.start.unnamed_first, *first]
        if not self.dialect.header:
            rows = itertools.chain([(number, first)], rows)
        names, more = _names(self.block.names or first, self.dialect.header or self.block.names is not None)
        columns, numbers, still_more = self._columns(rows, names, first if self.dialect.header else None)
        if not numbers.size:
            raise DataError(f"{self.origin} holds a header and no rows: expected rows of numbers below it")
        notes = (*more, *notes, *still_more, *self._notes(columns))
        has_header = self.dialect.header or self.block.names is not None
        return Table(self.origin, columns, numbers, "line", has_header, notes)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (line number, cells) of every line that is not blank."""
        body = itertools.islice(self.lines, self.skip, self.block.stop)
        if self.dialect.delimiter == " ":
            yield from ((number, line.split()) for number, line in enumerate(body, self.skip + 1) if line.strip())
            return
        mark = self.dialect.delimiter
        reader = csv.reader((line + "\n" for line in body), delimiter=mark, skipinitialspace=mark != "\t", strict=True)
        before = 0
        try:
            for row in reader:
                if row and (len(row) > 1 or row[0].strip()):
                    yield self.skip + reader.line_num, row
                before = reader.line_num
        except csv.Error as error:
            what = "".join(char if char.isprintable() else "?" for char in str(error))
            hint = "mend the quotes there"
            if "unexpected end" in what:
                what = "a quote opened here is never closed"
            if "field limit" in what:
                what, hint = (
                    f"a cell of more than {csv.field_size_limit()} characters",
                    "mend the quotes or the delimiter",
                )
            raise DataError(f"{self.origin} line {self.skip + before + 1}: {what}: {hint}") from error

    def _columns(
        self, rows: Iterator[tuple[int, list[str]]], names: Sequence[str], header: list[str] | None
    ) -> tuple[tuple[Column, ...], np.ndarray, tuple[str, ...]]:
        """Parse the rows block by block, so that the text of a long file is not held twice as Python strings."""
        readers = [CellReader(self.dialect.decimal) for _ in names]
        lines: list[int] = []
        repeated = trailing = 0
        while block := list(itertools.islice(rows, _BLOCK_ROWS)):
            kept: list[list[str]] = []
            for number, row in block:
                if row == header:
                    repeated += 1
                    continue
                if len(row) > len(names) and not any(cell.strip() for cell in row[len(names) :]):
                    row = row[: len(names)]
                    trailing += 1
                if len(row) != len(names):
                    raise DataError(
                        f"{self.origin} line {number} has {len(row)} cell(s), expected {len(names)} like the first "
                        "line: mend that line, or name the delimiter"
                    )
                kept.append(row)
                lines.append(number)
            for reader, cells in zip(readers, zip(*kept, strict=True), strict=False):
                reader.add(cells)
        if not lines:
            return (), np.empty(0, dtype=np.int64), ()
        proven = any(reader.proves_decimal for reader in readers)
        columns = tuple(
            reader.column(name, fixed=self.decimal_given, proven=proven)
            for name, reader in zip(names, readers, strict=True)
        )
        notes = (
            *([f"{repeated} line(s) that repeat the header skipped"] if repeated else []),
            *([f"empty cells after the last column in {trailing} line(s) ignored"] if trailing else []),
        )
        return columns, np.array(lines, dtype=np.int64), notes

    def _notes(self, columns: Sequence[Column]) -> tuple[str, ...]:
        blank = sum(1 for line in itertools.islice(self.lines, self.skip, self.block.stop) if not line.strip())
        comments = sum(1 for line in itertools.islice(self.lines, self.block.start, self.skip) if line.strip())
        decimal = self.dialect.decimal == "," and not any("between thousands" in n for c in columns for n in c.notes)
        return (
            *(["numbers read with a decimal comma"] if decimal else []),
            *([f"{blank} blank line{'s' * (blank > 1)} skipped"] if blank else []),
            *([f"{comments} comment line{'s' * (comments > 1)} skipped"] if comments else []),
        )


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _is_dropped(name: str, index: int, drop: frozenset[str]) -> bool:
    return name in drop or ("" in drop and name == f"column_{index}")


def _names(first: Sequence[str], header: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name the columns by the header, or `column_0` and so on; a name that comes again gets a number.

    Control characters and line breaks in names become spaces, and very long names are cut: names are shown everywhere.
    """
    cells = [" ".join("".join(c if c.isprintable() else " " for c in cell).split())[:_MAX_NAME] for cell in first]
    named = [(cell if header else "") or f"column_{i}" for i, cell in enumerate(cells)]
    names, notes = distinct_names(named, "header")
    if header and any(number_in(cell) is not None and cell for cell in cells):
        notes += ("the first line holds text and numbers and was taken as the header",)
    return tuple(names), notes


def _joined(tables: Sequence[Table]) -> Table:
    """Put tables of one file below each other; a column that a table lacks is missing there."""
    names = list(dict.fromkeys(column.name for table in tables for column in table.columns))
    columns: list[Column] = []
    for name in names:
        numbers, text, offset = [], {}, 0
        notes: dict[str, None] = {}
        refusal = ""
        for table in tables:
            size = len(table.lines)
            own = next((column for column in table.columns if column.name == name), None)
            numbers.append(np.full(size, np.nan) if own is None else own.numbers)
            if own is not None:
                text.update({offset + row: cell for row, cell in own.text.items()})
                notes |= dict.fromkeys(own.notes)
                refusal = refusal or own.refusal
            offset += size
        columns.append(Column(name, np.concatenate(numbers), text, notes=tuple(notes), refusal=refusal))
    lines = np.concatenate([table.lines for table in tables])
    told = tuple(dict.fromkeys(note for table in tables for note in table.notes))
    return Table(tables[0].origin, tuple(columns), lines, "line", True, told)
