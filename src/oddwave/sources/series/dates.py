"""Text and numbers to points in time: ISO and day-month-year dates, epoch seconds to nanoseconds, compact dates.

Times with a zone become UTC and the zone is told; times without one stay on the file's own clock. What is no date, or
lies beyond what datetime64[ns] holds (1677 to 2262), is NaT, so that whoever asked can name its row. Read
`table.py` next: it decides which column is the clock.
"""

import re
from collections.abc import Sequence
from datetime import UTC
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from oddwave.errors import MissingExtraError

__all__ = ["CLOCK_TEXT", "ReadTimes", "is_date_text", "parse_numeric_times", "parse_text_times"]

# A time of day alone, as in files with one column for the date and one for the time.
CLOCK_TEXT = re.compile(r"\d{1,2}:\d{2}(:\d{2}([.,]\d{1,9})?)?\s*([AaPp][Mm])?")
_DATE_TEXT = re.compile(
    r"""(?:(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})
         |(?P<first>\d{1,2})[-/.](?P<second>\d{1,2})[-/.](?P<late_year>\d{4}))
        (?:[T ,]\s*(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<sec>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?)?
           \s*(?P<half>[AaPp][Mm])?\s*(?:(?P<zone>[Zz]|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?|UTC|GMT|CEST|CET|WET|EET
           |EST|EDT|MST|MDT|PST|PDT|MEZ|MESZ|JST)(?:\[(?P<named>[A-Za-z_+/-]{1,40})\]|\sUTC)?)?)?""",
    re.VERBOSE,
)
# The spelling most files use throughout; numpy reads it in one go.
_ISO_TEXT = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?")
_MONTH_NAME = re.compile(
    r"\d.*(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)|(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec).*\d", re.I
)
_NS = 1_000_000_000
# Whole seconds that datetime64[ns] can hold, less a zone's offset; numpy wraps around silently beyond them.
_SECONDS_LIMIT = np.iinfo(np.int64).max // _NS - 2 * 86_400
# Hours from UTC of the abbreviations that mean one offset only; CST, BST and IST mean several.
_ABBREVIATED = {
    **{"CEST": 2, "MESZ": 2, "CET": 1, "MEZ": 1, "WET": 0, "EET": 2, "JST": 9},
    **{"EST": -5, "EDT": -4, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7},
}
# Zones to look among where a file's offsets change with the season.
_SEASONAL = (
    *("Europe/Berlin", "Europe/London", "Europe/Athens", "America/New_York", "America/Chicago", "America/Denver"),
    *("America/Los_Angeles", "Australia/Sydney", "Pacific/Auckland", "America/Sao_Paulo"),
)
# Epoch times from 1990 to 2100: the four units' ranges do not overlap.
_EPOCH_START_S, _EPOCH_END_S = 631_152_000, 4_102_444_800
_EPOCH_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": _NS}
_CLOCK_SHARE = 0.6  # of the numbers must be epoch times or compact dates for the column to be a clock


class ReadTimes(NamedTuple):
    """Times of a column, datetime64[ns], and what was learnt on the way.

    `day_first` is the order of dates that end in the year, None where there are none. `timezone` is the zone that the
    cells carry, as an IANA name or an offset such as "+02:00"; the times are then UTC.
    """

    times: np.ndarray
    notes: tuple[str, ...] = ()
    day_first: bool | None = None
    timezone: str | None = None


def is_date_text(cell: str) -> bool:
    """Return whether the text looks like a date, with or without a time of day."""
    cell = cell.strip()
    return _DATE_TEXT.fullmatch(cell) is not None or (len(cell) < 40 and _MONTH_NAME.search(cell) is not None)


def parse_text_times(cells: Sequence[str], day_first: bool | None = None) -> ReadTimes:
    """Return datetime64[ns], NaT where a cell is no date, and how the cells were read.

    In 01/02/2014 the day comes first where any first number exceeds 12, else the month where any second one does, else
    as `day_first` says (the order that other data of the same source proved), else whichever order runs forward in time
    more evenly; where that ties, dots mean day first and slashes month first.
    """
    if all(_ISO_TEXT.fullmatch(cell) for cell in cells):
        return ReadTimes(_with_nanoseconds(_seconds_since_1970(cells)))
    matches = [_DATE_TEXT.fullmatch(cell.strip()) for cell in cells]
    order, notes = _day_order(matches, day_first)
    times = _assemble(matches, order is not False)
    named = [i for i, cell in enumerate(cells) if matches[i] is None and is_date_text(cell)]
    if named:
        times[named] = _parse_month_names([cells[i] for i in named])
    timezone, more = _zone_of(matches, times)
    return ReadTimes(times, notes + more, order, timezone)


