"""The image loaders on the real data sets, counted, and planted defects on real images.

The folder is ODDWAVE_DATA, else shared/data beside the repository.
"""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from oddwave.lab.datasets.mvtec import load_magnetic_tile, load_mvtec
from oddwave.lab.metrics import aupro
from oddwave.planted.image import IMAGE_ANOMALIES, make_synthetic_images

ROOT = Path(os.environ.get("ODDWAVE_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def screw():
    return _only(load_mvtec, "mvtec_ad/screw", ["screw"])


@pytest.fixture(scope="module")
def tile():
    return _only(load_magnetic_tile, "magnetic_tile", None)


def _only(load, folder, only):
    if not (ROOT / folder).is_dir():
        pytest.skip(f"no '{folder}' in '{ROOT}': set ODDWAVE_DATA to the data folder")
    (split,) = load(ROOT, only)
    return split


def _images(paths):
    return np.stack([np.asarray(Image.open(path).convert("L"), dtype=np.float32)[None] for path in paths]) / 127.5 - 1


def test_screw_is_complete(screw):
    assert (len(screw.train_paths), len(screw.test_paths), int(screw.gt_label.sum())) == (320, 160, 119)
    assert Counter(screw.kinds) == {
        "good": 41,
        "manipulated_front": 24,
        "scratch_head": 24,
        "scratch_neck": 25,
        "thread_side": 23,
        "thread_top": 23,
    }
    assert len({path for path in screw.mask_paths if path}) == 119


def test_magnetic_tile_is_complete(tile):
    assert (len(tile.train_paths), len(tile.test_paths), int(tile.gt_label.sum())) == (762, 582, 392)
    assert Counter(tile.kinds) == {
        "good": 190,
        "blowhole": 115,
        "break": 85,
        "crack": 57,
        "fray": 32,
        "uneven": 103,
    }
    assert tile.has_masks


def test_masks_of_screws_are_small_and_never_empty(screw):
    masks = np.stack([screw.gt_mask(index, 256, 256) for index in range(len(screw.test_paths))])
    shares = masks.mean(axis=(1, 2))
    np.testing.assert_array_equal(shares > 0, screw.gt_label == 1)
    assert shares.max() < 0.02
    assert aupro(masks, masks.astype(np.float32)) == pytest.approx(1.0)
    small = [screw.gt_mask(index, 64, 64).mean() for index in range(len(screw.test_paths))]
    assert np.mean(small) == pytest.approx(np.mean(shares), rel=0.1)


def test_planted_defects_lie_on_the_screws_and_all_kinds_show(screw):
    images = _images(screw.train_paths[:70])
    made = make_synthetic_images(images, np.random.default_rng(0))
    dark = (images < np.median(images, axis=(2, 3), keepdims=True) - 0.25)[:, 0]
    on_screw = ndimage.binary_dilation(dark, np.ones((1, 5, 5)))
    assert np.mean((made.masks & on_screw).any(axis=(1, 2))) > 0.8
    assert min(made.kinds.count(kind) for kind in IMAGE_ANOMALIES) >= 8


def test_planted_defects_show_on_the_tiles_texture(tile):
    images = _images(tile.train_paths[:70])
    made = make_synthetic_images(images, np.random.default_rng(0))
    assert made.masks.any(axis=(1, 2)).all()
    assert min(made.kinds.count(kind) for kind in IMAGE_ANOMALIES) >= 7
