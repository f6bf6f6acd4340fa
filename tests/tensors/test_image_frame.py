"""Images into the square and maps back out: nothing shifts, nothing aliases, nothing is decided twice."""

import json

import numpy as np
import pytest

from oddwave.errors import ConfigError, ShapeError
from oddwave.sources.image.boxes import Box
from oddwave.tensors.image_frame import ImageFrame

SIZES = [(64, 64), (65, 63), (200, 131), (131, 200), (33, 97), (9, 7), (301, 40)]


def square_on_black(height, width, top, left, side):
    image = np.zeros((height, width, 1), np.float32)
    image[top : top + side, left : left + side] = 1
    return image


def centre(plane):
    rows, columns = np.indices(plane.shape)
    weight = np.clip(plane - 0.25 * plane.max(), 0, None)
    return np.array([(rows * weight).sum(), (columns * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
@pytest.mark.parametrize("size_px", [64, 96])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_planted_square_comes_back_to_its_place(fit, size_px, height, width):
    frame = ImageFrame(size_px, fit, 1)
    side = max(2, min(height, width) // 4)
    for top, left in ((0, 0), (height // 3, width // 2), (height - side, width - side)):
        image = square_on_black(height, width, top, left, side)
        x0 = frame.prepare(image)
        assert x0.shape == (1, size_px, size_px)
        returned = frame.to_image(x0[0] + 1, height, width)
        assert returned.shape == (height, width)
        assert np.abs(centre(returned) - centre(image[:, :, 0])).max() < 1


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("cells", [8, 17])
def test_a_coarse_map_keeps_positions_and_range(height, width, cells):
    """A straight line over the square, seen at its cells' centres, is that line at the image's pixels."""
    frame = ImageFrame(64, "letterbox", 1)
    line = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    box = frame.placement(height, width)
    across = frame.to_image(np.tile(line, (cells, 1)), height, width)
    expected = (box.left + (np.arange(width) + 0.5) / width * box.width) / 64
    inner = (expected > line[0]) & (expected < line[-1])
    np.testing.assert_allclose(across[:, inner], np.tile(expected[inner], (height, 1)), atol=0.02)
    assert line[0] - 1e-6 <= across.min() <= across.max() <= line[-1] + 1e-6
    down = frame.to_image(np.tile(line[:, None], (1, cells)), height, width)
    assert (np.diff(down, axis=0) >= -1e-6).all()


def test_a_image_of_the_square_s_size_comes_through_unchanged():
    rng = np.random.default_rng(0)
    steps = rng.integers(0, 65536, (48, 48, 3)).astype(np.float32) / np.float32(65535)
    for fit in ("letterbox", "stretch"):
        frame = ImageFrame(48, fit, 3)
        x0 = frame.prepare(steps)
        np.testing.assert_array_equal(x0, np.moveaxis(steps, 2, 0) * 2 - 1)
        np.testing.assert_array_equal(frame.to_image(x0[1], 48, 48), x0[1])
        np.testing.assert_allclose(frame.restore(x0, 48, 48), steps, atol=1e-7)


def test_letterbox_bars_repeat_the_edge_and_are_cut_off_again():
    frame = ImageFrame(32, "letterbox", 1)
    assert frame.placement(10, 20) == Box(8, 0, 16, 32)
    assert frame.placement(20, 10) == Box(0, 8, 32, 16)
    assert frame.placement(1, 1000) == Box(15, 0, 1, 32)
    image = np.linspace(0, 1, 200, dtype=np.float32).reshape(10, 20, 1)
    x0 = frame.prepare(image)[0]
    np.testing.assert_array_equal(x0[:8], x0[8:9].repeat(8, axis=0))
    np.testing.assert_array_equal(x0[24:], x0[23:24].repeat(8, axis=0))
    bars = np.full((32, 32), 9.0, np.float32)
    bars[frame.placement(10, 20).slices] = 1.0
    np.testing.assert_allclose(frame.to_image(bars, 10, 20)[1:-1], 1.0)


def test_shrinking_does_not_alias_and_stays_in_range():
    fine = (np.indices((256, 256)).sum(axis=0) % 2).astype(np.float32)[:, :, None]
    x0 = ImageFrame(32, "stretch", 1).prepare(fine)
    np.testing.assert_allclose(x0[:, 2:-2, 2:-2], 0, atol=0.02)
    step = square_on_black(100, 100, 30, 30, 37)
    x0 = ImageFrame(32, "stretch", 1).prepare(step)
    assert x0.min() == -1
    assert x0.max() == 1


def test_constant_images_and_single_pixels_stay_constant():
    for height, width in [*SIZES, (1, 1), (1, 50)]:
        frame = ImageFrame(40, "letterbox", 3)
        x0 = frame.prepare(np.full((height, width, 3), 0.25, np.float32))
        np.testing.assert_allclose(x0, -0.5, atol=1e-6)
        np.testing.assert_allclose(frame.restore(x0, height, width), 0.25, atol=1e-6)


def test_the_same_image_gives_the_same_bits():
    image = np.random.default_rng(1).random((77, 51, 3), dtype=np.float32)
    frame = ImageFrame(64, "letterbox", 3)
    saved = ImageFrame.from_dict(json.loads(json.dumps(frame.to_dict())))
    assert saved == frame
    turned = np.asfortranarray(image)  # memory order is no property of an image
    assert frame.prepare(image).tobytes() == saved.prepare(turned).tobytes()


def test_fit_is_chosen_by_aspect_ratio_and_recorded():
    frame, why = ImageFrame.choose([(100, 200), (52, 100)], 1, 64)
    assert (frame.fit, frame.aspect) == ("stretch", pytest.approx(1.96, abs=0.01))
    assert "4.0%" in why
    frame, why = ImageFrame.choose([(100, 200), (60, 100)], 1, 64)
    assert frame.fit == "letterbox"
    assert "1.67 to 2.00" in why
    frame, why = ImageFrame.choose([(100, 200)], 3, 64, "letterbox")
    assert (frame, why) == (ImageFrame(64, "letterbox", 3, 2.0), "letterbox: as asked for")


def test_images_that_are_stretched_otherwise_are_noted():
    frame = ImageFrame(64, "stretch", 1, aspect=2.0)
    assert frame.note(100, 195) is None
    assert "1.00" in frame.note(100, 100)
    assert ImageFrame(64, "letterbox", 1, aspect=2.0).note(100, 100) is None


def test_channels_are_matched_or_refused():
    grey = np.random.default_rng(2).random((8, 8, 1), dtype=np.float32)
    x0 = ImageFrame(8, "stretch", 3).prepare(grey)
    np.testing.assert_array_equal(x0[0], x0[2])
    grey_saved_as_rgb = grey.repeat(3, axis=2)
    np.testing.assert_allclose(ImageFrame(8, "stretch", 1).prepare(grey_saved_as_rgb), x0[:1], atol=1e-6)
    with pytest.raises(ShapeError, match="grey images"):
        ImageFrame(8, "stretch", 1).prepare(np.random.default_rng(3).random((8, 8, 3), dtype=np.float32))
    with pytest.raises(ShapeError, match="5 channels"):
        ImageFrame(8, "stretch", 5).prepare(grey)


def test_masks_become_shares_of_cells():
    frame = ImageFrame(32, "letterbox", 1)
    mask = np.zeros((40, 80), bool)
    mask[10:20, 20:40] = True
    share = frame.from_image_mask(mask)
    assert share.shape == (32, 32)
    assert share.sum() / 32**2 == pytest.approx(mask.sum() / 80**2, rel=1e-5)
    full = frame.from_image_mask(np.ones((40, 80), bool), (8, 8))
    np.testing.assert_array_equal(full, np.float32([[0], [0], [1], [1], [1], [1], [0], [0]]).repeat(8, axis=1))


@pytest.mark.parametrize(("size_px", "fit", "channels"), [(0, "stretch", 1), (8, "crop", 1), (8, "stretch", 0)])
def test_frames_are_checked(size_px, fit, channels):
    with pytest.raises(ConfigError):
        ImageFrame(size_px, fit, channels)
    with pytest.raises(ConfigError):
        ImageFrame.choose([], 1, 8)