def _zone_of(matches: Sequence[re.Match[str] | None], times: np.ndarray) -> tuple[str | None, tuple[str, ...]]:
    """Return the zone that the cells carry: their one offset, or the place where the offsets change as theirs do."""
    zoned = [i for i, match in enumerate(matches) if match is not None and (match["zone"] or match["named"])]
    if not zoned:
        return None, ()
    places = {match["named"] for match in matches if match is not None and match["named"]}
    minutes = np.array([_offset_minutes(matches[i]) for i in zoned])
    if len(places) == 1:
        timezone = places.pop()
    elif len(kinds := np.unique(minutes)) == 1:
        timezone = _offset_text(int(kinds[0]))
    else:
        timezone = _seasonal_zone(times[zoned], minutes)
    told = timezone or " and ".join(_offset_text(int(kind)) for kind in np.unique(minutes)[:4])
    unzoned = len([match for match in matches if match is not None and match["hour"]]) - len(zoned)
    more = (f"{unzoned} timestamp(s) without a zone among others with one taken as UTC",) if unzoned > 0 else ()
    if told == "UTC":
        return timezone, ("timestamps are in UTC", *more)
    return timezone or "UTC", (f"timestamps carry the zone {told}: kept in UTC, shown in {timezone or 'UTC'}", *more)


def _offset_minutes(match: re.Match[str] | None) -> int:
    zone = (match["zone"] or "").upper() if match is not None else ""
    if zone in _ABBREVIATED:
        return _ABBREVIATED[zone] * 60
    sign, digits = zone.removeprefix("UTC").removeprefix("GMT")[:1], re.sub(r"\D", "", zone)
    if sign not in ("+", "-"):
        return 0
    hours, minutes = (int(digits), 0) if len(digits) <= 2 else (int(digits[:-2]), int(digits[-2:]))
    return (hours * 60 + minutes) * (1 if sign == "+" else -1)


def _offset_text(minutes: int) -> str:
    if not minutes:
        return "UTC"
    return f"{'+' if minutes > 0 else '-'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _seasonal_zone(times: np.ndarray, minutes: np.ndarray) -> str | None:
    """Return the first of the known zones whose offset at each of the times (UTC) is the one given."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    changes = np.flatnonzero(np.diff(minutes)) + 1
    probed = np.unique(np.concatenate([[0, len(minutes) - 1], changes, changes - 1]))[:200]
    probed = probed[~np.isnat(times[probed])]
    instants = times[probed].astype("datetime64[s]").tolist()
    for name in _SEASONAL:
        try:
            zone = ZoneInfo(name)
        except ZoneInfoNotFoundError:
            continue
        offsets = [instant.replace(tzinfo=UTC).astimezone(zone).utcoffset() for instant in instants]
        if [offset.total_seconds() / 60 for offset in offsets if offset is not None] == minutes[probed].tolist():
            return name
    return None


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
    return f"{date}T{hour:02d}:{match['minute'] or '00'}:{match['sec'] or '00'}"


def _nanoseconds(match: re.Match[str]) -> int:
    """What the whole-second ISO text leaves out: the fraction, and the zone's offset."""
    fraction = int(match["fraction"].ljust(9, "0")) if match["fraction"] else 0
    return fraction - _offset_minutes(match) * 60 * _NS


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


def _day_order(matches: Sequence[re.Match[str] | None], told: bool | None) -> tuple[bool | None, tuple[str, ...]]:
    """Say whether the day comes first in dates that end in the year, with a note where the file does not prove it."""
    late = [match for match in matches if match is not None and match["late_year"]]
    if not late:
        return None, ()
    if any(int(match["first"]) > 12 for match in late):
        return True, ()
    if any(int(match["second"]) > 12 for match in late):
        return False, ()
    if told is not None:
        return told, (f"dates like {late[0][0]} read {_order_name(told)}, as in the data before",)
    uneven_day, uneven_month = (_unevenness(_assemble(late, order)) for order in (True, False))
    if uneven_day != uneven_month:
        day_first = uneven_day < uneven_month
    else:
        day_first = "." in late[0][0].split(":")[0].split(" ")[0]
    return day_first, (f"dates like {late[0][0]} read {_order_name(day_first)}, which the file does not prove",)


