"""The report: what was found, on one offline HTML page that a person understands in ten seconds.

Read `build.py` first (it assembles the page), then `figures.py` (the numbers behind each plot) and `wording.py` (how
numbers become words); `templates/` holds the page itself.
"""

from oddwave.report.build import render_report, write_report

__all__ = ["render_report", "write_report"]
