"""Cells to numbers, as people and programs write them: separators, units, percent, words that mean "no value".

How a number is written is decided for a whole column: 1.001 among 998 and 1.024 is a thousand and one. Read
`units.py` for units, then `table.py`: it decides what the columns mean.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from oddwave.sources.series.cells import BOOLEANS, CLEANED, MIXED_CELLS, STATUS_WORDS, WITH_UNIT, Column, parse_cells
from oddwave.sources.series.dates import CLOCK_TEXT, is_date_text
from oddwave.sources.series.units import common_scale

__all__ = ["CellReader", "cells_column"]

_FEW_WORDS = 0.2  # of the filled cells: words up to this share stand for missing values, more of them are a mistake
_MOST_KINDS_OF_WORDS = 10
_MOST_UNITS = 20
_GROUP_OF_THREE = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")  # 1,001 and 1.001, which may be a thousand and one
_STAND_INS = frozenset({1.0, 9.0, 99.0, 999.0, 9999.0, 99999.0, 888.0})  # -999 and the like, for a missing value
_WRITINGS = ((".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))  # decimal sign, thousands sign


def cells_column(name: str, cells: Sequence[str], decimal: str = ".") -> Column:
    """Read one column of cells; see `CellReader`."""
    reader = CellReader(decimal)
    reader.add(cells)
    return reader.column(name, fixed=False)


class CellReader:
    """One column, read block by block: numbers at once, all other cells kept as text until the whole column is known.

    `proves_decimal` is true once a cell uses the decimal sign in a way that a thousands sign could not be used.
    """

    def __init__(self, decimal: str = ".") -> None:
        self.decimal = decimal
        self.proves_decimal = False
        self._numbers: list[Float[np.ndarray, " b"]] = []
        self._grouped: list[Bool[np.ndarray, " b"]] = []  # cells such as 1.001, until a cell proves the decimal sign
        self._text: dict[int, str] = {}
        self._count = 0

    def add(self, cells: Sequence[str]) -> None:
        """Read the next cells."""
        numbers, text = parse_cells(cells, self.decimal)
        if not self.proves_decimal:
            grouped = np.fromiter((self.decimal in cell for cell in cells), bool, len(cells))
            grouped[list(text)] = False
            self._grouped.append(grouped)
            self.proves_decimal = not all(
                _GROUP_OF_THREE.fullmatch(cells[i].strip()) for i in np.flatnonzero(grouped).tolist()
            )
        self._numbers.append(numbers)
        self._text.update({self._count + position: cell for position, cell in text.items()})
        self._count += len(cells)

    def column(self, name: str, *, fixed: bool, proven: bool = False) -> Column:
        """Return the column; `fixed` takes the decimal sign as given, `proven` says that other columns prove it."""
        numbers = np.concatenate(self._numbers)
        settled = fixed or proven or self.proves_decimal
        grouped = np.zeros(len(numbers), dtype=bool) if settled else np.concatenate(self._grouped)
        if not self._text and (not grouped.any() or (self.decimal == "." and grouped.all())):
            return Column(name, numbers)
        return _Writing(name, numbers, self._text, grouped, self.decimal, settled).column()


@dataclass(frozen=True, eq=False)
class _Spelled:
    """The cells of a column that are numbers in some writing: their rows, number parts and units."""

    rows: list[int]
    bodies: list[str]
    units: list[str]


class _Writing:
    """Decides how one column's numbers are written; `grouped` marks the plain numbers that may be thousands."""

    def __init__(
        self,
        name: str,
        numbers: Float[np.ndarray, " R"],
        text: dict[int, str],
        grouped: Bool[np.ndarray, " R"],
        decimal: str,
        settled: bool,
    ) -> None:
        self.name, self.numbers, self.text, self.grouped = name, numbers, text, grouped
        self.decimal, self.settled = decimal, settled

    def column(self) -> Column:
        some = list(itertools.islice(self.text.values(), MIXED_CELLS))
        if some and sum(is_date_text(c) or CLOCK_TEXT.fullmatch(c) is not None for c in some) > len(some) / 2:
            return Column(self.name, self.numbers, self.text)
        status, spelled, words = self._sorted_out()
        values, notes, refusal = self._values(spelled)
        if values is None:  # numbers of no common scale, names such as 3A: text like any other
            words |= {row: self.text[row] for row in spelled.rows}
        else:
            self.numbers = values
        left, more = self._without_words(status, words)
        return Column(self.name, self.numbers, left, notes=notes + more, refusal=refusal)

    def _sorted_out(self) -> tuple[dict[int, str], _Spelled, dict[int, str]]:
        status: dict[int, str] = {}
        words: dict[int, str] = {}
        spelled = _Spelled([], [], [])
        for row, cell in self.text.items():
            found = WITH_UNIT.fullmatch(cell.translate(CLEANED)) if len(cell) < MIXED_CELLS else None
            if cell.lower() in STATUS_WORDS:
                status[row] = cell
            elif found is not None:
                spelled.rows.append(row)
                spelled.bodies.append(found["sign"] + found["body"].rstrip() + (found["power"] or ""))
                spelled.units.append((found["money"] or "") + (found["unit"] or ""))
            else:
                words[row] = cell
        return status, spelled, words

    def _values(self, spelled: _Spelled) -> tuple[Float[np.ndarray, " R"] | None, tuple[str, ...], str]:
        """Return the numbers with the spelled ones among them, None where these have no common scale."""
        if not spelled.rows and not self.grouped.any():
            return self.numbers, (), ""
        units = set(spelled.units)
        scale = common_scale(units - {""}) if len(units) <= _MOST_UNITS and units - {""} else ({}, "")
        if scale is None or len(units) > _MOST_UNITS:
            return None, (), ""
        readings: dict[tuple[str, str], Float[np.ndarray, " R"]] = {}
        for writing in self._possible_writings():
            read = _in_writing(spelled.bodies, *writing)
            if read is not None:
                values = self.numbers.copy()
                values[spelled.rows] = read
                if writing[1] == self.decimal:
                    values[self.grouped] = np.rint(values[self.grouped] * 1000)
                readings[writing] = values
        if not readings:
            return None, (), ""
        writing, refusal = self._chosen(readings, spelled)
        values = readings[writing]
        notes = self._writing_notes(writing, readings)
        factors, base = scale
        if units - {""}:
            plain = int((~np.isnan(self.numbers) & (self.numbers != 0)).sum()) + spelled.units.count("")
            if plain and base:
                if plain > len(spelled.rows) - spelled.units.count(""):
                    return None, (), ""
                refusal = f"holds numbers with a unit ({sorted(units - {''})[0]}) and without one: write all in one way"
            values[spelled.rows] *= np.array([factors.get(unit, 1.0) for unit in spelled.units])
            told = ", ".join(sorted(units - {""}))
            notes += (f"column '{self.name}' is written with units ({told})" + (f": read in {base}" if base else ""),)
        return values, notes, refusal

    def _possible_writings(self) -> list[tuple[str, str]]:
        if not self.settled:
            return list(_WRITINGS)
        return [writing for writing in _WRITINGS if writing[0] == self.decimal]

    def _chosen(
        self, readings: dict[tuple[str, str], Float[np.ndarray, " R"]], spelled: _Spelled
    ) -> tuple[tuple[str, str], str]:
        """Return the writing that fits, and why the column is refused where two of them fit and differ."""
        first = next(iter(readings))
        if self.decimal == "," and (",", ".") in readings:
            first = (",", ".")
        rivals = [w for w, v in readings.items() if not np.array_equal(v, readings[first], equal_nan=True)]
        if not rivals:
            return first, ""
        marked = self.grouped.copy()
        marked[
            [row for row, body in zip(spelled.rows, spelled.bodies, strict=True) if _GROUP_OF_THREE.fullmatch(body)]
        ] = True
        large, small = sorted((first, rivals[0]), key=lambda w: -float(np.nansum(np.abs(readings[w]))))
        decision = _is_thousands(readings[large], readings[small], marked)
        if decision is None and small[0] == "." and not spelled.rows:
            decision = False  # three decimals throughout, with a point, are what programs write
        if decision is None:
            row = int(np.flatnonzero(marked)[0])
            cell = self.text.get(row, f"{self.numbers[row]:.3f}".replace(".", self.decimal))
            return small, (
                f"holds numbers such as {cell}, which may be {readings[large][row]:g} or {readings[small][row]:g}: say "
                "which with decimal=',' or decimal='.'"
            )
        return (large if decision else small), ""

    def _writing_notes(
        self, writing: tuple[str, str], readings: dict[tuple[str, str], Float[np.ndarray, " R"]]
    ) -> tuple[str, ...]:
        others = [w for w in readings if w[0] == writing[0] and w != writing]
        if any(np.array_equal(readings[w], readings[writing], equal_nan=True) for w in others):
            return ()  # no thousands sign in it
        if writing[1] == " ":
            return (f"column '{self.name}' is read with spaces between thousands",)
        return (f"column '{self.name}' is read with '{writing[1]}' between thousands and '{writing[0]}' for decimals",)

    def _without_words(self, status: dict[int, str], words: dict[int, str]) -> tuple[dict[int, str], tuple[str, ...]]:
        """Return the cells that stay text, and notes on the words that count as missing."""
        if {cell.lower() for cell in words.values()} <= set(BOOLEANS) and words:
            return {**status, **words}, ()
        known = int((~np.isnan(self.numbers)).sum())
        kinds = set(words.values())
        few = len(words) <= _FEW_WORDS * (known + len(words)) and len(kinds) <= _MOST_KINDS_OF_WORDS
        if words and not (few and all(_is_word(cell) for cell in kinds)):
            return ({**status, **words} if len(words) > known else words), ()
        missing = {**status, **words}
        if not missing:
            return {}, ()
        told = ", ".join(repr(cell[:30]) for cell in sorted(set(missing.values()))[:5])
        return {}, (f"column '{self.name}': {len(missing)} cell(s) without a number taken as missing ({told})",)


