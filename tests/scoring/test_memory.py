"""The memory: distances (over the square root of the dimensions), what may not be compared, and the coreset."""

import numpy as np
import pytest

from oddwave.errors import ShapeError
from oddwave.scoring import neighbours
from oddwave.scoring.memory import Memory, coreset


def fitted(vectors, groups=None, starts=None, **settings):
    vectors = np.asarray(vectors, float)
    groups = np.zeros(len(vectors), int) if groups is None else np.asarray(groups)
    starts = np.arange(len(vectors)) if starts is None else np.asarray(starts)
    return Memory.fit(vectors, groups, starts, **{"size": 1000, "num_neighbors": 1, **settings})


def test_distance_is_the_mean_to_the_nearest_items():
    memory = fitted([[0.0, 0], [3, 4], [0, 10]], num_neighbors=2)
    distances = memory.distance(np.array([[0.0, 0], [0, 9]])) * np.sqrt(2)
    np.testing.assert_allclose(distances, [2.5, (1 + np.hypot(3, 5)) / 2], rtol=1e-6)


def test_fewer_items_than_neighbours_are_all_used():
    np.testing.assert_allclose(fitted([[0.0], [2.0]], num_neighbors=5).distance(np.array([[4.0]])), [3.0])


def test_a_window_is_not_compared_with_what_overlaps_it_in_its_own_stream():
    memory = fitted([[0.0], [1.0], [5.0], [0.5]], groups=[0, 0, 0, 1], starts=[0, 3, 4, 0])
    query = {"vectors": np.array([[0.0]]), "starts": np.array([0]), "exclusion": 4}
    assert memory.distance(**query, groups=np.array([0])) == pytest.approx([0.5])  # the other stream's window
    assert memory.distance(**query, groups=np.array([1])) == pytest.approx([0.0])  # nothing of its own but item 3
    assert memory.distance(np.array([[0.0]])) == pytest.approx([0.0])
    alone = fitted([[0.0], [1.0], [5.0]], starts=[0, 3, 4])
    assert alone.distance(**query, groups=np.array([0])) == pytest.approx([5.0])  # begins just where the query ends


def test_a_query_left_with_nothing_gets_the_largest_distance_of_all_blocks(monkeypatch):
    memory = fitted([[0.0], [1.0], [9.0]], starts=[0, 10, 20])
    vectors, starts = np.array([[0.0], [5.0], [9.0]]), np.array([0, 10, 20])
    place = {"groups": np.zeros(3, int), "starts": starts, "exclusion": 11}
    whole = memory.distance(vectors, **place)
    np.testing.assert_allclose(whole, [9.0, 9.0, 9.0])
    monkeypatch.setattr(neighbours, "_BLOCK_ROWS", 1)
    np.testing.assert_array_equal(memory.distance(vectors, **place), whole)
    assert memory.distance(vectors, **{**place, "exclusion": 99}).tolist() == [0.0, 0.0, 0.0]


def test_standardising_divides_each_dimension_by_its_own_deviation_and_leaves_dead_ones_alone():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 3)) * [1.0, 1000.0, 0.0] + [0.0, 5.0, 7.0]
    memory = fitted(vectors, standardise=True)
    np.testing.assert_allclose(memory.vectors[:, :2].std(0), 1.0, rtol=1e-4)
    away = vectors.mean(0) + np.array([[0, 0, 0], [0, 0, 3.0]])
    near, far = memory.distance(away)
    assert far == pytest.approx(np.hypot(near, 3.0 / np.sqrt(3)), rel=1e-3)
    scaled = fitted(vectors * [1, 50, 1], standardise=True)
    np.testing.assert_allclose(scaled.distance(away * [1, 50, 1]), [near, far], rtol=1e-3)


def test_local_scaling_weighs_a_neighbour_by_how_near_its_own_neighbours_are():
    # dense at 0, 1, 2; sparse at 100, 110, 120; each item's own nearest neighbour lies 1 or 10 away, the median is 5.5
    memory = fitted([[0.0], [1], [2], [100], [110], [120]], starts=[0, 10, 20, 30, 40, 50], local_exclusion=5)
    np.testing.assert_allclose(memory.weights, [11 / 6.5] * 3 + [11 / 15.5] * 3, rtol=1e-6)
    np.testing.assert_allclose(memory.distance(np.array([[-3.0], [123.0]])), [3 * 11 / 6.5, 3 * 11 / 15.5], rtol=1e-6)


