"""The report: what was found, on one offline HTML page that a person understands in ten seconds.

Read `build.py` first (it assembles the page), then `kinds/` (what each kind of result adds) and `wording.py` (how
numbers become words); `templates/` holds the pages.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oddwave.report.build import render_report as render_report
    from oddwave.report.build import write_report as write_report

__all__ = ["render_report", "write_report"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from oddwave.report import build

    return getattr(build, name)