def _is_word(cell: str) -> bool:
    """True for a word; a cell with a digit in it is more likely a number mistyped, or a name."""
    return not any(c.isdigit() for c in cell) and any(c.isalpha() for c in cell) and not is_date_text(cell)


def _in_writing(bodies: Sequence[str], decimal: str, thousands: str) -> list[float] | None:
    """Read the number parts in one writing; None where one of them is not written so."""
    d, t = re.escape(decimal), re.escape(thousands)
    shape = re.compile(rf"[+-]?(?:\d{{1,3}}(?:{t}\d{{3}})+|\d+|(?={d}\d))(?:{d}\d*)?(?:[eE][+-]?\d+)?")
    numbers: list[float] = []
    for body in bodies:
        if not shape.fullmatch(body):
            return None
        numbers.append(float(body.replace(thousands, "").replace(decimal, ".")))
    return numbers


def _is_thousands(
    large: Float[np.ndarray, " R"], small: Float[np.ndarray, " R"], marked: Bool[np.ndarray, " R"]
) -> bool | None:
    """Return whether cells such as 1.001 are thousands, by the numbers without a sign; None where these do not tell.

    Thousands have unsigned numbers of up to 999 beside them, near in size; a number of four digits without a sign, or
    one that is far from its neighbours as a thousand, speaks for decimals.
    """
    plain = ~marked & ~np.isnan(large) & (large != 0)
    unsigned = np.abs(large[plain])
    only = np.unique(unsigned)
    if not only.size or (unsigned != np.rint(unsigned)).any() or (len(only) == 1 and only[0] in _STAND_INS):
        return None
    if (unsigned >= 1000).any():
        return False
    rows = np.flatnonzero((plain | marked) & (large != 0) & ~np.isnan(large))
    meets = np.flatnonzero(marked[rows][1:] != marked[rows][:-1])
    far = [np.abs(np.diff(np.log(np.abs(values[rows]))))[meets] for values in (large, small)]
    nearer = float(np.median(far[0])) < float(np.median(far[1]))
    return True if nearer else None
