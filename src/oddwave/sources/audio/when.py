"""When a recording was made: by the date and time in its name, or by what its file says of itself.

    2024-05-01T12-30-00.wav    20240501_123000.flac    pump_2024-05-01 12.30.wav    2024-05-01/12-30-00.wav

The year comes first; a date alone is midnight. A file's own time of change says when it was copied, and is not used.
Read `items.py` next.
"""

import re
from datetime import datetime

__all__ = ["recorded_at"]

_DATE = r"(?P<year>(?:19|20)\d\d)(?P<gap>[-_.:]?)(?P<month>0[1-9]|1[0-2])(?P=gap)(?P<day>0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?P<hour>[01]\d|2[0-3])(?P<mark>[-_.:hH]?)(?P<minute>[0-5]\d)(?:[-_.:mM]?(?P<second>[0-5]\d))?"
_MOMENT = re.compile(
    rf"(?<!\d){_DATE}(?:[T _/\\.-]{{1,3}}{_CLOCK}(?![-_.:]?\d)|(?=[^\d]|$)|(?P<packed>\d{{4}}(?:\d\d)?)(?!\d))"
)


def recorded_at(*texts: str) -> datetime | None:
    """Return the moment that the first of these texts names, such as an item's id and its file's own date; else None.

    Of several moments in a text the last one counts: folders come before names.
    """
    for text in texts:
        for found in reversed(list(_MOMENT.finditer(text))):
            moment = _moment(found)
            if moment is not None:
                return moment
    return None


def _moment(found: re.Match[str]) -> datetime | None:
    parts = found.groupdict()
    packed = parts["packed"]
    if packed:
        parts |= {"hour": packed[:2], "minute": packed[2:4], "second": packed[4:]}
    try:
        day = [int(parts[name]) for name in ("year", "month", "day")]
        return datetime(*day, *(int(parts[name] or 0) for name in ("hour", "minute", "second")))  # type: ignore[arg-type]
    except ValueError:  # the 31st of April: a number that is no date
        return None
