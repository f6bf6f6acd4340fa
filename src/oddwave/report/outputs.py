"""The files that a scoring run leaves in its folder: scores.csv, events.csv, summary.json, report.html.

Their columns are the same for every modality, because other programs read them; numbers are written so that reading
gives back the very same double. Read `build.py` next: it makes the report page.

Recordings have one row in scores.csv and one per clip in clips.csv; `start` and `end` of their events are seconds, and
`sounds` holds what was heard, as it would have sounded, and the odd part alone. An image's events are regions: `start`
and `end` are the pixels ("x y") of its box's upper left and lower right corner, both within the box, while `right_px`
and `bottom_px` lie just outside it.

What could not be judged has its row too: no score, label -1, status "not judged", and the reason. Text that a
spreadsheet would take for a formula begins with an apostrophe, and characters of names that do not show are written as
escapes; summary.json has the names themselves.
"""

import csv
import dataclasses
import json
import math
import re
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from oddwave.errors import CheckpointError, MissingExtraError
from oddwave.files import cannot, file_table, require_free, require_own
from oddwave.folders import atomic_directory
from oddwave.report.audio_files import free_name, own_entries, part_names, plan_audio, write_audio
from oddwave.report.audio_words import describe
from oddwave.report.build import render_report
from oddwave.report.verdict import verdict_sentences
from oddwave.result_rows import score_columns
from oddwave.result_times import clock_text
from oddwave.results import (
    AudioResult,
    BandShare,
    DetectionResult,
    ImageRegion,
    ImageResult,
    SeriesEvent,
    SeriesResult,
)
from oddwave.version import __version__
from oddwave.visible import as_text, visible

__all__ = [
    "AUDIO_COLUMNS",
    "CLIP_COLUMNS",
    "EVENT_COLUMNS",
    "OUTPUT_FILES",
    "REGION_COLUMNS",
    "require_writable",
    "spreadsheet_safe",
    "summary_of",
    "summary_text",
    "write_outputs",
]

OUTPUT_FILES = ("scores.csv", "events.csv", "summary.json", "report.html")
CLIP_COLUMNS = ("item", "start_s", "end_s", "score", "p_value", "label", "status", "reason")
_FINDING_COLUMNS = ("item", "start", "end", "peak", "score", "p_value")  # of every modality
EVENT_COLUMNS = (
    *_FINDING_COLUMNS,
    "channel", "band_low_hz", "band_high_hz", "band_period_min", "band_period_max", "band_share",
)  # fmt: skip
REGION_COLUMNS = (
    *_FINDING_COLUMNS, "left_px", "top_px", "right_px", "bottom_px", "peak_x_px", "peak_y_px", "area_px",
)  # fmt: skip
AUDIO_COLUMNS = (
    *_FINDING_COLUMNS, "start_s", "end_s", "low_hz", "high_hz", "peak_hz", "level_db", "text",
)  # fmt: skip
_COLUMNS_OF_EVENTS: dict[str, tuple[str, ...]] = {
    "image": REGION_COLUMNS,
    "recording": AUDIO_COLUMNS,
}  # all others: EVENT_COLUMNS
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # what a spreadsheet would carry out; some take the wide forms too
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?(e[-+]?\d+)?", re.ASCII | re.IGNORECASE)


def write_outputs(
    result: DetectionResult, folder: Path, *, title: str | None = None, fdr: float | None = None
) -> list[Path]:
    """Write all files of a scoring run, all of them or none, and return their paths; older ones are replaced.

    With `fdr`, summary.json also names the items that are discoveries at this false discovery rate. Without jinja2 and
    plotly the report is left out, with a warning; the rest does not need them.

    Raises:
        CheckpointError: the folder cannot be written, is a model, or holds files of these names that are not oddwave's;
            what was there before is untouched.
    """
    require_free(folder, (*OUTPUT_FILES, "clips.csv"))
    own = own_entries(folder)
    audio = free_name(folder, own)
    summary = summary_of(result, audio_folder=audio)
    if fdr is not None:
        found = [item.id for item in result.discoveries(fdr)]
        summary["discoveries"] = {"rate": fdr, "items": found, "expected_false": fdr * len(found)}
    pages: dict[str, str] = {}
    try:
        pages["report.html"] = render_report(result, title=title, audio_folder=audio)
    except MissingExtraError as error:
        warnings.warn(f"{error}; report.html is left out", stacklevel=2)
    with atomic_directory(folder, owns=(*OUTPUT_FILES, *own)) as beside:
        scores, names = score_columns(result.kind, result.items), _COLUMNS_OF_EVENTS.get(result.kind, EVENT_COLUMNS)
        _write_table(beside / "scores.csv", list(scores), zip(*scores.values(), strict=True))
        _write_table(beside / "events.csv", names, ([event[name] for name in names] for event in _events(result)))
        for name, text in pages.items():
            (beside / name).write_text(text, encoding="utf-8", newline="\n")
        if result.kind == "recording":
            _write_table(beside / "clips.csv", CLIP_COLUMNS, _clip_rows(result))
            write_audio(result, beside / audio)
        summary["files"] = file_table(beside)  # by which a reader knows that all of them are of one run
        (beside / "summary.json").write_text(summary_text(summary), encoding="utf-8", newline="\n")
        written = sorted(entry.name for entry in beside.iterdir())
    return [folder / name for name in (*OUTPUT_FILES, "clips.csv", audio) if name in written]


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


