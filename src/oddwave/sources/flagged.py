"""Copies of the flagged files, whatever the modality: for sorting out, sending on, looking at in another program.

`copy_flagged` keeps the paths that items are called by. The folder holds nothing but what it wrote, which a list in
it (`flagged.json`) proves: an earlier run's copies go when the next one's come; nothing else is overwritten or removed.
Read `../folders.py` next: a folder is replaced whole or not at all.
"""

import hashlib
import os
import shutil
import stat
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from oddwave.errors import CheckpointError, DataError
from oddwave.files import (
    MEDIA,
    OWN_FOLDER,
    RESULT_FILES,
    cannot,
    file_table,
    read_json,
    require_free,
    write_json_atomic,
)
from oddwave.folders import atomic_directory
from oddwave.results import DetectionResult
from oddwave.sources.files import find_listed, is_path, unique_names
from oddwave.visible import visible

__all__ = ["check_copies", "copy_flagged"]

COPIES_FILE = "flagged.json"
_FORMAT = "oddwave copies of flagged files"
_LEFT_BY_FILE_MANAGERS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


def copy_flagged(result: DetectionResult, source: Any, folder: Path | str, *, out: Path | None = None) -> list[Path]:
    """Copy the files of flagged items into `folder`, under their paths below the source; return where they are.

    `source` is what was scored: a folder, file or glob, a list of files, or a mapping of names to files. A file is
    copied once, however many flagged items (channels, streams) it holds. A file that has gone is named in a warning.

    Raises:
        DataError: the source is no file.
        CheckpointError: as `check_copies`, or the folder cannot be written; nothing in it was changed.
    """
    folder = Path(folder)
    before = check_copies(source, folder, out=out)
    files = _Files.of(source)
    found = {item.id: files.file_of(item.id) for item in result.flagged}
    unknown = [name for name, place in found.items() if place is None]
    if unknown:
        warnings.warn(f"no file for {len(unknown)} flagged item(s), such as '{visible(unknown[0])}'", stacklevel=2)
    wanted = dict.fromkeys(place for place in found.values() if place is not None)
    copied: list[Path] = []
    with atomic_directory(folder, owns=(COPIES_FILE, *before)) as beside:
        for name, path in wanted:
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(path, beside / name)
                shutil.copystat(path, beside / name)
            except FileNotFoundError:
                warnings.warn(f"'{visible(str(path))}' is flagged but has gone, and is not copied", stacklevel=2)
                continue
            (beside / name).chmod((beside / name).stat().st_mode | stat.S_IWUSR)  # else it could not be flushed
            copied.append(folder / name)
        table = file_table(beside)
        write_json_atomic(beside / COPIES_FILE, {"format": _FORMAT, "files": table})
    return copied


def check_copies(source: Any, folder: Path, *, out: Path | None = None) -> set[str]:
    """Check, before long work begins, that copies may go into `folder`; return what an earlier run made at its top.

    Raises:
        DataError: the source is no file.
        CheckpointError: the folder is a file, holds anything but earlier copies, lies within the data or a model, is
            the output, or has one of the names that the output needs.
    """
    place, files = Path(os.path.realpath(folder)), _Files.of(source)
    reason = files.clash(place) or _output_clash(place, out)
    if reason:
        raise CheckpointError(f"flagged files cannot be copied to {folder}: {reason}; give another folder")
    try:
        if folder.exists() and not folder.is_dir():
            raise CheckpointError(f"{folder} is a file, a folder was expected: give another folder")
        require_free(folder, ())
        own = _earlier(folder)
        skipped = _LEFT_BY_FILE_MANAGERS | ({COPIES_FILE} if own is not None else set())
        own = own or {}
        files_in = [path for path in _files_in(folder) if path.name not in skipped]
        strangers = [path for path in files_in if not _is_same(path, own.get(_name(path, folder)))]
    except (OSError, ValueError) as error:
        cannot("use", folder, error)
    if strangers:
        raise CheckpointError(
            f"{folder} holds what oddwave did not copy there ('{_name(strangers[0], folder)}'): give a new or an empty "
            "folder"
        )
    return {name.split("/", 1)[0] for name in own}


