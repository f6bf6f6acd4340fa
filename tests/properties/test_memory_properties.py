"""What must hold for every memory: exact neighbours, no window beside itself, a coreset that covers."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from oddwave.scoring.memory import Memory, coreset

SIZES = st.integers(1, 40)
SEEDS = st.integers(0, 10_000)
FEW = settings(max_examples=40, deadline=None)


def cloud(n, dims, seed):
    return np.random.default_rng(seed).normal(size=(n, dims)).astype(np.float32)


@FEW
@given(SIZES, SIZES, st.integers(1, 70), st.integers(1, 7), SEEDS)
def test_distances_equal_those_of_scikit_learn(n, num_queries, dims, neighbours, seed):
    remembered, queries = cloud(n, dims, seed), cloud(num_queries, dims, seed + 1)
    memory = Memory.fit(remembered, np.zeros(n, int), np.arange(n), size=n, num_neighbors=neighbours)
    nearest = NearestNeighbors(n_neighbors=min(neighbours, n)).fit(remembered.astype(float))
    expected = nearest.kneighbors(queries.astype(float))[0].mean(1) / np.sqrt(dims)  # in the unit of one dimension
    np.testing.assert_allclose(memory.distance(queries), expected, rtol=1e-3, atol=2e-3)


@FEW
@given(st.integers(2, 40), st.integers(1, 12), st.integers(1, 5), SEEDS)
def test_no_window_is_compared_with_one_that_overlaps_it(n, exclusion, neighbours, seed):
    rng = np.random.default_rng(seed)
    groups, starts = rng.integers(0, 3, size=n), rng.integers(0, 30, size=n)
    vectors = cloud(n, 3, seed)
    memory = Memory.fit(vectors, groups, starts, size=n, num_neighbors=neighbours)
    found = memory.distance(vectors, groups=groups, starts=starts, exclusion=exclusion)
    expected = np.full(n, np.nan)
    for i in range(n):
        allowed = (groups != groups[i]) | (np.abs(starts - starts[i]) >= exclusion)
        distances = np.sort(np.linalg.norm(vectors[allowed] - vectors[i], axis=1))[:neighbours]
        expected[i] = distances.mean() if len(distances) else np.nan
    expected[np.isnan(expected)] = np.nanmax(expected) if np.isfinite(expected).any() else 0.0
    np.testing.assert_allclose(found, expected / np.sqrt(3), rtol=1e-3, atol=2e-3)


@FEW
@given(st.integers(2, 60), st.integers(1, 60), st.integers(1, 32), SEEDS)
def test_a_coreset_covers_everything_as_closely_as_its_own_items_lie_apart(n, size, dims, seed):
    vectors = cloud(n, dims, seed)
    chosen = coreset(vectors, size, seed=seed)
    assert len(set(chosen.tolist())) == len(chosen) == min(n, size)
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    reach = apart[:, chosen].min(1).max()
    between = apart[np.ix_(chosen, chosen)] + np.diag(np.full(len(chosen), np.inf))
    assert reach <= between.min() + 1e-2  # the guarantee of farthest-first: within twice the best possible reach


@FEW
@given(SIZES, st.integers(1, 5), SEEDS)
def test_the_order_of_queries_does_not_matter(n, neighbours, seed):
    memory = Memory.fit(cloud(30, 4, seed), np.zeros(30, int), np.arange(30), size=30, num_neighbors=neighbours)
    queries, order = cloud(n, 4, seed + 1), np.random.default_rng(seed).permutation(n)
    np.testing.assert_allclose(memory.distance(queries[order]), memory.distance(queries)[order], rtol=1e-4, atol=2e-3)


@FEW
@given(st.floats(0.01, 100), st.floats(-100, 100), SEEDS)
def test_a_standardised_memory_does_not_know_units(scale, offset, seed):
    vectors, queries = cloud(40, 3, seed), cloud(9, 3, seed + 1)
    place = (np.zeros(40, int), np.arange(40))
    settings = {"size": 40, "num_neighbors": 2, "standardise": True}
    plain = Memory.fit(vectors, *place, **settings).distance(queries)
    moved = Memory.fit(vectors * scale + offset, *place, **settings).distance(queries * scale + offset)
    np.testing.assert_allclose(moved, plain, rtol=0.02 * (1 + abs(offset) / scale / 100), atol=0.02)
