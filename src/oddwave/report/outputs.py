"""The files that a scoring run leaves in its folder: scores.csv, events.csv, summary.json, report.html.

Their columns are the same for every modality, because other programs read them; numbers are written so that reading
gives back the very same double. Read `build.py` next: it makes the report page.

Recordings have one row in scores.csv and one per clip in clips.csv; `start` and `end` of their events are seconds, and
`sounds` holds what was heard, as it would have sounded, and the odd part alone. A picture's events are regions: `start`
and `end` are the pixels ("x y") of its box's upper left and lower right corner, both within the box, while `right_px`
and `bottom_px` lie just outside it.

Legend: R rows of the source, N points of a stream.
"""

import csv
import dataclasses
import json
import math
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from oddwave import __version__
from oddwave.errors import CheckpointError, MissingExtraError
from oddwave.files import cannot, file_table, require_free, require_own
from oddwave.folders import atomic_directory
from oddwave.report import wording
from oddwave.report.build import render_report
from oddwave.report.sound_files import free_name, own_entries, part_names, plan_sounds, write_sounds
from oddwave.report.sound_words import describe
from oddwave.results import (
    BandShare,
    DetectionResult,
    Event,
    ItemResult,
    PictureResult,
    Region,
    SoundEvent,
    SoundResult,
)

__all__ = [
    "CLIP_COLUMNS",
    "EVENT_COLUMNS",
    "OUTPUT_FILES",
    "REGION_COLUMNS",
    "SOUND_COLUMNS",
    "clock_text",
    "require_writable",
    "summary_of",
    "write_outputs",
]

OUTPUT_FILES = ("scores.csv", "events.csv", "summary.json", "report.html")
ITEM_COLUMNS = ("item", "score", "p_value", "label")  # of panels, pictures and recordings
CLIP_COLUMNS = ("item", "start_s", "end_s", "score", "p_value", "label")
STREAM_COLUMNS = ("item", "index", "timestamp", "score", "p_value", "label")
_FINDING_COLUMNS = ("item", "start", "end", "peak", "score", "p_value")  # of every modality
EVENT_COLUMNS = (
    *_FINDING_COLUMNS,
    "channel", "band_low_hz", "band_high_hz", "band_period_min", "band_period_max", "band_share",
)  # fmt: skip
REGION_COLUMNS = (
    *_FINDING_COLUMNS, "left_px", "top_px", "right_px", "bottom_px", "peak_x_px", "peak_y_px", "area_px",
)  # fmt: skip
SOUND_COLUMNS = (
    *_FINDING_COLUMNS, "start_s", "end_s", "low_hz", "high_hz", "peak_hz", "level_db", "text",
)  # fmt: skip
_COLUMNS_OF_EVENTS = {"picture": REGION_COLUMNS, "recording": SOUND_COLUMNS}  # all others: EVENT_COLUMNS


def write_outputs(result: DetectionResult, folder: Path, *, title: str | None = None) -> list[Path]:
    """Write all files of a scoring run, all of them or none, and return their paths; older ones are replaced.

    Without jinja2 and plotly the report is left out, with a warning; the rest does not need them.

    Raises:
        CheckpointError: the folder cannot be written, is a model, or holds files of these names that are not oddwave's;
            what was there before is untouched.
    """
    require_free(folder, (*OUTPUT_FILES, "clips.csv"))
    own = own_entries(folder)
    sounds = free_name(folder, own)
    summary = summary_of(result, sounds_folder=sounds)
    pages: dict[str, str] = {}
    try:
        pages["report.html"] = render_report(result, title=title, sounds_folder=sounds)
    except MissingExtraError as error:
        warnings.warn(f"{error}; report.html is left out", stacklevel=2)
    with atomic_directory(folder, owns=(*OUTPUT_FILES, *own)) as beside:
        _write_table(beside / "scores.csv", STREAM_COLUMNS if result.kind == "stream" else ITEM_COLUMNS, _rows(result))
        _write_table(beside / "events.csv", _COLUMNS_OF_EVENTS.get(result.kind, EVENT_COLUMNS), _event_rows(result))
        for name, text in pages.items():
            (beside / name).write_text(text, encoding="utf-8", newline="\n")
        if result.kind == "recording":
            _write_table(beside / "clips.csv", CLIP_COLUMNS, _clip_rows(result))
            write_sounds(result, beside / sounds)
        summary["files"] = file_table(beside)  # by which a reader knows that all of them are of one run
        text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
        (beside / "summary.json").write_text(text, encoding="utf-8", newline="\n")
        written = sorted(entry.name for entry in beside.iterdir())
    return [folder / name for name in (*OUTPUT_FILES, "clips.csv", sounds) if name in written]


