"""Lines to rows: CSV with a header, or one JSON object per line, whichever the first line is.

A line that is no row is told of, counted and passed over; a cell that is no number counts as not measured. What a
header or an object holds beside the model's channels is left out.
"""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oddwave.errors import DataError
from oddwave.sources.series.cells import MISSING_TEXT, STATUS_WORDS, number_in
from oddwave.sources.series.columns import listed_names
from oddwave.sources.series.dates import is_date_text, parse_numeric_times, parse_text_times
from oddwave.sources.series.items import has_names, place_of
from oddwave.watch.telling import Teller

__all__ = ["Row", "RowReader"]

_TIME_NAMES = ("timestamp", "time", "datetime", "date", "ts", "@timestamp", "date_time", "when", "_time")
_DELIMITERS = ",;\t|"
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Row:
    """One row: whose it is, its values in the model's order, and when, in nanoseconds; None where it has no time."""

    series: str
    values: tuple[float, ...]
    time: int | None


class RowReader:
    """Reads the lines of one source; `series` is the column that says whose a row is, None: all are of one."""

    def __init__(
        self,
        channels: Sequence[str],
        teller: Teller,
        *,
        timestamp: str | None = None,
        series: str | None = None,
        delimiter: str | None = None,
        decimal: str | None = None,
        day_first: bool | None = None,
        header: bool = True,
        name: str = "stream",
    ) -> None:
        self.channels, self.teller, self.name = tuple(channels), teller, name
        self.timestamp, self.series = timestamp, series
        self.delimiter = "\t" if delimiter == "tab" else delimiter
        self.decimal, self.day_first, self.with_header = decimal, day_first, header
        self.columns: list[str] | None = None  # of CSV
        self._places: list[int | None] = []
        self._time: int | None = None
        self._whose: int | None = None
        self._new_file = True

    def begin_file(self) -> None:
        """Expect that the next line may be a header."""
        self._new_file = True

    def read(self, lines: Iterable[bytes]) -> list[Row]:
        """Return the rows of the next lines, in order. Raises: DataError for a first header without the channels."""
        found: list[tuple[str, tuple[float, ...], Any]] = []
        for raw in lines:
            line = raw.decode("utf-8-sig", errors="replace").strip("\r\n")
            if not line.strip():
                continue
            if line.lstrip().startswith("{"):
                row = self._of_object(line)
            elif self._is_header(line):
                continue
            else:
                row = self._of_cells(line)
            if row is not None:
                found.append(row)
        times = self._times([when for _, _, when in found])
        return [Row(whose, values, time) for (whose, values, _), time in zip(found, times, strict=True)]

    def of_mapping(self, given: Mapping[str, Any]) -> tuple[str, tuple[float, ...], Any] | None:
        """Return the row that names and values make up, or None where they are none."""
        names = list(given)
        clock, whose = self._clock_of(names), self._whose_of(names)
        places = [place_of(channel, names) for channel in self.channels]
        if all(place is None for place in places):
            others = [place for place in range(len(names)) if place not in (clock, whose)]
            if has_names(self.channels) or len(others) != len(self.channels):
                told = f"expected {listed_names(self.channels)}"
                self.teller.fault(
                    "columns", f"a row has none of the model's channels, but {listed_names(names)}: {told}"
                )
                return None
            places = list(others)
        self._tell_lacking([c for c, place in zip(self.channels, places, strict=True) if place is None])
        values = tuple(math.nan if place is None else self._number(given[names[place]]) for place in places)
        return self._series_name(whose, given[names[whose]] if whose is not None else None), values, (
            None if clock is None else given[names[clock]]
        )  # fmt: skip

    def _of_object(self, line: str) -> tuple[str, tuple[float, ...], Any] | None:
        try:
            given = json.loads(line)
        except (ValueError, RecursionError) as error:
            self.teller.fault("json", f"a line is no JSON ({error}): {line[:_SHOWN]!r}, passed over")
            return None
        return self.of_mapping(given)

    def _of_cells(self, line: str) -> tuple[str, tuple[float, ...], Any] | None:
        try:
            cells = next(csv.reader([line], delimiter=self.delimiter or ","))
        except (csv.Error, StopIteration) as error:
            self.teller.fault("csv", f"a line is no CSV ({error}): {line[:_SHOWN]!r}, passed over")
            return None
        assert self.columns is not None
        if len(cells) != len(self.columns):
            told = f"a line has {len(cells)} cells, the header {len(self.columns)}: {line[:_SHOWN]!r}, passed over"
            self.teller.fault("cells", told)
            return None
        values = tuple(math.nan if place is None else self._number(cells[place]) for place in self._places)
        whose = self._series_name(self._whose, None if self._whose is None else cells[self._whose])
        return whose, values, None if self._time is None else cells[self._time]

    def _is_header(self, line: str) -> bool:
        """Take a line as the header, where one may stand here."""
        if not self._new_file and self.columns is not None:
            return False
        self._new_file = False
        if self.delimiter is None:
            self.delimiter = max(_DELIMITERS, key=line.count) if any(d in line for d in _DELIMITERS) else ","
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=self.delimiter), [])]
        named = self.with_header and not all(self._is_value(cell) for cell in cells)
        if self.columns is not None and not named:
            return False  # a file that goes on without saying the header again
        self._take_columns(cells if named else [f"column_{n}" for n in range(len(cells))], cells)
        return named

    def _take_columns(self, names: list[str], cells: Sequence[str]) -> None:
        first = self.columns is None
        clock = self._clock_of(names)
        if clock is None and names != list(cells):
            clock = next((n for n, cell in enumerate(cells) if is_date_text(cell)), None)
        whose = self._whose_of(names)
        places = [place_of(channel, names) for channel in self.channels]
        others = [n for n in range(len(names)) if n not in (clock, whose)]
        nameless = names != list(cells) or not has_names(self.channels)
        if any(place is None for place in places) and nameless and len(others) == len(self.channels):
            places = list(others)
        lacking = [c for c, place in zip(self.channels, places, strict=True) if place is None]
        for option, column, place in (("timestamp", self.timestamp, clock), ("series", self.series, whose)):
            if column is not None and place is None and first:
                raise DataError(f"{option}={column!r} is none of the columns of '{self.name}': {listed_names(names)}")
        if lacking and first:
            raise DataError(
                f"'{self.name}' has the columns {listed_names(names)}, the model's channels are "
                f"{listed_names(self.channels)}: give data with these columns, under these names"
            )
        self._tell_lacking(lacking)
        self.columns, self._places, self._time, self._whose = names, places, clock, whose

    def _clock_of(self, names: Sequence[str]) -> int | None:
        if self.timestamp is not None:
            return _named(self.timestamp, names)
        like = [n for n, name in enumerate(names) if name.strip().casefold() in _TIME_NAMES]
        free = [n for n in like if place_of(names[n], self.channels) is None]
        return free[0] if free else None

    def _whose_of(self, names: Sequence[str]) -> int | None:
        return None if self.series is None else _named(self.series, names)

    def _series_name(self, place: int | None, cell: Any) -> str:
        return self.name if place is None or cell is None else str(cell)[:200].strip() or self.name

    def _tell_lacking(self, lacking: Sequence[str]) -> None:
        if lacking:
            self.teller.fault("lacking", f"a row lacks {listed_names(lacking)}: taken as not measured")

    @staticmethod
    def _is_value(cell: str) -> bool:
        return cell.casefold() in MISSING_TEXT or is_date_text(cell) or not math.isnan(_plain(cell))

    def _number(self, cell: Any) -> float:
        """Return a cell as a number; NaN for a missing one, and for what is none, which is told of."""
        if cell is None:
            return math.nan
        if isinstance(cell, bool | int | float):
            try:
                return float(cell)
            except OverflowError:
                return math.nan
        if not isinstance(cell, str):
            self.teller.fault("number", f"a value is {str(cell)[:_SHOWN]!r}, no number: taken as not measured")
            return math.nan
        text = cell.strip()
        comma = self.decimal == "," or (self.decimal is None and self.delimiter == ";" and "," in text)
        number = _plain(text, "," if comma else ".")
        if math.isnan(number) and text.casefold() not in MISSING_TEXT and text.casefold() not in STATUS_WORDS:
            self.teller.fault("number", f"a cell is {cell[:_SHOWN]!r}, no number: taken as not measured")
        return number

    def _times(self, cells: Sequence[Any]) -> list[int | None]:
        """Return times in nanoseconds, NaT's number where a cell is none; None where rows have no time column."""
        lost = int(np.datetime64("NaT", "ns").astype(np.int64))
        found: list[int | None] = [None if cell is None else lost for cell in cells]
        numbers = {n: _plain(str(cell)) for n, cell in enumerate(cells) if cell is not None}
        epoch = [n for n, number in numbers.items() if math.isfinite(number)]
        texts = [n for n, number in numbers.items() if not math.isfinite(number)]
        if epoch:
            read = parse_numeric_times(np.array([numbers[n] for n in epoch]), elapsed=True)
            stamps = read.times if read else np.full(len(epoch), np.datetime64("NaT", "ns"))
            found = _placed(found, epoch, stamps)
        if texts:
            read = parse_text_times([str(cells[n]) for n in texts], self.day_first)
            self.day_first = read.day_first if self.day_first is None else self.day_first
            found = _placed(found, texts, read.times)
        return found

    def state(self) -> dict[str, Any]:
        """Return what was learnt of the lines, as JSON values."""
        return {"columns": self.columns, "delimiter": self.delimiter, "day_first": self.day_first}

    def restore(self, known: Mapping[str, Any]) -> None:
        """Undo `state`."""
        self.delimiter, self.day_first = known["delimiter"], known["day_first"]
        if known["columns"] is not None:
            self._take_columns(list(known["columns"]), list(known["columns"]))
            self._new_file = False


def _named(column: str, names: Sequence[str]) -> int | None:
    """Return the place of a column that is given by its name, or by its number from 0."""
    place = place_of(column, names)
    return int(column) if place is None and column.isdecimal() and int(column) < len(names) else place


def _plain(text: str, decimal: str = ".") -> float:
    number = number_in(text, decimal)
    return math.nan if number is None else number


def _placed(found: list[int | None], places: Sequence[int], times: np.ndarray) -> list[int | None]:
    for place, time in zip(places, times.astype("datetime64[ns]").astype(np.int64).tolist(), strict=True):
        found[place] = time
    return found
