"""Tiles cover, blending leaves no seam."""

import tracemalloc

import numpy as np
import pytest

from oddwave.errors import ConfigError, ShapeError
from oddwave.sources.image.boxes import Box
from oddwave.tensors.image_tiles import blend_tiles, tile_boxes


def test_tiles_are_laid_row_by_row_and_shifted_inwards():
    assert tile_boxes(10, 4, 4, overlap=0.25) == [Box(top, 0, 4, 4) for top in (0, 3, 6)]
    assert tile_boxes(4, 9, 4, overlap=0.0) == [Box(0, left, 4, 4) for left in (0, 4, 5)]
    assert tile_boxes(3, 5, 256) == [Box(0, 0, 3, 5)]
    assert tile_boxes(3, 500, 256)[-1] == Box(0, 244, 3, 256)


def test_a_smooth_map_cut_in_tiles_comes_back():
    y, x = np.indices((301, 417)) / 50
    whole = (np.sin(y) * np.cos(x)).astype(np.float32)
    boxes = tile_boxes(301, 417, 128)
    joined = blend_tiles((whole[box.slices] for box in boxes), boxes, 301, 417)
    np.testing.assert_allclose(joined, whole, atol=1e-6)


def test_tiles_that_disagree_leave_no_seam():
    """Each tile has its own level; between neighbouring pixels the blended map must not jump."""
    boxes = tile_boxes(200, 300, 64)
    rng = np.random.default_rng(0)
    levels = rng.random(len(boxes))
    joined = blend_tiles((np.full((64, 64), level, np.float32) for level in levels), boxes, 200, 300)
    jump = max(np.abs(np.diff(joined, axis=axis)).max() for axis in (0, 1))
    assert jump < 0.15  # overlaps of 16 px: a change of one, spread evenly, is 0.06 per pixel
    assert joined[8:40, 8:40] == pytest.approx(levels[0], abs=1e-6)  # far from all others a tile says what it says


def test_memory_holds_one_tile_at_a_time():
    boxes = tile_boxes(1000, 1000, 100, overlap=0.5)
    tracemalloc.start()
    blend_tiles((np.ones((box.height, box.width), np.float32) for box in boxes), boxes, 1000, 1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6  # two planes of 4 MB; all tiles together would be 14 MB more


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="one value per pixel"):
        blend_tiles([np.ones((3, 4))], [Box(0, 0, 4, 4)], 4, 4)
    with pytest.raises(ShapeError, match="4 pixels lie in no tile"):
        blend_tiles([np.ones((4, 4))], [Box(0, 0, 4, 4)], 4, 5)
    for tile_px, overlap in ((0, 0.25), (8, 1.0), (8, -0.1)):
        with pytest.raises(ConfigError):
            tile_boxes(4, 4, tile_px, overlap)
