"""The one neighbour search against scikit-learn, blocks, what may not be compared, and near twins."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from oddwave.scoring import neighbours
from oddwave.scoring.neighbours import Apart, coreset, nearest

RNG = np.random.default_rng(0)
ITEMS, QUERIES = RNG.normal(size=(300, 12)), RNG.normal(size=(80, 12))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("k", [1, 5, 300, 999])
def test_distances_are_those_of_scikit_learn(k, exact):
    expected, _ = NearestNeighbors(n_neighbors=min(k, 300), algorithm="brute").fit(ITEMS).kneighbors(QUERIES)
    found = nearest(QUERIES, ITEMS, k, exact=exact)
    np.testing.assert_allclose(np.sort(found.distance, 1), expected, rtol=1e-9)
    np.testing.assert_allclose(found.distance, np.linalg.norm(QUERIES[:, None] - ITEMS[found.place], axis=2), rtol=1e-9)
    np.testing.assert_allclose(found.mean(found.distance), expected.mean(1), rtol=1e-9)


@pytest.mark.parametrize("values", [1, 2000])
def test_blocks_make_no_difference(monkeypatch, values):
    whole = nearest(QUERIES, ITEMS, 3, exact=True)
    monkeypatch.setattr(neighbours, "_BLOCK_VALUES", values)
    np.testing.assert_array_equal(nearest(QUERIES, ITEMS, 3, exact=True).distance, whole.distance)


def test_what_overlaps_in_the_same_group_is_passed_over():
    starts, groups = np.arange(len(ITEMS)) % 100, np.repeat([0, 1, 2], 100)
    apart = Apart(starts, starts, 7, groups, groups)
    found = nearest(ITEMS, ITEMS, 4, apart=apart, exact=True)
    far = np.linalg.norm(ITEMS[:, None] - ITEMS, axis=2)
    far[(np.abs(starts[:, None] - starts) < 7) & (groups[:, None] == groups)] = np.inf
    np.testing.assert_allclose(np.sort(found.distance, 1), np.sort(far, 1)[:, :4], rtol=1e-12)
    without = nearest(ITEMS, ITEMS, 1, apart=Apart(starts, starts, 0), exact=True)
    np.testing.assert_array_equal(without.distance[:, 0], 0.0)


def test_means_are_over_those_that_are_left():
    place = np.arange(3)
    found = nearest(np.array([[0.0], [1.0], [9.0]]), np.array([[0.0], [1.0], [9.0]]), 2, apart=Apart(place, place, 2))
    assert found.mean(found.distance, nothing=-1.0).tolist() == [9.0, -1.0, 9.0]


def test_near_twins_far_from_the_origin_are_told_apart_where_distances_are_exact():
    items = np.full((2, 8), 1e4, np.float32)
    items[1, 0] += 0.01
    assert nearest(items[:1], items[1:], 1, exact=True).distance[0, 0] == pytest.approx(0.01, rel=0.05)


def test_without_queries_there_is_nothing():
    assert nearest(QUERIES[:0], ITEMS, 3).distance.shape == (0, 3)


def one_by_one(vectors, size, seed, first=()):
    """Choose the farthest row again and again, looking at all rows each time."""
    chosen = list(first) or [np.random.default_rng(seed).integers(len(vectors))]
    while len(chosen) < size:
        away = np.linalg.norm(vectors[:, None] - vectors[chosen], axis=2).min(1)
        chosen.append(int(away.argmax()))
    return sorted(chosen)


@pytest.mark.parametrize("candidates", [1, 5, 40, 500])
@pytest.mark.parametrize("first", [(), (3, 50, 7)])
def test_rounds_choose_what_looking_at_all_rows_each_time_does(monkeypatch, candidates, first):
    monkeypatch.setattr(neighbours, "_CANDIDATES", candidates)
    monkeypatch.setattr(neighbours, "_NEAR_VALUES", 64)
    vectors = np.random.default_rng(4).normal(size=(300, 5)).astype(np.float32)
    vectors[:100] /= 8.0  # a dense part, of which few are chosen
    found = coreset(vectors, 80, seed=2, first=np.array(first, int))
    assert found.tolist() == one_by_one(vectors, 80, 2, first)


@pytest.mark.parametrize("size", [0, 1, 7, 39, 40])
def test_rows_that_are_all_alike_are_chosen_once_each(size):
    assert len(np.unique(coreset(np.ones((40, 3), np.float32), size))) == size
