"""Files that are either whole or not there: weights, JSON, resume state, and whole directories of them.

Everything is written beside its place, flushed to the disk, and renamed; a full disk, a read-only folder or a Ctrl-C
leaves what was there before. Only the functions for tensors import torch. Read `loop.py` next: it saves its state here.
"""

import io
import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oddwave.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "STATE_VERSION",
    "atomic_directory",
    "load_tensors",
    "load_training_state",
    "read_json",
    "save_tensors",
    "save_training_state",
    "write_bytes_atomic",
    "write_json_atomic",
]

STATE_VERSION = 1
_STATE_FORMAT = "oddwave-training-state"


def write_bytes_atomic(path: Path, content: bytes) -> None:
    """Write a file so that at every moment its path holds the old content or all of the new.

    Raises:
        CheckpointError: if the disk is full or the folder cannot be written; the old file is untouched.
    """
    beside = path.with_name(_temporary_name(path))
    try:
        try:
            with beside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot("write", path, error) from error


def write_json_atomic(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping as readable JSON, whole or not at all.

    Raises:
        CheckpointError: if it cannot be written.
        ValueError, TypeError: if the content holds NaN, infinity, or something JSON has no form for.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes_atomic(path, (text + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: if the file is missing, damaged, or holds something other than an object.
    """
    try:
        content = json.loads(_read_bytes(path))
    except ValueError as error:
        raise CheckpointError(
            f"{path} is damaged: not valid JSON ({error}); restore it or fit the model again"
        ) from None
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds a JSON {type(content).__name__}, an object was expected; is it another file?"
        )
    return content


def save_tensors(path: Path, tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str] | None = None) -> None:
    """Write named tensors as safetensors, whole or not at all; any memory layout and device is accepted.

    Raises:
        CheckpointError: if they cannot be written.
    """
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes_atomic(path, save(plain, dict(metadata) if metadata else None))


def load_tensors(path: Path) -> "dict[str, Tensor]":
    """Read named tensors from a safetensors file, onto the CPU.

    Raises:
        CheckpointError: if the file is missing, cut short, or no safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(_read_bytes(path))
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged ({_line(error)}); restore it or fit the model again") from None


def save_training_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a resume state (tensors, numbers, strings, lists, dicts), whole or not at all.

    Raises:
        CheckpointError: if it cannot be written.
    """
    import torch

    buffer = io.BytesIO()
    torch.save({"format": _STATE_FORMAT, "version": STATE_VERSION, "state": dict(state)}, buffer)
    write_bytes_atomic(path, buffer.getvalue())


def load_training_state(path: Path) -> dict[str, Any]:
    """Read a resume state onto the CPU; nothing in the file is ever executed.

    Raises:
        CheckpointError: if the file is missing, cut short, of another kind, or of a version this package does not know.
    """
    import torch

    content = _read_bytes(path)
    try:
        envelope = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch reports damage by half a dozen unrelated types
        raise CheckpointError(
            f"{path} is damaged or no training state ({_line(error)}); start again without resuming"
        ) from None
    if not isinstance(envelope, dict) or envelope.get("format") != _STATE_FORMAT:
        raise CheckpointError(f"{path} is no oddwave training state; start again without resuming")
    if envelope["version"] != STATE_VERSION:
        raise CheckpointError(
            f"{path} has version {envelope['version']}, {STATE_VERSION} was expected; start again without resuming"
        )
    state: dict[str, Any] = envelope["state"]
    return state


@contextmanager
def atomic_directory(path: Path, *, owns: Collection[str] = ()) -> Iterator[Path]:
    """Fill a directory so that it appears whole or not at all: write into the yielded one, and leave the block.

    A new directory is built beside its place and renamed. Into an existing one the new entries are moved after all of
    them are written, each replacing its namesake; entries named in `owns` that were not written this time go away (no
    stale report beside new scores), and everything else in it stays. If anything fails, all is as it was.

    Raises:
        CheckpointError: for any OSError within the block or while moving, and if `path` is a file.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise CheckpointError(f"{path} is a file, a directory was expected; choose another output folder")
    existed = path.is_dir()
    room = path if existed else path.absolute().parent
    beside = room / _temporary_name(path.absolute())
    try:
        with ExitStack() as undo:
            _make_parents(room, undo)
            beside.mkdir()
            undo.callback(shutil.rmtree, beside, ignore_errors=True)
            yield beside
            _flush(beside)
            if existed:
                _move_in(beside, path, owns)
            else:
                beside.rename(path)
                undo.pop_all()
    except CheckpointError as error:  # name the place that was asked for, not the passing one beside it
        raise CheckpointError(str(error).replace(str(beside), str(path))) from error
    except OSError as error:
        raise _cannot("write", path, error) from error


def _make_parents(folder: Path, undo: ExitStack) -> None:
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir()
        undo.callback(_remove_if_empty, parent)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _flush(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("r+b") as opened:
                os.fsync(opened.fileno())


def _move_in(source: Path, target: Path, owns: Collection[str]) -> None:
    """Move the entries of `source` into `target`; put every old entry back if one of them cannot be moved."""
    names = sorted(entry.name for entry in source.iterdir())
    old = source / _temporary_name(source)
    old.mkdir()
    with ExitStack() as undo:
        for name in sorted({*names, *owns}):
            if (target / name).exists():
                (target / name).rename(old / name)
                undo.callback((old / name).rename, target / name)
        for name in names:
            (source / name).rename(target / name)
            undo.callback((target / name).rename, source / name)
        undo.pop_all()


def _temporary_name(path: Path) -> str:
    return f".{path.name}.{secrets.token_hex(4)}.tmp"


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; check the path, or whether the folder was copied whole") from None
    except OSError as error:
        raise _cannot("read", path, error) from error


def _cannot(verb: str, path: Path, error: OSError) -> CheckpointError:
    reason = error.strerror or _line(error)
    return CheckpointError(
        f"cannot {verb} {path}: {reason}; free the space or the permission, or choose another folder"
    )


def _line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
