"""What squares become when they are put together: no seam, nothing changed where nothing is odd, honest shares."""

import numpy as np
import pytest
import torch

from oddwave.config import preset
from oddwave.detection.image import explain as image_explain
from oddwave.detection.image.explain import normal_version, repair_share, wavelet_shares
from oddwave.detection.image.terms import new_terms
from oddwave.detection.image.tiles import cut_image, cut_map, join_maps, join_squares
from oddwave.diffusion.noise import shared_noise
from oddwave.report.kinds.image_figures import difference
from oddwave.tensors.image_frame import ImageFrame

TILED = preset("fast", "image").with_overrides(["image.tile_px=64"]).image


def smooth(height, width, channels=1):
    """An image without detail that a smaller one would lose, values in [0.2, 0.8]."""
    y, x = np.indices((height, width)) / 25
    return np.stack([0.5 + 0.3 * np.sin(y + c) * np.cos(x) for c in range(channels)], axis=2).astype(np.float32)


@pytest.mark.parametrize(("size", "fit"), [((150, 210), "stretch"), ((40, 170), "letterbox")])
def test_a_image_cut_in_squares_comes_back(size, fit):
    frame = ImageFrame(96, fit, 3)
    image = smooth(*size, channels=3)
    squares = cut_image(image, frame, TILED, None)
    assert len(squares.boxes) > 2
    joined = join_squares(squares.tensors, squares, frame, *size)
    np.testing.assert_allclose((joined + 1) / 2, image, atol=0.01)
    half = join_squares(squares.tensors, squares, frame, size[0] // 2, size[1] // 2)
    np.testing.assert_allclose((half + 1) / 2, image[::2, ::2], atol=0.03)


@pytest.mark.parametrize(("size", "fit"), [((150, 210), "stretch"), ((40, 170), "letterbox")])
def test_a_map_cut_for_the_squares_is_the_way_back_of_joining_theirs(size, fit):
    frame = ImageFrame(96, fit, 1)
    squares = cut_image(smooth(*size), frame, TILED, None)
    whole = smooth(*size)[::2, ::2, 0]
    joined = join_maps(cut_map(whole, squares, frame, *size), squares.size, squares.boxes, frame)
    again = ImageFrame(max(joined.shape), "stretch", 1).to_image(joined, *whole.shape)
    np.testing.assert_allclose(again, whole, atol=0.03)


@pytest.fixture(scope="module")
def scorer():
    """Terms that have learnt nothing: without a decoder its own images have 64 px."""
    return new_terms(preset("fast", "image").with_overrides(["maps.pixel_size_px=64"]))


def repaired_by(monkeypatch, levels):
    """Let each square that is repaired become lighter by a level of its own; return how many were, as they are."""
    seen = []

    def changes(scorer, x, masks):
        lighter = [next(levels) for _ in x]
        seen.extend(lighter)
        return np.stack([np.full((x.shape[1], 64, 64), level, np.float32) for level in lighter])

    monkeypatch.setattr(image_explain, "changes_to_normal", changes)
    return seen


def test_tiles_that_are_repaired_differently_leave_no_seam(monkeypatch, scorer):
    repaired_by(monkeypatch, iter(np.random.default_rng(0).random(100)))
    frame, image = ImageFrame(64, "stretch", 1), np.full((150, 210, 1), 0.3, np.float32)
    squares = cut_image(image, frame, TILED, None)
    normal, change = normal_version(scorer, frame, image, squares, np.ones((20, 28), np.float32))
    assert normal.shape == change.shape == (150, 210, 1)
    assert np.ptp(change) > 0.2
    jump = max(np.abs(np.diff(change, axis=axis)).max() for axis in (0, 1))
    assert jump < 0.1  # overlaps of 16 px: a change of half, spread evenly, is 0.03 per pixel
    np.testing.assert_allclose(normal, np.clip(0.3 + change, 0, 1), atol=1e-5)


def test_only_tiles_with_something_odd_are_repaired_and_the_rest_stays(monkeypatch, scorer):
    seen = repaired_by(monkeypatch, iter([0.5] * 100))
    frame, image = ImageFrame(64, "stretch", 1), smooth(64, 400)
    squares = cut_image(image, frame, TILED, None)
    share = np.zeros((64, 400), np.float32)
    share[20:40, 5:25] = 1.0
    normal, change = normal_version(scorer, frame, image, squares, share)
    assert (len(squares.boxes), len(seen)) == (8, 1)
    assert change[30, 10:20].min() == pytest.approx(0.25)
    assert not change[:, 64:].any()
    np.testing.assert_allclose(normal[:, 64:], image[:, 64:], atol=1e-5)


def test_a_normal_version_of_a_huge_image_stays_small(monkeypatch, scorer):
    repaired_by(monkeypatch, iter([0.5] * 100))
    frame = ImageFrame(64, "stretch", 1)
    image = np.full((128, 1500, 1), 0.5, np.float32)
    squares = cut_image(image, frame, TILED, None)
    normal, _ = normal_version(scorer, frame, image, squares, np.zeros((8, 90), np.float32))
    assert normal.shape == (44, 512, 1)


@pytest.mark.parametrize(("given", "known"), [(3, 3), (1, 3), (3, 1)])
def test_the_report_shows_no_difference_where_nothing_was_changed(monkeypatch, scorer, given, known):
    repaired_by(monkeypatch, iter([0.4] * 100))
    config = TILED.model_copy(update={"tile_px": 128})
    frame = ImageFrame(128, "stretch", known)
    rough = np.random.default_rng(0).uniform(0.2, 0.6, (150, 260, 1)).astype(np.float32)  # finer than what is shown
    image = np.repeat(rough, given, axis=2)
    share = np.zeros((150, 260), np.float32)
    share[10:60, 10:60] = 1.0
    normal, _ = normal_version(scorer, frame, image, cut_image(image, frame, config, None), share)
    assert normal.shape == (75, 130, known)
    drawn, _ = difference(image, normal, (260, 150))
    assert np.asarray(drawn)[:, 140:].min() >= 225  # 236 is no difference at all
    assert np.asarray(drawn)[20:50, 20:50].min() < 10


def test_the_share_to_repair_starts_between_the_usual_and_the_threshold():
    anomaly_map = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 3.0, 9.0]])
    share = repair_share(anomaly_map, 5.0)  # median 1, so half of all the way to the peak is 5
    np.testing.assert_allclose(share, [[0, 0, 0, 0], [0, 0, 0.5, 1]])
    assert repair_share(np.ones((3, 3)), 5.0).max() == 0


