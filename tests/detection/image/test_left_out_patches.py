"""The memory without a group: nothing of the group is in it, and nothing of the others is farther than before."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from oddwave.detection.image.left_out_patches import rows_without
from oddwave.scoring.neighbours import coreset


@pytest.mark.parametrize("size", [30, 200, 400])
def test_what_a_group_stood_for_is_covered_by_others(size):
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(400, 6)).astype(np.float32)  # few enough dimensions not to be projected
    owner = np.repeat(np.arange(20), 20)
    owner[380:] = 7  # a group of two images
    chosen = coreset(patches, size)
    radius = cdist(patches, patches[chosen]).min(1).max()
    without = dict(rows_without(patches, owner, chosen, 0))
    assert sorted(without) == np.unique(owner).tolist()
    for group, rows in without.items():
        assert not (owner[rows] == group).any()
        assert len(set(rows)) == len(rows) <= len(chosen)
        assert set(chosen[owner[chosen] != group]) <= set(rows)
        far = cdist(patches[owner != group], patches[rows]).min(1).max()
        assert far <= radius * 1.001 + 1e-5 or len(rows) == len(chosen)
        assert far <= radius * 1.5


def test_a_gap_that_a_group_leaves_is_filled_from_another():
    patches = np.zeros((8, 2), np.float32)
    patches[:, 0] = [0, 0, 0, 0, 10, 10.1, 10.2, 10.3]
    owner = np.array([0, 1, 2, 3, 0, 1, 2, 3])
    rows = dict(rows_without(patches, owner, np.array([0, 4]), 0))[0]
    np.testing.assert_allclose(np.sort(patches[rows, 0]), [0.0, 10.3], rtol=1e-6)  # one of the others on either side


def test_a_lone_group_leaves_nothing_to_compare_with():
    patches = np.arange(6, dtype=np.float32)[:, None]
    assert [(g, len(rows)) for g, rows in rows_without(patches, np.zeros(6, int), np.array([0, 5]), 0)] == [(0, 0)]
