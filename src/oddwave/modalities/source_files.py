"""Which files a source means, what they are called, and whether a folder has the MVTec layout; for pictures and sound.

MVTec layout: CATEGORY/train/good holds normal files, CATEGORY/test/<defect or good> those to be judged, and
CATEGORY/ground_truth/<defect> masks. The folder given may be one category or hold several. Nothing is opened here:
read `image_source.py` and `audio_source.py` for what becomes of the files.
"""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from oddwave.errors import DataError

__all__ = ["FileKind", "FoundFiles", "OnError", "Part", "find_files", "find_listed"]

OnError = Literal["skip", "stop"]
Part = Literal["all", "train", "test"]
_GLOB_MARKS = frozenset("*?[")
_MASKS = "ground_truth"
_PART_FOLDERS = {"all": (("train", "good"), ("test",)), "train": (("train", "good"),), "test": (("test",),)}


@dataclass(frozen=True)
class FileKind:
    """What is looked for: its name, which takes an s in the plural, and the endings of its files, in lower case."""

    name: str
    endings: tuple[str, ...]

    def matches(self, path: Path) -> bool:
        """Say whether a file's ending is one of this kind's."""
        return path.name.lower().endswith(self.endings)


@dataclass
class _FolderListing:
    """The files of a folder in order, notes on what was left out, and subfolders that could not be looked into."""

    paths: list[Path]
    notes: list[str] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)


@dataclass(frozen=True)
class FoundFiles:
    """Files with their ids, notes, and (id, path, reason) for each subfolder that could not be looked into."""

    files: tuple[tuple[str, Path], ...]
    notes: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, Path, str], ...] = ()


def find_files(
    source: str | os.PathLike[str], kind: FileKind, part: Part = "all", recursive: bool = True
) -> FoundFiles:
    """Find the files that a folder, a file, or a glob means.

    Raises: DataError where there is no such file or folder, or none of its files is of the kind.
    """
    path = Path(source).expanduser().absolute()
    if path.is_dir():
        listing = _list_folder(path, kind, part, recursive)
        unreadable = [(folder.relative_to(path).as_posix(), folder, reason) for folder, reason in listing.unreadable]
        return FoundFiles(_named(listing.paths, path), tuple(listing.notes), tuple(unreadable))
    if not path.exists() and _GLOB_MARKS & set(str(source)):
        return _by_glob(path, kind, recursive)
    if not os.path.lexists(path):
        raise DataError(f"no such file or folder: '{path}'")
    return FoundFiles(_named([path], path.parent))


def find_listed(entries: Sequence[str | os.PathLike[str]]) -> FoundFiles:
    """Take listed files in their order, each once; ids start below the folder that holds them all."""
    every = [Path(entry).expanduser().absolute() for entry in entries]
    paths = list(dict.fromkeys(every))
    twice = len(every) - len(paths)
    root = Path(os.path.commonpath([path.parent for path in paths]))
    return FoundFiles(_named(paths, root), (f"{twice} path(s) listed more than once, read once",) * (twice > 0))


def _list_folder(folder: Path, kind: FileKind, part: Part = "all", recursive: bool = True) -> _FolderListing:
    """List the files of a kind in a folder; `part` chooses among them where the folder has the MVTec layout.

    Hidden files and folders, and folders called ground_truth, are passed over; symbolic links are followed.
    Raises: DataError for a folder without such files, which names the endings looked for.
    """
    listing = _FolderListing([])
    files = sorted(_walk(folder, recursive, (), listing), key=lambda path: path.relative_to(folder).parts)
    listing.paths = [path for path in files if kind.matches(path)]
    others = [path for path in files if not kind.matches(path)]
    if others:
        shown = ", ".join(path.relative_to(folder).as_posix() for path in others[:5]) + ", ..." * (len(others) > 5)
        listing.notes.append(f"{len(others)} file(s) that are no {kind.name}s ignored: {shown}")
    if not files and listing.unreadable:
        raise DataError(f"folder '{folder}' {listing.unreadable[0][1]}")
    if not listing.paths:
        raise DataError(
            f"folder '{folder}' holds no {kind.name}s{'' if recursive else ' of its own'}: expected files ending in "
            f"{', '.join(kind.endings)}"
        )
    categories = _categories(listing.paths, folder)
    return _only_part(listing, folder, categories, part, kind) if categories else listing


