"""What the pages of several kinds share: bars, ranked items, the table of all, and the most abnormal in detail.

`items_content` is what `templates/items.html` shows; a kind that has more than a table of scores adds views, which
`templates/detail.html` draws. Read `image_page.py` next, which does so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oddwave.report import wording
from oddwave.results import DetectionResult
from oddwave.visible import visible

__all__ = [
    "MAX_DETAILS",
    "MORE_BYTES",
    "NOT_DRAWN",
    "BandBar",
    "Box",
    "by_score",
    "item_row",
    "item_view",
    "items_content",
    "layer_bytes",
    "num_details",
    "num_opened",
    "peak_parts",
    "ranked",
    "share_bars",
]

MAX_OPEN = 3
MAX_ROWS = 1_000
MAX_DETAILS = 40
MAX_FINDINGS = 40
MAX_OPENED = 5_000  # flagged items that can be opened at all
MORE_BYTES = 12_000_000  # of the page, for what is drawn of flagged items beyond the first
NOT_DRAWN = "Not drawn: so many are anomalous that the page would grow too large. Its findings are complete."

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class BandBar:
    """One wavelet band of an event or an image, or one term of its score, as words and as a share in [0, 1]."""

    label: str
    percent: str
    share: float
    strongest: bool


def ranked(items: Sequence[Any]) -> list[Any]:
    """Return the items that have a score: flagged ones first, then by score, the highest first."""
    judged = [item for item in items if item.status == "judged"]
    return sorted(judged, key=lambda item: (not item.flagged, -item.score))


def by_score(item: Any) -> list[Any]:
    """Return an item's events or regions, the highest score first."""
    return sorted(item.events, key=lambda event: -event.score)


def num_details(items: Sequence[Any], least: int) -> int:
    """Return how many items are shown in detail: the flagged ones within bounds, `least` even where nothing is."""
    return min(len(items), max(least, min(sum(bool(item.flagged) for item in items), MAX_DETAILS)))


def num_opened(items: Sequence[Any], least: int) -> int:
    """Return how many items can be opened: those shown in detail and, on request, every flagged one within bounds."""
    return max(num_details(items, least), min(sum(bool(item.flagged) for item in items), MAX_OPENED))


def layer_bytes(layers: Mapping[str, Any] | None) -> int:
    """Return how much of the page is taken by what is drawn of an item."""
    return sum(len(text) for text in (layers or {}).values() if isinstance(text, str))


def peak_parts(item: Any) -> dict[str, float]:
    """Return the terms of an item's score where that is highest."""
    peak = int(np.nan_to_num(item.scores, nan=-np.inf).argmax())
    return {name: float(values[peak]) for name, values in item.parts.items() if len(values) > peak}


def share_bars(shares: Sequence[tuple[str, float]]) -> tuple[BandBar, ...]:
    """Return shares of a whole in the order given, the strongest marked."""
    strongest = max((share for _, share in shares), default=0.0)
    return tuple(BandBar(label, f"{100 * share:.0f} %", share, share == strongest) for label, share in shares)


def items_content(
    result: DetectionResult,
    place: Callable[[Any], str],
    views: Sequence[Mapping[str, Any]] = (),
    more_views: Sequence[Mapping[str, Any]] = (),
    **changes: Any,
) -> dict[str, Any]:
    """Return what `templates/items.html` shows beyond the shell of every page; `changes` replace or add entries.

    `views` stand in the page, `more_views` are put there when they are opened.
    """
    items, num = ranked(result.items), len(views) + len(more_views)
    return {
        "views": views,
        "more_views": more_views,
        "rows": [item_row(item, index, place, index < num) for index, item in enumerate(items[:MAX_ROWS])],
        "num_rows": len(items),
        "overview": "",
        "place_head": "Where" if any(item.events for item in items) else "",
        "columns": (),
        "sheets": (),
        "trend": None,
        "max_open": MAX_OPEN,
        "max_findings": MAX_FINDINGS,
    } | changes


def item_row(item: Any, index: int, place: Callable[[Any], str], has_view: bool) -> dict[str, Any]:
    """Return an item's row in the table of all."""
    return {
        "id": visible(item.id),
        "score": wording.score_text(item.score),
        "order": item.score,
        "p": wording.p_value_text(item.p_value),
        "flagged": item.flagged,
        "where": place(item) if item.events else "",
        "view": index if has_view else None,
        "cells": (),
    }


def item_view(
    item: Any, index: int, labels: Mapping[str, str], finding: Callable[[Any], dict[str, Any]], **shown: Any
) -> dict[str, Any]:
    """Return an item in detail: what `finding` says of each event, the terms of its score, and what is `shown`.

    `layers` are images of one size as data URIs, an empty text for one that there is not; `layers` is None where the
    item cannot be drawn, and `problem` then says why. A finding's `box` is None where it lies outside what is drawn.
    """
    return {
        "item": item,
        "index": index,
        "score": wording.score_text(item.score),
        "p_value": wording.p_value_text(item.p_value),
        "findings": [{"rank": rank, **finding(event)} for rank, event in enumerate(by_score(item), start=1)],
        "parts": tuple(_part_bars(peak_parts(item), labels)),
        "bands": (),
        "players": (),
        "course": None,
        "badge": "",
        "part": "",
    } | shown


def _part_bars(parts: Mapping[str, float], labels: Mapping[str, str]) -> Iterator[BandBar]:
    """Yield the terms of a score, the largest first; the length of a bar is relative to the largest."""
    largest = max((value for value in parts.values() if np.isfinite(value)), default=0.0)
    for name, value in sorted(parts.items(), key=lambda part: -np.nan_to_num(part[1], nan=-np.inf)):
        share = max(0.0, value / largest) if largest > 0 and np.isfinite(value) else 0.0
        label = labels.get(name, name.replace("_", " "))
        yield BandBar(label, wording.score_text(value), share, strongest=value == largest)