def _order_name(day_first: bool) -> str:
    return "day first" if day_first else "month first"


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
    whole = parsed.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    inside = np.isnat(_with_nanoseconds(whole.astype("datetime64[s]")))
    return np.where(inside, np.datetime64("NaT", "ns"), whole.astype("datetime64[ns]"))


def parse_numeric_times(numbers: Float[np.ndarray, " n"], *, elapsed: bool = False) -> ReadTimes | None:
    """Return datetime64[ns] where the numbers are epoch times or compact dates (20140701), else None.

    The epoch unit is the one that puts most numbers between 1990 and 2100; a number that it does not put there (a clock
    not yet set, milliseconds among seconds) is NaT like a cell that is no date. `elapsed` takes any other numbers as
    seconds counted from 1970-01-01. Epoch nanoseconds keep the precision of a double, about 0.2 microseconds.
    """
    finite = np.isfinite(numbers)
    if not finite.any():
        return None
    share = {unit: _in_epoch(numbers, unit).sum() / finite.sum() for unit in _EPOCH_UNITS}
    unit = max(share, key=lambda name: share[name])
    if sum(share.values()) >= _CLOCK_SHARE:
        inside = np.where(_in_epoch(numbers, unit), numbers, np.nan)
        times = _from_seconds(inside, _NS // _EPOCH_UNITS[unit])
        return ReadTimes(times, (f"timestamps read as epoch {unit}, UTC",))
    compact = _compact_dates(numbers)
    if compact is not None:
        return ReadTimes(compact)
    if elapsed:
        held = np.where(np.abs(np.where(finite, numbers, 0.0)) < _SECONDS_LIMIT, numbers, np.nan)
        note = "timestamps are numbers, taken as seconds and counted from 1970-01-01"
        return ReadTimes(_from_seconds(held, _NS), (note,))
    return None


def _in_epoch(numbers: Float[np.ndarray, " n"], unit: str) -> np.ndarray:
    per_second = _EPOCH_UNITS[unit]
    inside: np.ndarray = (numbers >= _EPOCH_START_S * per_second) & (numbers <= _EPOCH_END_S * per_second)
    return inside


def _from_seconds(numbers: Float[np.ndarray, " n"], nanoseconds_each: int) -> np.ndarray:
    finite = np.isfinite(numbers)
    whole = np.floor(np.where(finite, numbers, 0.0))
    part = np.where(finite, numbers, 0.0) - whole
    count = whole.astype(np.int64) * nanoseconds_each + np.rint(part * nanoseconds_each).astype(np.int64)
    times: np.ndarray = count.astype("datetime64[ns]")
    times[~finite] = np.datetime64("NaT")
    return times


def _compact_dates(numbers: Float[np.ndarray, " n"]) -> np.ndarray | None:
    """Read 20140701 and 20140701123000; None where too few numbers are such a date."""
    finite = np.isfinite(numbers)
    whole = np.where(finite & (numbers == np.floor(numbers)), numbers, 0.0)
    day_only = (whole >= 19000101) & (whole <= 21001231)
    with_clock = (whole >= 19000101000000) & (whole <= 21001231235959)
    inside = day_only if day_only.sum() >= with_clock.sum() else with_clock
    if inside.sum() < _CLOCK_SHARE * finite.sum():
        return None
    texts = [str(int(number)).ljust(14, "0") for number in whole[inside]]
    seconds = _seconds_since_1970([f"{t[:4]}-{t[4:6]}-{t[6:8]}T{t[8:10]}:{t[10:12]}:{t[12:]}" for t in texts])
    if (~np.isnat(seconds)).sum() < _CLOCK_SHARE * finite.sum():
        return None
    times = np.full(len(numbers), np.datetime64("NaT"), dtype="datetime64[ns]")
    times[inside] = _with_nanoseconds(seconds)
    return times
