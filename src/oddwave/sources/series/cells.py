"""Cells, columns and tables as read, before anything is decided about them.

Read `writing.py` next: it settles how the numbers of a whole column are written.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

__all__ = [
    "BOOLEANS",
    "CLEANED",
    "MISSING_TEXT",
    "MIXED_CELLS",
    "STATUS_WORDS",
    "WITH_UNIT",
    "Column",
    "Table",
    "is_number_text",
    "number_in",
    "parse_cells",
]

MISSING_TEXT = frozenset({"", "na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", "#n/a", "<na>", "nat"})
BOOLEANS = {"true": 1.0, "false": 0.0}
# What monitoring systems and historians write in place of a value.
STATUS_WORDS = frozenset(
    [
        *("no data", "nodata", "no value", "undefined", "n.a.", "not available", "unavailable", "unknown", "missing"),
        *("bad", "bad input", "bad value", "i/o timeout", "timeout", "no result", "no sample", "pt created"),
        *("shutdown", "scan off", "configure", "calc failed", "over range", "under range", "error", "err", "fault"),
        *("invalid", "offline", "disconnected", "comm fail", "intf shut", "not connect", "#value!", "#ref!"),
        *("#div/0!", "#num!", "#null!", "#name?", "***", "---", "1.#qnan", "-1.#ind", "1.#ind", "nan(ind)"),
        *("-nan(ind)", "1.#inf", "-1.#inf"),
    ]
)
CLEANED = str.maketrans({"−": "-", "–": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'", "٬": ","})
WITH_UNIT = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<money>[$€£¥])?\s*(?P<body>\d(?:[\d.,']|\x20(?=\d{3}(?!\d)))*|[.,]\d+)"
    r"(?P<power>[eE][+-]?\d+)?\s*"
    r"(?P<unit>[A-Za-zµμΩ°%‰€$£¥]+(?:[23²³]|\^-?\d)?(?:[/·*][A-Za-zµμΩ°%]+(?:[23²³]|\^-?\d)?)*"
    r"(?:\x20[A-Za-z/][A-Za-z/]*)?)?"
)
MIXED_CELLS = 100


@dataclass(frozen=True, eq=False)
class Column:
    """One column: `numbers` with NaN where a cell is no number; `text` keeps the cells that are text, by row.

    `times` is set where the source already knows the column as times (datetime64[ns], NaT where missing), `timezone`
    where it knows their zone. `refusal` says why the column cannot be read as numbers, for whoever wants it.
    """

    name: str
    numbers: Float[np.ndarray, " R"]
    text: Mapping[int, str] = field(default_factory=dict)
    times: np.ndarray | None = None
    timezone: str | None = None
    notes: tuple[str, ...] = ()
    refusal: str = ""

    @property
    def is_empty(self) -> bool:
        """True where no cell holds anything."""
        return not self.text and self.times is None and bool(np.isnan(self.numbers).all())

    @property
    def is_text(self) -> bool:
        """True for a column of words (categories, names): more text than numbers, and not all of it true or false."""
        if len(self.text) <= int((~np.isnan(self.numbers)).sum()):
            return False
        return not {cell.lower() for cell in self.text.values()} <= set(BOOLEANS)

    def take(self, rows: Int[np.ndarray, " r"]) -> "Column":
        """Return the column of these rows only."""
        place = {int(row): i for i, row in enumerate(rows)} if self.text else {}
        text = {place[row]: cell for row, cell in self.text.items() if row in place}
        times = None if self.times is None else self.times[rows]
        return Column(self.name, self.numbers[rows], text, times, self.timezone, self.notes, self.refusal)


@dataclass(frozen=True, eq=False)
class Table:
    """Columns as read, before anything is decided about them; `origin` and `row_name` are for messages.

    `labels` names the columns that an export is known to use for telling its series apart.
    """

    origin: str
    columns: tuple[Column, ...]
    lines: Int[np.ndarray, " R"]  # what a message calls each row: its line in a file, its position in a frame
    line_word: str = "line"
    has_header: bool = True
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def row_name(self, row: int) -> str:
        """Return how to call a row in a message, such as 'line 7'."""
        return f"{self.line_word} {int(self.lines[row])}"


def number_in(cell: str, decimal: str = ".") -> float | None:
    """Return the cell's number, NaN for a missing one, None for text."""
    cell = cell.strip()
    if cell.lower() in MISSING_TEXT:
        return float("nan")
    if "_" in cell:  # Python would read 1_2 as 12
        return None
    if decimal == ",":
        if "." in cell:
            return None
        cell = cell.replace(",", ".")
    try:
        return float(cell)
    except ValueError:
        return None


def is_number_text(cell: str) -> bool:
    """Return whether a cell is a number in any writing, with or without a unit, or stands for one that is missing."""
    if number_in(cell) is not None:
        return True
    cell = cell.strip()
    if cell.lower() in STATUS_WORDS:
        return True
    return len(cell) < MIXED_CELLS and WITH_UNIT.fullmatch(cell.translate(CLEANED)) is not None


def parse_cells(cells: Sequence[str], decimal: str = ".") -> tuple[Float[np.ndarray, " n"], dict[int, str]]:
    """Return the cells' numbers (NaN where there is none) and the cells that are text, by position."""
    if not any("_" in cell for cell in cells) and (decimal == "." or not any("." in cell for cell in cells)):
        plain = cells if decimal == "." else [cell.replace(",", ".") for cell in cells]
        try:
            return np.array(plain, dtype=np.float64), {}
        except ValueError:
            pass
    numbers = [number_in(cell, decimal) for cell in cells]
    text = {i: cells[i].strip() for i, number in enumerate(numbers) if number is None}
    return np.array([np.nan if number is None else number for number in numbers], dtype=np.float64), text
