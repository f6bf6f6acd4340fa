"""A saved model on the disk: `meta.json` points to one data folder and says what each file in it must be.

    MODEL/meta.json               facts; under "folder" and "files" which data belong to it, with SHA-256 and sizes
    MODEL/data-0123456789abcdef/  the files
    MODEL/.oddwave/               while it is written: a lock and the list of what is being made, removed afterwards

A new model is written into a data folder of its own, flushed, and takes over in one moment: when `meta.json` is
replaced. The old data go afterwards. A reader is bound by the hashes and begins again if a writer took its data away,
so it gets the old model or the new one, whatever happens to the writer. Read `archive.py` for what the files hold.
"""

import hashlib
import os
import re
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from oddwave.errors import CheckpointError
from oddwave.files import (
    META_FILE,
    MODEL_NOTE,
    cannot,
    flush_folder,
    read_bytes,
    read_json,
    require_own,
    write_json_atomic,
)
from oddwave.folders import WAIT_S, at_work

__all__ = ["FORMAT_VERSION", "read_meta", "read_model", "write_model"]

FORMAT_VERSION = 4
_FORMAT = "oddwave model"
_POINTER = ("format", "format_version", "folder", "files")
_FOLDER = re.compile(r"data-[0-9a-f]{16}")
_FILE = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)
_FLAT_FILES = ("model.safetensors", "config.json", "calibration.json")  # of format 3, beside meta.json
_META_BYTES = 64 * 2**20
_FILE_BYTES = 16 * 2**30
_TRIES = 20


def write_model(directory: Path, meta: dict[str, Any], files: Mapping[str, bytes]) -> None:
    """Write a model, or replace one: at every moment the folder holds the old one or all of the new.

    Raises:
        CheckpointError: the folder cannot be written, holds something else, or another process is writing into it.
    """
    require_own(directory, "model")
    folder = f"data-{secrets.token_hex(8)}"
    table = {name: {"sha256": _digest(data), "bytes": len(data)} for name, data in files.items()}
    about = {"format": _FORMAT, "format_version": FORMAT_VERSION, "folder": folder, "files": table}
    about |= {name: value for name, value in meta.items() if name not in about}
    with at_work(directory, wait_s=WAIT_S) as room:
        try:
            _remove_unused(directory, room)
            before = _made_before(directory)
            write_json_atomic(room / MODEL_NOTE, {"format": "oddwave writing", "made": {**before, folder: [*files]}})
            try:
                _write_data(directory / folder, files)
                flush_folder(directory)
                write_json_atomic(directory / META_FILE, about, room=room)
            finally:
                with suppress(CheckpointError):
                    _remove_unused(directory, room)
        except OSError as error:
            cannot("write", directory, error)


def read_model(directory: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read a model: what was given as `meta`, and all files, as they were written together.

    Raises:
        CheckpointError: a file is missing, damaged, no ordinary file, or of another version.
    """
    meta = read_meta(directory)
    for attempt in range(_TRIES):
        try:
            files = _read_files(directory, meta)
        except CheckpointError:
            again = read_meta(directory)
            if again == meta:  # no writer came between: it is damaged
                raise
            meta = again
            time.sleep(0.01 * attempt)
        else:
            return {name: value for name, value in meta.items() if name not in _POINTER}, files
    raise CheckpointError(f"{directory} was replaced {_TRIES} times while it was read: try again when no one saves it")


def _write_data(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name, data in files.items():
        if not _FILE.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a file of a model")
        with (folder / name).open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    flush_folder(folder)


def read_meta(directory: Path) -> dict[str, Any]:
    """Read what meta.json says, without the files that it names. Raises: as `read_model`."""
    if not directory.is_dir():
        raise CheckpointError(f"model directory '{directory}' does not exist: give the folder that `oddwave fit` wrote")
    path = directory / META_FILE
    meta = read_json(path, most=_META_BYTES)
    if meta.get("format") != _FORMAT:
        raise CheckpointError(f"{path} does not describe an oddwave model")
    if meta.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{directory} has model format {meta.get('format_version')!r:.40}, this oddwave reads {FORMAT_VERSION}: "
            f"use the version it was made with ({meta.get('package_version')!r:.40}) or fit again"
        )
    folder, files = meta.get("folder"), meta.get("files")
    if not (isinstance(folder, str) and _FOLDER.fullmatch(folder) and isinstance(files, dict) and _is_table(files)):
        raise CheckpointError(f"{path} is damaged: it names no data that belong to it; copy or fit the model again")
    return meta


def _is_table(files: dict[str, Any]) -> bool:
    return all(
        _FILE.fullmatch(name)
        and isinstance(about, dict)
        and isinstance(about.get("sha256"), str)
        and type(about.get("bytes")) is int
        and 0 <= about["bytes"] <= _FILE_BYTES
        for name, about in files.items()
    )


def _read_files(directory: Path, meta: dict[str, Any]) -> dict[str, bytes]:
    files = {}
    for name, about in meta["files"].items():
        path = directory / meta["folder"] / name
        data = read_bytes(path, about["bytes"])
        if len(data) != about["bytes"] or _digest(data) != about["sha256"]:
            raise CheckpointError(f"{path} is damaged: it is not what meta.json says; copy or fit the model again")
        files[name] = data
    return files


def _made_before(directory: Path) -> dict[str, list[str]]:
    """Return the data of the model that is there, folder by folder ("" for those beside meta.json)."""
    try:
        meta = read_json(directory / META_FILE, most=_META_BYTES)
    except CheckpointError:
        return {}
    folder, files = meta.get("folder"), meta.get("files")
    if isinstance(folder, str) and _FOLDER.fullmatch(folder) and isinstance(files, dict):
        return {folder: [name for name in files if _FILE.fullmatch(name)]}
    return {"": list(_FLAT_FILES)} if meta.get("format") == _FORMAT and meta.get("format_version") == 3 else {}


def _remove_unused(directory: Path, room: Path) -> None:
    """Remove the data that a writer noted and meta.json does not point to, file by file, then the note."""
    if not (room / MODEL_NOTE).exists():
        return
    made = read_json(room / MODEL_NOTE).get("made")
    used = _made_before(directory)
    for folder, names in made.items() if isinstance(made, dict) else ():
        if folder in used or not (folder == "" or _FOLDER.fullmatch(folder)) or not isinstance(names, list):
            continue
        if (directory / folder).is_symlink():  # not what we made
            continue
        for name in names:
            if isinstance(name, str) and _FILE.fullmatch(name):
                with suppress(OSError):
                    (directory / folder / name).unlink()
        if folder:
            with suppress(OSError):  # somebody's files in it stay
                (directory / folder).rmdir()
    (room / MODEL_NOTE).unlink()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
