"""What the page of recordings shows: a table of all, and the most abnormal ones to look at and to listen to.

Read `audio_figures.py` next (what is drawn), then `audio_files.py` (where the sound itself is) and `audio_words.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from oddwave.report import wording
from oddwave.report.audio_figures import (
    FrequencyAxis,
    LevelScale,
    difference_image,
    heat_image,
    level_image,
    level_stops,
    score_course,
    time_ticks,
)
from oddwave.report.audio_files import AudioPart, AudioPlan, embedded_part, loudness_db, part_names, plan_audio
from oddwave.report.audio_words import (
    band_text,
    describe,
    event_rarity_text,
    is_flagged,
    moment_text,
    place_text,
    ranked,
    rarity_text,
)
from oddwave.report.facts import BandBar, choices, part_bars
from oddwave.report.histogram import histogram_figure
from oddwave.report.image_figures import MapScale, encoded, legend_stops, map_scale
from oddwave.results import AudioEvent, AudioExcerpt, AudioResult, CalibrationSummary, DetectionResult

__all__ = ["audio_content"]

MAX_DETAILS = 40
LEAST_DETAILS = 6  # shown even where nothing was flagged: the recordings nearest to the threshold
MAX_OPEN = 3
MAX_ROWS = 1_000
MAX_EVENTS = 30
PART_LABELS = {
    "recon": "denoiser's error",
    "reconstruction": "denoiser's error",
    "recon.pixel": "denoiser's error on the map",
    "recon.feature": "denoiser's error on features",
    "feature": "error in the features",
    "memory": "distance to normal sound",
    "clip": "character of the whole clip",
    "memory.patch": "distance to normal patches of sound",
    "memory.position": "distance from what is usual at the frequency",
}
_HEARD: dict[AudioPart, tuple[str, str]] = {
    "input": ("Input", "as it was recorded"),
    "normal": ("Normal", "as it would sound"),
    "odd": ("Odd part", "input minus normal"),
}


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event as the page shows it; `box` is left, top, width and height in percent of the excerpt, or None."""

    event: AudioEvent
    rank: int
    text: str
    band: str
    score: str
    p_value: str
    rarity: str
    box: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class Layers:
    """The images of one excerpt as data URIs, and the axes and scales around them."""

    width: int
    height: int
    input: str
    normal: str
    difference: str
    heat: str
    frequency_ticks: tuple[tuple[float, str], ...]
    time_ticks: tuple[tuple[float, str], ...]
    quietest: str
    loudest: str
    full_difference: str
    num_columns: int


@dataclass(frozen=True, slots=True)
class Player:
    """One of the three sounds of an excerpt: what it is, and where it comes from."""

    part: AudioPart
    title: str
    subtitle: str
    source: str


@dataclass(frozen=True, slots=True)
class AudioView:
    """One recording in detail; `layers` is None, and there are no players, where it has no excerpt."""

    item: AudioResult
    index: int
    flagged: bool
    score: str
    p_value: str
    rarity: str
    facts: tuple[tuple[str, str], ...]
    layers: Layers | None
    players: tuple[Player, ...]
    hearing: str
    course: Mapping[str, Any] | None
    events: tuple[EventRow, ...]
    parts: tuple[BandBar, ...]


def audio_content(result: DetectionResult, audio_folder: str | None = None) -> dict[str, Any]:
    """Return what `templates/audio.html` shows beyond the shell of every page.

    Sound that does not fit into the page is linked to below `audio_folder`; without one it has no players.
    """
    items = ranked(result.recordings)
    num_flagged = sum(map(is_flagged, items))
    num_details = min(len(items), max(LEAST_DETAILS, min(num_flagged, MAX_DETAILS)))
    plans = plan_audio(result.recordings)
    scale = map_scale(result)
    views = [
        _view(item, index, scale, result.calibration, plans.get(item.id), audio_folder)
        for index, item in enumerate(items[:num_details])
    ]
    return {
        "views": views,
        "rows": [_row(item, index, index < num_details) for index, item in enumerate(items[:MAX_ROWS])],
        "num_rows": len(items),
        "legend": _legend(scale),
        "linked": audio_folder is not None and any(not plan.embed for plan in plans.values()),
        "histogram": histogram_figure(result.calibration, result.scores) if result.items else None,
        "choices": choices(result.model.get("choices")),
        "missing": [],
        "max_open": MAX_OPEN,
        "max_events": MAX_EVENTS,
    }


def _row(item: AudioResult, index: int, has_view: bool) -> dict[str, Any]:
    return {
        "id": item.id,
        "view": index if has_view else None,
        "score": wording.score_text(item.score),
        "order": item.score,
        "p": wording.p_value_text(item.p_value),
        "flagged": is_flagged(item),
        "length": wording.duration_text(item.duration_s) if item.duration_s > 0 else "",
        "seconds": item.duration_s,
        "what": place_text(item) if item.events else "",
    }


def _view(
    item: AudioResult,
    index: int,
    scale: MapScale,
    calibration: CalibrationSummary,
    plan: AudioPlan | None,
    audio_folder: str | None,
) -> AudioView:
    axis = None if item.excerpt is None else FrequencyAxis.of(item.excerpt.frequencies_hz)
    players = () if item.excerpt is None or plan is None else _players(item.excerpt, plan, audio_folder)
    return AudioView(
        item=item,
        index=index,
        flagged=is_flagged(item),
        score=wording.score_text(item.score),
        p_value=wording.p_value_text(item.p_value),
        rarity=rarity_text(item, calibration.num_points),
        facts=_facts(item),
        layers=None if item.excerpt is None or axis is None else _layers(item.excerpt, axis, scale),
        players=players,
        hearing="" if item.excerpt is None or plan is None else _hearing(item.excerpt, plan, players),
        course=score_course(item, calibration),
        events=_event_rows(item, axis, calibration.num_blocks),
        parts=_parts(item),
    )


