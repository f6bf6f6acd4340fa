"""What `print` and a notebook show of results: a few lines, never the arrays.

The full sentences are those of `report/wording.py`; these here need no report.
"""

import html
from collections import Counter
from typing import TYPE_CHECKING, Any

from oddwave.result_times import clock_text
from oddwave.visible import visible

if TYPE_CHECKING:
    from oddwave.results import DetectionResult, ItemResult, PictureResult, SoundResult

__all__ = ["item_text", "result_html", "result_text"]

_MOST = 5
_NOUNS = {"stream": "stream", "panel": "instance", "picture": "picture", "recording": "recording"}
_VERDICTS = {1: "anomalous", 0: "normal", -1: "not judged"}


def item_text(item: "ItemResult | PictureResult | SoundResult") -> str:
    """Return one line on an item: "PictureResult('b.png': anomalous, score 9.1, p 0.012, 2 events)"."""
    facts = [_VERDICTS[item.label]]
    if item.label == -1:
        facts.append(item.reason)
    else:
        facts += [f"score {item.score:.3g}", f"p {item.p_value:.2g}", _count(len(item.events), "event")]
    name, clips = type(item).__name__, len(item.scores)
    return visible(f"{name}('{item.id}': {', '.join([*facts, *([_count(clips, 'score')] if clips > 1 else [])])})")


def result_text(result: "DetectionResult") -> str:
    """Return the verdict, the counts and the strongest findings, a line each."""
    return "\n".join([_headline(result), *("  " + "  ".join(row) for row in _findings(result)), *_more(result)])


def result_html(result: "DetectionResult") -> str:
    """Return the same as a small table, escaped."""
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in _findings(result))
    lines = "".join(f"<p>{html.escape(line.strip())}</p>" for line in _more(result))
    return f"<div><p><b>{html.escape(_headline(result))}</b></p><table>{rows}</table>{lines}</div>"


def _headline(result: "DetectionResult") -> str:
    """Say how many items are anomalous, normal and not judged: what was not judged is never passed over."""
    counts, noun = Counter(item.label for item in result.items), _NOUNS[result.kind]
    told = [f"{counts[label]:,} {_VERDICTS[label]}" for label in (1, 0, -1) if counts[label]]
    events = f"; {_count(len(result.events), 'event')}" if result.events else ""
    threshold = f"threshold {result.calibration.threshold:.3g} at alpha {result.calibration.alpha:.2g}"
    return f"{_count(len(result.items), noun)}: {', '.join(told) or 'nothing to judge'}{events} ({threshold})"


def _findings(result: "DetectionResult") -> list[tuple[str, ...]]:
    """Return the strongest findings, then what could not be judged: where, score and p-value, or why."""
    rows = []
    if result.kind == "stream":
        owned = [(item, event) for item in result.series for event in item.events]
        for item, event in sorted(owned, key=lambda pair: -pair[1].score)[:_MOST]:
            where = [event.item] * (len(result.items) > 1)
            place = f"{_moment(item, event.start)} to {_moment(item, event.end)}"
            channel = [event.channel] * bool(event.channel)
            rows.append((*where, place, *_numbers(event), *channel))
    else:
        rows += [(item.id, *_numbers(item)) for item in sorted(result.flagged, key=lambda item: -item.score)[:_MOST]]
    rows += [(item.id, "not judged", item.reason) for item in result.not_judged[:_MOST]]
    return [tuple(visible(str(cell)) for cell in row) for row in rows]


def _more(result: "DetectionResult") -> list[str]:
    found = len(result.events) if result.kind == "stream" else len(result.flagged)
    left = max(0, found - _MOST) + max(0, len(result.not_judged) - _MOST)
    return [f"  ... and {left:,} more"] if left else []


def _numbers(finding: Any) -> tuple[str, str]:
    return f"score {finding.score:.3g}", f"p {finding.p_value:.2g}"


def _moment(item: "ItemResult", index: int) -> str:
    if item.timestamps is None or len(item.timestamps) <= index:
        return f"point {index:,}"
    return clock_text(item.timestamps[index : index + 1], item.timezone)[0].replace("T", " ")


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
