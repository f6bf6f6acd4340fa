"""Columns that measure nothing: they count the rows, tell the date again, or count the time since the start.

Monitored as channels they are new values for ever and make healthy data look anomalous. They are told by their name or
by their values against the clock. Read `table.py` next: it leaves them out, unless they are asked for.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

from oddwave.sources.series.cells import Column, Table
from oddwave.sources.series.dates import ReadTimes

__all__ = ["bookkeeping_columns", "calendar_times", "is_time_name", "local_clock", "plain_name"]

_TIME_NAME = re.compile(
    r"(time|date|datetime|timestamp|ts|clock|when|epoch|unix)(utc|gmt|local|ms|us|ns|s|stamp|time)?"
    r"|(utc|gmt|local|unix|epoch|start|record|recorded|event|sample|measurement|measured|log)(time|date|datetime|timestamp|ts)"
    r"|zeit|datum|uhrzeit|zeitstempel|zeitpunkt|datumzeit|datumuhrzeit"
)
_COUNTER_NAMES = frozenset(
    [
        *("", "index", "idx", "row", "rowid", "rownum", "rownumber", "rowindex", "id", "no", "nr", "number"),
        *("unnamed0", "column0", "#", "record", "recordid", "recordnumber", "recno", "seq", "sequence"),
        *("sequencenumber", "entryid", "sampleindex", "samplenumber", "samplenr", "pk", "lfdnr", "level0"),
    ]
)
_ELAPSED_NAME = re.compile(
    r"(elapsed|uptime|sincestart|sinceboot|timesincestart|runtime|reltime|relativetime|timeoffset|ticks?|simtime|t|cycles?"
    r"|timesteps?|steps?|seconds?|secs?|millis|milliseconds?|minutes?|hours?|days?)(time|elapsed|sincestart|sinceboot"
    r"|s|ms|sec|secs|seconds|min|minutes|h|hours|d|days)?|(sys|system)uptime\w*|(time|seconds?|elapsed)since\w+"
)
_CALENDAR_NAMES = {
    **dict.fromkeys(("year", "yr", "jahr"), "year"),
    **dict.fromkeys(("month", "mon", "mo", "monat", "monthofyear"), "month"),
    **dict.fromkeys(("day", "dayofmonth", "tag", "dom", "mday"), "day"),
    **dict.fromkeys(("hour", "hr", "hourofday", "stunde"), "hour"),
    **dict.fromkeys(("minute", "minuteofhour"), "minute"),
    **dict.fromkeys(("second", "secondofminute"), "second"),
    **dict.fromkeys(("weekday", "dayofweek", "dow", "wochentag", "wday", "isoweekday"), "weekday"),
    **dict.fromkeys(("dayofyear", "doy", "yday", "julianday"), "dayofyear"),
    **dict.fromkeys(("week", "weekofyear", "isoweek", "weeknumber", "kw", "calendarweek"), "week"),
    **dict.fromkeys(("quarter", "quarterofyear"), "quarter"),
    **dict.fromkeys(("weekend", "isweekend"), "weekend"),
    **dict.fromkeys(("minuteofday", "minutesofday"), "minuteofday"),
}
_RANGES = {
    "year": (1900, 2200), "month": (0, 12), "day": (1, 31), "hour": (0, 24), "minute": (0, 59), "second": (0, 60),
    "weekday": (0, 7), "dayofyear": (0, 366), "week": (0, 53), "quarter": (0, 4), "weekend": (0, 1),
    "minuteofday": (0, 1440),
}  # fmt: skip
_CYCLES = {"hour": 24, "weekday": 7}  # told up to a shift: the zone, the day a week begins with
_WAVES_OF_DATE = re.compile(
    r"(sin|cos)(hour|day|month|week|weekday|dayofweek|dow|doy|dayofyear|minute|tod)\w*"
    r"|(hour|day|month|week|weekday|dayofweek|dow|doy|dayofyear|minute|tod)\w*(sin|cos)"
)
_MATCH = 0.99  # of the rows must agree with the clock
_MIN_ROWS = 20  # fewer do not prove by their values alone what a column is
_COUNTS_ROWS = "counts the rows and is not monitored"
_TELLS_DATE = "only tells the date or the time of day and is not monitored"
_COUNTS_TIME = "only counts the time and is not monitored: name it in columns= to monitor it"
_RISES = (
    "rises without being a date or epoch time and is not monitored: name it with timestamp= to use it as seconds, or "
    "in columns= to monitor it"
)


def plain_name(name: str) -> str:
    """Return the name's letters, digits and # only, in lower case."""
    return re.sub(r"[^a-z0-9#]", "", name.lower())


def is_time_name(name: str) -> bool:
    """Return whether a column is called like a clock."""
    return _TIME_NAME.fullmatch(plain_name(name)) is not None