def require_writable(folder: Path, holds: Literal["model", "results"] | None = None) -> None:
    """Check that `folder` can be written, or made, before long work begins; leaves nothing behind.

    Raises:
        CheckpointError: it is a file, its nearest existing parent refuses a new file, or, where `holds` is given, it is
            neither empty nor an earlier one of these.
    """
    folder = folder.absolute()
    try:
        if folder.exists() and not folder.is_dir():
            raise CheckpointError(f"{folder} is a file, a folder was expected: choose another output folder")
        if holds is not None:
            require_own(folder, holds)
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
        with tempfile.TemporaryFile(dir=nearest) as probe:
            probe.write(b"\0" * 4096)
            probe.flush()
    except (OSError, ValueError) as error:
        cannot("write", folder, error)


def summary_of(result: DetectionResult, *, sounds_folder: str | None = None) -> dict[str, Any]:
    """Return what was found and on what it rests, as JSON knows it: numbers that are not finite become null.

    `sounds_folder` is where the sound of recordings lies, if it was written.
    """
    tone, headline, detail = wording.verdict_sentences(result)
    calibration = result.calibration
    summary: dict[str, Any] = {
        "oddwave_version": __version__,
        "modality": result.modality,
        "kind": result.kind,
        "verdict": {"found": tone == "found", "headline": headline, "detail": detail},
        "counts": {
            "items": len(result.items),
            "scores": len(result.scores),
            "scored": int(np.isfinite(result.scores).sum()),
            "anomalous": int((result.labels == 1).sum()),
            "events": len(result.events),
        },
        "alpha": calibration.alpha,
        "threshold": calibration.threshold,
        "calibration": {
            "source": calibration.source,
            "num_points": calibration.num_points,
            "num_blocks": calibration.num_blocks,
            "block_size": calibration.block_size,
        },
        "items": [_item_summary(item) for item in result.items],
        "not_monitored": list(result.not_monitored),
        "model": dict(result.model),
    }
    if result.kind in _COLUMNS_OF_EVENTS:
        items: tuple[PictureResult | SoundResult, ...] = (*result.pictures, *result.recordings)
        unjudged = [item for item in items if not np.isfinite(item.scores).any()]
        summary["failures"] = [{"item": item.id, "error": item.error} for item in unjudged]
        summary["counts"]["failed"] = len(unjudged)
        summary["calibration"]["pixel_threshold"] = calibration.pixel_threshold
    if result.kind == "recording":
        summary["sounds"] = _add_sounds(summary["items"], result, sounds_folder)
    plain = _plain(summary)
    assert isinstance(plain, dict)
    return plain


def _add_sounds(items: list[dict[str, Any]], result: DetectionResult, folder: str | None) -> dict[str, Any]:
    """Put the names of its sound files into each recording's summary; return the folder's name and all files in it."""
    files = {identifier: part_names(plan.stem) for identifier, plan in plan_sounds(result.recordings).items()}
    for entry in items:
        own = files.get(entry["id"], {}) if folder else {}
        entry["sounds"] = {part: f"{folder}/{name}" for part, name in own.items()}
    names = [name for own in files.values() for name in own.values()] if folder else []
    return {"folder": folder if names else None, "files": names}


def _item_summary(item: ItemResult | PictureResult | SoundResult) -> dict[str, Any]:
    seen = item.scores[np.isfinite(item.scores)]
    summary = {
        "id": item.id,
        "scored": len(seen),
        "anomalous": int((item.labels == 1).sum()),
        "events": len(item.events),
        "highest_score": float(seen.max()) if len(seen) else None,
        "notes": list(item.notes),
    }
    if isinstance(item, PictureResult):
        summary |= {
            "p_value": float(item.p_values[0]) if len(item.p_values) else None,
            "size_px": {"height": item.size[0], "width": item.size[1]},
            "error": item.error,
            "parts": {name: float(values[0]) for name, values in item.parts.items()},
            "regions": list(item.events),
            "bands": list(item.bands),
        }
    if isinstance(item, SoundResult):
        summary |= {
            "p_value": item.p_value,
            "duration_s": item.duration_s,
            "sample_rate": item.sample_rate,
            "clips": len(item.scores),
            "error": item.error,
            "parts": {name: float(values[item.scores.argmax()]) for name, values in item.parts.items()},
            "sound_events": [{**dataclasses.asdict(event), "text": describe(event)} for event in item.events],
        }
    return summary


