"""What `print` and a notebook show of results: a few lines, never the arrays.

The full sentences are those of `report/wording.py`; these here need no report.
"""

import html
from collections import Counter
from collections.abc import Sequence
from typing import Any

from oddwave.records import VERDICTS, AnyResult, CalibrationSummary, Kind, SeriesResult, count_text
from oddwave.result_rows import series_of
from oddwave.result_times import clock_text
from oddwave.visible import visible

__all__ = ["result_html", "result_text"]

_MOST = 5


def result_text(kind: Kind, items: Sequence[AnyResult], calibration: CalibrationSummary) -> str:
    """Return the verdict, the counts and the strongest findings, a line each."""
    return "\n".join(
        [
            _headline(kind, items, calibration),
            *("  " + "  ".join(row) for row in _findings(kind, items)),
            *_more(kind, items),
        ]
    )


def result_html(kind: Kind, items: Sequence[AnyResult], calibration: CalibrationSummary) -> str:
    """Return the same as a small table, escaped."""
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in _findings(kind, items)
    )
    lines = "".join(f"<p>{html.escape(line.strip())}</p>" for line in _more(kind, items))
    return f"<div><p><b>{html.escape(_headline(kind, items, calibration))}</b></p><table>{rows}</table>{lines}</div>"


def _headline(kind: Kind, items: Sequence[AnyResult], calibration: CalibrationSummary) -> str:
    """Return how many items are anomalous, normal and not judged: what was not judged is never passed over."""
    counts, noun = Counter(item.label for item in items), "instance" if kind == "panel" else kind
    told = [f"{counts[label]:,} {VERDICTS[label]}" for label in (1, 0, -1) if counts[label]]
    num_events = sum(item.num_events for item in items)
    events = f"; {count_text(num_events, 'event')}" if num_events else ""
    threshold = f"threshold {calibration.threshold:.3g} at alpha {calibration.alpha:.2g}"
    return f"{count_text(len(items), noun)}: {', '.join(told) or 'nothing to judge'}{events} ({threshold})"


def _findings(kind: Kind, items: Sequence[AnyResult]) -> list[tuple[str, ...]]:
    """Return the strongest findings, then what could not be judged: where, score and p-value, or why."""
    rows = []
    if kind == "stream":
        owned = [(item, event) for item in series_of(items) for event in item.events]
        for item, event in sorted(owned, key=lambda pair: -pair[1].score)[:_MOST]:
            where = [event.item] * (len(items) > 1)
            place = f"{_moment(item, event.start)} to {_moment(item, event.end)}"
            channel = [event.channel] * bool(event.channel)
            rows.append((*where, place, *_numbers(event), *channel))
    else:
        rows += [
            (item.id, *_numbers(item)) for item in sorted(_with_label(items, 1), key=lambda item: -item.score)[:_MOST]
        ]
    rows += [(item.id, "not judged", item.reason) for item in _with_label(items, -1)[:_MOST]]
    return [tuple(visible(str(cell)) for cell in row) for row in rows]


def _with_label(items: Sequence[AnyResult], label: int) -> list[AnyResult]:
    return [item for item in items if item.label == label]


def _more(kind: Kind, items: Sequence[AnyResult]) -> list[str]:
    found = sum(item.num_events for item in items) if kind == "stream" else len(_with_label(items, 1))
    left = max(0, found - _MOST) + max(0, len(_with_label(items, -1)) - _MOST)
    return [f"  ... and {left:,} more"] if left else []


def _numbers(finding: Any) -> tuple[str, str]:
    return f"score {finding.score:.3g}", f"p {finding.p_value:.2g}"


def _moment(item: SeriesResult, index: int) -> str:
    if item.timestamps is None or len(item.timestamps) <= index:
        return f"point {index:,}"
    return clock_text(item.timestamps[index : index + 1], item.timezone)[0].replace("T", " ")
