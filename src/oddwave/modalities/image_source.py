"""`read_images`: any source of pictures to an `ImageSet`; nothing decoded, nothing lost, every decision noted.

Sources: a folder (flat, nested, or in MVTec layout), one file, a glob, a list of paths, arrays, Pillow pictures. Read
`source_files.py` for which files count and what they are called, `image_items.py` for what comes out, and
`image_decode.py` for what a picture may be.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.modalities.image_decode import MAX_PIXELS, read_opened
from oddwave.modalities.image_folder import PICTURES
from oddwave.modalities.image_items import ImageFailure, ImageItem, ImageSet
from oddwave.modalities.source_files import FoundFiles, OnError, Part, find_files, find_listed

__all__ = ["OnError", "read_images"]

_WIDEST_CHANNELS = 4  # an array's last axis, as long as this or shorter, looks like colours


def read_images(
    source: Any,
    *,
    on_error: OnError = "skip",
    recursive: bool = True,
    part: Part = "all",
    subset: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> ImageSet:
    """Read where pictures are, how large, and a hash of each; their pixels are decoded when they are asked for.

    Arrays are (N, H, W) or (N, H, W, C), or a list of (H, W[, C]): bool, uint8, uint16, or floats in [0, 1].
    `on_error` skips what cannot be read (see `ImageSet.failures`) or stops at the first. `part` applies to folders in
    MVTec layout: "train" takes train/good, "test" takes all of test. `subset` takes so many pictures, evenly spread.
    Raises: DataError where nothing can be read, in one line that says why; ConfigError for an option.
    """
    _check_options(on_error, part, subset, max_pixels)
    found = _find(source, part, recursive, max_pixels)
    candidates, notes = found.candidates, list(found.notes)
    if subset is not None and subset < len(candidates):
        spread = np.linspace(0, len(candidates) - 1, subset).round().astype(int)
        notes.append(f"subset: {subset} of {len(candidates)} pictures taken, evenly spread")
        candidates = [candidates[i] for i in spread]
    items: list[ImageItem] = []
    failures = list(found.failures)
    for candidate in candidates:
        outcome = candidate.read()
        if isinstance(outcome, ImageItem):
            items.append(outcome)
        else:
            failures.append(outcome)
        if failures and on_error == "stop":
            raise DataError(failures[-1].message)
    if not items:
        first = f", the first: {failures[0].message}" if failures else ": give one or more"
        raise DataError(f"the source holds no picture that can be read{first}")
    return ImageSet(tuple(items), (*notes, *_notes_on_all(items)), tuple(failures))


@dataclass(frozen=True)
class _Candidate:
    """A picture that was found but not looked at yet."""

    id: str
    path: Path | None
    make: Callable[[], ImageItem]

    def read(self) -> ImageItem | ImageFailure:
        try:
            return self.make()
        except DataError as error:
            return ImageFailure(self.id, self.path, str(error))


@dataclass(frozen=True)
class _Found:
    candidates: Sequence[_Candidate]
    notes: Sequence[str] = ()
    failures: Sequence[ImageFailure] = ()


def _find(source: Any, part: Part, recursive: bool, max_pixels: int) -> _Found:
    """Look into the source, whatever it is, without reading any picture."""
    if isinstance(source, str | os.PathLike):
        return _files(find_files(source, PICTURES, part, recursive), max_pixels)
    if isinstance(source, Image.Image):
        return _Found(_in_memory([source]))
    if hasattr(source, "__array__"):
        return _Found(_in_memory(_split(np.asarray(source))))
    if isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise DataError(
            f"cannot read pictures from {type(source).__name__}: give a folder, file, glob, list of paths, or arrays"
        )
    entries = list(source)
    if entries and all(isinstance(entry, str | os.PathLike) for entry in entries):
        return _files(find_listed(entries), max_pixels)
    return _Found(_in_memory(entries))


def _files(found: FoundFiles, max_pixels: int) -> _Found:
    def candidate(identifier: str, path: Path) -> _Candidate:
        return _Candidate(identifier, path, lambda: ImageItem.from_file(identifier, path, max_pixels))

    blind = [ImageFailure(identifier, path, reason) for identifier, path, reason in found.unreadable]
    return _Found([candidate(identifier, path) for identifier, path in found.files], found.notes, blind)


def _in_memory(pictures: Iterable[Any]) -> list[_Candidate]:
    def candidate(identifier: str, picture: Any) -> _Candidate:
        return _Candidate(identifier, None, lambda: _item_in_memory(identifier, picture))

    return [candidate(f"picture_{i:04d}", picture) for i, picture in enumerate(pictures)]


def _item_in_memory(identifier: str, picture: Any) -> ImageItem:
    if isinstance(picture, Image.Image):
        return ImageItem.from_values(identifier, *read_opened(picture))
    if not hasattr(picture, "__array__"):
        raise DataError(f"is of type {type(picture).__name__}: expected an array, a Pillow picture, or paths only")
    values = np.asarray(picture)
    if values.ndim not in (2, 3) or not values.size:
        raise DataError(f"has shape {values.shape}: expected (height, width) or (height, width, channels)")
    return ImageItem.from_values(identifier, values if values.ndim == 3 else values[:, :, None])


def _split(array: np.ndarray) -> Iterator[np.ndarray]:
    """Give the pictures of one array (N, H, W) or (N, H, W, C); (H, W) is one picture."""
    if array.ndim == 2:
        return iter([array])
    if array.ndim == 3 and array.shape[2] <= _WIDEST_CHANNELS < array.shape[1]:
        raise ShapeError(
            f"an array of shape {array.shape} may be one picture in colour or {array.shape[0]} grey ones: pass [array] "
            "for one, array[..., None] for many"
        )
    if array.ndim not in (3, 4):
        raise ShapeError(f"the array has shape {array.shape}: expected (N, H, W) or (N, H, W, C)")
    return iter(array)


def _notes_on_all(items: Sequence[ImageItem]) -> list[str]:
    """Say what was noted about how many pictures, and which have the same contents."""
    counted = Counter(note for item in items for note in item.notes)
    notes = [f"{count} picture(s): {note}" for note, count in counted.items()]
    first: dict[str, str] = {}
    copies = [(item.id, first[item.digest]) for item in items if first.setdefault(item.digest, item.id) != item.id]
    if copies:
        notes.append(f"{len(copies)} picture(s) are copies of others, such as '{copies[0][0]}' of '{copies[0][1]}'")
    return notes


def _check_options(on_error: str, part: str, subset: int | None, max_pixels: int) -> None:
    if on_error not in ("skip", "stop"):
        raise ConfigError(f"on_error is {on_error!r}: give 'skip' or 'stop'")
    if part not in ("all", "train", "test"):
        raise ConfigError(f"part is {part!r}: give 'all', 'train' or 'test'")
    if (subset is not None and subset < 1) or max_pixels < 1:
        raise ConfigError(f"subset is {subset} and max_pixels {max_pixels}: both must be 1 or more")
