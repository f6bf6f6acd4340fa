"""The region of interest: which part of an image is monitored.

Legend: H x W pixels of the region, h x w of an image.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from PIL import Image

from oddwave.errors import DataError
from oddwave.sources.arrays import plain_array
from oddwave.sources.image.decode import as_channels_last, open_image, read_header, read_opened, read_values

__all__ = ["read_roi", "roi_for"]

_JPEG_MAGIC = b"\xff\xd8\xff"


def read_roi(source: Any) -> Bool[np.ndarray, "H W"]:
    """Read a region from an image's path, a Pillow image or an array: monitored is what is not zero, in any channel.

    Raises: DataError for what cannot be read, a region without any pixel, or a JPEG file.
    """
    name = "the region of interest"
    try:
        if isinstance(source, str | os.PathLike):
            name = f"the region of interest '{source}'"
            values = _read(Path(source).expanduser())
        elif isinstance(source, Image.Image):
            values = read_opened(source)[0]
        elif hasattr(source, "__array__"):
            values = as_channels_last(plain_array(source))[0]
        else:
            raise DataError(f"is of type {type(source).__name__}: give an image's path, or an array")
    except DataError as error:
        raise DataError(f"{name} {error}") from error
    monitored: np.ndarray = (values != 0).any(axis=2)
    if not monitored.any():
        raise DataError(f"{name} is zero everywhere: paint what is to be monitored in white")
    return monitored


def roi_for(roi: Bool[np.ndarray, "H W"], height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Return the region in the pixels of an image of another size, each taken from the nearest pixel."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64)
        for new, old in zip((height, width), roi.shape, strict=True)
    )
    return roi[np.ix_(rows, columns)]


def _read(path: Path) -> np.ndarray:
    if not path.exists():
        raise DataError("does not exist: give an image that is not black where to look")
    with open_image(path) as file:
        if file.read(len(_JPEG_MAGIC)) == _JPEG_MAGIC:
            raise DataError("is a JPEG file, whose compression leaves traces that are not zero: save it as PNG")
        read_header(file)  # refuses what would not fit into memory
        return read_values(file)
