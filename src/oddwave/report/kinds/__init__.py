"""The kinds of result that the report knows, a line each.

A new kind is a module beside this one with a `ReportKind`, and a line here; `KINDS["name"] = record` adds one from
outside. Read `base.py` next: what such a record holds.
"""

from oddwave.report.kinds.audio import RECORDING
from oddwave.report.kinds.base import ReportKind
from oddwave.report.kinds.image import IMAGE
from oddwave.report.kinds.series import PANEL, STREAM
from oddwave.results import DetectionResult

__all__ = ["KINDS", "ReportKind", "kind_of"]

KINDS: dict[str, ReportKind] = {
    "stream": STREAM,
    "panel": PANEL,
    "image": IMAGE,
    "recording": RECORDING,
}


def kind_of(result: DetectionResult) -> ReportKind:
    """Return the record of a result's kind. Raises: KeyError for a kind that is not registered."""
    return KINDS[result.kind]
