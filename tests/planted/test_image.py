"""Planted defects: always there, only where the mask says, small and large, and where the image shows something."""

import time

import jaxtyping
import numpy as np
import pytest
from scipy import ndimage

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.planted.image import IMAGE_ANOMALIES, MIN_CONTRAST, make_synthetic_images

KINDS = sorted(IMAGE_ANOMALIES)


def parts(num=8, channels=1, height=96, width=80, seed=0):
    """A striped, rotated bar on a flat background with a little noise, one per image."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(float)
    made = []
    for _ in range(num):
        angle, middle = rng.uniform(0, np.pi), (height / 2 + rng.uniform(-6, 6), width / 2 + rng.uniform(-6, 6))
        along = np.cos(angle) * (x - middle[1]) + np.sin(angle) * (y - middle[0])
        across = np.cos(angle) * (y - middle[0]) - np.sin(angle) * (x - middle[1])
        bar = (np.abs(along) < width * 0.35) & (np.abs(across) < width * 0.08)
        image = np.where(bar, -0.5 + 0.3 * np.sin(along), 0.6)
        made.append(image + 0.01 * rng.normal(size=(channels, height, width)))
    return np.stack(made).astype(np.float32)


def on_bar(images):
    return ndimage.binary_dilation(images[:, 0] < 0.3, np.ones((1, 5, 5)))


PARTS = parts()


@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_is_exactly_what_changed(kind):
    before = PARTS.copy()
    for seed in range(5):
        made = make_synthetic_images(PARTS, np.random.default_rng(seed), [kind])
        change = np.abs(made.images - PARTS).max(axis=1)
        assert made.images.shape == PARTS.shape
        assert made.images.dtype == PARTS.dtype
        assert made.masks.dtype == bool
        np.testing.assert_array_equal(change > 0, made.masks)
        assert (change.max(axis=(1, 2)) >= MIN_CONTRAST * 0.5).all()
        assert np.abs(made.images).max() <= 1
        assert np.mean([name == kind for name in made.kinds]) >= 0.75
    np.testing.assert_array_equal(PARTS, before)


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (3, 3, 8, 40), (2, 5, 33, 17), (1, 2, 64, 9)])
def test_any_size_and_number_of_channels(shape):
    rng = np.random.default_rng(1)
    images = np.clip(rng.normal(0, 0.4, size=shape), -1, 1)
    for kind in KINDS:
        made = make_synthetic_images(images, rng, [kind])
        assert made.masks.any(axis=(1, 2)).all()
        np.testing.assert_array_equal((made.images != images).any(axis=1), made.masks)


@pytest.mark.parametrize("level", [-1.0, 0.0, 1.0])
def test_constant_images_get_a_dent_where_nothing_else_shows(level):
    constant = np.full((3, 2, 32, 32), level)
    made = make_synthetic_images(constant, np.random.default_rng(0), ["deformation", "blur", "cut_paste"])
    assert "deformation" not in made.kinds
    assert "blur" not in made.kinds
    assert (np.abs(made.images - constant).max(axis=(1, 2, 3)) > 0.05).all()


def test_the_same_seed_plants_the_same_defects():
    one, two, other = (make_synthetic_images(PARTS, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.images, two.images)
    assert one.kinds == two.kinds
    assert (one.masks != other.masks).any()


def test_all_kinds_occur_in_random_order():
    made = make_synthetic_images(parts(num=3 * len(KINDS)), np.random.default_rng(0))
    counts = {kind: made.kinds.count(kind) for kind in KINDS}
    assert min(counts.values()) >= 2
    assert all(count <= 3 for kind, count in counts.items() if kind != "dent")
    assert made.kinds[: len(KINDS)] != tuple(IMAGE_ANOMALIES)


def test_defects_are_small_and_large():
    made = make_synthetic_images(parts(num=150, height=128, width=128), np.random.default_rng(0))
    shares = made.masks.mean(axis=(1, 2))
    assert shares.max() < 0.12
    assert 0.001 < np.median(shares) < 0.01
    assert np.mean(shares < 0.0015) > 0.1
    assert np.mean(shares > 0.01) > 0.1


def test_places_follow_contrast_unless_focus_is_given():
    images = parts(num=60)
    bar = on_bar(images)
    assert bar.mean() < 0.25
    made = make_synthetic_images(images, np.random.default_rng(0), ["dent", "scar"])
    assert np.mean((made.masks & bar).any(axis=(1, 2))) > 0.8
    focus = np.zeros((len(images), *images.shape[2:]))
    focus[:, :20, :30] = 1.0
    made = make_synthetic_images(images, np.random.default_rng(0), focus=focus)
    assert made.masks.any(axis=(1, 2)).all()
    assert not made.masks[focus == 0].any()


def test_focus_on_one_pixel_changes_that_pixel():
    focus = np.zeros((len(PARTS), *PARTS.shape[2:]))
    focus[:, 7, 5] = 0.1
    made = make_synthetic_images(PARTS, np.random.default_rng(0), focus=focus)
    np.testing.assert_array_equal(made.masks, focus > 0)


def test_grain_from_another_place_is_no_defect():
    grain = np.random.default_rng(0).normal(0, 0.05, size=(12, 1, 64, 64))
    kinds = ["cut_paste", "deformation", "blur"]
    made = make_synthetic_images(np.clip(grain, -1, 1), np.random.default_rng(1), kinds)
    for image, normal, mask, kind in zip(made.images, grain, made.masks, made.kinds, strict=True):
        smooth = np.abs(ndimage.uniform_filter(image[0] - normal[0], 3)).max()
        assert mask.any()
        assert kind == "blur" or smooth >= MIN_CONTRAST * 0.1


def plant_on(images, kind, seeds=20):
    for seed in range(seeds):
        made = make_synthetic_images(images, np.random.default_rng(seed), [kind])
        for changed, normal, mask, name in zip(made.images, images, made.masks, made.kinds, strict=True):
            if name == kind:
                yield changed[0], normal[0], mask


def test_blur_takes_detail_away_and_missing_patches_are_plain():
    for kind, most in (("blur", 0.8), ("missing_patch", 0.9)):
        ratio = [changed[mask].std() / normal[mask].std() for changed, normal, mask in plant_on(PARTS, kind, 5)]
        assert np.median(ratio) < most


def test_scars_are_long_and_thin_and_dents_are_not():
    def elongation(mask):
        spread = np.linalg.eigvalsh(np.cov(np.stack(np.nonzero(mask))) + np.eye(2) / 12)
        return np.sqrt(spread[1] / spread[0])

    flat = np.zeros((4, 1, 128, 128))
    flat[:, :, ::2] = 0.3
    scars = [elongation(mask) for _, _, mask in plant_on(flat, "scar")]
    dents = [elongation(mask) for _, _, mask in plant_on(flat, "dent")]
    assert np.median(scars) > 4 > 2.5 > np.median(dents)


def test_dents_fade_out_and_deformations_only_move_what_is_there():
    flat = np.zeros((4, 1, 96, 96))
    flat[:, :, :48] = 0.5
    for changed, normal, mask in plant_on(flat, "dent", 5):
        edge = mask & ~ndimage.binary_erosion(mask)
        change = np.abs(changed - normal)
        if mask.sum() > 200:
            assert change[edge].mean() < 0.5 * change.max()
    for changed, normal, mask in plant_on(flat, "deformation", 5):
        assert changed.min() >= 0.0
        assert changed.max() <= 0.5
        near = np.flatnonzero(mask.any(axis=1))
        assert near[0] < 60
        assert near[-1] > 36
        assert (changed != normal).any()


def test_cut_paste_brings_the_other_images_in():
    images = np.stack([np.full((1, 32, 32), level) for level in (-0.8, 0.8)])
    deepest = [(changed * np.sign(normal)).min() for changed, normal, _ in plant_on(images, "cut_paste")]
    assert len(deepest) > 10
    np.testing.assert_allclose(deepest, -0.8, atol=0.031)


def test_is_quick_enough():
    images = parts(num=14, channels=3, height=256, width=256)
    start = time.process_time()
    make_synthetic_images(images, np.random.default_rng(0))
    assert (time.process_time() - start) / len(images) < 0.06  # 6 ms were measured for 3 channels


@pytest.mark.parametrize(
    ("images", "options", "error", "message"),
    [
        (PARTS[0], {}, ShapeError, r"shape \(1, 96, 80\): expected \(images, channels"),
        (PARTS[:, :, :7], {}, ShapeError, "sides of 8 pixels"),
        (PARTS[:0], {}, ShapeError, "one or more of each"),
        (PARTS * 255, {}, DataError, r"scale them to \[-1, 1\]"),
        (PARTS * np.nan, {}, DataError, "values from nan to nan"),
        (PARTS, {"kinds": ["rust"]}, ConfigError, r"kinds is \['rust'\].*cut_paste"),
        (PARTS, {"kinds": []}, ConfigError, r"kinds is \[\]"),
        (PARTS, {"focus": np.ones((8, 5, 5))}, ShapeError, "one weight per pixel"),
        (PARTS, {"focus": np.zeros((8, 96, 80))}, DataError, "none above 0 in some image"),
        (PARTS, {"focus": np.full((8, 96, 80), -1.0)}, DataError, "negative"),
    ],
)
def test_bad_input_is_refused(images, options, error, message, monkeypatch):
    monkeypatch.setattr(
        jaxtyping.config, "jaxtyping_disable", True
    )  # it would refuse wrong shapes before our own check
    with pytest.raises(error, match=message):
        make_synthetic_images(images, np.random.default_rng(0), **options)
