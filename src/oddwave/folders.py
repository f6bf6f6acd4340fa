"""Folders that are replaced as one, and the hidden room in them where oddwave works: `OUT/.oddwave`.

The room holds a marker (`owner.json`), a lock, and what must survive a killed process: the state of a training, what is
half written, and a note of what is being replaced. It goes once it is empty. Nothing is written into a room without the
marker or through a link, and nothing that oddwave did not note down is ever removed.

How a folder is replaced: the new files are written and flushed in the room. Where the old folder holds nothing else,
the new one then takes its place in a single exchange of names (Linux, macOS): old or new at every moment. Where that
cannot be (somebody's files beside ours, a mount point, the current folder, an unwritable parent, another system), files
are replaced one by one; a process killed amid that leaves both kinds until the next one to write there is through.
"""

import ctypes
import os
import re
import secrets
import shutil
import stat
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from oddwave.errors import CheckpointError
from oddwave.files import (
    OWN_FOLDER,
    OWNER_FILE,
    REPLACING_NOTE,
    TEMPORARY,
    cannot,
    flush_folder,
    read_json,
    temporary_name,
    write_json_atomic,
)

__all__ = ["WAIT_S", "at_work", "atomic_directory"]

WAIT_S = 5.0  # for another writer: writing takes no longer, as a rule
_LOCK = "lock"
_STAGE = re.compile(r"(?:new|old)-[0-9a-f]{8}")
_held = threading.local()


@contextmanager
def at_work(out: Path, *, wait_s: float = 0.0, spare: Collection[str] = ()) -> Iterator[Path]:
    """Hold `out` for this thread alone and give its room; folders made for that go again if they are left empty.

    What a killed process left there is finished or removed first. Within the block, the same thread may enter again.
    Files of the room named in `spare` go when the block ends well, or when the folder is replaced within it.

    Raises:
        CheckpointError: another process or thread is at work there, or the room is not oddwave's, or cannot be made.
    """
    out = _resolved(out)
    rooms: dict[Path, Collection[str]] = _held.__dict__.setdefault("rooms", {})
    room = out / OWN_FOLDER
    if room in rooms:
        yield room
        return
    with ExitStack() as undo:
        lock = _enter(out, room, wait_s, undo)
        rooms[room] = spare
        try:
            _recover(out, room)
            yield room
            for name in spare if room in rooms else ():
                _drop(room, name)
        finally:
            if room in rooms:  # else it went together with the folder that was replaced
                del rooms[room]
                _leave(room)
            lock.release()
            with suppress(OSError):
                room.rmdir()


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a circle of links, a name too long
        cannot("use", path, error)


def _enter(out: Path, room: Path, wait_s: float, undo: ExitStack) -> Any:
    """Make and mark the room and take its lock."""
    from filelock import FileLock, Timeout

    lock = FileLock(room / _LOCK, timeout=wait_s, thread_local=False)
    until = time.monotonic() + wait_s + 1.0
    try:
        while True:
            try:
                _make_folders(room, undo)
                _check_room(room)
                _mark(room)
                lock.acquire()
                _mark(room)  # whoever left just now may have taken the marker along
                return lock
            except (FileNotFoundError, CheckpointError) as error:  # the room went with whoever left just now?
                lock.release()
                if time.monotonic() > until or not isinstance(error.__cause__ or error, FileNotFoundError):
                    raise
    except Timeout:
        raise CheckpointError(
            f"another oddwave process is writing into {out}: wait until it has ended, or give another folder"
        ) from None
    except (OSError, ValueError, NotImplementedError) as error:
        lock.release()
        cannot("write", out, error)


def _make_folders(folder: Path, undo: ExitStack) -> None:
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(exist_ok=True)
        undo.callback(_remove_if_empty, place)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _check_room(room: Path) -> None:
    """Refuse links, and a folder of this name that somebody else made."""
    links = [path for path in (room, *(room.iterdir() if room.is_dir() else ())) if path.is_symlink()]
    if links:
        raise CheckpointError(f"{links[0]} is a link: nothing is written through it; remove it or give another folder")
    if not _is_marked(room) and any(name != _LOCK and not TEMPORARY.fullmatch(name) for name in _names(room)):
        raise CheckpointError(f"{room} was not made by oddwave: rename it or give another output folder")


def _is_marked(room: Path) -> bool:
    try:
        return not room.is_symlink() and str(read_json(room / OWNER_FILE, most=2**16).get("format")) == "oddwave work"
    except CheckpointError:
        return False


def _mark(room: Path) -> None:
    if not (room / OWNER_FILE).exists():
        write_json_atomic(room / OWNER_FILE, {"format": "oddwave work", "what": "oddwave made this folder to work in"})


