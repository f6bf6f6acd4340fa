"""Times as they are written: ISO 8601, in the local time of the data where that is known, with its offset.

Inside oddwave all times are UTC. A timezone is an IANA name ("Europe/Berlin") or an offset ("+02:00").
Legend: n times.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
from jaxtyping import Int

__all__ = ["clock_text", "local_times", "offset_text", "zone_of"]

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?")


def zone_of(name: str) -> tzinfo:
    """Return the timezone of a name or an offset; UTC where this computer does not know the name."""
    found = _OFFSET.fullmatch(name)
    if found:
        minutes = 60 * int(found[2]) + int(found[3] or 0)
        return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return UTC


def local_times(stamps: np.ndarray, name: str) -> tuple[np.ndarray, Int[np.ndarray, " n"]]:
    """Return UTC times (datetime64) as local ones, and how many minutes each is ahead of UTC; 0 where there is none."""
    zone = zone_of(name)
    quarters = stamps.astype("datetime64[m]").astype(np.int64) // 15  # no clock is ever changed in between
    distinct, place = np.unique(np.where(np.isnat(stamps), 0, quarters), return_inverse=True)
    offsets = [datetime.fromtimestamp(900 * int(quarter), zone).utcoffset() or timedelta() for quarter in distinct]
    minutes = np.array([round(offset.total_seconds() / 60) for offset in offsets], np.int64)[place.reshape(-1)]
    return stamps + minutes.astype("timedelta64[m]"), minutes


def offset_text(minutes: int) -> str:
    """Write an offset: "+02:00"."""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"


def clock_text(stamps: np.ndarray, timezone: str | None = None) -> list[str]:
    """Write times as ISO 8601 with no more decimals than they need, other stamps as numbers; empty where missing.

    With a `timezone` the times, which are UTC, are written as local ones with their offset.
    """
    if not np.issubdtype(stamps.dtype, np.datetime64):
        return [str(stamp) for stamp in stamps.tolist()]
    known = stamps[~np.isnat(stamps)]
    unit = next((u for u in ("s", "ms", "us") if np.array_equal(known.astype(f"datetime64[{u}]"), known)), "ns")
    local, minutes = (stamps, None) if timezone is None else local_times(stamps, timezone)
    texts = local.astype(f"datetime64[{unit}]").astype(str).tolist()
    ends = [""] * len(texts) if minutes is None else [offset_text(each) for each in minutes.tolist()]
    return ["" if text == "NaT" else text + end for text, end in zip(texts, ends, strict=True)]