def summary_of(result: DetectionResult, *, audio_folder: str | None = None) -> dict[str, Any]:
    """Return what was found and on what it rests, as JSON knows it: numbers that are not finite become null.

    `audio_folder` is where the sound of recordings lies, if it was written.
    """
    tone, headline, detail = verdict_sentences(result)
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
            "failed": len(result.not_judged),
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
        "events": list(_events(result)),
        "failures": [{"item": item.id, "error": item.reason} for item in result.not_judged],
        "not_monitored": list(result.not_monitored),
        "model": dict(result.model),
    }
    if result.kind in _COLUMNS_OF_EVENTS:
        summary["calibration"]["pixel_threshold"] = calibration.pixel_threshold
    if result.kind == "recording":
        summary["audio"] = _add_audio(summary["items"], result, audio_folder)
    plain = _plain(summary)
    assert isinstance(plain, dict)
    return plain


def summary_text(summary: Mapping[str, Any]) -> str:
    """Return a summary as JSON text that may be printed anywhere: what does not show is escaped as JSON escapes it."""
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    return "".join(f"{line if line.isprintable() else _json_escaped(line)}\n" for line in text.split("\n"))


def _json_escaped(line: str) -> str:
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def _add_audio(items: list[dict[str, Any]], result: DetectionResult, folder: str | None) -> dict[str, Any]:
    """Put the names of its sound files into each recording's summary; return the folder's name and all files in it."""
    files = {identifier: part_names(plan.stem) for identifier, plan in plan_audio(result.recordings).items()}
    for entry in items:
        own = files.get(entry["id"], {}) if folder else {}
        entry["audio"] = {part: f"{folder}/{name}" for part, name in own.items()}
    names = [name for own in files.values() for name in own.values()] if folder else []
    return {"folder": folder if names else None, "files": names}


def _item_summary(item: SeriesResult | ImageResult | AudioResult) -> dict[str, Any]:
    seen = item.scores[np.isfinite(item.scores)]
    summary = {
        "id": item.id,
        "status": item.status,
        "reason": item.reason,
        "label": item.label,
        "p_value": item.p_value,
        "scored": len(seen),
        "anomalous": int((item.labels == 1).sum()),
        "events": len(item.events),
        "highest_score": float(seen.max()) if len(seen) else None,
        "notes": list(item.notes),
    }
    if isinstance(item, ImageResult):
        summary |= {
            "size_px": {"height": item.size[0], "width": item.size[1]},
            "error": item.error,
            "parts": {name: float(values[0]) for name, values in item.parts.items()},
            "regions": list(item.events),
            "bands": list(item.bands),
        }
    if isinstance(item, AudioResult):
        summary |= {
            "duration_s": item.duration_s,
            "sample_rate": item.sample_rate,
            "clips": len(item.scores),
            "error": item.error,
            "parts": {
                name: float(values[np.nan_to_num(item.scores, nan=-np.inf).argmax()])
                for name, values in item.parts.items()
            },
            "audio_events": [{**dataclasses.asdict(event), "text": describe(event)} for event in item.events],
        }
    return summary


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    """Write nothing for what is missing, numbers so that they read back the same, and text that does no harm."""
    if isinstance(value, str):
        return spreadsheet_safe("\n".join(map(visible, value.split("\n"))))
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value


def spreadsheet_safe(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would take for a formula; plain numbers stay as they are."""
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def _clip_rows(result: DetectionResult) -> Iterator[Sequence[Any]]:
    for item in result.recordings:
        ends = np.minimum(item.starts_s + item.clip_s, max(item.duration_s, 0.0))
        columns = [values.tolist() for values in (item.starts_s, ends, item.scores, item.p_values, item.labels)]
        for row in zip(*columns, strict=True):
            unjudged = row[-1] == -1
            reason = (item.reason or "no score") if unjudged else ""
            yield item.id, *row, "not judged" if unjudged else "judged", reason


def _events(result: DetectionResult) -> Iterator[dict[str, Any]]:
    """Yield all events under the names of their columns, whatever their modality, and what else is known of them."""
    for item in result.series:
        for event in item.events:
            where = [event.start, event.end, event.peak]
            stamps = item.timestamps
            places: Sequence[Any] = where if stamps is None else clock_text(stamps[where], item.timezone)
            yield {
                "item": item.id,
                **dict(zip(("start", "end", "peak"), places, strict=True)),
                "score": event.score,
                "p_value": event.p_value,
                "channel": event.channel,
                **_strongest_band(event),
                "start_index": event.start,
                "end_index": event.end,
                "peak_index": event.peak,
            }
    for region in (region for item in result.images for region in item.events):
        yield {**_corners(region), **dataclasses.asdict(region)}
    for audio in (event for item in result.recordings for event in item.events):
        seconds = {"start": audio.start_s, "end": audio.end_s, "peak": None}
        yield {**seconds, **dataclasses.asdict(audio), "text": describe(audio)}


def _corners(region: ImageRegion) -> dict[str, str]:
    return {
        "start": f"{region.left_px} {region.top_px}",
        "end": f"{region.right_px - 1} {region.bottom_px - 1}",
        "peak": f"{region.peak_x_px} {region.peak_y_px}",
    }


def _strongest_band(event: SeriesEvent) -> dict[str, Any]:
    """The event's strongest band; its longest period is `inf` for the lowest band, hertz are empty without a clock."""
    band: BandShare | None = max(event.bands, key=lambda band: band.share, default=None)
    names = ("low_hz", "high_hz", "period_min", "period_max", "share")
    return {f"band_{name}": None if band is None else getattr(band, name) for name in names}


def _plain(value: Any) -> Any:
    """Turn records, arrays and numpy numbers into what JSON knows."""
    if isinstance(value, Mapping):
        return {as_text(str(key)): _plain(entry) for key, entry in value.items()}
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
    if isinstance(value, str):
        return as_text(value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)
