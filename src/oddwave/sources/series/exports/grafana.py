"""Grafana's CSV files, and Excel's first line `sep=;`, which Grafana writes too ("Download for Excel").

Grafana writes one column per series ("Time","A","B") or, in long form, Series;Time;Value; both are read by the general
rules. Its cells carry units ("18.0%", "7.9 GiB", "60 ms", "1.2 K"), which `sources/series/units.py` knows.
"""

import re
from collections.abc import Sequence

from oddwave.sources.series.exports.layout import Block, Layout

__all__ = ["recognise_sep_line"]

_SEP_LINE = re.compile(r"""\s*["']?\s*sep\s*=\s*(?P<mark>[;,|:\t ]|\\t|tab)\s*["']?\s*[;,\t]*""", re.IGNORECASE)


def recognise_sep_line(lines: Sequence[str]) -> Layout | None:
    """Return the delimiter that a first line such as `sep=;` names."""
    first = next((i for i, line in enumerate(lines[:20]) if line.strip("\ufeff \t")), 0)
    found = _SEP_LINE.fullmatch(lines[first].lstrip("\ufeff")) if lines else None
    if found is None:
        return None
    mark = "\t" if found["mark"] in ("\\t", "tab") else found["mark"]
    return Layout((Block(first + 1, len(lines)),), mark, notes=(f"delimiter {mark!r} as the first line names it",))