@pytest.mark.parametrize("size", [(128, 128), (75, 101), (9, 200), (1, 1)])
def test_shares_are_of_the_whole_change_whatever_its_size(size):
    change = np.random.default_rng(0).normal(size=(*size, 3)).astype(np.float32)
    shares = wavelet_shares(change, 2.0)
    assert sum(band.share for band in shares) == pytest.approx(1.0)
    levels = min(4, int(np.log2(min(size))))
    assert max(band.level for band in shares) == levels
    assert len(shares) == 3 * levels + 1
    assert wavelet_shares(np.zeros((*size, 3)), 2.0) == ()


def test_the_largest_share_has_the_width_and_direction_of_the_change():
    stripes = np.tile(np.repeat([1.0, -1.0], 4), 12)[None, :, None] * np.ones((100, 1, 1))  # upright, 4 px wide each
    largest = max(wavelet_shares(stripes.astype(np.float32), 3.0), key=lambda band: band.share)
    assert (largest.orientation, largest.level, largest.scale_px) == ("vertical", 2, 12.0)


def test_changes_of_squares_do_not_depend_on_those_beside_them():
    """The noise of a repair is the same for every square."""
    noise = shared_noise((5, 2, 4, 4), 3)(0)
    assert torch.equal(noise[0], noise[4])
    assert torch.equal(noise[:1], shared_noise((1, 2, 4, 4), 3)(0))
