"""What the page of recordings shows: a table of all, and the most abnormal ones to look at and to listen to.

Read `audio_figures.py` next: what is drawn of a recording.
"""

from typing import Any

import numpy as np

from oddwave.report import wording
from oddwave.report.kinds.audio_figures import (
    FrequencyAxis,
    LevelScale,
    difference_image,
    heat_image,
    level_image,
    level_stops,
    score_course,
    time_ticks,
)
from oddwave.report.kinds.audio_files import AudioPlan, embedded_part, loudness_db, part_names, plan_audio
from oddwave.report.kinds.audio_trend import trend_of
from oddwave.report.kinds.audio_words import band_text, describe, moment_text, place_text, rarity_text
from oddwave.report.kinds.image_figures import MapScale, encoded, map_legend, map_scale
from oddwave.report.kinds.views import (
    MORE_BYTES,
    NOT_DRAWN,
    Box,
    item_view,
    items_content,
    layer_bytes,
    num_details,
    num_opened,
    ranked,
)
from oddwave.results import AudioEvent, AudioExcerpt, AudioResult, CalibrationSummary, DetectionResult

__all__ = ["audio_content"]

LEAST_DETAILS = 6  # shown even where nothing was flagged: the recordings nearest to the threshold
PART_LABELS = {
    "recon": "denoiser's error",
    "reconstruction": "denoiser's error",
    "recon.pixel": "denoiser's error on the map",
    "recon.feature": "denoiser's error on features",
    "feature": "error in the features",
    "memory": "distance to normal audio",
    "clip": "character of the whole clip",
    "memory.patch": "distance to normal patches of audio",
    "memory.position": "distance from normal at the frequency",
}
_HEARD = {
    "input": ("Input", "as recorded"),
    "normal": ("Normal", "as it would sound"),
    "odd": ("Odd part", "input minus normal"),
}
_UNEXPLAINED = "No excerpt was made of this recording: only the most abnormal ones are explained."
_LIMIT = (
    "The normal version is made from the recording itself: what is too loud is lowered, what is too quiet is raised. "
    "Sound that is missing altogether cannot be put back."
)


def audio_content(result: DetectionResult, audio_folder: str | None = None) -> dict[str, Any]:
    """Return what the page of recordings shows beyond the shell of every page.

    Audio that does not fit into the page is linked to below `audio_folder`; without one it has no players.
    """
    items, plans = ranked(result.items), plan_audio(result.recordings)
    scale = map_scale(result, lambda item: None if item.excerpt is None else item.excerpt.anomaly_map)
    views: list[dict[str, Any]] = []
    more: list[dict[str, Any]] = []
    first_views: dict[int, int] = {}
    num_views, left = num_details(items, LEAST_DETAILS), MORE_BYTES
    for place, item in enumerate(items[: num_opened(items, LEAST_DETAILS)]):
        first_views[place] = len(views) + len(more)
        few = place >= num_views  # the others have all their excerpts
        for number in range(max(1, len(item.excerpts[: 1 if few else None]))):
            sound = _sound(item, number, plans.get((item.id, number)), audio_folder)
            view = _view(item, (place, number), len(views) + len(more), scale, result.calibration, drawn=left > 0)
            (more if few else views).append(view | sound)
            left -= layer_bytes(view["layers"]) if few else 0
    linked = audio_folder is not None and any(not plan.embed for plan in plans.values())
    content = items_content(
        result,
        place_text,
        views,
        more,
        columns=("Length",),
        legend=map_legend(scale, "Anomaly map", "event", background=", #17293d") | {"levels": level_stops()},
        media_sources="data: file: 'self'" if linked else "data:",
        nothing="No single moment stands out.",
        limit=_LIMIT if views else "",
        trend=trend_of(result.recordings, result.calibration),
    )
    for place, (row, item) in enumerate(zip(content["rows"], items, strict=False)):
        row["view"] = first_views.get(place)
        length = wording.duration_text(item.duration_s) if item.duration_s > 0 else ""
        row["cells"] = [(length, item.duration_s)]
    return content


def _view(
    item: AudioResult,
    place: tuple[int, int],
    index: int,
    scale: MapScale,
    normal: CalibrationSummary,
    *,
    drawn: bool = True,
) -> dict[str, Any]:
    """Return a recording with its most abnormal excerpt or, in a view of its own, a further one.

    `place` is the recording's in the table of all, and the excerpt's number in it.
    """
    rank, number = place
    excerpt = item.excerpts[number] if item.excerpts else None
    axis = None if excerpt is None else FrequencyAxis.of(excerpt.frequencies_hz)
    shown: dict[str, Any] = {
        "rarity": rarity_text(item, normal.num_points),
        "facts": _facts(item, excerpt),
        "course": score_course(item, normal),
        "badge": str(rank + 1),
    }
    if number:
        assert excerpt is not None
        when = f"{moment_text(excerpt.start_s)} to {moment_text(excerpt.end_s)}"
        shown |= {"rarity": "", "course": None, "part": f", {when}"}
    view = item_view(
        item,
        index,
        PART_LABELS,
        lambda event: _finding(event, item, excerpt, axis),
        layers=None if excerpt is None or axis is None or not drawn else _layers(excerpt, axis, scale),
        problem=_UNEXPLAINED if drawn else NOT_DRAWN,
        **shown,
    )
    if number:
        view["findings"] = [row for row in view["findings"] if row["box"]]
    return view


