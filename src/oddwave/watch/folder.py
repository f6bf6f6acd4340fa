"""A watch over a folder where files arrive: images, recordings or tables, each judged as a whole, once.

A file is read when it is complete: neither its size nor its time has changed between two looks. Hidden files and names
that programs give to what they are still writing are passed over; a file that comes under its name by being renamed is
complete at once after that. A file that is written anew under its old name is judged anew.

The state is a JSON file; what was written beyond it is cut off at the next start, and those files are judged again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from oddwave.detector import Detector
from oddwave.errors import CheckpointError, OddwaveError
from oddwave.files import read_json, write_json_atomic
from oddwave.records import AnyResult
from oddwave.sources.files import FileKind
from oddwave.visible import visible
from oddwave.watch.alarms import Alarms
from oddwave.watch.output import LineFile, LinePrinter
from oddwave.watch.run import WatchOptions
from oddwave.watch.telling import Teller

__all__ = ["FolderWatch", "read_folder_state"]

_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".download", ".filepart", ".swp", "~")
_AT_ONCE, _MOST_FILES, _MOST_STATE = 16, 1_000_000, 2**28
_TABLES = FileKind("table", (".csv", ".tsv", ".txt", ".parquet", ".npy", ".npz", ".json", ".jsonl", ".xlsx", ".gz"))


@dataclass
class FolderWatch:
    """A watch over one folder and the folders in it."""

    detector: Detector
    folder: Path
    out: LineFile | LinePrinter
    alarms: Alarms
    teller: Teller
    options: WatchOptions
    asked: Mapping[str, Any] = field(default_factory=dict)
    scores: LineFile | None = None
    known: Mapping[str, Any] | None = None
    seq: int = 0
    num_rows: int = 0
    num_opened: int = 0

    def __post_init__(self) -> None:
        """Go on from what is known. Raises: CheckpointError for the state of another model."""
        self.done: dict[str, list[int]] = {}
        self._last: dict[str, list[int]] = {}
        self._kind = _kind_of(self.detector.config.modality)
        if self.known is None:
            return
        if self.known["model"] != self._fingerprint:
            raise CheckpointError("the saved state is of another model: move the file away to begin anew")
        self.done, self.seq = dict(self.known["done"]), self.known["seq"]
        for record in self.known["pending"]:
            self.alarms.add(record)

    @property
    def _fingerprint(self) -> str:
        return str(self.detector.meta["data_fingerprint"])

    def run(self, stopped: Callable[[float], bool]) -> None:
        """Go on until `stopped`, which waits so many seconds, says so; with `once`, until all files are judged."""
        self._last = self._listed()
        while not stopped(self.options.every_s):
            busy = True
            while busy and not stopped(0.0):
                busy = self.tick()
            if self.options.once:
                break
        self._save()
        self.alarms.finish(10.0)
        if self.options.state is None:
            self.alarms.bury()
        else:
            self._save()

    def tick(self) -> bool:
        """Judge some of the files that are complete; return whether there may be more of them."""
        now = self._listed()
        complete = [name for name, mark in now.items() if self.done.get(name) != mark and self._last.get(name) == mark]
        self._last = now
        for gone in [name for name in self.done if name not in now]:
            del self.done[gone]
        chosen = complete[:_AT_ONCE]
        if chosen:
            self.judge(chosen)
            self.done |= {name: now[name] for name in chosen}
        if chosen or self.out.waiting:
            self._save()
        return len(complete) > len(chosen)

    def judge(self, names: Sequence[str]) -> None:
        """Score files together, and each by itself where they cannot be read so."""
        paths = [str(self.folder / name) for name in names]
        try:
            items = self.detector.score(paths, **self.asked, explain="none").items
        except OddwaveError as error:
            if len(names) > 1:
                for name in names:
                    self.judge([name])
                return
            self.teller.fault("file", f"{visible(names[0])[:80]}: {' '.join(str(error).split())[:300]}")
            return
        for name, item in zip(names, items, strict=False):
            self._tell(name, item)
        self.num_rows += len(names)

    def _tell(self, name: str, item: AnyResult) -> None:
        judged = item.status == "judged"
        if not judged:
            self.teller.fault("unjudged", f"{visible(name)[:80]}: {' '.join(str(item.reason).split())[:300]}")
        score, p_value = (item.score, item.p_value) if judged else (None, None)
        if self.scores is not None:
            told = {"file": name, "score": score, "p_value": p_value, "label": item.label}
            self.scores.write({**told, "reason": None if judged else str(item.reason)})
        if not item.flagged:
            return
        found = [_plain(event) for event in getattr(item, "events", ())[:100]]
        mark = self._last.get(name, [0, 0])[1]
        for change in ("opened", "closed"):  # a file is over when it is judged
            self.seq += 1
            self.num_opened += change == "opened"
            record: dict[str, Any] = {
                "seq": self.seq,
                "change": change,
                "id": f"{name}@{mark}",
                "file": name,
                "score": score,
            }
            record |= {"p_value": p_value, "merged_into": None, "events": found}
            self.out.write(record)
            if change == self.options.alert_on:
                self.alarms.add(record)

    def _listed(self) -> dict[str, list[int]]:
        """Return the files that may be judged, with size and time; a folder that is not there holds none."""
        found: dict[str, list[int]] = {}
        try:
            paths = sorted(self.folder.rglob("*"))
        except OSError as error:
            self.teller.note("folder", f"{self.folder} cannot be read ({error.strerror}): tried again")
            return self._last
        if not self.folder.is_dir():
            self.teller.note("folder", f"{self.folder} is not there: waiting for it")
        for path in paths[:_MOST_FILES]:
            name = path.relative_to(self.folder).as_posix()
            hidden = any(part.startswith(".") for part in path.relative_to(self.folder).parts)
            if hidden or name.lower().endswith(_UNFINISHED) or self._is_own(path):
                continue
            try:
                state = path.stat()
                if not path.is_file():
                    continue
            except OSError:
                continue
            if not self._kind.matches(path):
                self.teller.note("kind", f"{visible(name)[:80]} is no {self._kind.name}: passed over")
            elif self.options.since is None or state.st_mtime_ns >= self.options.since:
                found[name] = [state.st_size, state.st_mtime_ns]
        return found

    def _is_own(self, path: Path) -> bool:
        own = [self.options.state, getattr(self.out, "path", None), getattr(self.scores, "path", None)]
        return any(each is not None and path.name.startswith(each.name) for each in own)

    def _save(self) -> None:
        written = self.out.flush() and (self.scores is None or self.scores.flush())
        if not written or self.options.state is None:
            return
        told = {
            "kind": "folder",
            "model": self._fingerprint,
            "done": self.done,
            "seq": self.seq,
            "pending": self.alarms.waiting(),
            "out": self.out.offset,
            "scores": self.scores.offset if self.scores else None,
            "saved": time.time(),
        }
        try:
            write_json_atomic(self.options.state, told)
        except CheckpointError as error:
            self.teller.note("state", f"{error}: kept, tried again")


def read_folder_state(path: Path | None) -> dict[str, Any] | None:
    """Return what a watch over a folder saved, None where there is nothing yet. Raises: CheckpointError."""
    if path is None or not path.exists():
        return None
    known = read_json(path, most=_MOST_STATE)
    names = {"kind", "model", "done", "seq", "pending", "out"}
    if known.get("kind") != "folder" or not names <= set(known) or not isinstance(known["done"], dict):
        raise CheckpointError(f"{path} is not the state of a watch over a folder: move it away to begin anew")
    return known


def _kind_of(modality: str) -> FileKind:
    if modality == "image":
        from oddwave.sources.image.folder import IMAGES

        return IMAGES
    if modality == "audio":
        from oddwave.sources.audio.decode import RECORDINGS

        return RECORDINGS
    return _TABLES


def _plain(event: Any) -> dict[str, Any]:
    """Return an event, region or stretch of sound as JSON values."""
    told = {name: value for name, value in asdict(event).items() if name not in ("item", "strength", "bands")}
    return {name: float(value) if isinstance(value, float) else value for name, value in told.items()}
