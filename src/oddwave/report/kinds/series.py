"""Series in the report: streams, of which every point has a score, and panels, of which every instance has one.

Read `series_words.py` next (how moments, durations and bands become words), then `series_figures.py` (what is drawn).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from oddwave.report import wording
from oddwave.report.kinds.base import FINDING_COLUMNS, STRENGTH, ReportKind, Verdict
from oddwave.report.kinds.series_figures import MAX_CHANNELS, item_figure, point_budget, sparkline
from oddwave.report.kinds.series_words import axis_offset, band_text, duration_s, event_length_text, moment_text
from oddwave.report.kinds.views import share_bars
from oddwave.report.plain_words import TERMS
from oddwave.result_times import clock_text, offset_text
from oddwave.results import CalibrationSummary, DetectionResult, SeriesEvent, SeriesResult

__all__ = ["PANEL", "STREAM"]

MAX_ROWS = 1_000
MAX_EVENT_ROWS = 300
MAX_EVENT_CARDS = 6


def _content(
    result: DetectionResult, _: str | None = None, *, most_drawn: int, most_open: int, with_score: bool
) -> dict[str, Any]:
    """Return what the page shows beyond the shell of every page; only so much is drawn that it stays quick."""
    items = sorted(result.series, key=_peak_score, reverse=True)
    strengths = [event.score for item in items for event in item.events]
    ranks = iter((1 + np.argsort(np.argsort(np.negative(strengths), kind="stable"))).tolist())
    budget = point_budget(result, min(most_drawn, len(items)))
    sections = []
    for index, item in enumerate(items):
        own = {place: next(ranks) for place in range(len(item.events))}
        points = budget if index < most_drawn and item.observed.any() else 0
        figure = item_figure(item, result.calibration.threshold, own, points, with_score=with_score) if points else None
        sections.append(_section(item, index, own) | {"figure": figure, "thinned": 0 < points < len(item.values)})
    events = sorted((row for section in sections for row in section["events"]), key=lambda row: row["rank"])
    return {
        "sections": sections[:MAX_ROWS],
        "num_sections": len(sections),
        "events": events[:MAX_EVENT_ROWS],
        "num_events": len(events),
        "with_channels": any(row["event"].channel is not None for row in events),
        "with_bands": any(row["bands"] for row in events),
        "with_missing": any(not item.observed.all() for item in result.series if not item.error),
        "with_normal": any(item.reconstruction is not None for item in result.series),
        "missing": _missing(result, "point" if with_score else "instance"),
        "max_open": most_open,
        "max_cards": MAX_EVENT_CARDS,
    }


def _peak_score(item: SeriesResult) -> float:
    return float(np.nan_to_num(item.score, nan=-np.inf))


def _section(item: SeriesResult, index: int, ranks: Mapping[int, int]) -> dict[str, Any]:
    """Return one stream or instance as the page shows it; `ranks` are the numbers of its events."""
    rows = [_event_row(item, place, rank, index) for place, rank in ranks.items()]
    return {
        "item": item,
        "index": index,
        "facts": _facts(item),
        "events": sorted(rows, key=lambda row: row["rank"]),
        "flagged": item.flagged or bool(item.events),
        "peak_score": wording.score_text(_peak_score(item)),
        "sort_score": item.score if np.isfinite(item.score) else -1e300,
        "p_value": wording.p_value_text(item.p_value),
        "spark": sparkline(item) if index < MAX_ROWS else {},
        "num_rows": min(item.values.shape[1], MAX_CHANNELS),
    }


def _event_row(item: SeriesResult, place: int, rank: int, section: int) -> dict[str, Any]:
    """Return one event; `rank` 1 is the strongest of all, `section` and `place` say where it is drawn."""
    event = item.events[place]
    bands = sorted(event.bands, key=lambda band: -band.period_max)
    bars = share_bars([(band_text(band, item.sample_period_s), band.share) for band in bands])
    return {
        "event": event,
        "rank": rank,
        "section": section,
        "place": place,
        **{name: moment_text(item, getattr(event, name)) for name in ("start", "end", "peak")},
        "duration": event_length_text(item, event),
        "duration_points": event.end - event.start + 1,
        "score": wording.score_text(event.score),
        "p_value": wording.p_value_text(event.p_value),
        "severity": wording.severity_text(event.strength, "block"),
        "bands": bars,
        "strongest_band": next((bar for bar in bars if bar.strongest), None),
        "parts": [
            (TERMS.get(name, name), wording.score_text(float(part[event.peak]))) for name, part in item.parts.items()
        ],
    }


def _facts(item: SeriesResult) -> list[tuple[str, str]]:
    num_points, num_channels = item.values.shape
    span_s = duration_s(item, 0, num_points - 1) if num_points else None
    offset, missing = axis_offset(item), 1 - float(item.observed.mean()) if item.observed.size else 0.0
    facts = [
        ("Points", f"{num_points:,}"),
        ("Channels", f"{num_channels:,}" if num_channels > 1 else ""),
        ("Covers", wording.duration_text(span_s) if span_s else ""),
        ("One point every", wording.duration_text(item.sample_period_s) if item.sample_period_s else ""),
        ("Time axis", "" if offset is None else f"{item.timezone}, drawn at UTC{offset_text(offset)}"),
        ("Missing", wording.percent_text(missing) if missing > 0 else ""),
    ]
    return [] if item.error else [(name, text) for name, text in facts if text]


def _missing(result: DetectionResult, noun: str) -> list[str]:
    """Return what the data themselves lack: points without a score, missing readings."""
    lines = []
    read = [item for item in result.series if not item.error]
    unscored = sum(int((~np.isfinite(item.scores)).sum()) for item in read)
    if unscored:
        lines.append(f"{wording.count_text(unscored, noun)} without a score.")
    missing, total = sum(int((~item.observed).sum()) for item in read), sum(item.observed.size for item in read)
    if missing:
        share = wording.percent_text(missing / total)
        lines.append(f"Missing readings ({missing:,} of {total:,}, {share}) cannot be judged.")
    return lines


def _headline(result: DetectionResult) -> Verdict:
    """Return the verdict on streams: how many stretches are anomalous, or else where the highest score is."""
    several = len(result.items) > 1
    if not result.events:
        highest = max((item for item in result.series if item.status == "judged"), key=lambda item: item.score)
        peak = int(np.nanargmax(highest.scores))
        where = f" of {highest.id}" if several else ""
        evidence = wording.evidence_text(highest, result.calibration)
        detail = f"The highest score is at {moment_text(highest, peak)}{where} ({evidence})."
        certain = result.calibration.confirmed or highest.strength.num_as_high > 0
        return "clear", "Nothing above the threshold" if certain else "Nothing certain", detail
    item, strongest = _by_strength(result)[0]
    subject = "It" if len(result.events) == 1 else "The strongest"
    where = f" in {item.id}" if several else ""
    evidence = wording.evidence_text(strongest, result.calibration)
    moment, length = moment_text(item, strongest.start), event_length_text(item, strongest)
    headline = wording.count_text(len(result.events), "anomalous stretch", "anomalous stretches")
    if not result.calibration.confirmed:
        blocks = wording.count_text(result.calibration.num_blocks, "normal block")
        headline = f"{wording.count_text(len(result.events), 'stretch', 'stretches')} beyond anything in {blocks}"
    return "found", headline, f"{subject} starts{where} at {moment} and lasts {length} ({evidence})."


def _by_strength(result: DetectionResult) -> list[tuple[SeriesResult, SeriesEvent]]:
    owned = [(item, event) for item in result.series for event in item.events]
    return sorted(owned, key=lambda pair: -pair[1].score)


def _event_lines(result: DetectionResult) -> list[str]:
    """Return a line per event for the terminal, the strongest first."""
    return [
        f"{f'{event.item}: ' if len(result.items) > 1 else ''}{moment_text(item, event.start)} to "
        f"{moment_text(item, event.end)}  {wording.finding_text(event)}"
        + (f"  {event.channel}" if event.channel and len(item.channel_names) > 1 else "")
        for item, event in _by_strength(result)
    ]


def _finding_sentence(calibration: CalibrationSummary) -> str:
    smallest = wording.p_value_text(1 / (calibration.num_blocks + 1))
    return (
        "An event's p-value compares its peak with those of independent normal stretches, and cannot be smaller than "
        f"{smallest}."
    )


def _event_rows(item: SeriesResult) -> Iterator[dict[str, Any]]:
    """Yield an item's rows of events.csv: times where there are some, and the strongest band.

    Its longest period is `inf` for the lowest band; hertz are empty without a clock.
    """
    for event in item.events:
        where = [event.start, event.end, event.peak]
        places: Sequence[Any] = where if item.timestamps is None else clock_text(item.timestamps[where], item.timezone)
        band = max(event.bands, key=lambda band: band.share, default=None)
        yield {
            "item": item.id,
            **dict(zip(("start", "end", "peak"), places, strict=True)),
            "score": event.score,
            "p_value": event.p_value,
            **{name: getattr(event.strength, name) for name in STRENGTH},
            "channel": event.channel,
            **{name: getattr(band, name.removeprefix("band_"), None) for name in _BAND_COLUMNS},
            **dict(zip(("start_index", "end_index", "peak_index"), where, strict=True)),
        }


_BAND_COLUMNS = ("band_low_hz", "band_high_hz", "band_period_min", "band_period_max", "band_share")
STREAM = ReportKind(
    name="stream",
    noun="point",
    item="series",
    items="series",
    per_score=True,
    headline=_headline,
    finding_sentence=_finding_sentence,
    all_scored="Every reading of {every} series was scored.",
    flagged_words="within events",
    lines=_event_lines,
    findings_file="events.csv",
    template="streams.html",
    styles=(),
    scripts=("series.js",),
    plots=True,
    content=partial(_content, most_drawn=200, most_open=3, with_score=True),
    noscript="The plots need JavaScript, which is off. The verdict and the tables are complete without it.",
    event_columns=(*FINDING_COLUMNS, "channel", *_BAND_COLUMNS),
    event_rows=_event_rows,
)
PANEL = replace(
    STREAM,
    name="panel",
    noun="instance",
    item="instance",
    items="instances",
    per_score=False,
    flagged_words="above the threshold",
    headline=None,
    lines=None,
    findings_file="scores.csv",
    template="panel.html",
    content=partial(_content, most_drawn=60, most_open=12, with_score=False),
)
