"""Text and numbers to points in time: ISO and day-month-year dates, epoch seconds to nanoseconds, compact dates.

Times with a zone become UTC; times without one stay on the file's own clock. Read `series_table.py` next: it decides
which column is the clock.
"""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from oddwave.errors import MissingExtraError

__all__ = ["CLOCK_TEXT", "is_date_text", "parse_numeric_times", "parse_text_times"]

# A time of day alone, as in files with one column for the date and one for the time.
CLOCK_TEXT = re.compile(r"\d{1,2}:\d{2}(:\d{2}([.,]\d{1,9})?)?\s*([AaPp][Mm])?")
_DATE_TEXT = re.compile(
    r"""(?:(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})
         |(?P<first>\d{1,2})[-/.](?P<second>\d{1,2})[-/.](?P<late_year>\d{4}))
        (?:[T ,]\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<sec>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?
           \s*(?P<half>[AaPp][Mm])?\s*(?P<zone>[Zz]|UTC|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?""",
    re.VERBOSE,
)
# The spelling most files use throughout; numpy reads it in one go.
_ISO_TEXT = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?")
_MONTH_NAME = re.compile(
    r"\d.*(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)|(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec).*\d", re.I
)
_NS = 1_000_000_000
# Whole seconds that datetime64[ns] can hold; numpy wraps around silently beyond them.
_SECONDS_LIMIT = np.iinfo(np.int64).max // _NS - 1
# Epoch times from 1990 to 2100: the four units' ranges do not overlap.
_EPOCH_START_S, _EPOCH_END_S = 631_152_000, 4_102_444_800
_EPOCH_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": _NS}


def is_date_text(cell: str) -> bool:
    """Say whether the text looks like a date, with or without a time of day."""
    cell = cell.strip()
    return _DATE_TEXT.fullmatch(cell) is not None or (len(cell) < 40 and _MONTH_NAME.search(cell) is not None)


