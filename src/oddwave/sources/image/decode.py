"""One image file to pixels: the border behind which nothing but `DataError` comes out of a decoder.

Pixels stay in the type they were stored in (bool, uint8, uint16, float), so that a set of arrays costs no more memory
than it must; `unit_floats` makes the [0, 1] that all later code sees. The text of each refusal is a predicate ("is
empty (0 bytes): ..."): the caller knows the image's name and puts it in front.
Legend: H x W pixels, C channels. Read `pillow.py` for the formats, then `items.py`.
"""

import contextlib
import warnings
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped
from PIL import Image, UnidentifiedImageError

from oddwave.errors import DataError
from oddwave.sources.foreign import HEAD_BYTES, foreign_name
from oddwave.sources.image.heif import heif_header, heif_values, is_heif
from oddwave.sources.image.pillow import (
    FORMATS,
    ImageHeader,
    check_size,
    image_header,
    image_values,
    opened_header,
    opened_values,
)

__all__ = [
    "MAX_PIXELS",
    "ImageHeader",
    "as_channels_last",
    "open_image",
    "read_header",
    "read_opened",
    "read_values",
    "unit_floats",
]

MAX_PIXELS = 150_000_000  # per image, all pages counted; Pillow itself refuses more than 179 megapixels
_NPY_MAGIC = b"\x93NUMPY"
_MOST_CHANNELS_FIRST = 32  # in an array (C, H, W); more is taken for a height
_LEAST_SIDE = 8  # of its images
_RANGE_SLACK = 1e-3  # floats may leave [0, 1] by so much, because resizing overshoots


@contextlib.contextmanager
def open_image(path: Path) -> Iterator[BufferedReader]:
    """Open a file for `read_header` and `read_values`.

    Raises: DataError for a path that is missing, no file, or cannot be read (also later, while it is open).
    """
    try:
        if path.is_dir():
            raise DataError("is a folder: give it on its own, or list the images in it")
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise DataError("is no ordinary file: give an image")
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise DataError("does not exist (any more): read the source again once nobody writes to it") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte in it
        if isinstance(error, DataError):
            raise
        error = error if isinstance(error, OSError) else OSError(0, str(error))
        raise DataError(f"cannot be read ({error.strerror or error}): check its permissions and its disk") from error


