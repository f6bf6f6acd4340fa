"""What the page of streams and panel instances shows: sections, event rows, and what their readings lack.

Read `figures.py` next: the numbers behind their plots.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from oddwave.report import wording
from oddwave.report.facts import BandBar, choices
from oddwave.report.figures import MAX_CHANNELS, axis_offset, item_figure, point_budget, score_histogram, sparkline
from oddwave.result_times import offset_text
from oddwave.results import DetectionResult, SeriesEvent, SeriesResult

__all__ = ["series_content"]

MAX_DRAWN_STREAMS = 200
MAX_DRAWN_INSTANCES = 60
MAX_OPEN_INSTANCES = 12
MAX_OPEN_STREAMS = 3
MAX_ROWS = 1_000
MAX_EVENT_ROWS = 300
MAX_EVENT_CARDS = 6


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event as the page shows it; `rank` 1 is the strongest, `section` and `place` say where it is drawn."""

    event: SeriesEvent
    rank: int
    section: int
    place: int
    start: str
    end: str
    duration: str
    duration_points: int
    peak: str
    score: str
    p_value: str
    rate: str
    bands: tuple[BandBar, ...]
    parts: tuple[tuple[str, str], ...]

    @property
    def strongest_band(self) -> BandBar | None:
        """The band that carries the largest share, or None where no bands were given."""
        return next((band for band in self.bands if band.strongest), None)


@dataclass(frozen=True, slots=True)
class Section:
    """One stream or instance as the page shows it; `figure` is None where it is listed but not drawn."""

    item: SeriesResult
    index: int
    facts: tuple[tuple[str, str], ...]
    events: tuple[EventRow, ...]
    flagged: bool
    peak_score: str
    sort_score: float
    p_value: str
    spark: Mapping[str, Any]
    figure: Mapping[str, Any] | None
    num_rows: int
    thinned: bool


def series_content(result: DetectionResult) -> dict[str, Any]:
    """Return what `templates/series.html` shows beyond the shell of every page."""
    sections = _sections(result)
    events = sorted((row for section in sections for row in section.events), key=lambda row: row.rank)
    return {
        "sections": sections[:MAX_ROWS],
        "num_sections": len(sections),
        "events": events[:MAX_EVENT_ROWS],
        "num_events": len(events),
        "with_channels": any(row.event.channel is not None for row in events),
        "with_bands": any(row.bands for row in events),
        "with_missing": any(not item.observed.all() for item in result.series if not item.error),
        "with_normal": any(item.reconstruction is not None for item in result.series),
        "histogram": score_histogram(result.calibration, result.scores) if result.items else None,
        "choices": choices(result.model.get("choices")),
        "missing": _missing(result),
        "max_open": MAX_OPEN_STREAMS if result.kind == "stream" else MAX_OPEN_INSTANCES,
        "max_cards": MAX_EVENT_CARDS,
    }


def _peak_score(item: SeriesResult) -> float:
    return float(np.nanmax(item.scores)) if np.isfinite(item.scores).any() else float("-inf")


def _sections(result: DetectionResult) -> list[Section]:
    """Return the items as sections, the most abnormal first; only so many are drawn that the page stays quick."""
    limit = MAX_DRAWN_STREAMS if result.kind == "stream" else MAX_DRAWN_INSTANCES
    items = sorted(result.series, key=_peak_score, reverse=True)
    strengths = [event.score for item in items for event in item.events]
    order = np.argsort([-score for score in strengths], kind="stable")
    rank_of = {int(at): rank + 1 for rank, at in enumerate(order)}
    budget = point_budget(result, min(limit, len(items)))
    sections, at = [], 0
    for index, item in enumerate(items):
        ranks = {place: rank_of[at + place] for place in range(len(item.events))}
        at += len(item.events)
        sections.append(_section(result, item, index, ranks, budget if index < limit else 0))
    return sections


def _section(result: DetectionResult, item: SeriesResult, index: int, ranks: Mapping[int, int], budget: int) -> Section:
    peak = int(np.nanargmax(item.scores)) if np.isfinite(item.scores).any() else None
    rows = sorted((_event_row(item, place, ranks[place], index) for place in ranks), key=lambda row: row.rank)
    threshold, with_score, drawn = result.calibration.threshold, result.kind == "stream", bool(item.observed.any())
    return Section(
        item=item,
        index=index,
        facts=_item_facts(item),
        events=tuple(rows),
        flagged=item.flagged or bool(item.events),
        peak_score=wording.score_text(_peak_score(item)),
        sort_score=_peak_score(item) if peak is not None else -1e300,
        p_value="n/a" if peak is None else wording.p_value_text(float(item.p_values[peak])),
        spark=sparkline(item) if index < MAX_ROWS else {},
        figure=item_figure(item, threshold, ranks, budget, with_score=with_score) if budget and drawn else None,
        num_rows=min(item.values.shape[1], MAX_CHANNELS),
        thinned=0 < budget < len(item.values),
    )


def _event_row(item: SeriesResult, place: int, rank: int, section: int) -> EventRow:
    event = item.events[place]
    strongest = max((band.share for band in event.bands), default=0.0)
    return EventRow(
        event=event,
        rank=rank,
        section=section,
        place=place,
        start=wording.moment_text(item, event.start),
        end=wording.moment_text(item, event.end),
        duration=wording.event_length_text(item, event),
        duration_points=event.end - event.start + 1,
        peak=wording.moment_text(item, event.peak),
        score=wording.score_text(event.score),
        p_value=wording.p_value_text(event.p_value),
        rate=wording.rate_text(event.p_value),
        bands=tuple(
            BandBar(
                label=wording.band_text(band, item.sample_period_s),
                percent=f"{100 * band.share:.0f} %",
                share=band.share,
                strongest=band.share == strongest,
            )
            for band in sorted(event.bands, key=lambda band: -band.period_max)
        ),
        parts=tuple((name, wording.score_text(float(part[event.peak]))) for name, part in item.parts.items()),
    )


def _item_facts(item: SeriesResult) -> tuple[tuple[str, str], ...]:
    num_points, num_channels = item.values.shape
    if item.error:
        return ()
    facts = [("Points", f"{num_points:,}")]
    if num_channels > 1:
        facts.append(("Channels", f"{num_channels:,}"))
    span_s = wording.duration_s(item, 0, num_points - 1) if num_points else None
    if span_s:
        facts.append(("Covers", wording.duration_text(span_s)))
    if item.sample_period_s:
        facts.append(("One point every", wording.duration_text(item.sample_period_s)))
    offset = axis_offset(item)
    if offset is not None:
        facts.append(("Time axis", f"{item.timezone}, drawn at UTC{offset_text(offset)}"))
    missing = 1 - float(item.observed.mean()) if item.observed.size else 0.0
    if missing > 0:
        facts.append(("Missing", wording.percent_text(missing)))
    return tuple(facts)


def _missing(result: DetectionResult) -> list[str]:
    """Return what the data themselves lack: points without a score, missing readings."""
    lines = []
    read = [item for item in result.series if not item.error]
    unscored = sum(int((~np.isfinite(item.scores)).sum()) for item in read)
    if unscored:
        lines.append(f"{wording.count_text(unscored, wording.NOUNS[result.kind])} without a score.")
    missing = sum(int((~item.observed).sum()) for item in read)
    total = sum(item.observed.size for item in read)
    if missing:
        share = wording.percent_text(missing / total)
        lines.append(f"Missing readings ({missing:,} of {total:,}, {share}): what is not there cannot be judged.")
    return lines