def test_local_scaling_passes_over_what_overlaps():
    vectors = [[0.0], [0.1], [4.0], [4.1]]
    apart = fitted(vectors, starts=[0, 2, 10, 12], local_exclusion=5)
    np.testing.assert_allclose(apart.weights, 2 / (1 + np.array([4.0, 3.9, 3.9, 4.0]) / 3.95), rtol=1e-5)
    alone = fitted(vectors, starts=[0, 1, 2, 3], local_exclusion=99)
    np.testing.assert_array_equal(alone.weights, np.ones(4))


def test_without_local_scaling_or_among_twins_distances_stay_as_they_are():
    assert (fitted([[0.0], [1.0], [9.0]]).weights == 1).all()
    twins = fitted([[1.0]] * 5 + [[9.0]], starts=np.arange(6) * 10, local_exclusion=5)
    np.testing.assert_allclose(twins.distance(np.array([[3.0]])), [2.0])


def test_vectors_of_another_space_are_refused():
    with pytest.raises(ShapeError, match="vectors of 2 dimensions, 3 were given"):
        fitted(np.zeros((4, 2))).distance(np.zeros((1, 3)))


def test_arrays_restore_the_memory():
    memory = fitted(np.random.default_rng(0).normal(size=(20, 4)), standardise=True, size=9, num_neighbors=3)
    again = Memory(**memory.arrays(), num_neighbors=3)
    queries = np.random.default_rng(1).normal(size=(6, 4))
    np.testing.assert_array_equal(again.distance(queries), memory.distance(queries))


def test_a_bounded_memory_keeps_groups_and_starts_with_their_vectors():
    vectors = np.arange(50.0)[:, None]
    memory = fitted(vectors, groups=np.arange(50) % 3, starts=np.arange(50) * 7, size=10)
    assert len(memory.vectors) == 10
    np.testing.assert_array_equal(memory.starts, memory.vectors[:, 0] * 7)
    np.testing.assert_array_equal(memory.groups, memory.vectors[:, 0] % 3)


def test_coreset_takes_far_items_first_and_the_same_ones_each_time():
    cluster = np.random.default_rng(0).normal(size=(500, 3)) * 0.01
    vectors = np.concatenate([cluster, [[100.0, 0, 0], [0, -100, 0]]])
    chosen = coreset(vectors, 5, seed=3)
    assert {500, 501} <= set(chosen.tolist())
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, coreset(vectors, 5, seed=3))
    np.testing.assert_array_equal(coreset(vectors, 502), np.arange(502))


@pytest.mark.parametrize("seed", range(8))
def test_coreset_never_takes_an_item_twice_however_distances_round(seed):
    vectors = 1e4 * np.random.default_rng(seed).normal(size=(300, 31)).astype(np.float32)
    vectors[100:] = vectors[0]
    assert len(set(coreset(vectors, 200).tolist())) == 200


def test_coreset_of_long_vectors_still_covers_every_cluster():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, 200)) * 5
    vectors = (centres[np.arange(600) % 12] + 0.1 * rng.normal(size=(600, 200))).astype(np.float32)
    assert {int(i) % 12 for i in coreset(vectors, 12)} == set(range(12))


@pytest.mark.parametrize("exclusion", [0, 5])
def test_a_joined_memory_is_that_of_all_items_in_the_first_ones_units(exclusion):
    vectors = np.random.default_rng(1).normal(size=(30, 3))
    place = {"groups": np.arange(30) % 2, "starts": np.arange(30) * 3}
    first, more = ({name: values[part] for name, values in place.items()} for part in (slice(20), slice(20, 30)))
    memory = fitted(vectors[:20], **first, local_exclusion=exclusion)
    joined = memory.joined(vectors[20:], **more, size=1000, local_exclusion=exclusion)
    whole = fitted(vectors, **place, local_exclusion=exclusion)
    for name, values in whole.arrays().items():
        np.testing.assert_allclose(joined.arrays()[name], values, rtol=1e-6, err_msg=name)
    scaled = fitted(vectors[:20], **first, standardise=True).joined(vectors[20:], **more, size=25)
    np.testing.assert_array_equal(scaled.scale, fitted(vectors[:20], **first, standardise=True).scale)
    assert len(scaled.vectors) == 25
