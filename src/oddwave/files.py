"""Files that are whole or not there, files read within bounds, and folders that oddwave itself made.

A file is written under a passing name, flushed to the disk and renamed: a full disk, a Ctrl-C or a power cut leaves
what was there before. What is read must be an ordinary file of a size that was foreseen.

A results folder opens its `summary.json` with the version of oddwave, a model its `meta.json` with the word "oddwave
model", and every folder that oddwave is at work in holds `.oddwave/owner.json`. No torch here. Read `folders.py` next:
it replaces whole folders.
"""

import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NoReturn

from oddwave.errors import CheckpointError

__all__ = [
    "EXPORT_FILE",
    "MEDIA",
    "META_FILE",
    "MODEL_NOTE",
    "OWNER_FILE",
    "OWN_FOLDER",
    "REPLACING_NOTE",
    "RESULT_FILES",
    "SHARDS_FOLDER",
    "SHARDS_FORMAT",
    "SHARDS_PLAN",
    "TEMPORARY",
    "FolderKind",
    "cannot",
    "check_json_depth",
    "file_table",
    "flush_folder",
    "folder_kind",
    "own_entries",
    "read_bytes",
    "read_json",
    "require_free",
    "require_own",
    "temporary_name",
    "write_bytes_atomic",
    "write_json_atomic",
]

OWN_FOLDER = ".oddwave"  # in the output's folder: what oddwave is still at work on
OWNER_FILE = "owner.json"  # in there: the marker that oddwave made it
REPLACING_NOTE = "replacing.json"  # in there: what is being replaced, and by what
MODEL_NOTE = "model.json"  # in there: the data of a model that are being made or removed
META_FILE = "meta.json"
RESULT_FILES = ("scores.csv", "events.csv", "clips.csv", "fused.csv", "summary.json", "report.html")
MEDIA = ("audio", "annotated")  # what a summary calls the folders of files beside it
SHARDS_FOLDER, SHARDS_PLAN, SHARDS_FORMAT = "shards", "plan.json", "oddwave shard plan"  # of a run on many machines
EXPORT_FILE = "sidecar.json"
FolderKind = Literal["model", "shards", "results", "export", "unfinished"]  # shards: results in shards, finished or not
_MARKS: dict[FolderKind, tuple[str, bytes]] = {
    "model": (META_FILE, b'"format": "oddwave model"'),
    "shards": (f"{SHARDS_FOLDER}/{SHARDS_PLAN}", f'"format": "{SHARDS_FORMAT}"'.encode()),
    "results": ("summary.json", b'"oddwave_version"'),
    "export": (EXPORT_FILE, b'"format": "oddwave export"'),
    "unfinished": (f"{OWN_FOLDER}/{OWNER_FILE}", b'"format": "oddwave'),
}
_HELD: dict[FolderKind, str] = {
    "model": "a model",
    "results": "results",
    "shards": "results in shards (of a run with --engine)",
    "export": "an exported model",
}
_HEAD_BYTES = 4096
_LEFT_BY_FILE_MANAGERS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_JSON_BYTES = 256 * 2**20
_JSON_DEPTH = 64
TEMPORARY = re.compile(r"\.oddwave-[0-9a-f]{8}\.tmp")


# Folders that oddwave made


def folder_kind(folder: Path) -> FolderKind | None:
    """Return what oddwave made of this folder; None for a folder that it did not make, or that is not there."""
    for kind, (name, mark) in _MARKS.items():
        if mark in _head(folder / name):
            return kind
    return None


def own_entries(folder: Path) -> frozenset[str]:
    """Return the names in this folder that oddwave wrote, and that are therefore no data; empty in anyone else's."""
    kind = folder_kind(folder)
    if kind in ("model", "export"):
        return frozenset(entry.name for entry in folder.iterdir())
    if kind in ("results", "shards"):
        shards = {SHARDS_FOLDER} if kind == "shards" else set()
        return frozenset({OWN_FOLDER, *shards, *RESULT_FILES, *_media_folders(folder)})
    return frozenset({OWN_FOLDER}) if kind else frozenset()


