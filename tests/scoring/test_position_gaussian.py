"""Gaussians of places: what leaving images out costs nothing for, and what joining sums gives."""

import numpy as np
import pytest
import torch

from oddwave.scoring.gaussian import inverse_factor, mean_and_covariance
from oddwave.scoring.position_gaussian import PositionGaussian, held_out_distances

RIDGE = 0.01


def grids(num, width=6, side=3, seed=0):
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(num, side * side, width)) @ rng.normal(size=(width, width))
    return torch.from_numpy(mixed.transpose(0, 2, 1).reshape(num, width, side, side).astype(np.float32))


@pytest.mark.parametrize(("num", "size"), [(30, 1), (30, 3), (5, 1)])  # 5: fewer images than dimensions
def test_an_image_left_out_is_as_far_as_from_gaussians_fitted_without_its_group(num, size):
    values, groups = grids(num), np.arange(num) // size
    found = held_out_distances(values, groups, RIDGE)
    for image in (0, num // 2, num - 1):
        others = values[torch.from_numpy(groups != groups[image])].flatten(2).permute(2, 0, 1).double().numpy()
        mean, covariance = mean_and_covariance(others)
        ridge = RIDGE * (num - 1) / (others.shape[1] - 1)  # its share of the sums stays
        factor = inverse_factor(covariance + ridge * np.eye(covariance.shape[1]))
        away = values[image].flatten(1).T.double().numpy() - mean
        expected = np.linalg.norm(np.einsum("pd,pde->pe", away, factor), axis=1)
        np.testing.assert_allclose(found[image], expected, rtol=1e-5)


def test_images_that_are_all_of_one_group_are_left_out_one_by_one():
    values = grids(8)
    together = held_out_distances(values, np.zeros(8, np.int64))
    np.testing.assert_array_equal(together, held_out_distances(values, np.arange(8)))


def test_a_single_image_has_finite_distances():
    assert np.isfinite(held_out_distances(grids(1), np.zeros(1, np.int64))).all()


def test_gaussians_joined_are_those_of_all_images():
    values = grids(40)
    joined = PositionGaussian.fit(values[:25]).joined(25, values[25:])
    whole = PositionGaussian.fit(values)
    torch.testing.assert_close(joined.mean, whole.mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(joined.whitening, whole.whitening, rtol=0.02, atol=0.02)