def parse_text_times(cells: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return datetime64[ns], NaT where a cell is no date, and notes on how they were read.

    In 01/02/2014 the day comes first where any first number exceeds 12, else the month where any second one does, else
    whichever order runs forward in time more evenly; where that ties, dots mean day first and slashes month first.
    """
    if all(_ISO_TEXT.fullmatch(cell) for cell in cells):
        return _with_nanoseconds(_seconds_since_1970(cells)), ()
    matches = [_DATE_TEXT.fullmatch(cell.strip()) for cell in cells]
    day_first, notes = _day_order(matches)
    times = _assemble(matches, day_first)
    named = [i for i, cell in enumerate(cells) if matches[i] is None and is_date_text(cell)]
    if named:
        times[named] = _parse_month_names([cells[i] for i in named])
    if any(match is not None and match["zone"] for match in matches):
        notes += ("timestamps with a zone are given in UTC",)
    return times, notes


def _assemble(matches: Sequence[re.Match[str] | None], day_first: bool) -> np.ndarray:
    seconds = _seconds_since_1970([_iso_text(match, day_first) for match in matches])
    extra = np.array([_nanoseconds(match) if match else 0 for match in matches], dtype=np.int64)
    times: np.ndarray = _with_nanoseconds(seconds) + extra.astype("timedelta64[ns]")
    return times


def _with_nanoseconds(seconds: np.ndarray) -> np.ndarray:
    """Return datetime64[ns], NaT where the year lies beyond what that can hold."""
    known = ~np.isnat(seconds) & (np.abs(seconds.astype(np.int64)) < _SECONDS_LIMIT)
    times = np.full(len(seconds), np.datetime64("NaT"), dtype="datetime64[ns]")
    times[known] = seconds[known].astype("datetime64[ns]")
    return times


def _iso_text(match: re.Match[str] | None, day_first: bool) -> str:
    if match is None:
        return "NaT"
    if match["year"]:
        date = f"{match['year']}-{int(match['month']):02d}-{int(match['day']):02d}"
    else:
        first, second = int(match["first"]), int(match["second"])
        day, month = (first, second) if day_first else (second, first)
        date = f"{match['late_year']}-{month:02d}-{day:02d}"
    if match["hour"] is None:
        return date
    hour = int(match["hour"])
    if match["half"]:
        if not 1 <= hour <= 12:
            return "NaT"
        hour = hour % 12 + (12 if match["half"].lower() == "pm" else 0)
    return f"{date}T{hour:02d}:{match['minute']}:{match['sec'] or '00'}"


def _nanoseconds(match: re.Match[str]) -> int:
    """What the whole-second ISO text leaves out: the fraction, and the zone's offset."""
    fraction = int(match["fraction"].ljust(9, "0")) if match["fraction"] else 0
    zone = match["zone"]
    if not zone or zone in ("Z", "z", "UTC"):
        return fraction
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset_s = (int(digits[:2]) * 60 + int(digits[2:])) * 60
    return fraction - (offset_s if zone[0] == "+" else -offset_s) * _NS


def _seconds_since_1970(texts: Sequence[str]) -> np.ndarray:
    try:
        return np.array(texts, dtype="datetime64[s]")
    except ValueError:  # one impossible date (30 February) must not hide the others
        return np.array([_one_date(text) for text in texts], dtype="datetime64[s]")


def _one_date(text: str) -> np.datetime64:
    try:
        return np.datetime64(text, "s")
    except ValueError:
        return np.datetime64("NaT", "s")


def _day_order(matches: Sequence[re.Match[str] | None]) -> tuple[bool, tuple[str, ...]]:
    """Say whether the day comes first in dates that end in the year, with a note where the file does not prove it."""
    late = [match for match in matches if match is not None and match["late_year"]]
    if not late:
        return True, ()
    if any(int(match["first"]) > 12 for match in late):
        return True, ()
    if any(int(match["second"]) > 12 for match in late):
        return False, ()
    uneven_day, uneven_month = (_unevenness(_assemble(late, order)) for order in (True, False))
    if uneven_day != uneven_month:
        day_first = uneven_day < uneven_month
    else:
        day_first = "." in late[0][0].split(":")[0].split(" ")[0]
    order = "day first" if day_first else "month first"
    return day_first, (f"dates like {late[0][0]} read {order}, which the file does not prove",)


def _unevenness(times: np.ndarray) -> float:
    """Share of steps that go back in time or differ from the median step."""
    steps = np.diff(times[~np.isnat(times)].astype(np.int64))
    return float(np.mean((steps < 0) | (steps != np.median(steps)))) if steps.size else 0.0


def _parse_month_names(cells: Sequence[str]) -> np.ndarray:
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError(f"reading dates with month names such as '{cells[0]}'", "series") from None
    parsed = pd.to_datetime(pd.Series(list(cells)), format="mixed", errors="coerce", utc=True)
    times: np.ndarray = parsed.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")
    return times


def parse_numeric_times(
    numbers: Float[np.ndarray, " n"], *, elapsed: bool = False
) -> tuple[np.ndarray, tuple[str, ...]] | None:
    """Return datetime64[ns] and notes where the numbers are epoch times or compact dates (20140701), else None.

    The epoch unit is the one that puts every number between 1990 and 2100. `elapsed` takes any other numbers as seconds
    counted from 1970-01-01. Epoch nanoseconds keep the precision of a double, about 0.2 microseconds.
    """
    known = numbers[np.isfinite(numbers)]
    if not known.size:
        return None
    for unit, per_second in _EPOCH_UNITS.items():
        if (known >= _EPOCH_START_S * per_second).all() and (known <= _EPOCH_END_S * per_second).all():
            return _from_seconds(numbers, _NS // per_second), (f"timestamps read as epoch {unit}, UTC",)
    compact = _compact_dates(numbers)
    if compact is not None:
        return compact, ()
    if elapsed and (np.abs(known) < _SECONDS_LIMIT).all():
        return _from_seconds(numbers, _NS), ("timestamps are numbers, taken as seconds and counted from 1970-01-01",)
    return None


def _from_seconds(numbers: Float[np.ndarray, " n"], nanoseconds_each: int) -> np.ndarray:
    finite = np.isfinite(numbers)
    whole = np.floor(np.where(finite, numbers, 0.0))
    part = np.where(finite, numbers, 0.0) - whole
    count = whole.astype(np.int64) * nanoseconds_each + np.rint(part * nanoseconds_each).astype(np.int64)
    times: np.ndarray = count.astype("datetime64[ns]")
    times[~finite] = np.datetime64("NaT")
    return times


def _compact_dates(numbers: Float[np.ndarray, " n"]) -> np.ndarray | None:
    """Read 20140701 and 20140701123000; None where any number is no such date."""
    finite = np.isfinite(numbers)
    known = numbers[finite]
    day_only = bool(((known >= 19000101) & (known <= 21001231)).all())
    with_clock = bool(((known >= 19000101000000) & (known <= 21001231235959)).all())
    if not (day_only or with_clock) or (known != np.floor(known)).any():
        return None
    texts = [str(int(number)).ljust(14, "0") for number in known]
    iso = [f"{t[:4]}-{t[4:6]}-{t[6:8]}T{t[8:10]}:{t[10:12]}:{t[12:]}" for t in texts]
    seconds = _seconds_since_1970(iso)
    if np.isnat(seconds).any():
        return None
    times = np.full(len(numbers), np.datetime64("NaT"), dtype="datetime64[ns]")
    times[finite] = seconds.astype("datetime64[ns]")
    return times
