"""What the history keeps of a result: a row per item, a row per event, and of what was found a small picture of it.

Read `schema.py` for the columns. Legend: T points of a stream.
"""

import base64
import itertools
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from oddwave.errors import DataError
from oddwave.report.drift_words import drift_sentence
from oddwave.report.kinds import kind_of
from oddwave.report.wording import severity_word
from oddwave.results import AnyResult, AudioResult, DetectionResult, Drift, ImageResult, SeriesResult
from oddwave.service.answers import plain
from oddwave.service.batching import Judgement
from oddwave.service.spool import Entry
from oddwave.visible import as_text, visible

__all__ = ["entries_of", "new_id"]

MOST_EVENTS = 50  # of an item
MOST_BYTES = 16_384  # of a picture or excerpt
_MOST_POINTS = 300
_TEXT = 400
_MOST_FACTS = 4_000  # characters
_numbers = itertools.count()


def new_id() -> str:
    """Return an id that sorts by time, and within one process by order too, and is met once."""
    return f"{int(1000 * time.time()):012x}{next(_numbers) & 0xFFFF:04x}{secrets.token_hex(4)}"


def entries_of(
    judgement: Judgement, model: Mapping[str, str], source: str, told: Callable[[str], str] = str
) -> tuple[list[str], list[Entry]]:
    """Return the ids of all items in order, and what the history keeps.

    `model` has name, fingerprint and modality; `told` cleans messages, see `Uploads.told`.
    """
    common = {
        "received_ms": int(1000 * time.time()),
        "model": model["name"],
        "fingerprint": model["fingerprint"],
        "modality": model["modality"],
        "source": as_text(source)[:200],
    }
    result = judgement.result
    if result is None:
        unread: list[Entry] = [
            _item_entry(common, name, label=-1, reason=told(reason)) for name, reason in judgement.unread
        ]
        return [entry["id"] for entry in unread], unread
    ids, entries = [], list[Entry]()
    for item in result.items:
        entry = _of_item(common, item, result, told)
        ids.append(entry["id"])
        entries.append(entry)
        for number, row in enumerate(kind_of(result).event_rows(item)):
            if number < MOST_EVENTS:
                entries.append(_of_event(entry["id"], number, row))
    return ids, entries


def _item_entry(common: Mapping[str, Any], name: str, **known: Any) -> dict[str, Any]:
    known["reason"] = visible(known.get("reason", ""))[:_TEXT]
    nothing = dict.fromkeys(("score", "p_value", "threshold", "excerpt", "excerpt_type"))
    whole = {**nothing, "severity": "", "num_events": 0, "drift": "", **known}
    return {"table": "oddwave_items", "id": new_id(), **common, "item": as_text(name)[:_TEXT], **whole}


def _of_item(
    common: Mapping[str, Any], item: AnyResult, result: DetectionResult, told: Callable[[str], str]
) -> dict[str, Any]:
    excerpt, kind = _excerpt(item)
    threshold = item.threshold if isinstance(item, AudioResult) else result.calibration.threshold
    return _item_entry(
        common,
        item.id,
        label=item.label,
        score=_number(item.score),
        p_value=_number(item.p_value),
        threshold=_number(threshold),
        severity=severity_word(item.strength) if item.flagged else "",
        reason=told(item.reason),
        num_events=len(item.events),
        drift=as_text(" ".join(drift_sentence(result, own) for own in result.drift if _tells_of(own, item, result))),
        excerpt=excerpt,
        excerpt_type=kind,
    )


def _tells_of(drift: Drift, item: AnyResult, result: DetectionResult) -> bool:
    """Return whether a drift is told with this item: a stream's own, else that of all with the last one."""
    return drift.item == item.id if result.kind == "stream" else item is result.items[-1]


def _of_event(item_id: str, number: int, row: Mapping[str, Any]) -> Entry:
    facts = {key: value for key, value in row.items() if key not in ("item", "score", "p_value", "start", "end")}
    told = as_text(json.dumps(plain(facts), ensure_ascii=False))
    return {
        "table": "oddwave_events",
        "item_id": item_id,
        "number": number,
        "score": _number(row.get("score")),
        "p_value": _number(row.get("p_value")),
        "start": str(row.get("start", ""))[:80],
        "end": str(row.get("end", ""))[:80],
        "facts": told if len(told) <= _MOST_FACTS else "{}",
    }


def _number(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _excerpt(item: AnyResult) -> tuple[bytes | None, str | None]:
    """Return a small picture of an image or of what was heard, or of a stream the values around what was found."""
    if isinstance(item, ImageResult) and item.image is not None and item.status == "judged":
        from oddwave.report.kinds.image_figures import shown, thumbnail

        try:
            return _of_uri(thumbnail(shown(item.image.pixels())))
        except (DataError, OSError):
            return None, None
    if isinstance(item, AudioResult) and item.excerpt is not None:
        from oddwave.report.kinds.audio_figures import FrequencyAxis, LevelScale, level_image
        from oddwave.report.kinds.image_figures import thumbnail

        heard = item.excerpt
        axis = FrequencyAxis.of(heard.frequencies_hz)
        return _of_uri(thumbnail(level_image(heard.levels_db, axis, heard, LevelScale.of(heard))))
    if isinstance(item, SeriesResult) and item.status == "judged":
        return _values_around(item)
    return None, None


def _of_uri(uri: str) -> tuple[bytes | None, str | None]:
    head, _, data = uri.partition(",")
    content = base64.b64decode(data)
    return (content, head[5:].partition(";")[0]) if len(content) <= MOST_BYTES else (None, None)


def _values_around(item: SeriesResult) -> tuple[bytes | None, str | None]:
    """Return as JSON the values of the channel that is most to blame, around the strongest event or at the end."""
    length, event = len(item.values), item.events[0] if item.events else None
    first, last = (event.start, event.end) if event else (max(0, length - _MOST_POINTS), length - 1)
    spare = max(20, (last - first + 1))
    begin, end = max(0, first - spare), min(length, last + 1 + spare)
    step = max(1, -(-(end - begin) // _MOST_POINTS))
    channel = item.channel_names.index(event.channel) if event and event.channel in item.channel_names else 0
    values = [_number(value) for value in item.values[begin:end:step, channel]]
    name = item.channel_names[channel] if item.channel_names else ""
    told = {"channel": as_text(name)[:100], "begin": begin, "step": step, "values": _short(values),
            "start": event.start if event else None, "end": event.end if event else None}  # fmt: skip
    content = json.dumps(told, ensure_ascii=False).encode()
    return (content, "application/json") if len(content) <= MOST_BYTES else (None, None)


def _short(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else float(f"{value:.6g}") for value in values]
