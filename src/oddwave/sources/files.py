"""Which files a source means, what they are called, and whether a folder has the MVTec layout; for images and audio.

MVTec layout: CATEGORY/train/good holds normal files, CATEGORY/test/<defect or good> those to be judged, and
CATEGORY/ground_truth/<defect> masks. The folder given may be one category or hold several. What oddwave itself wrote is
no data, wherever it lies. Nothing is opened here: read `image/reader.py` and `audio/reader.py` for what becomes of the
files.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import count
from pathlib import Path
from typing import Any, Literal

from oddwave.errors import DataError
from oddwave.files import own_entries

__all__ = ["FileKind", "FoundFiles", "OnError", "Part", "find_files", "find_listed", "is_path", "unique_names"]

OnError = Literal["skip", "stop"]
Part = Literal["all", "train", "test"]
_GLOB_MARKS = frozenset("*?[")
_MASKS = "ground_truth"
_PART_FOLDERS = {"all": (("train", "good"), ("test",)), "train": (("train", "good"),), "test": (("test",),)}
_MOST_WAYS = 8  # so often is one folder looked into, by links or otherwise: links to each other multiply the ways
_READABLE = ""
_OWN = "what oddwave wrote itself is no data"


@dataclass(frozen=True)
class FileKind:
    """What is looked for: its name, which takes an s in the plural, and the endings of its files, in lower case.

    Files that end in `foreign` are of the kind too, but in formats that cannot be read: each keeps its place among the
    others, so that nobody thinks it was judged. `twins` are those endings that cameras write beside another file of the
    same shot: only one of the two is taken.
    """

    name: str
    endings: tuple[str, ...]
    foreign: tuple[str, ...] = ()
    layout: bool = True  # whether folders of such files may have the MVTec layout
    twins: tuple[str, ...] = ()

    def matches(self, path: Path) -> bool:
        """Return whether a file's ending is one of this kind's."""
        return path.name.lower().endswith(self.endings)

    def choose(self, paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
        """Split files into those of this kind and all others.

        A file in a foreign format, or in one of `twins`, is among the others where a readable one of the same name lies
        beside it: cameras write one shot twice.
        """
        second = (*self.foreign, *self.twins)
        seconds = {path for path in paths if path.name.lower().endswith(second)}
        readable = {path.with_suffix("") for path in paths if self.matches(path) and path not in seconds}
        chosen: list[Path] = []
        others: list[Path] = []
        for path in paths:
            taken = path.with_suffix("") not in readable if path in seconds else self.matches(path)
            (chosen if taken else others).append(path)
        return chosen, others


@dataclass(frozen=True)
class FoundFiles:
    """What was found, in order: (id, path, why it cannot be looked into, or ""), and notes on what was left out."""

    entries: tuple[tuple[str, Path, str], ...]
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        """The files, with their ids."""
        return tuple((identifier, path) for identifier, path, reason in self.entries if not reason)

    @property
    def unreadable(self) -> tuple[tuple[str, Path, str], ...]:
        """The subfolders that could not be looked into, with the reason."""
        return tuple(entry for entry in self.entries if entry[2])


@dataclass
class _Listing:
    """Files, subfolders that could not be looked into, notes, and how often each folder was come by."""

    paths: list[Path] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    ways: Counter[str] = field(default_factory=Counter)

    def found(self, root: Path) -> FoundFiles:
        """Name everything by its path below `root`, with its ending, in the order of these paths."""
        every = sorted({*self.paths, *self.unreadable}, key=lambda path: path.relative_to(root).parts)
        named = ((path.relative_to(root).as_posix(), path, self.unreadable.get(path, _READABLE)) for path in every)
        return FoundFiles(tuple(named), tuple(dict.fromkeys(self.notes)))


def is_path(value: Any) -> bool:
    """Return whether a value is a path, as text or as an object that gives text."""
    try:
        return isinstance(value, str) or (isinstance(value, os.PathLike) and isinstance(os.fspath(value), str))
    except TypeError:
        return False


def find_files(
    source: str | os.PathLike[str], kind: FileKind, part: Part = "all", recursive: bool = True
) -> FoundFiles:
    """Find the files that a folder, a file, or a glob means.

    Raises: DataError where there is no such file or folder, or none of its files is of the kind.
    """
    path = _absolute(source)
    if os.path.isdir(path):  # noqa: PTH112 - unlike Path.is_dir, it never raises
        return _list_folder(path, kind, part, recursive).found(path)
    if os.path.lexists(path):
        return find_listed([path])
    if _GLOB_MARKS & set(str(source)):
        return _by_glob(path, kind, recursive)
    raise DataError(f"no such file or folder: '{path}'")


def find_listed(entries: Sequence[str | os.PathLike[str]]) -> FoundFiles:
    """Take listed files as they come, also twice; ids start below the folder of all, and no two are alike."""
    paths = [_absolute(entry) for entry in entries]
    plain = [Path(os.path.normpath(path)) for path in paths]  # for names only: before a "..", a link may stand
    root = Path(os.path.commonpath([path.parent for path in plain])) if plain else Path()
    named = unique_names([path.relative_to(root).as_posix() for path in plain])
    return FoundFiles(tuple((identifier, path, _READABLE) for identifier, path in zip(named, paths, strict=True)))


def unique_names(names: Sequence[str]) -> list[str]:
    """Return names of which no two are alike: the second "a.png" is called "a.png (2)"."""
    taken, unique, times = set(names), list[str](), Counter[str]()
    for name in names:
        numbered = (f"{name} ({number})" for number in count(times[name] + 1))
        own = next(each for each in numbered if each not in taken) if times[name] else name
        times[name] += 1
        taken.add(own)
        unique.append(own)
    return unique


def _absolute(source: str | os.PathLike[str]) -> Path:
    path = Path(source)
    try:
        return path.expanduser().absolute()
    except RuntimeError:  # the home of nobody
        return path.absolute()


def _list_folder(folder: Path, kind: FileKind, part: Part, recursive: bool) -> _Listing:
    """List the files of a kind in a folder; `part` chooses among them where the folder has the MVTec layout.

    Hidden files and folders, folders called ground_truth, and what oddwave wrote are passed over; symbolic links are
    followed. Raises: DataError for a folder without such files, which names the endings looked for.
    """
    listing = _Listing()
    files = sorted(_walk(folder, recursive, listing), key=lambda path: path.relative_to(folder).parts)
    listing.paths, others = kind.choose(files)
    if others:
        shown = ", ".join(path.relative_to(folder).as_posix() for path in others[:5]) + ", ..." * (len(others) > 5)
        listing.notes.append(f"{len(others)} file(s) that are no {kind.name}s ignored: {shown}")
    if not files and listing.unreadable:
        raise DataError(f"folder '{folder}' {next(iter(listing.unreadable.values()))}")
    if not listing.paths:
        own = "".join(f" ({note})" for note in listing.notes if note.startswith(_OWN))
        raise DataError(
            f"folder '{folder}' holds no {kind.name}s{'' if recursive else ' of its own'}{own}: expected files ending "
            f"in {', '.join(kind.endings)}"
        )
    categories = _categories(listing.paths, folder) if kind.layout else []
    return _only_part(listing, folder, categories, part, kind) if categories else listing


def _by_glob(pattern: Path, kind: FileKind, recursive: bool) -> FoundFiles:
    """Find what a pattern means, one part of it after another; ids start where its first mark stands.

    A file thus keeps its id when others come and go. A name that exists as it is written is meant itself.
    """
    listing = _Listing()
    parts = pattern.parts
    first = next(i for i in range(1, len(parts)) if not os.path.lexists(Path(*parts[: i + 1])))
    root, matches = Path(*parts[:first]), [Path(*parts[:first])]
    for number, name in enumerate(parts[first:], first):
        if name == "**" and recursive:
            below = [found for folder in matches for found in _folders(folder, listing)]
            last = number == len(parts) - 1
            matches = [entry for _, entries in below for entry in entries] if last else [each for each, _ in below]
        else:
            matches = [found for folder in matches for found in _matching(folder, name, listing)]
    files = [path for path in dict.fromkeys(matches) if not os.path.isdir(path)]  # noqa: PTH112
    listing.paths, others = kind.choose(files)
    if not listing.paths:
        raise DataError(f"no {kind.name} matches '{pattern}': check the pattern, and quote it on a command line")
    if others:
        listing.notes.append(
            f"{len(others)} file(s) that match but are no {kind.name}s ignored, such as '{others[0].name}'"
        )
    return listing.found(root)


def _matching(folder: Path, name: str, listing: _Listing) -> list[Path]:
    if os.path.lexists(folder / name):
        return [folder / name]
    if not _GLOB_MARKS & set(name):
        return []
    hidden = name.startswith(".")
    return [entry for entry in _entries(folder, listing, hidden) if fnmatchcase(entry.name, name)]


def _entries(folder: Path, listing: _Listing, hidden: bool = False) -> list[Path]:
    """Return what lies in a folder, but for what is hidden and what oddwave wrote; put down why where that fails."""
    if not os.path.isdir(folder):  # noqa: PTH112
        return []
    try:
        entries = sorted(folder.iterdir())
        own = own_entries(folder)
    except OSError as error:
        listing.unreadable[folder] = f"cannot be looked into ({error.strerror}): check its permissions"
        return []
    if any(entry.name in own and not entry.name.startswith(".") for entry in entries):
        listing.notes.append(f"{_OWN}: passed over in '{folder.name}'")
    skipped = ("__MACOSX",) if hidden else (".", "__MACOSX")
    return [entry for entry in entries if entry.name not in own and not entry.name.startswith(skipped)]


def _folders(top: Path, listing: _Listing, recursive: bool = True) -> Iterator[tuple[Path, list[Path]]]:
    """Yield a folder and all below it, each with what lies in it; no link is followed back to a folder above it.

    A stack, not recursion: folders may lie a thousand deep.
    """
    waiting: list[tuple[Path, tuple[str, ...]]] = [(top, ())]
    while waiting:
        folder, above = waiting.pop()
        real = os.path.realpath(folder)
        if real in above:
            listing.notes.append(f"link '{folder.name}' leads back to a folder above it: not followed")
            continue
        listing.ways[real] += 1
        if listing.ways[real] > _MOST_WAYS:
            listing.notes.append(
                f"folder '{folder.name}' is reached by more than {_MOST_WAYS} links: not followed again"
            )
            continue
        entries = _entries(folder, listing)
        yield folder, entries
        if recursive:
            below = [entry for entry in reversed(entries) if os.path.isdir(entry)]  # noqa: PTH112
            waiting += [(entry, (*above, real)) for entry in below]


def _walk(top: Path, recursive: bool, listing: _Listing) -> Iterator[Path]:
    """Yield the files below a folder; masks are no files to be judged."""
    for folder, entries in _folders(top, listing, recursive):
        if _MASKS not in folder.relative_to(top).parts:
            yield from (entry for entry in entries if not os.path.isdir(entry))  # noqa: PTH112


def _categories(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Return the categories of a folder in MVTec layout: itself, or those right below it."""
    inside = sorted({path.relative_to(folder).parts[0] for path in paths if path.parent != folder})
    return [path for path in (folder, *(folder / name for name in inside)) if _is_category(path)]


def _is_category(folder: Path) -> bool:
    return (folder / "train" / "good").is_dir() or ((folder / "test").is_dir() and (folder / _MASKS).is_dir())


def _only_part(listing: _Listing, folder: Path, categories: list[Path], part: Part, kind: FileKind) -> _Listing:
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
    return _Listing(kept, listing.unreadable, [note, *listing.notes])
