"""The files that a scoring run leaves in its folder: scores.csv, events.csv, summary.json, report.html.

Other programs read them; numbers are written so that reading
gives back the very same double. Read `build.py` next: it makes the report page.

Further columns, tables and files are those of the kind of result: see the records in `kinds/`.

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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from oddwave.errors import CheckpointError, ConfigError, MissingExtraError
from oddwave.files import cannot, file_table, require_free, require_own
from oddwave.folders import atomic_directory
from oddwave.report.build import render_report
from oddwave.report.kinds import KINDS, kind_of
from oddwave.report.kinds.base import STRENGTH, Media
from oddwave.report.verdict import verdict_sentences
from oddwave.report.wording import severity_word
from oddwave.result_rows import score_columns
from oddwave.results import AnyResult, DetectionResult
from oddwave.version import __version__
from oddwave.visible import as_text, visible

__all__ = [
    "OUTPUT_FILES",
    "require_writable",
    "spreadsheet_safe",
    "summary_of",
    "summary_text",
    "write_outputs",
    "write_table",
]

OUTPUT_FILES = ("scores.csv", "events.csv", "summary.json", "report.html")
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # what a spreadsheet would carry out; some take the wide forms too
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?(e[-+]?\d+)?", re.ASCII | re.IGNORECASE)


def write_outputs(
    result: DetectionResult,
    folder: Path,
    *,
    title: str | None = None,
    fdr: float | None = None,
    fdr_method: Literal["bh", "by"] = "bh",
    annotate: bool = False,
) -> list[Path]:
    """Write all files of a scoring run, all of them or none, and return their paths; older ones are replaced.

    With `fdr`, summary.json also names the items that are discoveries at this false discovery rate. With `annotate`,
    a folder "annotated" holds every flagged image with its heat map and boxes drawn on. Without jinja2 and
    plotly the report is left out, with a warning; the rest does not need them.

    Raises:
        CheckpointError: the folder cannot be written, is a model, or holds files of these names that are not oddwave's;
            what was there before is untouched.
        ConfigError: `annotate` is asked for results that are no images.
    """
    kind, own = kind_of(result), own_entries(folder)
    if annotate and kind.annotated is None:
        raise ConfigError(f"annotate draws on images, these are {kind.items}: leave it out")
    require_free(folder, (*OUTPUT_FILES, *(name for each in KINDS.values() for name in each.tables)))
    media = free_name(folder, kind.media.folder, own) if kind.media else None
    drawn = free_name(folder, kind.annotated.folder, own) if annotate and kind.annotated else None
    summary = summary_of(result, media_folder=media, annotated_folder=drawn)
    if fdr is not None:
        found = result.discovered(fdr, method=fdr_method)
        told = {"rate": fdr, "method": fdr_method, "items": list(found), "expected_false": fdr * len(found)}
        summary["discoveries"] = told
    pages: dict[str, str] = {}
    try:
        pages["report.html"] = render_report(result, title=title, media_folder=media)
    except MissingExtraError as error:
        warnings.warn(f"{error}; report.html is left out", stacklevel=2)
    with atomic_directory(folder, owns=(*OUTPUT_FILES, *own)) as beside:
        scores = score_columns(result.kind, result.items)
        columns = (*kind.event_columns, *STRENGTH)
        events = ([event.get(name) for name in columns] for event in _events(result))
        write_table(beside / "scores.csv", list(scores), zip(*scores.values(), strict=True))
        write_table(beside / "events.csv", columns, events)
        for name, text in pages.items():
            (beside / name).write_text(text, encoding="utf-8", newline="\n")
        for name, table in kind.tables.items():
            write_table(beside / name, table.columns, table.rows(result))
        if kind.media and media:
            kind.media.write(result, beside / media, False)
        if kind.annotated and drawn:
            kind.annotated.write(result, beside / drawn, False)
            _drop_unwritten(summary, kind.annotated.folder, beside)
        summary["files"] = file_table(beside)  # by which a reader knows that all of them are of one run
        (beside / "summary.json").write_text(summary_text(summary), encoding="utf-8", newline="\n")
        written = {entry.name for entry in beside.iterdir()}
    return [folder / name for name in (*OUTPUT_FILES, *kind.tables, media, drawn) if name in written]


def require_writable(folder: Path, holds: Literal["model", "results", "shards", "export"] | None = None) -> None:
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


def summary_of(
    result: DetectionResult, *, media_folder: str | None = None, annotated_folder: str | None = None
) -> dict[str, Any]:
    """Return what was found and on what it rests, as JSON knows it: numbers that are not finite become null.

    `media_folder` is where the files of its media, such as the audio of recordings, lie if they were written, and
    `annotated_folder` where annotated images do.
    """
    kind = kind_of(result)
    tone, headline, detail = verdict_sentences(result)
    calibration, counts = result.calibration, result.counts
    summary: dict[str, Any] = {
        "oddwave_version": __version__,
        "modality": result.modality,
        "kind": result.kind,
        "verdict": {"found": tone == "found", "headline": headline, "detail": detail},
        "counts": {
            "items": counts.items,
            "scores": counts.scores,
            "scored": counts.scored,
            "anomalous": counts.anomalous,
            "events": counts.events,
            "failed": counts.failed,
        },
        "drift": list(result.drift),
        "alpha": calibration.alpha,
        "asked": calibration.asked,
        "confirmed": calibration.confirmed,
        "threshold": calibration.threshold,
        "calibration": {
            "source": calibration.source,
            "num_points": calibration.num_points,
            "num_blocks": calibration.num_blocks,
            "block_size": calibration.block_size,
        },
        "items": [_item_summary(item) | kind.item_summary(item) for item in result.items],
        "events": list(_events(result)),
        "failures": [{"item": item.id, "error": item.reason} for item in result.not_judged],
        "not_monitored": list(result.not_monitored),
        "model": dict(result.model),
    }
    if result.whole is not None:
        summary["counts"] |= {"flagged": counts.flagged, "told": len(result.items)}
    if kind.has_map:
        summary["calibration"]["pixel_threshold"] = calibration.pixel_threshold
    if kind.media:
        summary[kind.media.folder] = _add_media(kind.media, summary["items"], result, media_folder)
    if kind.annotated and annotated_folder:
        summary[kind.annotated.folder] = _add_media(kind.annotated, summary["items"], result, annotated_folder)
    plain = _plain(summary)
    assert isinstance(plain, dict)
    return plain


def summary_text(summary: Mapping[str, Any]) -> str:
    """Return a summary as JSON text that may be printed anywhere: what does not show is escaped as JSON escapes it."""
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    return "".join(f"{line if line.isprintable() else _json_escaped(line)}\n" for line in text.split("\n"))


def _json_escaped(line: str) -> str:
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def _add_media(
    media: Media, items: list[dict[str, Any]], result: DetectionResult, folder: str | None
) -> dict[str, Any]:
    """Add the names of its files to each item's summary; return the folder's name and all files in it."""
    files = media.names(result) if folder else {}
    for entry in items:
        entry[media.folder] = {part: f"{folder}/{name}" for part, name in files.get(entry["id"], {}).items()}
    names = [name for own in files.values() for name in own.values()]
    return {"folder": folder if names else None, "files": names}


def _drop_unwritten(summary: dict[str, Any], folder: str, beside: Path) -> None:
    """Take from a summary what could not be drawn: images may have gone since they were scored."""
    told = summary[folder]
    told["files"] = [name for name in told["files"] if (beside / str(told["folder"]) / name).is_file()]
    told["folder"] = told["folder"] if told["files"] else None
    for item in summary["items"]:
        item[folder] = {part: name for part, name in item[folder].items() if (beside / name).is_file()}


def _item_summary(item: AnyResult) -> dict[str, Any]:
    seen = item.scores[np.isfinite(item.scores)]
    return {
        "id": item.id,
        "status": item.status,
        "reason": item.reason,
        "label": item.label,
        "p_value": item.p_value,
        "strength": {**dataclasses.asdict(item.strength), "severity": severity_word(item.strength)},
        "scored": len(seen),
        "anomalous": int((item.labels == 1).sum()),
        "events": len(item.events),
        "highest_score": float(seen.max()) if len(seen) else None,
        "notes": list(item.notes),
    }


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV table: nothing for what is missing, numbers that read back the same, text that does no harm."""
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
    """Prefix text that a spreadsheet would take for a formula with an apostrophe; plain numbers stay as they are."""
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def _events(result: DetectionResult) -> Iterator[dict[str, Any]]:
    """Yield all events under the names of their columns, and what else is known of them."""
    for item in result.items:
        yield from kind_of(result).event_rows(item)


