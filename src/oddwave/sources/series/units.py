"""Units behind numbers to factors on one scale: ms and s, KiB and GiB, K and Mil, kW and MW.

A unit always gives the same factor, whichever others stand beside it, so that a model and the data it judges agree.
Read `cells.py` next: it finds the units in a column.
"""

import re
from collections.abc import Iterable

__all__ = ["common_scale"]

_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3_600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604_800.0),
    **{"ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "msec": 1e-3, "month": 2_629_800.0, "year": 31_557_600.0},
    **{"months": 2_629_800.0, "years": 31_557_600.0},
}
_COUNTS = {
    **{"k": 1e3, "K": 1e3, "M": 1e6, "Mil": 1e6, "mil": 1e6, "Mio": 1e6, "G": 1e9, "Bil": 1e9, "Mrd": 1e9, "Bn": 1e9},
    **{"bn": 1e9, "T": 1e12, "Tri": 1e12, "Quadr": 1e15, "P": 1e15},
}
_COUNTS_IN_COMPANY = {"B": 1e9, "m": 1e-3, "µ": 1e-6, "u": 1e-6, "n": 1e-9}  # alone: bytes, metres, and so on
_PARTS = {"%": 1.0, "percent": 1.0, "pct": 1.0, "‰": 0.1, "ppm": 1e-4}
_PREFIXES = {
    **{"p": 1e-12, "n": 1e-9, "µ": 1e-6, "u": 1e-6, "m": 1e-3, "c": 1e-2, "d": 1e-1, "": 1.0, "h": 1e2, "k": 1e3},
    **{"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18},
    **{"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60},
}
_PREFIXED = re.compile(
    r"(?P<prefix>[KMGTPE]i|[pnµumcdhkKMGTPE])?"
    r"(?P<base>bytes?|Bytes?|B|bits?|b|Wh|VAh|VAr|var|VA|W|Ah|A|V|Hz|Pa|bar|g|m|[lL]|J|N|F|Ω|Ohm|ohm|eV|s|lx)"
    r"(?P<per>/s|ps|/sec|/min|/h|)"
)
_SPELLED = {
    "byte": "B",
    "bytes": "B",
    "Byte": "B",
    "Bytes": "B",
    "bit": "b",
    "bits": "b",
    "L": "l",
    "ohm": "Ω",
    "Ohm": "Ω",
}
_NO_PREFIX = frozenset({"dB", "cd", "pF/s", "Pa", "min", "hg", "mb"})  # begin with letters that are no prefix here


def common_scale(units: Iterable[str]) -> tuple[dict[str, float], str] | None:
    """Return each unit's factor and what the factors lead to ("s", "B", "" for bare counts); None where none fits all.

    A single unknown unit is its own scale.
    """
    seen = {unit: unit.replace("μ", "µ").strip() for unit in units}
    plain = set(seen.values())
    tables = [(_SECONDS, "s"), (_COUNTS, ""), (_PARTS, "%")]
    if len(plain) > 1:
        tables += [({**_SECONDS, "m": 60.0}, "s"), ({**_COUNTS, **_COUNTS_IN_COMPANY}, "")]
    for table, name in tables:
        if plain <= table.keys():
            return {unit: table[key] for unit, key in seen.items()}, name
    parsed = {unit: _parsed(key) for unit, key in seen.items()}
    bases = {base for _, base in parsed.values()}
    if len(bases) > 1:
        return None
    return {unit: factor for unit, (factor, _) in parsed.items()}, bases.pop()


def _parsed(unit: str) -> tuple[float, str]:
    """Return factor and base of one unit, such as (1e6, "B/s") for MB/s and (1e3, "req/s") for "K req/s"."""
    count, space, rest = unit.partition(" ")
    if space and count in _COUNTS:
        return _COUNTS[count], rest
    found = None if unit in _NO_PREFIX else _PREFIXED.fullmatch(unit)
    if found is None:
        return 1.0, unit
    per = {"ps": "/s", "/sec": "/s"}.get(found["per"], found["per"])
    return _PREFIXES[found["prefix"] or ""], _SPELLED.get(found["base"], found["base"]) + per
