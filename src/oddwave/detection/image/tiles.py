"""From images to the squares that are scored, and from the squares' maps back to one map per image.

Without tiles an image is one square. With `image.tile_px` it is cut into overlapping tiles, each a square of its own;
the image's map is blended from theirs without seams, and its score is the highest of theirs. Whatever else is made of
the squares, such as normal versions, is put together in the same way.

Legend: H x W pixels of an image, C channels, S side of a square, s of what was made of it, M of its map, h x w what
is put together, T squares of an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from oddwave.config import ImageConfig
from oddwave.scoring.maps import MAP_SIZE
from oddwave.sources.image.boxes import Box
from oddwave.sources.image.roi import roi_for
from oddwave.tensors.image_frame import ImageFrame
from oddwave.tensors.image_tiles import blend_tiles, tile_boxes

__all__ = ["Squares", "cut_image", "cut_map", "join_maps", "join_squares", "squares_of_sizes"]


@dataclass(frozen=True, eq=False)
class Squares:
    """The squares of one image, where each lies in it, and which places of their maps are monitored."""

    size: tuple[int, int]
    boxes: tuple[Box, ...]
    tensors: Float[np.ndarray, "T C S S"]
    monitored: Bool[np.ndarray, "T M M"]


def squares_of_sizes(sizes: Sequence[tuple[int, int]], config: ImageConfig) -> list[tuple[int, int]]:
    """Return the (height, width) of all squares of images of these sizes, for choosing a frame."""
    if config.tile_px is None:
        return list(sizes)
    boxes = (tile_boxes(height, width, config.tile_px, config.tile_overlap) for height, width in sizes)
    return sorted({(box.height, box.width) for tiles in boxes for box in tiles})


def cut_image(
    pixels: Float[np.ndarray, "H W C"], frame: ImageFrame, config: ImageConfig, roi: Bool[np.ndarray, "h w"] | None
) -> Squares:
    """Cut an image (values in [0, 1]) into squares of the frame. Raises: ShapeError for other channels."""
    height, width = pixels.shape[:2]
    if config.tile_px is None:
        boxes = [Box(0, 0, height, width)]
    else:
        boxes = tile_boxes(height, width, config.tile_px, config.tile_overlap)
    inside = np.ones((height, width), bool) if roi is None else roi_for(roi, height, width)
    return Squares(
        (height, width),
        tuple(boxes),
        np.stack([frame.prepare(pixels[box.slices]) for box in boxes]),
        np.stack([frame.from_image_mask(inside[box.slices], (MAP_SIZE, MAP_SIZE)) >= 0.5 for box in boxes]),
    )


def join_maps(
    maps: Float[np.ndarray, "T M M"], size: tuple[int, int], boxes: Sequence[Box], frame: ImageFrame
) -> Float[np.ndarray, "h w"]:
    """Return one map that covers the whole image, about as fine as those of its squares."""
    if len(boxes) == 1:
        placed = frame.placement(*size)
        rows, columns = (max(1, round(side * MAP_SIZE / frame.size_px)) for side in (placed.height, placed.width))
        return _covering(maps[0], frame, size, rows, columns)
    height, width = size
    scale = MAP_SIZE / max(boxes[0].height, boxes[0].width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    small = _scaled(boxes, size, rows, columns)
    tiles = (
        _covering(own, frame, (box.height, box.width), place.height, place.width)
        for own, box, place in zip(maps, boxes, small, strict=True)
    )
    return blend_tiles(tiles, small, rows, columns)


def cut_map(
    whole: Float[np.ndarray, "h w"], squares: Squares, frame: ImageFrame, rows: int, columns: int
) -> Float[np.ndarray, "T M M"]:
    """Return each square its part of a map of the whole image, values in [0, 1]; the map is cut at rows x columns."""
    fine = ImageFrame(max(whole.shape), "stretch", 1).to_image(whole, rows, columns)
    small = ImageFrame(MAP_SIZE, frame.fit, 1)
    parts = (fine[box.slices][..., None] for box in _scaled(squares.boxes, squares.size, rows, columns))
    return np.stack([(small.prepare(part)[0] + 1) / 2 for part in parts])


def join_squares(
    made: Float[np.ndarray, "T C s s"], squares: Squares, frame: ImageFrame, rows: int, columns: int
) -> Float[np.ndarray, "h w C"]:
    """Put together what was made of each square as one image of rows x columns, without seams."""
    boxes = _scaled(squares.boxes, squares.size, rows, columns)
    channels = []
    for channel in range(made.shape[1]):
        tiles = (frame.to_image(own, box.height, box.width) for own, box in zip(made[:, channel], boxes, strict=True))
        channels.append(blend_tiles(tiles, boxes, rows, columns))
    return np.stack(channels, axis=2)


def _covering(
    square_map: Float[np.ndarray, "M M"], frame: ImageFrame, size: tuple[int, int], rows: int, columns: int
) -> Float[np.ndarray, "h w"]:
    """Cut a square's map to what an image of this size fills, at rows x columns."""
    box = frame.placement(*size)
    scale = square_map.shape[0] / frame.size_px
    top, left = round(box.top * scale), round(box.left * scale)
    bottom = max(top + 1, round((box.top + box.height) * scale))
    right = max(left + 1, round((box.left + box.width) * scale))
    filled = square_map[top:bottom, left:right]
    return ImageFrame(max(filled.shape), "stretch", 1).to_image(filled, rows, columns)


def _scaled(boxes: Sequence[Box], size: tuple[int, int], rows: int, columns: int) -> list[Box]:
    """Return the boxes of an image of this size in one of rows x columns; what they cover together stays covered."""
    down, across = rows / size[0], columns / size[1]
    scaled = []
    for box in boxes:
        top, left = min(rows - 1, round(box.top * down)), min(columns - 1, round(box.left * across))
        bottom, right = round((box.top + box.height) * down), round((box.left + box.width) * across)
        scaled.append(Box(top, left, max(1, min(rows, bottom) - top), max(1, min(columns, right) - left)))
    return scaled