def clock_text(stamps: np.ndarray) -> list[str]:
    """Write times as ISO 8601 with no more decimals than they need, other stamps as numbers; empty where missing."""
    if not np.issubdtype(stamps.dtype, np.datetime64):
        return [str(stamp) for stamp in stamps.tolist()]
    known = stamps[~np.isnat(stamps)]
    unit = next((u for u in ("s", "ms", "us") if np.array_equal(known.astype(f"datetime64[{u}]"), known)), "ns")
    return ["" if text == "NaT" else text for text in stamps.astype(f"datetime64[{unit}]").astype(str).tolist()]


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(rows)


def _rows(result: DetectionResult) -> Iterator[Sequence[Any]]:
    for item in result.items:
        if result.kind == "stream" and isinstance(item, ItemResult):
            yield from _stream_rows(item)
        elif isinstance(item, SoundResult):
            yield item.id, *_cells(np.array([item.score, item.p_value])), int(np.any(item.labels == 1))
        else:
            yield item.id, *_cells(item.scores[:1]), *_cells(item.p_values[:1]), int(item.labels[0])


def _stream_rows(item: ItemResult) -> Iterator[Sequence[Any]]:
    """One row per row of the source, in its order; rows that became no point have no score and label 0."""
    point = np.arange(len(item.scores)) if item.row_index is None else item.row_index
    lost = point < 0
    scores, p_values = (np.where(lost, np.nan, values[point]) for values in (item.scores, item.p_values))
    labels = np.where(lost, 0, item.labels[point])
    given = item.timestamps if item.row_index is None else item.row_timestamps
    stamps = [""] * len(point) if given is None else clock_text(given)
    for index, row in enumerate(zip(stamps, _cells(scores), _cells(p_values), labels.tolist(), strict=True)):
        yield item.id, index, *row


def _clip_rows(result: DetectionResult) -> Iterator[Sequence[Any]]:
    for item in result.recordings:
        ends = np.minimum(item.starts_s + item.clip_s, max(item.duration_s, 0.0))
        columns = [_cells(values) for values in (item.starts_s, ends, item.scores, item.p_values)]
        for row in zip(*columns, item.labels.tolist(), strict=True):
            yield item.id, *row


def _cells(values: np.ndarray) -> list[float | str]:
    return ["" if math.isnan(value) else value for value in values.tolist()]


def _event_rows(result: DetectionResult) -> Iterator[Sequence[Any]]:
    for item in result.series:
        for event in item.events:
            where = [event.start, event.end, event.peak]
            places: Sequence[Any] = where if item.timestamps is None else clock_text(item.timestamps[where])
            yield item.id, *places, event.score, event.p_value, event.channel or "", *_band_cells(event)
    for region in (region for item in result.pictures for region in item.events):
        yield region.item, *_corners(region), region.score, region.p_value, *_box_cells(region)
    for sound in (event for item in result.recordings for event in item.events):
        yield sound.item, sound.start_s, sound.end_s, "", sound.score, sound.p_value, *_sound_cells(sound)


def _sound_cells(event: SoundEvent) -> Sequence[float | str]:
    band = event.low_hz, event.high_hz, event.peak_hz
    return [event.start_s, event.end_s, *band, event.level_db, describe(event)]


def _corners(region: Region) -> Sequence[str]:
    corners = (region.left_px, region.top_px), (region.right_px - 1, region.bottom_px - 1)
    return [f"{x} {y}" for x, y in (*corners, (region.peak_x_px, region.peak_y_px))]


def _box_cells(region: Region) -> Sequence[int]:
    box = region.left_px, region.top_px, region.right_px, region.bottom_px
    return [*box, region.peak_x_px, region.peak_y_px, region.area_px]


def _band_cells(event: Event) -> Sequence[Any]:
    """The event's strongest band; its longest period is `inf` for the lowest band, hertz are empty without a clock."""
    if not event.bands:
        return [""] * 5
    band: BandShare = max(event.bands, key=lambda band: band.share)
    return [
        "" if value is None else value
        for value in (band.low_hz, band.high_hz, band.period_min, band.period_max, band.share)
    ]


def _plain(value: Any) -> Any:
    """Turn records, arrays and numpy numbers into what JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