def require_own(folder: Path, holds: Literal["model", "results", "shards", "export"]) -> None:
    """Check that a model, results or an export may go into `folder`: it is absent, empty, or holds an earlier one.

    Raises:
        CheckpointError: it is a file, holds something else, or lies within a saved model.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise CheckpointError(f"{folder} is a file, a folder was expected: choose another output folder")
        _require_open(folder)
        kind = folder_kind(folder)
        strangers = _strangers(folder) if kind in (None, "unfinished") else []
    except (OSError, ValueError) as error:
        cannot("use", folder, error)
    if strangers:
        named = ", ".join(repr(name) for name in strangers[:3]) + (", ..." if len(strangers) > 3 else "")
        raise CheckpointError(f"{folder} holds what oddwave did not make ({named}): give a new or an empty folder")
    if kind in _HELD and kind != holds:
        there, wanted = _HELD[kind], _HELD["results" if holds == "shards" else holds]
        raise CheckpointError(f"{folder} holds {there}, {wanted} cannot go there: give another folder")


def require_free(folder: Path, names: Collection[str]) -> None:
    """Check that writing results under these names into `folder` replaces nothing that oddwave did not write.

    Raises:
        CheckpointError: it is a model, lies within one, or holds such a name and is no results folder.
    """
    _require_open(folder)
    if folder_kind(folder) == "model":
        raise CheckpointError(f"{folder} holds a model, results cannot go there: give another folder")
    own = folder_kind(folder) in ("results", "shards")
    taken = [] if own else sorted(set(names) & set(_strangers(folder)))
    if taken:
        raise CheckpointError(f"{folder} holds a '{taken[0]}' that oddwave did not write: give another folder")


def _require_open(folder: Path) -> None:
    for place in folder.absolute().parents:
        if place.name == OWN_FOLDER or folder_kind(place) == "model":
            raise CheckpointError(f"{folder} lies within {place}, which oddwave keeps for itself: give another folder")


def _strangers(folder: Path) -> list[str]:
    """Return what oddwave did not make, in a folder that holds no finished model or results."""
    entries = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    return sorted(entries - _LEFT_BY_FILE_MANAGERS - {OWN_FOLDER} - _noted(folder))


def _noted(folder: Path) -> set[str]:
    """Return what a process that was killed noted that it would make in this folder."""
    names: set[str] = set()
    for note, key in ((REPLACING_NOTE, "new"), (MODEL_NOTE, "made")):
        with suppress(CheckpointError):
            noted = read_json(folder / OWN_FOLDER / note).get(key)
            names |= {name for name in noted if isinstance(name, str)} if isinstance(noted, list | dict) else set()
    return names


def _media_folders(folder: Path) -> tuple[str, ...]:
    """Return the folders of audio and of annotated images that belong to results."""
    try:
        summary = json.loads((folder / "summary.json").read_bytes())
        names = [summary[kind]["folder"] for kind in MEDIA if kind in summary]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ()
    return tuple(name for name in names if isinstance(name, str))


def _head(path: Path) -> bytes:
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""


# Writing


def temporary_name() -> str:
    """Return a passing name, short enough beside names of any length; `TEMPORARY` matches it."""
    return f".oddwave-{secrets.token_hex(4)}.tmp"


def write_bytes_atomic(path: Path, content: bytes, *, room: Path | None = None) -> None:
    """Write a file so that at every moment, and after a power cut, its path holds the old content or all of the new.

    Until it is whole it lies in `room`, a folder of the same file system, else beside its place.

    Raises:
        CheckpointError: if the disk is full or the folder cannot be written; the old file is untouched.
    """
    beside = (room or path.parent) / temporary_name()
    try:
        try:
            with beside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        flush_folder(path.parent)
    except (OSError, ValueError) as error:
        cannot("write", path, error)


def write_json_atomic(path: Path, content: Mapping[str, Any], *, room: Path | None = None) -> None:
    """Write a mapping as readable JSON, whole or not at all; `room` as in `write_bytes_atomic`.

    Raises:
        CheckpointError: if it cannot be written.
        ValueError, TypeError: if the content holds NaN, infinity, or something JSON has no form for.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes_atomic(path, (text + "\n").encode(), room=room)


def flush_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk: without, a rename may not outlive a power cut. Raises: OSError."""
    if os.name == "nt":  # folders cannot be opened there
        return
    opened = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


# Reading


def read_bytes(path: Path, most: int) -> bytes:
    """Read an ordinary file of at most `most` bytes: no pipe, no device, nothing without an end.

    Raises:
        CheckpointError: the file is missing, of another sort, too large, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        with open(descriptor, "rb") as file:  # noqa: PTH123 - of a descriptor
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                raise CheckpointError(
                    f"cannot read {path}: it is no ordinary file; restore it or choose another folder"
                )
            if about.st_size > most:
                raise CheckpointError(
                    f"cannot read {path}: it has {about.st_size:,} bytes, at most {most:,} were expected; restore it"
                )
            return file.read(most)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; check the path, or whether the folder was copied whole") from None
    except (OSError, ValueError) as error:
        cannot("read", path, error)


def read_json(path: Path, *, most: int = _JSON_BYTES) -> dict[str, Any]:
    """Read a JSON object of at most `most` bytes, without NaN, nested at most 64 deep.

    Raises:
        CheckpointError: if the file is missing, damaged, or holds something other than an object.
    """
    try:
        content = json.loads(read_bytes(path, most), parse_constant=_no_constant)
        check_json_depth(content)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise CheckpointError(
            f"{path} is damaged: not valid JSON ({reason}); restore it or fit the model again"
        ) from None
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds a JSON {type(content).__name__}, an object was expected; is it another file?"
        )
    return content


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def check_json_depth(content: Any) -> None:
    """Refuse what is nested deeper than anything that is written here. Raises: RecursionError."""
    layer = [content]
    for _ in range(_JSON_DEPTH):
        layer = [
            below
            for value in layer
            if isinstance(value, dict | list)
            for below in (value.values() if isinstance(value, dict) else value)
        ]
        if not layer:
            return
    raise RecursionError


def file_table(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the SHA-256 and size of every file below a folder, by its path in it. Raises: OSError."""
    table = {}
    for path in sorted(entry for entry in folder.rglob("*") if entry.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        table[path.relative_to(folder).as_posix()] = {"sha256": digest, "bytes": path.stat().st_size}
    return table


def cannot(verb: str, path: Path, error: BaseException) -> NoReturn:
    """Raise the one-line CheckpointError for a file or folder that the system refuses."""
    text = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    raise CheckpointError(
        f"cannot {verb} {path}: {text.splitlines()[0]}; free the space or the permission, or choose another folder"
    ) from error
