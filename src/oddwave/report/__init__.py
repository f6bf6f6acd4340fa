"""The report: what was found, on one offline HTML page that a person understands in ten seconds.

Read `build.py` first (it assembles the page), then `kinds/` (what each kind of result adds) and `wording.py` (how
numbers become words); `templates/` holds the pages.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oddwave.report.build import render_report as render_report
    from oddwave.report.build import write_report as write_report
    from oddwave.report.outputs import write_outputs as write_outputs

_ROOMS = {"render_report": "build", "write_outputs": "outputs", "write_report": "build"}
__all__ = ["render_report", "write_outputs", "write_report"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"oddwave.report.{_ROOMS[name]}"), name)