def _leave(room: Path) -> None:
    """Take marker and lock away, the marker only if nothing is left that it must mark."""
    names = set(_names(room)) - {_LOCK, OWNER_FILE}
    for name in (_LOCK,) if names else (OWNER_FILE, _LOCK):
        with suppress(OSError):
            (room / name).unlink()


def _drop(room: Path, name: str) -> None:
    """Remove a file of the room, and the folder that held it if nothing else is in there."""
    (room / name).unlink(missing_ok=True)
    with suppress(OSError):
        (room / name).parent.rmdir()


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []


# Replacing


@contextmanager
def atomic_directory(path: Path, *, owns: Collection[str] = ()) -> Iterator[Path]:
    """Fill a directory so that it appears whole or not at all: write into the yielded one, and leave the block.

    Each new entry replaces its namesake; entries named in `owns` that were not written this time go away (no stale
    report beside new scores), and everything else in the directory stays. If anything fails, all is as it was. What
    holds when the process is killed, the module's docstring says.

    Raises:
        CheckpointError: for any OSError within the block or while replacing, if `path` is a file, or if another
            process is writing there.
    """
    path = staged = Path(path)
    try:
        if path.exists() and not path.is_dir():
            raise CheckpointError(f"{path} is a file, a directory was expected; choose another output folder")
        with at_work(path, wait_s=WAIT_S) as room:
            staged = room / f"new-{secrets.token_hex(4)}"
            staged.mkdir()
            try:
                yield staged
                _flush(staged)
                _replace(path.resolve(), room, staged, owns)
            finally:
                if not (room / REPLACING_NOTE).exists():  # else it is needed to finish what was begun
                    shutil.rmtree(staged, ignore_errors=True)
    except CheckpointError as error:  # name the place that was asked for, not the passing one
        raise CheckpointError(str(error).replace(str(staged), str(path))) from error
    except OSError as error:
        cannot("write", path, error)


def _flush(folder: Path) -> None:
    for place in (folder, *folder.rglob("*")):
        if place.is_dir():
            flush_folder(place)
        elif place.is_file():
            with place.open("r+b") as opened:
                os.fsync(opened.fileno())


def _replace(path: Path, room: Path, staged: Path, owns: Collection[str]) -> None:
    new, there = set(_names(staged)), set(_names(path)) - {OWN_FOLDER}
    old = there & {*new, *owns}
    strangers = there - old or set(_names(room)) - {OWNER_FILE, _LOCK, staged.name, *_held.rooms[room]}
    if strangers or not _is_movable(path) or not _exchange_folders(path, room, staged, old):
        _move_in(path, room, staged, sorted(new, key=lambda name: (name == "summary.json", name)), sorted(old))


def _is_movable(path: Path) -> bool:
    try:
        here = Path.cwd().resolve()
    except OSError:
        return False
    return not (path.is_mount() or here.is_relative_to(path))


def _exchange_folders(path: Path, room: Path, staged: Path, old: Collection[str]) -> bool:
    """Let the new folder and the old one change places, then remove the old one; False leaves all as it was."""
    beside = path.parent / temporary_name()
    note = {
        "way": "exchange",
        "folder": path.name,
        "beside": beside.name,
        "old": sorted(old),
        "spare": sorted(_held.rooms[room]),
    }
    write_json_atomic(room / REPLACING_NOTE, note)
    try:
        shutil.copystat(path, staged)
        same_owner = _owner(path) == _owner(staged)
        if same_owner:
            staged.rename(beside)
    except OSError:
        same_owner = False
    if not same_owner:
        (room / REPLACING_NOTE).unlink()
        return False
    if not _exchange(beside, path):
        beside.rename(staged)
        (room / REPLACING_NOTE).unlink()
        return False
    with suppress(OSError):
        flush_folder(path.parent)
    spare = _held.rooms.pop(room)
    _remove_replaced(beside, old, spare, path)
    return True