def _unique_ids(paths: Sequence[Path], root: Path) -> list[str]:
    """Name each file by its path below `root` without its ending, or with it where two would be called the same."""
    relative = [path.relative_to(root) for path in paths]
    short = [path.with_suffix("").as_posix() for path in relative]
    seen: dict[str, int] = {}
    for identifier in short:
        seen[identifier] = seen.get(identifier, 0) + 1
    return [name if seen[name] == 1 else path.as_posix() for name, path in zip(short, relative, strict=True)]


def _named(paths: Sequence[Path], root: Path) -> tuple[tuple[str, Path], ...]:
    return tuple(zip(_unique_ids(paths, root), paths, strict=True))


def _by_glob(pattern: Path, kind: FileKind, recursive: bool) -> FoundFiles:
    matches = [Path(name) for name in glob.glob(str(pattern), recursive=recursive)]  # noqa: PTH207 - any folder
    paths = sorted(path for path in set(matches) if kind.matches(path) and not path.is_dir())
    if not paths:
        raise DataError(f"no {kind.name} matches '{pattern}': check the pattern, and quote it on a command line")
    # Ids start where the pattern does, so that a file keeps its id when others come and go.
    marked = next(i for i, name in enumerate(pattern.parts) if _GLOB_MARKS & set(name))
    return FoundFiles(_named(paths, Path(*pattern.parts[:marked])))


def _walk(folder: Path, recursive: bool, above: tuple[str, ...], listing: _FolderListing) -> Iterator[Path]:
    """Yield the files below a folder; one that cannot be looked into is put down in the listing."""
    real = os.path.realpath(folder)
    if real in above:
        listing.notes.append(f"link '{folder.name}' leads back to a folder above it: not followed")
        return
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        listing.unreadable.append((folder, f"cannot be looked into ({error.strerror}): check its permissions"))
        return
    for entry in entries:
        if entry.name.startswith((".", "__MACOSX")):
            continue
        if not os.path.isdir(entry):  # noqa: PTH112 - unlike Path.is_dir, it never raises
            yield entry
        elif recursive and entry.name != _MASKS:
            yield from _walk(entry, recursive, (*above, real), listing)


def _categories(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Return the categories of a folder in MVTec layout: itself, or those right below it."""
    inside = sorted({path.relative_to(folder).parts[0] for path in paths if path.parent != folder})
    return [path for path in (folder, *(folder / name for name in inside)) if _is_category(path)]


def _is_category(folder: Path) -> bool:
    return (folder / "train" / "good").is_dir() or ((folder / "test").is_dir() and (folder / _MASKS).is_dir())


def _only_part(
    listing: _FolderListing, folder: Path, categories: list[Path], part: Part, kind: FileKind
) -> _FolderListing:
    roots = [category.joinpath(*parts) for category in categories for parts in _PART_FOLDERS[part]]
    kept = [path for path in listing.paths if any(path.is_relative_to(root) for root in roots)]
    where = " and ".join("/".join(parts) for parts in _PART_FOLDERS[part])
    if not kept:
        raise DataError(
            f"folder '{folder}' has the MVTec layout, but no {kind.name}s in {where}: choose another part than '{part}'"
        )
    names = "" if categories == [folder] else f" of {', '.join(category.name for category in categories)}"
    passed = len(listing.paths) - len(kept)
    note = f"MVTec layout: {len(kept)} {kind.name}(s) taken from {where}{names}" + f", {passed} left out" * (passed > 0)
    return _FolderListing(kept, [note, *listing.notes], listing.unreadable)
