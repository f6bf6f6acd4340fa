"""The files that a scoring run leaves in its folder: scores.csv, events.csv, summary.json, report.html.

Their columns are the same for every modality, because other programs read them; numbers are written so that reading
gives back the very same double. Read `build.py` next: it makes the report page.

A picture's events are regions: `start` and `end` are the pixels ("x y") of its box's upper left and lower right corner,
both within the box, while `right_px` and `bottom_px` lie just outside it.

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
from typing import Any

import numpy as np

from oddwave import __version__
from oddwave.errors import CheckpointError, MissingExtraError
from oddwave.report import wording
from oddwave.report.build import render_report
from oddwave.results import BandShare, DetectionResult, Event, ItemResult, PictureResult, Region
from oddwave.training.checkpoint import atomic_directory

__all__ = [
    "EVENT_COLUMNS",
    "OUTPUT_FILES",
    "REGION_COLUMNS",
    "clock_text",
    "require_writable",
    "summary_of",
    "write_outputs",
]

OUTPUT_FILES = ("scores.csv", "events.csv", "summary.json", "report.html")
ITEM_COLUMNS = ("item", "score", "p_value", "label")  # of panels and pictures
STREAM_COLUMNS = ("item", "index", "timestamp", "score", "p_value", "label")
_FINDING_COLUMNS = ("item", "start", "end", "peak", "score", "p_value")  # of every modality
EVENT_COLUMNS = (
    *_FINDING_COLUMNS,
    "channel", "band_low_hz", "band_high_hz", "band_period_min", "band_period_max", "band_share",
)  # fmt: skip
REGION_COLUMNS = (
    *_FINDING_COLUMNS, "left_px", "top_px", "right_px", "bottom_px", "peak_x_px", "peak_y_px", "area_px",
)  # fmt: skip


def write_outputs(result: DetectionResult, folder: Path, *, title: str | None = None) -> list[Path]:
    """Write all files of a scoring run, all of them or none, and return their paths; older ones are replaced.

    Without jinja2 and plotly the report is left out, with a warning; the rest does not need them.

    Raises:
        CheckpointError: the folder cannot be written; what was there before is untouched.
    """
    pages: dict[str, str] = {"summary.json": json.dumps(summary_of(result), indent=2, ensure_ascii=False) + "\n"}
    try:
        pages["report.html"] = render_report(result, title=title)
    except MissingExtraError as error:
        warnings.warn(f"{error}; report.html is left out", stacklevel=2)
    with atomic_directory(folder, owns=OUTPUT_FILES) as beside:
        _write_table(beside / "scores.csv", STREAM_COLUMNS if result.kind == "stream" else ITEM_COLUMNS, _rows(result))
        event_columns = REGION_COLUMNS if result.kind == "picture" else EVENT_COLUMNS
        _write_table(beside / "events.csv", event_columns, _event_rows(result))
        for name, text in pages.items():
            (beside / name).write_text(text, encoding="utf-8", newline="\n")
        written = sorted(entry.name for entry in beside.iterdir())
    return [folder / name for name in OUTPUT_FILES if name in written]


def require_writable(folder: Path) -> None:
    """Check that `folder` can be written, or made, before long work begins; leaves nothing behind.

    Raises:
        CheckpointError: it is a file, or its nearest existing parent refuses a new file.
    """
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"{folder} is a file, a folder was expected: choose another output folder")
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest) as probe:
            probe.write(b"\0" * 4096)
            probe.flush()
    except OSError as error:
        reason = error.strerror or str(error)
        raise CheckpointError(
            f"cannot write {folder}: {reason}; free the space or the permission, or choose another folder"
        ) from error


def summary_of(result: DetectionResult) -> dict[str, Any]:
    """Return what was found and on what it rests, as JSON knows it: numbers that are not finite become null."""
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
    if result.kind == "picture":
        unjudged = [item for item in result.pictures if not np.isfinite(item.scores).any()]
        summary["failures"] = [{"item": item.id, "error": item.error} for item in unjudged]
        summary["counts"]["failed"] = len(unjudged)
        summary["calibration"]["pixel_threshold"] = calibration.pixel_threshold
    plain = _plain(summary)
    assert isinstance(plain, dict)
    return plain


def _item_summary(item: ItemResult | PictureResult) -> dict[str, Any]:
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