def own_entries(folder: Path) -> tuple[str, ...]:
    """Return what an earlier run left in a folder beyond the usual files: these may be replaced.

    Its summary tells. A folder of media to which somebody has added a file is theirs now, and is not returned.
    """
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        if summary["kind"] == "fused":
            return ("fused.csv",)
        kind = KINDS[summary["kind"]]
        told = [summary[each.folder] for each in (kind.media, kind.annotated) if each and each.folder in summary]
        folders = [(own["folder"], set(own["files"])) for own in told]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return (*kind.tables, *(name for name, files in folders if _is_unchanged(folder, name, files)))


def _is_unchanged(folder: Path, name: Any, files: Collection[str]) -> bool:
    """Return whether a folder of media holds nothing but what its summary names."""
    if not isinstance(name, str) or Path(name).name != name:
        return False
    try:
        place = folder / name
        return {path.relative_to(place).as_posix() for path in place.rglob("*") if not path.is_dir()} <= set(files)
    except OSError:
        return False


def free_name(folder: Path, wanted: str, own: Sequence[str]) -> str:
    """Return what a folder of media is called in `folder`: nobody's files are ever replaced by it."""
    number, name = 2, wanted
    while (folder / name).exists() and name not in own:
        name, number = f"{wanted}_{number}", number + 1
    return name


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
