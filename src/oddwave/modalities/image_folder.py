"""Which files of a folder are pictures to judge, what they are called, and whether the folder has the MVTec layout.

MVTec layout: CATEGORY/train/good holds normal pictures, CATEGORY/test/<defect or good> those to be judged, and
CATEGORY/ground_truth/<defect> masks. The folder given may be one category or hold several.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from oddwave.errors import DataError

__all__ = ["IMAGE_ENDINGS", "FolderListing", "Part", "is_picture_name", "list_folder", "unique_ids"]

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".npy")
Part = Literal["all", "train", "test"]
_MASKS = "ground_truth"
_PART_FOLDERS = {"all": (("train", "good"), ("test",)), "train": (("train", "good"),), "test": (("test",),)}


@dataclass
class FolderListing:
    """The pictures of a folder in order, notes on what was left out, and subfolders that could not be looked into."""

    paths: list[Path]
    notes: list[str] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)


def list_folder(folder: Path, part: Part = "all", recursive: bool = True) -> FolderListing:
    """List the pictures of a folder, by ending; `part` chooses among them where the folder has the MVTec layout.

    Hidden files and folders, and folders called ground_truth, are passed over; symbolic links are followed.
    Raises: DataError for a folder without pictures, which names the endings looked for.
    """
    listing = FolderListing([])
    files = sorted(_walk(folder, recursive, (), listing), key=lambda path: path.relative_to(folder).parts)
    listing.paths = [path for path in files if is_picture_name(path)]
    others = [path for path in files if not is_picture_name(path)]
    if others:
        shown = ", ".join(path.relative_to(folder).as_posix() for path in others[:5]) + ", ..." * (len(others) > 5)
        listing.notes.append(f"{len(others)} file(s) that are no pictures ignored: {shown}")
    if not files and listing.unreadable:
        raise DataError(f"folder '{folder}' {listing.unreadable[0][1]}")
    if not listing.paths:
        raise DataError(
            f"folder '{folder}' holds no pictures{'' if recursive else ' of its own'}: expected files ending in "
            f"{', '.join(IMAGE_ENDINGS)}"
        )
    categories = _categories(listing.paths, folder)
    return _only_part(listing, folder, categories, part) if categories else listing


def is_picture_name(path: Path) -> bool:
    """Say whether a file's ending is one of a picture's."""
    return path.name.lower().endswith(IMAGE_ENDINGS)


def unique_ids(paths: Sequence[Path], root: Path) -> list[str]:
    """Name each file by its path below `root` without its ending, or with it where two would be called the same."""
    relative = [path.relative_to(root) for path in paths]
    short = [path.with_suffix("").as_posix() for path in relative]
    seen: dict[str, int] = {}
    for identifier in short:
        seen[identifier] = seen.get(identifier, 0) + 1
    return [name if seen[name] == 1 else path.as_posix() for name, path in zip(short, relative, strict=True)]


def _walk(folder: Path, recursive: bool, above: tuple[str, ...], listing: FolderListing) -> Iterator[Path]:
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


def _only_part(listing: FolderListing, folder: Path, categories: list[Path], part: Part) -> FolderListing:
    roots = [category.joinpath(*parts) for category in categories for parts in _PART_FOLDERS[part]]
    kept = [path for path in listing.paths if any(path.is_relative_to(root) for root in roots)]
    where = " and ".join("/".join(parts) for parts in _PART_FOLDERS[part])
    if not kept:
        raise DataError(
            f"folder '{folder}' has the MVTec layout, but no pictures in {where}: choose another part than '{part}'"
        )
    names = "" if categories == [folder] else f" of {', '.join(category.name for category in categories)}"
    passed = len(listing.paths) - len(kept)
    note = f"MVTec layout: {len(kept)} picture(s) taken from {where}{names}" + f", {passed} left out" * (passed > 0)
    return FolderListing(kept, [note, *listing.notes], listing.unreadable)
