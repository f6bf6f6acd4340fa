"""Recordings in the report: their rows in the tables, their record; `audio_page.py` makes the page.

Read `audio_words.py` next (how findings become words), then `audio_files.py`.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from oddwave.report import wording
from oddwave.report.kinds.audio_files import AUDIO_FILES
from oddwave.report.kinds.audio_words import describe, place_text
from oddwave.report.kinds.base import FINDING_COLUMNS, ReportKind, Table, finding_fields
from oddwave.report.kinds.views import peak_parts
from oddwave.results import AudioEvent, AudioResult, CalibrationSummary, DetectionResult

__all__ = ["RECORDING"]

_CLIP_COLUMNS = ("item", "start_s", "end_s", "score", "p_value", "label", "status", "reason")


def _content(result: DetectionResult, audio_folder: str | None) -> dict[str, Any]:
    from oddwave.report.kinds.audio_page import audio_content  # opens Pillow

    return audio_content(result, audio_folder)


def _finding_sentence(calibration: CalibrationSummary) -> str:
    """Return what the p-values of a recording and of an event compare."""
    sentence = (
        "A recording's p-value compares its highest clip with the highest ones of stretches of normal sound as long as "
        "it, and an event's the highest clip that it lies in. A recording is not suspect for its length: the longer it "
        "is, the higher a clip must score to be an event."
    )
    level = calibration.pixel_threshold
    if level is None or not math.isfinite(level):
        return sentence
    return (
        f"{sentence} Within anomalous clips, events are drawn where the anomaly map passes "
        f"{wording.score_text(level)}, which {wording.percent_text(calibration.alpha)} of normal clips do anywhere."
    )


def _summary(item: AudioResult) -> dict[str, Any]:
    return {
        "duration_s": item.duration_s,
        "sample_rate": item.sample_rate,
        "clips": len(item.scores),
        "error": item.error,
        "parts": peak_parts(item),
        "channel": item.channel,
        "recorded_at": None if item.recorded_at is None else item.recorded_at.isoformat(),
        "audio_events": [{**dataclasses.asdict(event), "text": describe(event)} for event in _in_time(item)],
    }


def _in_time(item: AudioResult) -> list[AudioEvent]:
    return sorted(item.events, key=lambda event: (event.start_s, event.end_s))


def _event_rows(item: AudioResult) -> Iterator[dict[str, Any]]:
    for event in _in_time(item):
        seconds = {"start": event.start_s, "end": event.end_s, "peak": None}
        yield {**seconds, **finding_fields(event), "text": describe(event)}


def _clip_rows(result: DetectionResult) -> Iterator[Sequence[Any]]:
    for item in result.recordings:
        ends = np.minimum(item.starts_s + item.clip_s, max(item.duration_s, 0.0))
        columns = [values.tolist() for values in (item.starts_s, ends, item.scores, item.p_values, item.labels)]
        for row in zip(*columns, strict=True):
            unjudged = row[-1] == -1
            reason = (item.reason or "no score") if unjudged else ""
            yield item.id, *row, "not judged" if unjudged else "judged", reason


RECORDING = ReportKind(
    name="recording",
    noun="clip",
    item="recording",
    alpha_counts="recording",
    has_map=True,
    place=place_text,
    finding_sentence=_finding_sentence,
    all_scored="{every} recording was scored from beginning to end.",
    styles=("items.css", "audio.css"),
    scripts=("items.js", "audio.js"),
    content=_content,
    noscript=(
        "Switching between the maps needs JavaScript, which is off. The verdict, the maps of the recordings, the "
        "players and the tables are complete without it."
    ),
    event_columns=(*FINDING_COLUMNS, "start_s", "end_s", "low_hz", "high_hz", "peak_hz", "level_db", "channel", "text"),
    event_rows=_event_rows,
    item_summary=_summary,
    tables={"clips.csv": Table(_CLIP_COLUMNS, _clip_rows)},
    media=AUDIO_FILES,
)