def _facts(item: AudioResult) -> tuple[tuple[str, str], ...]:
    facts = [
        ("Length", wording.duration_text(item.duration_s) if item.duration_s > 0 else "unknown"),
        ("Recorded at", f"{item.sample_rate:,} Hz"),
        ("Score", wording.score_text(item.score)),
        ("p-value", wording.p_value_text(item.p_value)),
    ]
    if len(item.scores) > 1:
        over = int(np.sum(item.labels == 1))
        facts.insert(2, ("Clips above the threshold", f"{over:,} of {len(item.scores):,}"))
    excerpt = item.excerpt
    if excerpt is not None and len(excerpt.samples) < 0.98 * item.duration_s * excerpt.sample_rate:
        facts.append(("Shown", f"{moment_text(excerpt.start_s)} to {moment_text(excerpt.end_s)}"))
    return tuple(facts)


def _layers(excerpt: AudioExcerpt, axis: FrequencyAxis, scale: MapScale) -> Layers:
    levels = LevelScale.of(excerpt)
    drawn = level_image(excerpt.levels_db, axis, excerpt, levels)
    heat = heat_image(axis, excerpt, scale)
    return Layers(
        width=drawn.width,
        height=drawn.height,
        input=encoded(drawn),
        normal=encoded(level_image(excerpt.normal_levels_db, axis, excerpt, levels)),
        difference=encoded(difference_image(axis, excerpt, levels)),
        heat="" if heat is None else encoded(heat),
        frequency_ticks=tuple(axis.ticks()),
        time_ticks=tuple(time_ticks(excerpt.start_s, excerpt.end_s)),
        quietest=f"{wording.fixed_text(levels.quietest_db, 0)} dB",
        loudest=f"{wording.fixed_text(levels.loudest_db, 0)} dB",
        full_difference=f"{wording.fixed_text(levels.full_difference_db, 0)} dB",
        num_columns=excerpt.levels_db.shape[1],
    )


def _players(excerpt: AudioExcerpt, plan: AudioPlan, audio_folder: str | None) -> tuple[Player, ...]:
    if not plan.embed and audio_folder is None:
        return ()
    return tuple(
        Player(
            part,
            *_HEARD[part],
            embedded_part(excerpt, part) if plan.embed else f"{audio_folder}/{name}",
        )
        for part, name in part_names(plan.stem).items()
    )


def _hearing(excerpt: AudioExcerpt, plan: AudioPlan, players: tuple[Player, ...]) -> str:
    """Say how loud the players play, or why there are none."""
    if not players:
        return "Its sound is too large for this page; oddwave score writes it beside the report."
    if not np.any(excerpt.odd):
        return "No odd part could be told from the recording: the normal sound is the recording itself."
    if not plan.embed:
        return "These play from files beside this page, as loud as they were recorded: move them together."
    gain = round(loudness_db(excerpt))
    if gain == 0:
        return "All three play as loud as they were recorded."
    return f"All three play {abs(gain)} dB {'louder' if gain > 0 else 'quieter'} than they were recorded, alike."


def _event_rows(item: AudioResult, axis: FrequencyAxis | None, num_normals: int) -> tuple[EventRow, ...]:
    rows = []
    for rank, event in enumerate(sorted(item.events, key=lambda event: -event.score), start=1):
        band = band_text(event)
        row = EventRow(
            event=event,
            rank=rank,
            text=describe(event),
            band=band[0].upper() + band[1:],
            score=wording.score_text(event.score),
            p_value=wording.p_value_text(event.p_value),
            rarity=event_rarity_text(event.p_value, num_normals),
            box=None if axis is None or item.excerpt is None else _box(event, axis, item.excerpt),
        )
        rows.append(row)
    return tuple(rows)


def _box(event: AudioEvent, axis: FrequencyAxis, excerpt: AudioExcerpt) -> tuple[float, float, float, float] | None:
    """Return where an event lies in its excerpt; None where it lies elsewhere in the recording."""
    span_s = excerpt.end_s - excerpt.start_s
    left, right = (min(1.0, max(0.0, (time_s - excerpt.start_s) / span_s)) for time_s in (event.start_s, event.end_s))
    if right <= left:
        return None
    top, bottom = axis.from_top(event.high_hz), axis.from_top(event.low_hz)
    left, top, width, height = (round(100 * share, 2) for share in (left, top, right - left, bottom - top))
    return left, top, width, height


def _parts(item: AudioResult) -> tuple[BandBar, ...]:
    """The terms of the score at the most abnormal clip."""
    clip = int(np.nanargmax(item.scores))
    values = {name: float(part[clip]) for name, part in item.parts.items() if len(part) > clip}
    return tuple(part_bars(values, PART_LABELS))


def _legend(scale: MapScale) -> dict[str, Any]:
    """Return the colour scales: of levels, and of the anomaly map, which is the same in all recordings."""
    return {
        "levels": level_stops(),
        "heat": legend_stops(scale),
        "threshold": "" if scale.threshold is None else wording.score_text(scale.threshold),
        "mark": None if scale.threshold is None else 100 * scale.threshold / scale.top,
        "top": wording.score_text(scale.top),
    }
