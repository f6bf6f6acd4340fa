"""Tiles of a large image, and the seam-free map that theirs are blended into.

Legend: H x W pixels of the image, h x w of a tile.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from oddwave.errors import ConfigError, ShapeError
from oddwave.sources.image.boxes import Box

__all__ = ["blend_tiles", "tile_boxes"]


def tile_boxes(height: int, width: int, tile_px: int, overlap: float = 0.25) -> list[Box]:
    """Cover an image with tiles, row by row, that share at least `overlap` of their side with the next.

    The last tiles are shifted inwards, so none leaves the image; where it is smaller than a tile, the tile is as
    small. Raises: ConfigError.
    """
    if tile_px < 1 or not 0 <= overlap < 1:
        raise ConfigError(f"tile_px is {tile_px} and overlap {overlap}: expected 1 or more, and a share in [0, 1)")
    tile_height, tile_width = min(tile_px, height), min(tile_px, width)
    return [
        Box(top, left, tile_height, tile_width)
        for top in _starts(height, tile_height, overlap)
        for left in _starts(width, tile_width, overlap)
    ]


def blend_tiles(
    maps: Iterable[Float[np.ndarray, "h w"]], boxes: Sequence[Box], height: int, width: int
) -> Float[np.ndarray, "H W"]:
    """Return one map, each pixel the weighted mean of the tiles over it; weights fade to a tile's border.

    `maps` may be a generator: besides the result only one tile, and one plane of weights, lies in memory. A tile's
    value counts w(y) w(x) with w(i) = sin^2(pi (i + 1/2) / n), so at its border it has no say, and nothing jumps.
    Raises: ShapeError where maps and boxes do not agree or leave pixels of the image uncovered.
    """
    total, weight = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    for tile, box in zip(maps, boxes, strict=True):
        if tile.shape != (box.height, box.width):
            raise ShapeError(f"a map of {tile.shape} was given for {box}: expected one value per pixel of the tile")
        fading = np.outer(_window(box.height), _window(box.width))
        total[box.slices] += fading * tile
        weight[box.slices] += fading
    if not weight.all():
        raise ShapeError(f"{int((weight == 0).sum())} pixels lie in no tile: take the boxes from tile_boxes")
    return np.divide(total, weight, out=total)


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    stride = max(1, math.floor(tile * (1 - overlap)))
    return [min(i * stride, length - tile) for i in range(math.ceil((length - tile) / stride) + 1)]


def _window(length: int) -> Float[np.ndarray, " n"]:
    window: np.ndarray = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    return window.astype(np.float32)
