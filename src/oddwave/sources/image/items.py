"""What a source of images is read into: `ImageItem`, `ImageSet`, and `ImageFailure` for what could not be read.

An item knows its image's size and contents' hash, but holds no decoded pixels: `pixels()` decodes anew each time, so
that thousands of images cost no memory. Read `reader.py` next for where items come from, and `tensors/image_frame.py`
for what becomes of their pixels. Legend: H x W pixels, C channels.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from oddwave.errors import DataError, ShapeError
from oddwave.sources.base import Failure, ItemSet
from oddwave.sources.image.decode import MAX_PIXELS, open_image, read_header, read_values, unit_floats

__all__ = ["ImageFailure", "ImageItem", "ImageSet", "common_channels"]

ImageFailure = Failure


@dataclass(frozen=True, eq=False)
class ImageItem:
    """One image: where it is, how large, and a hash of its contents.

    `id` is the path below the source ("good/001.png"), or "image_0003" for arrays. `size` is (height, width) in
    pixels, upright. `digest` is a BLAKE2b hash of the file's bytes, or of an array's type, shape and values. `values`
    are the pixels of images that came as arrays, in their own type; `bits` says how many each value is stored in.
    """

    id: str
    path: Path | None
    size: tuple[int, int]
    channels: int
    digest: str
    notes: tuple[str, ...] = ()
    values: Shaped[np.ndarray, "H W C"] | None = field(default=None, repr=False)
    bits: int = 8

    @classmethod
    def from_file(cls, identifier: str, path: Path, max_pixels: int = MAX_PIXELS) -> "ImageItem":
        """Read a file's header and hash, not its pixels. Raises: DataError whose text is a predicate."""
        with open_image(path) as file:
            header = read_header(file, max_pixels)
            digest = _digest(file)
        size = (header.height, header.width)
        return cls(identifier, path, size, header.channels, digest, header.notes, bits=header.bits)

    @classmethod
    def from_values(
        cls, identifier: str, values: Shaped[np.ndarray, "H W C"], notes: tuple[str, ...] = ()
    ) -> "ImageItem":
        """Take pixels as they are, without a copy. Raises: DataError whose text is a predicate."""
        unit_floats(values)  # refuses types and ranges that have no meaning
        height, width, channels = values.shape
        content = hashlib.blake2b(f"{values.dtype.str}{values.shape}".encode(), digest_size=16)
        content.update(np.ascontiguousarray(values).tobytes())
        bits = 8 * values.dtype.itemsize
        return cls(identifier, None, (height, width), channels, content.hexdigest(), notes, values, bits)

    @property
    def identity(self) -> tuple[object, ...]:
        """Id, size, channels and contents."""
        return self.id, self.size, self.channels, self.digest

    def pixels(self) -> Float[np.ndarray, "H W C"]:
        """Decode the image: float32 in [0, 1], upright.

        Raises: DataError, in one line, where the file is damaged, has vanished, or is no longer the one that was read.
        """
        pixels = self.try_pixels()
        if isinstance(pixels, ImageFailure):
            raise DataError(pixels.message)
        return pixels

    def try_pixels(self) -> Float[np.ndarray, "H W C"] | ImageFailure:
        """Decode the image, or say why not: for those who skip and report what cannot be read."""
        try:
            return unit_floats(self._stored() if self.values is None else self.values)
        except DataError as error:
            return ImageFailure(self.id, self.path, str(error))

    def _stored(self) -> Shaped[np.ndarray, "H W C"]:
        assert self.path is not None  # an image without values has a file
        with open_image(self.path) as file:
            if _digest(file) != self.digest:
                raise DataError("has changed since it was read: read the source again once nobody writes to it")
            values = read_values(file)
        if values.shape != (*self.size, self.channels):
            expected = (*self.size, self.channels)
            raise DataError(f"decodes to shape {values.shape}, but its header says {expected}: save it again")
        return values


@dataclass(frozen=True, eq=False)
class ImageSet(ItemSet[ImageItem]):
    """The images of a source; see `ItemSet`."""

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Height and width of each image."""
        return tuple(item.size for item in self.items)


def common_channels(items: Sequence[ImageItem]) -> int:
    """Return the number of channels that all images can be brought to: grey beside RGB becomes RGB.

    Raises: ShapeError that names two images which do not go together; DataError for no image at all.
    """
    if not items:
        raise DataError("no image was given: expected one or more")
    first_with = {item.channels: item.id for item in reversed(items)}
    if set(first_with) <= {1, 3}:
        return max(first_with)
    if len(first_with) == 1:
        return next(iter(first_with))
    (least, one), *_, (most, other) = sorted(first_with.items())
    raise ShapeError(
        f"'{one}' has {least} channel(s) and '{other}' {most}: only grey (1) and RGB (3) images go together, read "
        "the others apart"
    )


def _digest(file: BufferedReader) -> str:
    file.seek(0)
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