def bookkeeping_columns(table: Table, clock: Sequence[int], read: ReadTimes | None) -> dict[int, str]:
    """Return, by position, the columns that measure nothing, each with what a note says of it."""
    times = None if read is None else local_clock(read)
    order = np.arange(len(table.lines))
    if times is not None:
        rows = np.flatnonzero(~np.isnat(times))
        order = rows[np.argsort(times[rows], kind="stable")]
        times = times[order]
    found: dict[int, str] = {}
    doubtful: dict[int, str] = {}
    measured = 0
    for i, column in enumerate(table.columns):
        if i in clock or column.text or column.times is not None or column.is_empty:
            continue
        numbers = column.numbers[order]
        if _counts_rows(column, i, table.has_header):
            found[i] = _COUNTS_ROWS
        elif _tells_date(column.name, numbers, times):
            found[i] = _TELLS_DATE
        elif not clock and is_time_name(column.name) and (np.diff(column.numbers) >= 0).all():
            found[i] = _RISES
        elif _counts_time(column.name, numbers, times):
            doubtful[i] = _COUNTS_TIME
        else:
            measured += 1
    by_name = {i for i in doubtful if _ELAPSED_NAME.fullmatch(plain_name(table.columns[i].name))}
    return {**found, **{i: why for i, why in doubtful.items() if measured or (i in by_name and len(doubtful) > 1)}}


def local_clock(read: ReadTimes) -> np.ndarray:
    """Return the times as the source's own clock showed them."""
    if read.timezone is None or read.timezone == "UTC":
        return read.times
    if sign := re.fullmatch(r"([+-])(\d\d):(\d\d)", read.timezone):
        minutes = int(sign[2]) * 60 + int(sign[3])
        return read.times + np.timedelta64(minutes if sign[1] == "+" else -minutes, "m")
    return read.times


def _counts_rows(column: Column, index: int, has_header: bool) -> bool:
    """Whole numbers that rise from row to row, or fall, and may begin anew a few times."""
    numbers, name = column.numbers, plain_name(column.name)
    nameless = name in ("", f"column{index}")
    if not (name in _COUNTER_NAMES or nameless) or len(numbers) < 3 or not _is_whole(numbers):
        return False
    if (np.diff(np.sort(numbers)) == 1).all() and numbers.min() in (0, 1):
        return True
    steps = np.diff(numbers)
    if not has_header:
        return index == 0 and bool((steps == 1).all()) and len(numbers) >= _MIN_ROWS
    return bool(min((steps <= 0).sum(), (steps >= 0).sum()) * 10 <= len(numbers))


def _is_whole(numbers: Float[np.ndarray, " R"]) -> bool:
    return bool(np.isfinite(numbers).all() and (numbers == np.rint(numbers)).all())


def _tells_date(name: str, numbers: Float[np.ndarray, " R"], times: np.ndarray | None) -> bool:
    plain = re.sub(r"^(time|date|timestamp|datetime|ts|calendar|local)(?=.)", "", plain_name(name))
    known = numbers[np.isfinite(numbers)]
    if _WAVES_OF_DATE.fullmatch(plain):
        return bool((np.abs(known) <= 1).all())
    if not known.size or (known != np.rint(known)).any():
        return False
    part = _CALENDAR_NAMES.get(plain)
    if part is not None:
        low, high = _RANGES[part]
        if (known < low).any() or (known > high).any():
            return False
        if times is None or bool((np.diff(known) >= 0).all()):
            return True
    if times is None or (part is None and not _goes_round(known)):
        return False
    if part is None and not all(_RANGES["minuteofday"][0] <= edge <= 2200 for edge in (known.min(), known.max())):
        return False
    parts = [part] if part is not None else [name for name in _RANGES if name != "year"]
    return any(_agrees(one, numbers, _CLOCK_PARTS[one](times)) for one in parts)


def _goes_round(numbers: Float[np.ndarray, " R"]) -> bool:
    """True for numbers that rise and begin anew, as hours do, often enough to be told by their values alone."""
    return len(numbers) >= _MIN_ROWS and len(np.unique(numbers)) >= 3 and bool((np.diff(numbers) < 0).any())


def _agrees(part: str, numbers: Float[np.ndarray, " R"], told: Int[np.ndarray, " R"]) -> bool:
    """Say whether the numbers are the clock's own, up to where counting begins (months from 0, weeks on a Sunday)."""
    seen = np.isfinite(numbers)
    if len(np.unique(told[seen])) < 2 and part != "year":
        return bool((numbers[seen] == told[seen]).all())
    shift = numbers[seen] - told[seen]
    if part in _CYCLES:
        shift = shift % _CYCLES[part]
    values, counts = np.unique(shift, return_counts=True)
    if part == "hour":  # summer time: two shifts
        return bool(np.sort(counts)[-2:].sum() >= _MATCH * seen.sum())
    usual = values[counts.argmax()]
    return bool(counts.max() >= _MATCH * seen.sum() and (part in _CYCLES or abs(usual) <= 1))


