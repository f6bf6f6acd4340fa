"""`read_images`: any source of images to an `ImageSet`; nothing decoded, nothing lost, every decision noted.

Sources: a folder (flat, nested, or in MVTec layout), one file, a glob, arrays and tensors, Pillow images, and lists
or mappings of paths, arrays and images, mixed as they come: each entry keeps its place, readable or not. Read
`sources/files.py` for which files count and what they are called, `items.py` for what comes out, and
`decode.py` for what an image may be.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.sources.arrays import is_list_of_things, is_tensor, plain_array
from oddwave.sources.files import FoundFiles, OnError, Part, find_files, find_listed, is_path
from oddwave.sources.image.decode import MAX_PIXELS, as_channels_last, read_opened
from oddwave.sources.image.folder import IMAGES
from oddwave.sources.image.items import ImageFailure, ImageItem, ImageSet
from oddwave.visible import visible

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
    """Read where images are, how large, and a hash of each; their pixels are decoded when they are asked for.

    Arrays are (N, H, W), (N, H, W, C) or (N, C, H, W), or a list of those without N: bool, uint8, uint16, or floats in
    [0, 1]. `on_error` skips what cannot be read (see `ImageSet.failures`) or stops at the first. `part` applies to
    folders in MVTec layout: "train" takes train/good, "test" takes all of test. `subset` takes so many images, evenly
    spread.
    Raises: DataError where nothing can be read, in one line that says why; ConfigError for an option.
    """
    _check_options(on_error, part, subset, max_pixels, recursive)
    candidates, found = _find(source, part, recursive, max_pixels)
    notes = list(found)
    if subset is not None and subset < len(candidates):
        spread = np.linspace(0, len(candidates) - 1, subset).round().astype(int)
        notes.append(f"subset: {subset} of {len(candidates)} images taken, evenly spread")
        candidates = [candidates[i] for i in spread]
    entries: list[ImageItem | ImageFailure] = []
    for candidate in candidates:
        entries.append(candidate.read())
        if isinstance(entries[-1], ImageFailure) and on_error == "stop":
            raise DataError(entries[-1].message)
    found_set = ImageSet(tuple(entries))
    if not found_set.items:
        first = f", the first: {found_set.failures[0].message}" if entries else ": give one or more"
        raise DataError(f"the source holds no image that can be read{first}")
    return replace(found_set, notes=tuple(map(visible, (*notes, *_notes_on_all(found_set.items)))))


@dataclass(frozen=True)
class _Candidate:
    """An image that was found but not looked at yet."""

    id: str
    path: Path | None
    make: Callable[[], ImageItem]

    def read(self) -> ImageItem | ImageFailure:
        try:
            return self.make()
        except DataError as error:
            return ImageFailure(self.id, self.path, str(error))


_Found = tuple[Sequence[_Candidate], Sequence[str]]  # what was found, and notes


def _find(source: Any, part: Part, recursive: bool, max_pixels: int) -> _Found:
    """Look into the source, whatever it is, without reading any image."""
    if is_path(source):
        return _files(find_files(source, IMAGES, part, recursive), max_pixels)
    if isinstance(source, Mapping):
        entries, names = list(source.values()), [str(key) for key in source]
        return _mixed(entries, names, max_pixels)
    if isinstance(source, Image.Image):
        return _mixed([source], None, max_pixels)
    if hasattr(source, "__array__") and not is_list_of_things(source):
        images, notes = _split(source)
        return _mixed(images, None, max_pixels)[0], notes
    if isinstance(source, bytes | bytearray) or not isinstance(source, Iterable):
        raise DataError(
            f"cannot read images from {type(source).__name__}: give a folder, file, glob, list of paths, or arrays "
            "(bytes: open them with PIL.Image.open)"
        )
    return _mixed(list(source), None, max_pixels)


def _files(found: FoundFiles, max_pixels: int) -> _Found:
    return [
        _Candidate(name, path, _opening(name, path, reason, max_pixels)) for name, path, reason in found.entries
    ], found.notes


def _opening(identifier: str, path: Path, reason: str, max_pixels: int) -> Callable[[], ImageItem]:
    def make() -> ImageItem:
        if reason:
            raise DataError(reason)
        return ImageItem.from_file(identifier, path, max_pixels)

    return make


def _mixed(entries: Sequence[Any], names: Sequence[str] | None, max_pixels: int) -> _Found:
    """Take paths, arrays and images in their order, under the names of a mapping or under names of their own."""
    paths = [entry for entry in entries if is_path(entry)]
    listed = iter(find_listed(paths).files)
    candidates = []
    for number, entry in enumerate(entries):
        if is_path(entry):
            identifier, path = next(listed)
            name = names[number] if names else identifier
            candidates.append(_Candidate(name, path, _opening(name, path, "", max_pixels)))
        else:
            name = names[number] if names else f"image_{number:04d}"
            candidates.append(_Candidate(name, None, partial(_item_in_memory, name, entry, max_pixels)))
    return candidates, ()


def _item_in_memory(identifier: str, image: Any, max_pixels: int) -> ImageItem:
    if isinstance(image, Image.Image):
        return ImageItem.from_values(identifier, *read_opened(image, max_pixels))
    if not hasattr(image, "__array__"):
        raise DataError(f"is of type {type(image).__name__}: expected a path, an array, or a Pillow image")
    return ImageItem.from_values(identifier, *as_channels_last(plain_array(image)))


def _split(source: Any) -> tuple[Sequence[Any], Sequence[str]]:
    """Give the images of one array (N, H, W), (N, H, W, C) or (N, C, H, W); (H, W) is one image."""
    try:
        array = source if np.ma.isMaskedArray(source) else plain_array(source)
    except DataError as error:
        raise DataError(f"the array {error}") from error
    shape = array.shape
    if len(shape) == 2:
        return [array], ()
    if len(shape) not in (3, 4):
        raise ShapeError(f"the array has shape {shape}: expected (N, H, W), (N, H, W, C) or (N, C, H, W)")
    if len(shape) == 4:
        return list(array), ()
    if shape[2] <= _WIDEST_CHANNELS < shape[1]:
        raise ShapeError(
            f"an array of shape {shape} may be one image in colour or {shape[0]} grey ones: pass [array] for one, "
            "array[..., None] for many"
        )
    if shape[0] not in (3, _WIDEST_CHANNELS):
        return list(array), ()
    if is_tensor(source):
        raise ShapeError(
            f"a tensor of shape {shape} may be one image in colour or {shape[0]} grey ones: pass [tensor] for one, "
            "tensor[:, None] for many"
        )
    return list(array), (f"shape {shape} read as {shape[0]} grey images: pass [array] for one in colour",)


def _notes_on_all(items: Sequence[ImageItem]) -> list[str]:
    """Say what was noted about how many images, and which have the same contents."""
    counted = Counter(note for item in items for note in item.notes)
    notes = [f"{count} image(s): {note}" for note, count in counted.items()]
    first: dict[str, str] = {}
    copies = [(item.id, first[item.digest]) for item in items if first.setdefault(item.digest, item.id) != item.id]
    if copies:
        notes.append(f"{len(copies)} image(s) are copies of others, such as '{copies[0][0]}' of '{copies[0][1]}'")
    return notes


def _check_options(on_error: Any, part: Any, subset: Any, max_pixels: Any, recursive: Any) -> None:
    if on_error not in ("skip", "stop"):
        raise ConfigError(f"on_error is {on_error!r}: give 'skip' or 'stop'")
    if part not in ("all", "train", "test"):
        raise ConfigError(f"part is {part!r}: give 'all', 'train' or 'test'")
    if not isinstance(recursive, bool):
        raise ConfigError(f"recursive is {recursive!r}: give True or False")
    for name, value in (("subset", 1 if subset is None else subset), ("max_pixels", max_pixels)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{name} is {value!r}: give a whole number, 1 or more")