def _output_clash(place: Path, out: Path | None) -> str:
    if out is None:
        return ""
    output = Path(os.path.realpath(out))
    if place == output or output.is_relative_to(place):
        return "the results go there"
    taken = {OWN_FOLDER, *RESULT_FILES, *MEDIA}
    if place.is_relative_to(output) and place.relative_to(output).parts[0] in taken:
        return "the results need that name"
    return ""


def _earlier(folder: Path) -> dict[str, Any] | None:
    """Return the list of what was copied there before; None where there is no such list."""
    try:
        listed = read_json(folder / COPIES_FILE)
    except CheckpointError:
        return None
    files = listed.get("files")
    return files if listed.get("format") == _FORMAT and isinstance(files, dict) else None


def _files_in(folder: Path) -> list[Path]:
    """Return every file below a folder, and links, but for what oddwave keeps there while it is at work."""
    entries = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path for path in entries if OWN_FOLDER not in path.relative_to(folder).parts)


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _is_same(path: Path, told: Any) -> bool:
    """Return whether a file is still what was written there."""
    if not isinstance(told, dict) or path.is_symlink() or path.stat().st_size != told.get("bytes"):
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == told.get("sha256")


@dataclass(frozen=True)
class _Files:
    """Where the files of a source are: below a root, or each under its own name."""

    root: Path | None  # of a folder or glob
    named: Mapping[str, tuple[str, Path]]  # item -> name of its copy, and file
    pattern: PurePath | None = None
    alone: bool = False  # one file, whatever its items are called

    @classmethod
    def of(cls, source: Any) -> "_Files":
        """Look at a source without reading it. Raises: DataError where it is no file."""
        if is_path(source):
            path = Path(os.path.abspath(Path(source).expanduser()))  # noqa: PTH100 - it stays beside its links
            if path.is_dir():
                return cls(path, {})
            if path.exists():
                return cls(None, {path.name: (path.name, path)}, alone=True)
            kept = next(i for i in range(len(path.parts) + 1) if not Path(*path.parts[: i + 1]).exists())
            return cls(Path(*path.parts[:kept]), {}, PurePath(path))
        if isinstance(source, Mapping):
            keys = unique_names([str(key) for key in source])
            given = [(key, value) for key, value in zip(keys, source.values(), strict=True) if is_path(value)]
            listed = find_listed([value for _, value in given]).files
            named = {key: (own, path) for (key, _), (own, path) in zip(given, listed, strict=True)}
        else:
            entries = [] if hasattr(source, "__array__") or not isinstance(source, Iterable) else list(source)
            named = {own: (own, path) for own, path in find_listed([each for each in entries if is_path(each)]).files}
        if not named:
            raise DataError(f"there are no files to copy: the data came as {type(source).__name__}; give paths")
        first: dict[Path, str] = {}
        return cls(None, {key: (first.setdefault(path, own), path) for key, (own, path) in named.items()})

    def file_of(self, item: str) -> tuple[str, Path] | None:
        """Return the name and path of the file that an item is in: channels and streams are called by more than it."""
        if self.alone:
            return next(iter(self.named.values()))
        parts = item.split("/")
        for length in range(len(parts), 0, -1):
            name = "/".join(parts[:length])
            if name in self.named:
                return self.named[name]
            if self.root is not None and ".." not in parts and (self.root / name).is_file():
                return name, self.root / name
        return None

    def clash(self, place: Path) -> str:
        """Return why copies in `place` would mix with the data; empty where they would not."""
        root = None if self.root is None else Path(os.path.realpath(self.root))
        parents = {Path(os.path.realpath(path.parent)) for _, path in self.named.values()}
        whole = root is not None and (self.pattern is None or "**" in self.pattern.parts)
        if whole and root is not None and place.is_relative_to(root):
            return f"it lies within the data ({root})"
        if place in parents or (self.pattern is not None and place.match(str(self.pattern.parent))):
            return "it holds the data"
        if any(each.is_relative_to(place) for each in (*parents, *([root] if root else []))):
            return "the data lie within it"
        return ""
