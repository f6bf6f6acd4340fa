"""HEIC and HEIF, as phones write them, where the extra `heif` is installed; as all other images are read.

pillow-heif's own classes are used, not its plug-in for Pillow, which keeps 8 of 10 or 12 bits. Rotation and mirroring
are part of the format and done by the decoder; the EXIF orientation beside them repeats them and does not count.
Functions here raise whatever the decoder raises; `decode.py`, which calls them, turns that into a `DataError`.
Legend: H x W pixels, C channels.
"""

import importlib
from io import BufferedReader
from typing import Any

import numpy as np
from jaxtyping import Shaped

from oddwave.errors import DataError
from oddwave.sources.foreign import HEAD_BYTES, foreign_name
from oddwave.sources.image.pillow import ImageHeader, check_size, laid_on_black

__all__ = ["heif_header", "heif_values", "is_heif"]

_LAYERS = {"I": 1, "L": 1, "LA": 1, "La": 1, "RGB": 3, "RGBA": 3, "RGBa": 3}


def is_heif(file: BufferedReader) -> bool:
    """Return whether a file begins as HEIC or HEIF; AVIF, of the same family, is none."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    return foreign_name(head) == "a HEIC image"


def heif_header(file: BufferedReader, max_pixels: int) -> ImageHeader:
    """Read size, channels and notes of a file without decoding its pixels."""
    found = _opened(file)
    image = found[found.primary_index]
    width, height = image.size
    check_size(height, width, 1, max_pixels)
    mode = _mode(image)
    notes = (
        *(["what is transparent is laid on black"] if len(mode) in (2, 4) else []),
        *([f"the main one of {len(found)} images in the file is read"] if len(found) > 1 else []),
    )
    return ImageHeader(height, width, _LAYERS[mode], notes, 16 if ";16" in image.mode else 8)


def heif_values(file: BufferedReader) -> Shaped[np.ndarray, "H W C"]:
    """Decode the main image, upright and without alpha: 8 bits as they are, 10 and 12 bits spread over 16."""
    found = _opened(file)
    image = found[found.primary_index]
    mode, depth = _mode(image), int(image.info.get("bit_depth") or 8)
    values = np.asarray(image)
    values = values if values.ndim == 3 else values[:, :, None]
    if values.dtype == np.uint16 and 8 < depth < 16:  # the lower bits repeat the upper ones, so that white is white
        values = values | values >> depth
    if len(mode) in (2, 4):
        values = laid_on_black(values, premultiplied=mode.endswith("a"))
    return np.ascontiguousarray(values)


def _opened(file: BufferedReader) -> Any:
    try:
        pillow_heif = importlib.import_module("pillow_heif")
    except ImportError:
        raise DataError(
            "is a HEIC image, which needs the extra 'heif': pip install 'oddwave[heif]', or save it as PNG or JPEG"
        ) from None
    file.seek(0)
    try:
        return pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
    except (ValueError, OSError, RuntimeError, EOFError, SyntaxError) as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"is a HEIC image that is damaged or cut off ({detail}): copy or save it again") from error


def _mode(image: Any) -> str:
    mode = str(image.mode).partition(";")[0]
    if mode not in _LAYERS:
        raise DataError(f"has pixels in mode {image.mode}: convert it to grey or RGB")
    return mode
