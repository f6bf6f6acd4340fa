"""`read_images`: any source of images to an `ImageSet`; nothing decoded, nothing lost, every decision noted.

Sources: a folder (flat, nested, or in MVTec layout), one file, a glob, arrays and tensors, Pillow images, and lists
or mappings of paths, arrays and images, mixed as they come: each entry keeps its place, readable or not. Read
`sources/files.py` for which files count and what they are called, `items.py` for what comes out, and
`decode.py` for what an image may be.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.sources.arrays import is_list_of_things, is_tensor, plain_array
from oddwave.sources.base import (
    Candidate,
    candidates_in,
    candidates_of,
    check_option,
    copies_note,
    nothing_read,
    read_entries,
)
from oddwave.sources.files import OnError, Part, find_files, is_path
from oddwave.sources.image.decode import MAX_PIXELS, as_channels_last, read_opened
from oddwave.sources.image.folder import IMAGES
from oddwave.sources.image.items import ImageItem, ImageSet
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
    candidates, found_notes = _find(source, part, recursive, max_pixels)
    notes = list(found_notes)
    if subset is not None and subset < len(candidates):
        spread = np.linspace(0, len(candidates) - 1, subset).round().astype(int)
        notes.append(f"subset: {subset} of {len(candidates)} images taken, evenly spread")
        candidates = [candidates[i] for i in spread]
    entries = list(read_entries(candidates, on_error))
    images = ImageSet(tuple(entries))
    if not images.items:
        raise nothing_read(images.failures, "image")
    return replace(images, notes=tuple(map(visible, (*notes, *_notes_on_all(images.items)))))


_Found = tuple[Sequence[Candidate[ImageItem]], Sequence[str]]  # what was found, and notes


def _find(source: Any, part: Part, recursive: bool, max_pixels: int) -> _Found:
    """Look into the source, whatever it is, without reading any image."""
    from_file, from_memory = partial(_from_file, max_pixels), partial(_from_memory, max_pixels)
    if is_path(source):
        found = find_files(source, IMAGES, part, recursive)
        return candidates_in(found, from_file), found.notes
    names: list[str] | None = None
    notes: Sequence[str] = ()
    if isinstance(source, Mapping):
        names, source = [str(key) for key in source], list(source.values())
    elif isinstance(source, Image.Image):
        source = [source]
    elif hasattr(source, "__array__") and not is_list_of_things(source):
        source, notes = _split(source)
    if isinstance(source, bytes | bytearray) or not isinstance(source, Iterable):
        raise DataError(
            f"cannot read images from {type(source).__name__}: give a folder, file, glob, list of paths, or arrays "
            "(bytes: open them with PIL.Image.open)"
        )
    return candidates_of(list(source), names, "image", from_file, from_memory), notes


def _from_file(max_pixels: int, identifier: str, path: Path) -> ImageItem:
    return ImageItem.from_file(identifier, path, max_pixels)


def _from_memory(max_pixels: int, identifier: str, image: Any) -> ImageItem:
    if isinstance(image, Image.Image):
        return ImageItem.from_values(identifier, *read_opened(image, max_pixels))
    if not hasattr(image, "__array__"):
        raise DataError(f"is of type {type(image).__name__}: expected a path, an array, or a Pillow image")
    return ImageItem.from_values(identifier, *as_channels_last(plain_array(image)))


def _split(source: Any) -> tuple[Sequence[Any], Sequence[str]]:
    """Return the images of one array (N, H, W), (N, H, W, C) or (N, C, H, W); (H, W) is one image."""
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
    """Return what was noted about how many images, and which have the same contents."""
    counted = Counter(note for item in items for note in item.notes)
    return [*(f"{count} image(s): {note}" for note, count in counted.items()), *copies_note(items, "image")]


def _check_options(on_error: Any, part: Any, subset: Any, max_pixels: Any, recursive: Any) -> None:
    check_option("on_error", on_error, "skip", "stop")
    check_option("part", part, "all", "train", "test")
    check_option("recursive", recursive, True, False)
    for name, value in (("subset", 1 if subset is None else subset), ("max_pixels", max_pixels)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{name} is {value!r}: give a whole number, 1 or more")