def _days(times: np.ndarray) -> Int[np.ndarray, " R"]:
    days: np.ndarray = times.astype("datetime64[D]").astype(np.int64)
    return days


def _since(times: np.ndarray, coarse: str, fine: str) -> Int[np.ndarray, " R"]:
    """Return how many whole `fine` units have passed since the last full `coarse` one."""
    begun = times.astype(f"datetime64[{coarse}]").astype(f"datetime64[{fine}]")
    passed: np.ndarray = (times.astype(f"datetime64[{fine}]") - begun).astype(np.int64)
    return passed


def _iso_week(times: np.ndarray) -> Int[np.ndarray, " R"]:
    thursday = (_days(times) - (_days(times) + 3) % 7 + 3).astype("datetime64[D]")
    return _since(thursday, "Y", "D") // 7 + 1


_CLOCK_PARTS: dict[str, Callable[[np.ndarray], Int[np.ndarray, " R"]]] = {
    "year": lambda times: times.astype("datetime64[Y]").astype(np.int64) + 1970,
    "month": lambda times: _since(times, "Y", "M") + 1,
    "day": lambda times: _since(times, "M", "D") + 1,
    "hour": lambda times: _since(times, "D", "h"),
    "minute": lambda times: _since(times, "h", "m"),
    "second": lambda times: _since(times, "m", "s"),
    "weekday": lambda times: (_days(times) + 3) % 7,
    "dayofyear": lambda times: _since(times, "Y", "D") + 1,
    "week": _iso_week,
    "quarter": lambda times: _since(times, "Y", "M") // 3 + 1,
    "weekend": lambda times: ((_days(times) + 3) % 7 >= 5).astype(np.int64),
    "minuteofday": lambda times: _since(times, "D", "m"),
}


def _counts_time(name: str, numbers: Float[np.ndarray, " R"], times: np.ndarray | None) -> bool:
    """Numbers that go up, or down, by equal steps from row to row, or as the clock does."""
    named = _ELAPSED_NAME.fullmatch(plain_name(name)) is not None
    if len(numbers) < (3 if named else _MIN_ROWS) or not np.isfinite(numbers).all():
        return False
    steps = np.diff(numbers)
    usual = float(np.median(steps))
    if usual == 0:
        return False
    slack = 0.5 if named else 0.25
    if (np.abs(steps - usual) <= slack * abs(usual)).all():
        return True
    if times is None:
        return False
    passed = np.diff(times.astype(np.int64)).astype(np.float64)
    if not (passed > 0).any():
        return False
    rate = float(np.median(steps[passed > 0] / passed[passed > 0]))
    return bool(rate != 0 and (np.abs(steps - rate * passed) <= slack * abs(usual)).all())


def calendar_times(table: Table, free: Sequence[int]) -> tuple[tuple[int, ...], np.ndarray | None]:
    """Return the columns year, month, day (hour, minute, second) and the times they make; None without such columns."""
    found: dict[str, int] = {}
    for i in free:
        column = table.columns[i]
        part = _CALENDAR_NAMES.get(plain_name(column.name))
        if part is not None and not column.text and column.times is None and _is_whole(column.numbers):
            low, high = _RANGES[part]
            if low <= column.numbers.min() and column.numbers.max() <= high:
                found.setdefault(part, i)
    if not {"year", "month", "day"} <= found.keys() and not {"year", "dayofyear"} <= found.keys():
        return (), None
    numbers = {part: table.columns[i].numbers.astype(np.int64) for part, i in found.items()}
    months = (numbers["year"] - 1970).astype("datetime64[Y]").astype("datetime64[M]")
    if {"month", "day"} <= found.keys():
        if numbers["month"].min() < 1:
            return (), None
        months = months + (numbers["month"] - 1)
        dates = months.astype("datetime64[D]") + (numbers["day"] - 1)
        if (dates.astype("datetime64[M]") != months).any():  # 30 February
            return (), None
        used = ["year", "month", "day"]
    else:
        dates = months.astype("datetime64[D]") + (numbers["dayofyear"] - 1)
        used = ["year", "dayofyear"]
    times = dates.astype("datetime64[ns]")
    for part, unit in (("hour", "h"), ("minute", "m"), ("second", "s")):
        if part not in found:
            break
        times = times + numbers[part].astype(f"timedelta64[{unit}]")
        used.append(part)
    return tuple(found[part] for part in used), times