def read_header(file: BufferedReader, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Read size and channels without decoding pixels.

    Raises: DataError for what is no image, is animated, or has more than `max_pixels` pixels.
    """
    with _decoding(file):
        if not _is_npy(file):
            return heif_header(file, max_pixels) if is_heif(file) else opened_header(file, max_pixels)
        values, notes = as_channels_last(_mapped(file))
        _check_type(values)
        height, width, channels = values.shape
        check_size(height, width, channels, max_pixels)
        return ImageHeader(height, width, channels, notes, 8 * values.dtype.itemsize)


def read_values(file: BufferedReader) -> Shaped[np.ndarray, "H W C"]:
    """Decode all pixels as they were stored, upright and without alpha; the pages of a TIFF file are channels.

    Raises: DataError for damaged or cut-off data, and for pixels whose white is not known.
    """
    with _decoding(file):
        if _is_npy(file):
            return np.array(as_channels_last(_mapped(file))[0])
        return heif_values(file) if is_heif(file) else opened_values(file)


def _mapped(file: BufferedReader) -> np.ndarray:
    """Map an NPY file: shape, type and length are checked against each other, and nothing is read or allocated yet."""
    with np.errstate(all="raise"):
        mapped: np.ndarray = np.load(file.name, mmap_mode="r", allow_pickle=False)
    return mapped


def read_opened(
    image: Image.Image, max_pixels: int = MAX_PIXELS
) -> tuple[Shaped[np.ndarray, "H W C"], tuple[str, ...]]:
    """Decode an open Pillow image, which stays as it is; return its pixels and notes. Raises: as `read_values`."""
    with _decoding():
        if not image.height * image.width:
            raise DataError("has no pixels")
        check_size(image.height, image.width, 1, max_pixels)
        notes = image_header(image).notes
        return image_values(image), notes


def unit_floats(values: Shaped[np.ndarray, "H W C"]) -> Float[np.ndarray, "H W C"]:
    """Return float32 in [0, 1]: 8 bit divided by 255, 16 bit by 65535; floats as they are.

    Raises: DataError for other types, and for floats that are missing, infinite or outside [0, 1].
    """
    _check_type(values)
    if values.dtype == np.bool_:
        return np.asarray(values, np.float32)
    if values.dtype.kind == "u":
        white = np.float32(np.iinfo(values.dtype).max)
        return np.asarray(values, np.float32) / white
    low, high = float(values.min()), float(values.max())
    if not (low >= -_RANGE_SLACK and high <= 1 + _RANGE_SLACK):  # NaN fails this too
        raise DataError(f"has floating-point pixels from {low:g} to {high:g}: divide by the value of white, for [0, 1]")
    return np.asarray(np.clip(values, 0, 1), np.float32)


def as_channels_last(values: np.ndarray) -> tuple[Shaped[np.ndarray, "H W C"], tuple[str, ...]]:
    """Bring (H, W), (H, W, C) or (C, H, W) to (H, W, C), with a note where channels were taken to come first.

    They are where the first axis is shorter than both others and at most 32 long, and the others are 8 or more: only an
    image of so few rows could be meant otherwise. Raises: DataError for other shapes.
    """
    if values.ndim not in (2, 3) or not values.size:
        raise DataError(f"has shape {values.shape}: expected (height, width) with channels first or last, or without")
    if values.ndim == 2:
        return values[:, :, None], ()
    first, middle, last = values.shape
    if first < min(middle, last) and first <= _MOST_CHANNELS_FIRST and min(middle, last) >= _LEAST_SIDE:
        return np.moveaxis(values, 0, 2), (f"shape {values.shape} read as (channels, height, width)",)
    return values, ()


def _unidentified(file: BufferedReader | None) -> str:
    """Name what no decoder knows by its first bytes."""
    if file is not None:
        file.seek(0)
        name = foreign_name(file.read(HEAD_BYTES))
        if name.lower() in {f"a {known} image".lower() for known in FORMATS}:
            return f"begins like {name} but is damaged: copy or save it again"
        if name:
            return f"is {name} and cannot be read: save it as PNG or JPEG"
    return f"is no image in a format that can be read ({', '.join(FORMATS)}, HEIF, NPY): save it as PNG"


@contextlib.contextmanager
def _decoding(file: BufferedReader | None = None) -> Iterator[None]:
    """Turn whatever a decoder raises into a `DataError`, and keep Pillow's warnings to ourselves.

    Files come from anywhere, and decoders answer broken ones with almost any exception: only here all are caught.
    """
    # Threads share warning filters: if two decode at once, the worst that can remain is this very filter.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            yield
        except DataError:
            raise
        except UnidentifiedImageError as error:
            raise DataError(_unidentified(file)) from error
        except MemoryError as error:
            raise DataError("does not fit into memory: cut it into pieces") from error
        except Image.DecompressionBombError as error:
            raise DataError(
                f"is too large ({error}): cut it into pieces, or raise PIL.Image.MAX_IMAGE_PIXELS"
            ) from error
        except Exception as error:
            detail = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"is damaged or cut off ({detail}): copy or save it again") from error


def _is_npy(file: BufferedReader) -> bool:
    """Look at the first bytes, because endings lie. Raises: DataError for an empty file."""
    file.seek(0)
    magic = file.read(len(_NPY_MAGIC))
    if not magic:
        raise DataError("is empty (0 bytes): copy it again")
    file.seek(0)
    return magic == _NPY_MAGIC


def _check_type(values: np.ndarray) -> None:
    if values.dtype.kind != "f" and values.dtype.newbyteorder("=") not in (np.bool_, np.uint8, np.uint16):
        raise DataError(f"has pixels of type {values.dtype}: expected bool, uint8, uint16, or floats in [0, 1]")
