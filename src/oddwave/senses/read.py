"""What `oddwave score -o` wrote, read back: one `Sense` per results folder, nothing in it believed before it is seen.

`summary.json` has the items and events; of streams `scores.csv` says when anything was judged at all. A folder whose
files are not of one run is refused. Read `match.py` next: which items of several senses are of one thing.

Legend: n points of a stream that were judged.
"""

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from jaxtyping import Shaped
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oddwave.errors import CheckpointError, DataError
from oddwave.files import folder_kind, read_bytes, read_json
from oddwave.sources.audio.when import recorded_at

__all__ = ["FUSED", "Happening", "Judged", "Moment", "Sense", "read_senses"]

FUSED = "fused"  # the kind of results that are made here
_MOST_BYTES = 512 * 2**20  # of a table
_NAMED = re.compile(r"([^=/\\]+)=(.+)", re.DOTALL)
_OFFSET = re.compile(r"(?:(Z)|([+-])(\d\d):(\d\d))$")

PValue = Annotated[float, Field(ge=0.0, le=1.0)]


class _Checked(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


class _Item(_Checked):
    id: str
    status: str
    reason: str = ""
    label: Annotated[int, Field(ge=-1, le=1)]
    p_value: PValue | None
    scored: Annotated[int, Field(ge=0)] = 0
    recorded_at: str | None = None
    duration_s: Annotated[float, Field(ge=0.0, le=1e9)] | None = None


class _Event(_Checked):
    item: str
    start: str | float | None = None
    end: str | float | None = None
    peak: str | float | None = None
    p_value: PValue | None


class _Calibration(_Checked):
    block_size: Annotated[int, Field(ge=1)]


class _Verdict(_Checked):
    headline: str = ""


class _File(_Checked):
    sha256: str


class _Summary(_Checked):
    modality: str
    kind: str
    alpha: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    verdict: _Verdict = _Verdict()
    calibration: _Calibration
    items: list[_Item]
    events: list[_Event]
    files: dict[str, _File] = {}


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as a clock shows it, and in UTC where the text told its offset."""

    clock: datetime
    utc: datetime | None = None

    @classmethod
    def of_text(cls, text: object) -> "Moment | None":
        """Read ISO 8601 with or without an offset; None for anything else, such as a count."""
        if not isinstance(text, str):
            return None
        found = _OFFSET.search(text)
        try:
            clock = datetime.fromisoformat(text[: found.start()] if found else text)
            if not found or clock.tzinfo is not None:
                return None if clock.tzinfo else cls(clock)
            ahead = timedelta() if found[1] else timedelta(hours=int(found[3]), minutes=int(found[4]))
            return cls(clock, clock + ahead if found[2] == "-" else clock - ahead)
        except (ValueError, OverflowError):
            return None


@dataclass(frozen=True, slots=True)
class Judged:
    """An item, and what its sense says of it as a whole; a `p_value` that is NaN has a `reason`."""

    id: str
    p_value: float
    reason: str
    flagged: bool
    when: Moment | None
    duration_s: float


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of a stream: from when to when, its peak, and its p-value among blocks."""

    start: Moment
    end: Moment
    peak: Moment
    p_value: float


@dataclass(frozen=True, eq=False)
class Sense:
    """One results folder. Of streams, `clock` and `utc` are the times of all judged points, in order.

    `utc` is empty where the times came without an offset.
    """

    name: str
    folder: Path
    modality: str
    kind: str
    alpha: float | None
    block_size: int
    headline: str
    items: tuple[Judged, ...]
    events: tuple[Happening, ...] = ()
    clock: Shaped[np.ndarray, " n"] = field(default_factory=lambda: np.empty(0, "datetime64[us]"))
    utc: Shaped[np.ndarray, " n"] = field(default_factory=lambda: np.empty(0, "datetime64[us]"))

    @property
    def is_stream(self) -> bool:
        """Whether its items are streams, which go on while other senses look once."""
        return self.kind == "stream"


def read_senses(given: Sequence[str]) -> tuple[tuple[Sense, ...], list[str]]:
    """Read results folders, each one a sense; "NAME=FOLDER" names it, otherwise its modality does. Also give notes.

    Raises:
        DataError: less than two folders, one that is no results folder or is damaged, or the same results twice.
    """
    if len(given) < 2:
        raise DataError(f"{len(given)} results folder is given: give two or more, of different senses")
    senses: list[Sense] = []
    notes: list[str] = []
    seen: dict[str, Path] = {}
    for text in given:
        found = None if Path(text).exists() else _NAMED.fullmatch(text)
        folder = Path(found[2] if found else text)
        summary, digest = _read_summary(folder)
        if digest in seen:
            raise DataError(f"{folder} holds the same results as {seen[digest]}: each sense counts once")
        seen[digest] = folder
        name = found[1] if found else _free_name(summary.modality, senses, notes, folder)
        if any(own.name == name for own in senses):
            raise DataError(f"two senses are called '{name}': give each a name of its own, as NAME=FOLDER")
        senses.append(_sense(name, folder, summary))
    return tuple(senses), notes


def _free_name(modality: str, senses: Sequence[Sense], notes: list[str], folder: Path) -> str:
    number = sum(own.modality == modality for own in senses)
    if not number:
        return modality
    name = f"{modality} {number + 1}"
    notes.append(
        f"{folder} is of {modality} too: it is the sense '{name}'; name them with NAME=FOLDER. Parts of one sense, "
        "such as two days, are not senses: fuse each day by itself"
    )
    return name


def _read_summary(folder: Path) -> tuple[_Summary, str]:
    """Return a folder's checked summary, and a digest of what it says. Raises: DataError."""
    if not folder.exists():
        raise DataError(f"no such folder: '{folder}'; give the folder that oddwave score -o wrote")
    if not folder.is_dir():
        raise DataError(f"'{folder}' is a file: give the folder that oddwave score -o wrote")
    if (kind := folder_kind(folder)) != "results":
        others = {
            "model": "a model",
            "shards": "results in shards, whose scores.csv may hold the strongest only",
            "unfinished": "results that were not finished",
        }
        what = others.get(kind or "", "no results of oddwave")
        raise DataError(f"'{folder}' holds {what}: give the folder that oddwave score -o wrote")
    try:
        content = read_json(folder / "summary.json")
    except CheckpointError as error:
        raise DataError(str(error).replace("fit the model again", "score again")) from None
    if content.get("kind") == FUSED:
        raise DataError(f"'{folder}' holds fused results: give the results of the single senses")
    try:
        summary = _Summary.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(f"{folder}/summary.json is damaged ({place:.80}: {first['msg']:.120}): score again") from None
    if not summary.items:
        raise DataError(f"'{folder}' holds results without any item: score something first")
    digests = [_checked_digest(folder / name, summary.files.get(name)) for name in ("scores.csv", "events.csv")]
    said = [summary.modality, summary.kind, *digests, *(f"{item.id}|{item.p_value}" for item in summary.items)]
    return summary, hashlib.sha256("\0".join(said).encode("utf-8", "surrogatepass")).hexdigest()


def _checked_digest(path: Path, told: _File | None) -> str:
    """Return a table's digest. Raises: DataError where it is not the one that the summary was written with."""
    digest = hashlib.sha256(_read_table(path)).hexdigest()
    if told is not None and told.sha256 != digest:
        raise DataError(
            f"{path} is not what was written beside its summary.json: it was changed, or is of another run; score again"
        )
    return digest


def _read_table(path: Path) -> bytes:
    try:
        return read_bytes(path, _MOST_BYTES)
    except CheckpointError as error:
        raise DataError(str(error)) from None


def _sense(name: str, folder: Path, summary: _Summary) -> Sense:
    streams = summary.kind == "stream"
    by_item: dict[str, list[_Event]] = {}
    for event in summary.events:
        by_item.setdefault(event.item, []).append(event)
    items = tuple(_judged(item, by_item.get(item.id, ()), summary) for item in summary.items)
    known: dict[str, Any] = {}
    if streams:
        clock, utc = _stream_times(folder / "scores.csv")
        known = {"clock": clock, "utc": utc, "events": _happenings(summary.events)}
    return Sense(
        name,
        folder,
        summary.modality,
        summary.kind,
        summary.alpha,
        summary.calibration.block_size,
        summary.verdict.headline,
        items,
        **known,
    )


def _judged(item: _Item, events: Sequence[_Event], summary: _Summary) -> Judged:
    """Return an item with its p-value as a whole: of a stream, that of its strongest event times its blocks."""
    p_value = np.nan if item.p_value is None or item.status != "judged" or item.label == -1 else item.p_value
    if summary.kind == "stream" and not np.isnan(p_value):
        blocks = max(1, item.scored // summary.calibration.block_size)
        p_value = min(1.0, blocks * min((own.p_value for own in events if own.p_value is not None), default=1.0))
    moment = Moment.of_text(item.recorded_at)
    if moment is None and summary.kind not in ("stream", "panel"):
        made = recorded_at(item.id)
        moment = None if made is None else Moment(made)
    reason = "" if np.isfinite(p_value) else item.reason or "not judged"
    return Judged(item.id, float(p_value), reason, item.label == 1, moment, item.duration_s or 0.0)


def _happenings(events: Sequence[_Event]) -> tuple[Happening, ...]:
    found = []
    for event in events:
        start, end = Moment.of_text(event.start), Moment.of_text(event.end)
        if start is not None and end is not None and event.p_value is not None:
            found.append(Happening(start, end, Moment.of_text(event.peak) or start, event.p_value))
    return tuple(found)


def _stream_times(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the times of all judged points, as the clock shows them and in UTC, in order. Raises: DataError."""
    clocks: list[datetime] = []
    offset: list[datetime] = []
    try:
        rows = csv.DictReader(io.StringIO(_read_table(path).decode("utf-8"), newline=""))
        for row in rows:
            moment = Moment.of_text(row.get("timestamp")) if row.get("score") else None
            if moment is not None:
                clocks.append(moment.clock)
                offset += [] if moment.utc is None else [moment.utc]
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged ({error}): score again") from None
    whole = offset if len(offset) == len(clocks) else []
    return np.sort(np.array(clocks, "datetime64[us]")), np.sort(np.array(whole, "datetime64[us]"))
