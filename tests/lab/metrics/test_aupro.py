"""AUPRO against a case computed by hand and a brute-force oracle; pixel AUROC and F1-max on cases known by counting."""

import itertools

import numpy as np
import pytest

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.lab.metrics import aupro, auroc, f1_max, pixel_auroc


def brute_force(masks, maps, max_fpr):
    """Try every score as a threshold, find regions by flood fill, integrate segment by segment."""
    regions = []
    for index, mask in enumerate(masks):
        left = {tuple(at) for at in np.argwhere(mask)}
        while left:
            region, edge = [], [left.pop()]
            while edge:
                row, column = edge.pop()
                region.append((row, column))
                near = {(row + dy, column + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
                left -= near
                edge += near
            regions.append((index, region))
    normal = sum(int((~np.asarray(mask, bool)).sum()) for mask in masks)
    points = [(0.0, 0.0)]
    for threshold in sorted({float(v) for scores in maps for v in np.ravel(scores)}, reverse=True):
        flagged = [scores >= threshold for scores in maps]
        overlap = [np.mean([flagged[index][at] for at in region]) for index, region in regions]
        alarms = sum(int((f & ~np.asarray(m, bool)).sum()) for f, m in zip(flagged, masks, strict=True))
        points.append((alarms / normal, float(np.mean(overlap))))
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x0 < max_fpr and x1 > x0:
            end = min(x1, max_fpr)
            y_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
            area += (end - x0) * (y0 + y_end) / 2
    return area / max_fpr


def test_two_regions_of_different_size_with_ties_by_hand():
    mask = np.array([[1, 1, 1, 1, 0, 0, 0, 0, 0, 1]])
    score = np.array([[9, 9, 5, 1, 7, 5, 3, 2, 0, 5]])
    # from 9 on: PRO (2/4 + 0)/2 = 0.25, FPR 0; from 7: 0.25, 0.2; from 5: (3/4 + 1)/2 = 0.875, 0.4; from 3: 0.875, 0.6;
    # from 2: 0.875, 0.8; from 1: 1, 0.8; from 0: 1, 1. At FPR 0.3 the line from 0.25 to 0.875 stands at 0.5625.
    assert aupro(mask[None], score[None]) == pytest.approx((0.2 * 0.25 + 0.1 * (0.25 + 0.5625) / 2) / 0.3, abs=1e-12)
    whole = 0.2 * 0.25 + 0.2 * 0.5625 + 0.4 * 0.875 + 0.2 * 1.0
    assert aupro(mask[None], score[None], max_fpr=1.0) == pytest.approx(whole, abs=1e-12)
    assert aupro(mask[None], score[None], max_fpr=0.2) == pytest.approx(0.25, abs=1e-12)


@pytest.mark.parametrize("seed", range(30))
def test_equals_brute_force(seed):
    rng = np.random.default_rng(seed)
    sizes = [tuple(rng.integers(1, 9, size=2)) for _ in range(rng.integers(1, 5))]
    masks = [rng.random(size) < rng.uniform(0, 0.5) for size in sizes]
    masks[0][0, 0] = True
    masks.append(np.zeros((2, 3), dtype=bool))
    maps = [rng.integers(0, rng.integers(2, 40), size=mask.shape).astype(float) + mask for mask in masks]
    for max_fpr in (0.05, 0.3, 1.0):
        assert aupro(masks, maps, max_fpr) == pytest.approx(brute_force(masks, maps, max_fpr), abs=1e-12)


def images(num=12, size=48, seed=0):
    rng = np.random.default_rng(seed)
    masks = np.zeros((num, size, size), dtype=bool)
    for mask in masks[: num // 2]:
        row, column = rng.integers(0, size - 12, size=2)
        mask[row : row + rng.integers(2, 12), column : column + rng.integers(2, 12)] = True
    return masks, rng.normal(size=masks.shape)


def test_perfect_random_and_inverted_maps():
    masks, noise = images(num=60)
    assert aupro(masks, masks.astype(float)) == pytest.approx(1.0)
    assert aupro(masks, masks + 0.5 * np.tanh(noise)) == pytest.approx(1.0)
    assert aupro(masks, noise) == pytest.approx(0.15, abs=0.02)
    assert aupro(masks, np.zeros(masks.shape)) == pytest.approx(0.15, abs=1e-12)
    assert aupro(masks, -masks.astype(float)) == pytest.approx(0.0, abs=1e-12)
    assert pixel_auroc(masks, noise) == pytest.approx(0.5, abs=0.02)


def test_only_the_order_of_scores_counts():
    masks, noise = images()
    score = np.round(noise + masks, 1)
    for changed in (np.exp(score), 3.0 * score - 7.0, score.astype(np.float32), score[::-1][::-1]):
        assert aupro(masks, changed) == pytest.approx(aupro(masks, score), abs=1e-12)
        assert pixel_auroc(masks, changed) == pytest.approx(pixel_auroc(masks, score), abs=1e-12)
    order = np.random.default_rng(1).permutation(len(masks))
    assert aupro(masks[order], score[order]) == pytest.approx(aupro(masks, score), abs=1e-12)


def test_a_small_region_counts_as_much_as_a_large_one():
    mask = np.zeros((1, 20, 20), dtype=bool)
    mask[0, :10, :10], mask[0, 15, 15] = True, True
    large, small = mask.astype(float), mask.astype(float)
    large[0, 15, 15] = small[0, :10, :10] = -1.0
    assert aupro(mask, large) == pytest.approx(aupro(mask, small)) == pytest.approx(0.5)
    assert pixel_auroc(mask, large) > 0.98
    assert pixel_auroc(mask, small) < 0.02


def test_regions_touch_at_corners():
    mask = np.array([[[1, 0, 0, 0, 1], [0, 1, 0, 0, 0]]])
    score = np.array([[[1.0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]])
    # half of the region of two is found before any false alarm; without corners it would be one region of three
    assert aupro(mask, score, 1.0) == pytest.approx((0.5 / 2 + 1) / 2)


def test_pixel_auroc_is_auroc_of_all_pixels():
    masks, noise = images()
    assert pixel_auroc(masks, noise + masks) == pytest.approx(auroc(masks.ravel().astype(int), (noise + masks).ravel()))


@pytest.mark.parametrize("metric", [aupro, pixel_auroc])
def test_bad_input_is_refused(metric):
    mask, score = np.eye(4)[None], np.ones((1, 4, 4))
    with pytest.raises(ShapeError, match="1 masks and 2 maps"):
        metric(mask, np.ones((2, 4, 4)))
    with pytest.raises(ShapeError, match="0 masks and 0 maps"):
        metric([], [])
    with pytest.raises(ShapeError, match=r"image 0: the mask has shape \(4, 4\) and the map \(4, 3\)"):
        metric(mask, score[:, :, :3])
    with pytest.raises(DataError, match="besides 0 and 1"):
        metric(mask * 255, score)
    with pytest.raises(DataError, match="1 of 16 values NaN"):
        metric(mask, np.where(np.arange(16).reshape(1, 4, 4) == 3, np.nan, score))
    with pytest.raises(DataError, match="mark 0 of 16 pixels"):
        metric(mask * 0, score)
    with pytest.raises(DataError, match="mark 16 of 16 pixels"):
        metric(mask * 0 + 1, score)


@pytest.mark.parametrize("max_fpr", [0.0, -0.3, 1.1])
def test_impossible_rates_are_refused(max_fpr):
    with pytest.raises(ConfigError, match="max_fpr"):
        aupro(np.eye(4)[None], np.ones((1, 4, 4)), max_fpr)


def test_f1_max_tries_every_threshold():
    label, score = np.array([0, 1, 0, 1, 1, 0]), np.array([0.1, 0.9, 0.6, 0.6, 0.4, 0.2])
    # from 0.9: 2*1/(1+3); from 0.6: 2*2/(3+3); from 0.4: 2*3/(4+3), the best
    found = f1_max(label, score)
    assert found.value == pytest.approx(6 / 7)
    assert found.threshold == 0.4
    assert f1_max(label, label * 2.0).value == 1.0
    assert f1_max(label, np.zeros(6)).value == pytest.approx(2 * 0.5 / 1.5)
    flagged = score >= found.threshold
    assert 2 * (flagged & (label == 1)).sum() / (flagged.sum() + label.sum()) == pytest.approx(found.value)
    with pytest.raises(DataError, match="needs both kinds"):
        f1_max(np.ones(3, dtype=int), np.arange(3.0))


def test_f1_max_gives_the_highest_of_equal_thresholds():
    found = f1_max(np.array([1, 0, 0, 1]), np.array([4.0, 3.0, 2.0, 1.0]))  # 2/3 at 4, 2/3 at 1
    assert found.value == pytest.approx(2 / 3)
    assert found.threshold == 4.0
