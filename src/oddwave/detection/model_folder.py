"""A model's folder: `meta.json` beside a subfolder of data, each file bound to `meta.json` by its size and sha256.

Nothing is said here of what the files mean: read `archive.py` next.
"""

import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from oddwave.errors import CheckpointError
from oddwave.training.checkpoint import write_bytes_atomic

__all__ = ["FORMAT_VERSION", "read_model", "write_model"]

FORMAT_VERSION = 4
_LARGEST_META, _LARGEST_FILE = 16 * 2**20, 64 * 2**30
_MEND = "restore it or fit the model again"


def write_model(directory: Path, meta: dict[str, Any], files: Mapping[str, bytes]) -> None:
    """Write a model; the old one counts until the new one is complete. Raises: CheckpointError."""
    if directory.exists() and not directory.is_dir():
        raise CheckpointError(f"{directory} is a file, a directory was expected; choose another output folder")
    name = f"data-{secrets.token_hex(8)}"
    try:
        (directory / name).mkdir(parents=True)
    except OSError as error:
        raise CheckpointError(f"cannot write {directory}: {error.strerror}; choose another folder") from error
    for file, content in files.items():
        write_bytes_atomic(directory / name / file, content)
    facts = {file: {"bytes": len(own), "sha256": hashlib.sha256(own).hexdigest()} for file, own in files.items()}
    about = {"format": "oddwave model", "format_version": FORMAT_VERSION, "folder": name, "files": facts, **meta}
    text = json.dumps(about, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes_atomic(directory / "meta.json", (text + "\n").encode())
    for old in directory.glob("data-*"):
        if old.name != name:
            with suppress(OSError):
                shutil.rmtree(old)


def read_model(directory: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read a model whole: its facts, and its files by name. Raises: CheckpointError."""
    if not directory.is_dir():
        raise CheckpointError(f"model directory '{directory}' does not exist: give the folder that `oddwave fit` wrote")
    place = directory / "meta.json"
    try:
        meta = json.loads(_read(place, _LARGEST_META))
    except (ValueError, RecursionError) as error:
        line = str(error).partition("\n")[0]
        raise CheckpointError(f"{place} is damaged: not valid JSON ({line}); {_MEND}") from None
    if not isinstance(meta, dict):
        raise CheckpointError(f"{place} is damaged: a JSON object was expected; {_MEND}")
    if meta.get("format") != "oddwave model":
        raise CheckpointError(f"{place} does not describe an oddwave model")
    if meta.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{directory} has model format {meta.get('format_version')!r:.20}, this oddwave reads {FORMAT_VERSION}: "
            f"use the version it was made with ({meta.get('package_version')!s:.20}) or fit again"
        )
    folder, facts = meta.pop("folder", None), meta.pop("files", None)
    if not isinstance(folder, str) or Path(folder).name != folder or not isinstance(facts, dict):
        raise CheckpointError(f"{place} is damaged: it does not name the model's files; {_MEND}")
    files = {}
    for name, fact in facts.items():
        if Path(name).name != name or not isinstance(fact, dict):
            raise CheckpointError(f"{place} is damaged: it does not name the model's files; {_MEND}")
        content = _read(directory / folder / name, _LARGEST_FILE)
        if len(content) != fact.get("bytes") or hashlib.sha256(content).hexdigest() != fact.get("sha256"):
            raise CheckpointError(f"{directory / folder / name} is damaged: not what was saved; {_MEND}")
        files[name] = content
    return {key: value for key, value in meta.items() if key not in ("format", "format_version")}, files


def _read(path: Path, most: int) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > most:
                raise CheckpointError(f"{path} is damaged: no ordinary file of at most {most:,} bytes; {_MEND}")
            return file.read(found.st_size)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; check the path, or whether the folder was copied whole") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: it cannot be read ({error}); {_MEND}") from None