def _owner(folder: Path) -> tuple[int, int]:
    about = folder.stat()
    return about.st_uid, about.st_gid


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths of one file system change names in a single step; False where this system cannot."""
    name = {"linux": "renameat2", "darwin": "renameatx_np"}.get(sys.platform)
    call = getattr(ctypes.CDLL(None, use_errno=True), name, None) if name else None
    if call is None:
        return False
    current = -100 if sys.platform == "linux" else -2  # AT_FDCWD
    paths = (ctypes.c_int(current), os.fsencode(one), ctypes.c_int(current), os.fsencode(other))
    return bool(call(*paths, ctypes.c_uint(2)) == 0)  # RENAME_EXCHANGE, RENAME_SWAP


def _remove_replaced(folder: Path, old: Collection[str], spare: Collection[str], path: Path) -> None:
    """Remove a replaced folder: what it is known to have held, then its room; what somebody added goes to `path`."""
    room = folder / OWN_FOLDER
    with suppress(OSError):
        for name in old:
            _remove(folder / name)
        for name in set(_names(folder)) - {OWN_FOLDER}:
            if not (path / name).exists():
                (folder / name).rename(path / name)
        for name in (*spare, REPLACING_NOTE, _LOCK, OWNER_FILE):  # the marker last
            _drop(room, name)
        folder.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _move_in(path: Path, room: Path, staged: Path, new: list[str], old: list[str]) -> None:
    """Replace entry by entry; put every old one back if one of them cannot be replaced."""
    kept = room / f"old-{staged.name.partition('-')[2]}"
    kept.mkdir()
    stale = [name for name in old if name not in new]
    note = {"way": "files", "staged": staged.name, "kept": kept.name, "new": new, "stale": stale}
    write_json_atomic(room / REPLACING_NOTE, note)
    back = ExitStack()
    try:
        for name in stale:
            (path / name).rename(kept / name)
            back.callback((kept / name).rename, path / name)
        for name in new:
            _move_one(staged / name, path / name, kept / name, back)
        flush_folder(path)
    except BaseException:
        back.close()  # should that fail, the note stays, and the next process finishes the work
        _forget(room, kept)
        raise
    _forget(room, kept)


def _forget(room: Path, kept: Path) -> None:
    (room / REPLACING_NOTE).unlink()
    shutil.rmtree(kept, ignore_errors=True)


def _move_one(source: Path, place: Path, kept: Path, back: ExitStack) -> None:
    """Move an entry to its place; a file that was there is replaced in one step, a folder in two."""
    if not place.exists() and not place.is_symlink():
        source.rename(place)
        back.callback(place.rename, source)
        return
    if place.is_dir() and not place.is_symlink():
        place.rename(kept)
        back.callback(kept.rename, place)
        source.rename(place)
        back.callback(place.rename, source)
        return
    try:
        os.link(place, kept, follow_symlinks=False)
    except OSError:  # a file system without hard links
        shutil.copy2(place, kept, follow_symlinks=False)
    source.replace(place)
    back.callback(kept.replace, place)


# What killed processes left


def _recover(out: Path, room: Path) -> None:
    """Finish or remove what killed processes left in the room of `out` and beside `out`."""
    if (room / REPLACING_NOTE).exists():
        note = read_json(room / REPLACING_NOTE)
        if note.get("way") == "files":
            _roll_forward(out, room, note)
        elif TEMPORARY.fullmatch(str(note.get("beside"))):  # lifted out of the room, but not exchanged yet
            _remove(out.parent / str(note["beside"]))
        (room / REPLACING_NOTE).unlink()
    for name in _names(room):
        if TEMPORARY.fullmatch(name) or _STAGE.fullmatch(name):
            _remove(room / name)
    for name in filter(TEMPORARY.fullmatch, _names(out.parent)):
        _remove_leftover(out.parent / name, out)


def _roll_forward(out: Path, room: Path, note: dict[str, Any]) -> None:
    staged, kept = (str(note.get(which)) for which in ("staged", "kept"))
    if not (_STAGE.fullmatch(staged) and _STAGE.fullmatch(kept)):
        return
    for name in _plain(note.get("stale")):
        _remove(out / name)
    for name in _plain(note.get("new")):
        source, place = room / staged / name, out / name
        if source.is_symlink() or not source.exists():
            continue  # it is in its place already
        if place.is_dir() and not place.is_symlink():
            place.rename(room / kept / name)
        source.replace(place)
    flush_folder(out)


def _plain(names: Any) -> list[str]:
    names = names if isinstance(names, list) else []
    return [name for name in names if isinstance(name, str) and name == Path(name).name and name != OWN_FOLDER]


def _remove_leftover(folder: Path, out: Path) -> None:
    """Remove an old folder that was exchanged for a new one, unless its process still lives and does so itself."""
    from filelock import FileLock, Timeout

    room = folder / OWN_FOLDER
    if folder.is_symlink() or not stat.S_ISDIR(folder.lstat().st_mode):
        return
    if _is_marked(room):
        with suppress(OSError, Timeout, CheckpointError), FileLock(room / _LOCK, timeout=0):
            note = read_json(room / REPLACING_NOTE) if (room / REPLACING_NOTE).exists() else {"folder": out.name}
            if note.get("folder") == out.name:
                _remove_replaced(folder, _plain(note.get("old")), _plain(note.get("spare")), out)
    for empty in (room, folder):
        _remove_if_empty(empty)
