"""The memory without a group: nothing of the group is in it, and nothing of the others is farther than before."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from oddwave.detection.image.patch_memory import LeftOutMemories, Pool, patch_memory
from oddwave.scoring.neighbours import coreset


def pool(patches, owner):
    return Pool(np.asarray(patches, np.float32), owner, np.arange(len(patches)))


@pytest.mark.parametrize("size", [30, 200, 400])
def test_what_a_group_stood_for_is_covered_by_others(size):
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(400, 6)).astype(np.float32)  # few enough dimensions not to be projected
    owner = np.repeat(np.arange(20), 20)
    owner[380:] = 7  # a group of two images
    chosen = coreset(patches, size)
    radius = cdist(patches, patches[chosen]).min(1).max()
    memories = LeftOutMemories(pool(patches, owner), chosen, 0)
    for group in np.unique(owner):
        rows = memories.rows(group)
        assert not (owner[rows] == group).any()
        assert len(set(rows)) == len(rows) <= len(chosen)
        assert set(chosen[owner[chosen] != group]) <= set(rows)
        far = cdist(patches[owner != group], patches[rows]).min(1).max()
        assert far <= radius * 1.001 + 1e-5 or len(rows) == len(chosen)
        assert far <= radius * 1.5


def test_weights_without_a_group_are_those_of_a_memory_that_never_saw_it():
    rng = np.random.default_rng(1)
    patches, owner = rng.normal(size=(60, 3)).astype(np.float32), np.arange(60) % 12
    patches[::5] *= 4  # some lie apart
    memories = LeftOutMemories(pool(patches, owner), coreset(patches, 40), 0)
    for group in range(12):
        found = memories.without(group)
        rows = memories.rows(group)
        np.testing.assert_allclose(found.weights, patch_memory(pool(patches, owner), rows).weights, rtol=1e-4)
        np.testing.assert_array_equal(found.vectors, patches[rows])


def test_patches_that_lie_apart_from_other_images_weigh_less():
    patches = np.concatenate([np.linspace(0, 1, 20), [9.0, 9.01]])[:, None]
    memory = patch_memory(pool(patches, np.r_[np.arange(20), 20, 20]), np.arange(22))
    assert memory.weights[-2:].max() < 0.1 < memory.weights[:20].min()  # the twin in its own image is no neighbour


def test_a_gap_that_a_group_leaves_is_filled_from_another():
    patches = np.zeros((8, 2), np.float32)
    patches[:, 0] = [0, 0, 0, 0, 10, 10.1, 10.2, 10.3]
    owner = np.array([0, 1, 2, 3, 0, 1, 2, 3])
    rows = LeftOutMemories(pool(patches, owner), np.array([0, 4]), 0).rows(0)
    np.testing.assert_allclose(np.sort(patches[rows, 0]), [0.0, 10.3], rtol=1e-6)  # one of the others on either side


def test_a_lone_group_leaves_nothing_to_compare_with():
    memories = LeftOutMemories(pool(np.arange(6.0)[:, None], np.zeros(6, int)), np.array([0, 5]), 0)
    assert len(memories.without(0).vectors) == 0
    assert len(memories.without(3).vectors) == 2  # a group without a patch takes none away
