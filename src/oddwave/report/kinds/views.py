"""What the pages of several kinds share: bars, ranked items, the table of all, and the most abnormal in detail.

`items_content` is what `templates/items.html` shows; a kind that has more than a table of scores adds `View`s, which
`templates/detail.html` draws. Read `image_page.py` next, which does so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oddwave.report import wording
from oddwave.report.histogram import histogram_figure
from oddwave.results import DetectionResult
from oddwave.visible import visible

__all__ = [
    "MAX_OPEN",
    "BandBar",
    "Box",
    "Finding",
    "Layers",
    "View",
    "by_score",
    "item_row",
    "items_content",
    "num_details",
    "part_bars",
    "peak_parts",
    "ranked",
    "share_bars",
]

MAX_OPEN = 3
MAX_ROWS = 1_000
MAX_DETAILS = 40
MAX_FINDINGS = 40

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class BandBar:
    """One wavelet band of an event or an image, or one term of its score, as words and as a share in [0, 1]."""

    label: str
    percent: str
    share: float
    strongest: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One region or event; `box` is left, top, width and height in percent of the view, None where it lies outside."""

    rank: int
    text: str
    facts: str
    box: Box | None
    start_s: float | None = None


@dataclass(frozen=True, slots=True)
class Layers:
    """What is drawn of one item, as data URIs of one size; a text is empty where there is no such layer.

    `axes` holds the ticks and the scale of levels around a map; an image has none.
    """

    width: int
    height: int
    original: str
    normal: str
    difference: str
    heat: str
    difference_hint: str
    hint: str = ""
    axes: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class View:
    """One item in detail; `layers` is None where it cannot be drawn, `problem` then says why."""

    item: Any
    index: int
    score: str
    p_value: str
    rarity: str
    facts: Sequence[tuple[str, str]]
    layers: Layers | None
    problem: str
    findings: Sequence[Finding]
    parts: Sequence[BandBar]
    bands: Sequence[BandBar] = ()
    largest_bands: str = ""
    players: Sequence[Mapping[str, str]] = ()
    hearing: str = ""
    course: Mapping[str, Any] | None = None


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


def peak_parts(item: Any) -> dict[str, float]:
    """Return the terms of an item's score where that is highest."""
    peak = int(np.nan_to_num(item.scores, nan=-np.inf).argmax())
    return {name: float(values[peak]) for name, values in item.parts.items() if len(values) > peak}


def part_bars(parts: Mapping[str, float], labels: Mapping[str, str]) -> Iterator[BandBar]:
    """Yield the terms of a score, the largest first; the length of a bar is relative to the largest."""
    largest = max((value for value in parts.values() if np.isfinite(value)), default=0.0)
    for name, value in sorted(parts.items(), key=lambda part: -np.nan_to_num(part[1], nan=-np.inf)):
        share = max(0.0, value / largest) if largest > 0 and np.isfinite(value) else 0.0
        label = labels.get(name, name.replace("_", " "))
        yield BandBar(label, wording.score_text(value), share, strongest=value == largest)


def share_bars(shares: Sequence[tuple[str, float]]) -> tuple[BandBar, ...]:
    """Return shares of a whole in the order given, the strongest marked."""
    strongest = max((share for _, share in shares), default=0.0)
    return tuple(BandBar(label, f"{100 * share:.0f} %", share, share == strongest) for label, share in shares)


def items_content(
    result: DetectionResult, place: Callable[[Any], str], views: Sequence[View] = (), **changes: Any
) -> dict[str, Any]:
    """Return what `templates/items.html` shows beyond the shell of every page; `changes` replace or add entries."""
    items = ranked(result.items)
    return {
        "views": views,
        "rows": [item_row(item, index, place, index < len(views)) for index, item in enumerate(items[:MAX_ROWS])],
        "num_rows": len(items),
        "overview": "",
        "place_head": "Where" if any(item.events for item in items) else "",
        "columns": (),
        "sheets": (),
        "histogram": histogram_figure(result.calibration, result.scores) if result.items else None,
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