def _facts(item: AudioResult, excerpt: AudioExcerpt | None) -> list[tuple[str, str]]:
    facts = [
        ("Length", wording.duration_text(item.duration_s) if item.duration_s > 0 else "unknown"),
        ("Recorded at", f"{item.sample_rate:,} Hz"),
    ]
    if len(item.scores) > 1:
        over = int(np.sum(item.labels == 1))
        facts.append(("Clips within events", f"{over:,} of {len(item.scores):,}"))
    if item.channel:
        facts.append(("Channel", item.channel))
    if excerpt is not None and len(excerpt.samples) < 0.98 * item.duration_s * excerpt.sample_rate:
        facts.append(("Shown", f"{moment_text(excerpt.start_s)} to {moment_text(excerpt.end_s)}"))
    return facts


def _layers(excerpt: AudioExcerpt, axis: FrequencyAxis, scale: MapScale) -> dict[str, Any]:
    levels = LevelScale.of(excerpt)
    drawn = level_image(excerpt.levels_db, axis, excerpt, levels)
    heat = heat_image(axis, excerpt, scale)
    return {
        "width": drawn.width,
        "height": drawn.height,
        "original": encoded(drawn),
        "normal": encoded(level_image(excerpt.normal_levels_db, axis, excerpt, levels)),
        "difference": encoded(difference_image(axis, excerpt, levels)),
        "heat": "" if heat is None else encoded(heat),
        "difference_hint": (
            f"Orange is louder than normal, blue quieter; full colour from {levels.full_difference_db:.0f} dB."
        ),
        "hint": "",
        "axes": {
            "hz": axis.ticks(),
            "s": time_ticks(excerpt.start_s, excerpt.end_s),
            "span": f"{excerpt.start_s} {excerpt.end_s}",
            "quietest": f"{levels.quietest_db:.0f} dB",
            "loudest": f"{levels.loudest_db:.0f} dB",
        },
    }


def _sound(item: AudioResult, number: int, plan: AudioPlan | None, audio_folder: str | None) -> dict[str, Any]:
    """Return the players of an excerpt's three parts, and how loud they play or why there are none."""
    if number >= len(item.excerpts) or plan is None:
        return {"players": [], "hearing": ""}
    excerpt = item.excerpts[number]
    players = [
        {
            "part": part,
            "title": _HEARD[part][0],
            "subtitle": _HEARD[part][1],
            "source": embedded_part(excerpt, part) if plan.embed else f"{audio_folder}/{name}",
        }
        for part, name in part_names(plan.stem).items()
        if plan.embed or audio_folder is not None
    ]
    return {"players": players, "hearing": _hearing(excerpt, plan, bool(players))}


def _hearing(excerpt: AudioExcerpt, plan: AudioPlan, has_players: bool) -> str:
    """Return how loud the players play, or why there are none."""
    if not has_players:
        return "Its audio is too large for this page; oddwave score writes it beside the report."
    if not np.any(excerpt.odd):
        return "No odd part could be told from the recording: the normal version is the recording itself."
    if not plan.embed:
        return "These play from files beside this page, as loud as recorded: keep the page and its folder together."
    gain = round(loudness_db(excerpt))
    if gain == 0:
        return "All three play as loud as recorded."
    return f"All three play {abs(gain)} dB {'louder' if gain > 0 else 'quieter'} than recorded."


def _finding(
    event: AudioEvent,
    item: AudioResult,
    excerpt: AudioExcerpt | None,
    axis: FrequencyAxis | None,
) -> dict[str, Any]:
    box = None if axis is None or excerpt is None else _box(event, axis, excerpt)
    score, p_value, band = wording.score_text(event.score), wording.p_value_text(event.p_value), band_text(event)
    facts = f"{band[0].upper()}{band[1:]}; clip's score {score}, p {p_value}."
    if excerpt is not None and box is None:
        heard = any(own.start_s < event.end_s and own.end_s > event.start_s for own in item.excerpts)
        facts += " It is in another excerpt below." if heard else " It lies outside the excerpt."
    return {"text": describe(event), "facts": facts, "box": box, "start_s": event.start_s}


def _box(event: AudioEvent, axis: FrequencyAxis, excerpt: AudioExcerpt) -> Box | None:
    """Return where an event lies in its excerpt; None where it lies elsewhere in the recording."""
    span_s = excerpt.end_s - excerpt.start_s
    left, right = (min(1.0, max(0.0, (time_s - excerpt.start_s) / span_s)) for time_s in (event.start_s, event.end_s))
    if right <= left:
        return None
    top, bottom = axis.from_top(event.high_hz), axis.from_top(event.low_hz)
    left, top, width, height = (round(100 * share, 2) for share in (left, top, right - left, bottom - top))
    return left, top, width, height
