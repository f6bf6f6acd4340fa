"""The report: what was found, on one offline HTML page that a person understands in ten seconds.

Read `build.py` first (it assembles the page), then `kinds/` (what each kind of result adds) and `wording.py` (how
numbers become words); `templates/` holds the pages.
"""

from oddwave.report.build import render_report, write_report

__all__ = ["render_report", "write_report"]
