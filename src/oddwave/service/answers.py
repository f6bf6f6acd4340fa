"""What a client is told of a result: JSON with the words and numbers of summary.json, an entry per item in its order.

Read `report/outputs.py` for the summary itself; `pictures.py` for maps, normal versions and sounds.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from oddwave.records import AudioResult, SeriesResult
from oddwave.report.kinds import kind_of
from oddwave.report.outputs import summary_of
from oddwave.result_rows import score_columns
from oddwave.results import DetectionResult
from oddwave.service.batching import Judgement
from oddwave.visible import as_text

__all__ = ["answer_of", "plain", "points_of"]

_OF_THE_RUN = ("verdict", "counts", "alpha", "asked", "confirmed", "threshold", "calibration", "drift")


def answer_of(
    judgement: Judgement,
    model: Mapping[str, Any],
    told: Callable[[str], str],
    ids: Sequence[str] = (),
    *,
    points: bool = False,
) -> dict[str, Any]:
    """Return the answer to a request: `ids` are those of its items in the history, `told` cleans messages."""
    result = judgement.result
    if result is None:
        unread: list[dict[str, Any]] = [
            {"id": as_text(name), "status": "not judged", "label": -1, "score": None, "p_value": None,
             "reason": told(reason), "events": [], "notes": []} for name, reason in judgement.unread
        ]  # fmt: skip
        return {"model": dict(model), "items": _numbered(unread, ids)}
    summary = summary_of(result)
    kind = kind_of(result)
    items = []
    for item, about in zip(result.items, summary["items"], strict=True):
        rows = [{key: value for key, value in row.items() if key != "item"} for row in kind.event_rows(item)]
        entry = {**about, "score": plain(item.score), "events": plain(rows)}
        entry["reason"] = told(str(entry["reason"]))
        entry["notes"] = [told(str(note)) for note in entry["notes"]]
        for name in ("regions", "error", "highest_score"):  # said already, as events, reason and score
            entry.pop(name, None)
        if points:
            entry["points"] = points_of(result, item)
        items.append(entry)
    run = {name: summary[name] for name in _OF_THE_RUN}
    return {"model": dict(model), "kind": result.kind, **run, "items": _numbered(items, ids)}


def _numbered(items: list[dict[str, Any]], ids: Sequence[str]) -> list[dict[str, Any]]:
    return [{**item, "history_id": identifier} for item, identifier in zip(items, ids, strict=True)] if ids else items


def points_of(result: DetectionResult, item: Any) -> dict[str, Any]:
    """Return the scores of an item's parts: rows of a stream, clips of a recording, or itself."""
    if isinstance(item, AudioResult):
        names = ("scores", "p_values", "labels", "starts_s")
        return {name: plain(getattr(item, name)) for name in names} | {"clip_s": item.clip_s}
    if isinstance(item, SeriesResult) and result.kind == "stream":
        columns = score_columns("stream", [item])
        return {name: plain(columns[name]) for name in ("timestamp", "score", "p_value", "label")}
    return {name: plain(getattr(item, name)) for name in ("scores", "p_values", "labels")}


def plain(value: Any) -> Any:
    """Turn records, arrays and numpy numbers into what JSON knows; what is not finite becomes null."""
    if isinstance(value, str):
        return as_text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {as_text(str(key)): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    return as_text(str(value))
