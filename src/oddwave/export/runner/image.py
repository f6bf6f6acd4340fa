"""Images for `run_onnx.py`: a file to the square that the graph sees, as `oddwave score` prepares it.

What that does and this does not: tiles, transparency, CMYK, several pages, 16-bit colours, HEIF and NPY files.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageOps

__all__ = ["scored"]


def scored(
    item: str, spec: dict[str, Any], known: Mapping[str, np.ndarray], run: Callable[..., list[np.ndarray]]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the score of an image."""
    make = spec["preparation"]
    pixels = read(item, make["channels"])
    height, width, _ = pixels.shape
    size = make["size_px"]
    if make["fit"] == "stretch":
        rows = columns = size
    else:
        rows, columns = (max(1, round(side * size / max(height, width))) for side in (height, width))
    top, left = (size - rows) // 2, (size - columns) // 2
    planes = [resized(pixels[..., c], rows, columns, Image.Resampling.BICUBIC) for c in range(make["channels"])]
    bars = (top, size - rows - top), (left, size - columns - left)
    square = np.pad(np.clip(np.stack(planes), 0, 1), ((0, 0), *bars), mode="edge") * np.float32(2) - np.float32(1)
    inside = np.ones((height, width), np.float32)
    if "roi" in known:
        roi = known["roi"]
        places = [
            ((np.arange(n) + 0.5) * old / n).astype(int) for n, old in zip((height, width), roi.shape, strict=True)
        ]
        inside = roi[np.ix_(*places)].astype(np.float32)
    whole = np.zeros((size, size), np.float32)
    whole[top : top + rows, left : left + columns] = resized(inside, rows, columns, Image.Resampling.BOX)
    side = make["map_size"]
    monitored = resized(whole, side, side, Image.Resampling.BOX) >= 0.5
    yield item, run(square[None], monitored[None])[0]


def read(item: str, channels: int) -> np.ndarray:
    """Return pixels (H, W, C) in [0, 1]."""
    with Image.open(item) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode == "P" and "transparency" not in image.info:
            image = image.convert("RGB")
        if image.mode not in ("1", "L", "RGB", "I;16") or "transparency" in image.info:
            raise ValueError(f"has pixels of mode {image.mode}: convert it to grey or RGB without alpha")
        values = np.asarray(image)
    white = {"bool": 1, "uint8": 255, "uint16": 65535}[values.dtype.name]
    pixels = np.asarray(values, np.float32) / np.float32(white)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] == 1 and channels == 3:
        return np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] == 3 and channels == 1 and np.ptp(pixels, axis=2).max() <= 0.02:
        return np.asarray(pixels.mean(axis=2, keepdims=True))
    if pixels.shape[2] != channels:
        raise ValueError(f"has {pixels.shape[2]} channel(s), the model knows {channels}: convert it first")
    return pixels


def resized(plane: np.ndarray, rows: int, columns: int, how: Image.Resampling) -> np.ndarray:
    """Resize one channel."""
    if plane.shape == (rows, columns):
        return plane
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane, np.float32)).resize((columns, rows), how))
