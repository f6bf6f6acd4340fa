"""Mahalanobis distances against the formula, and the symmetric factor of an inverse covariance."""

import numpy as np
import torch

from oddwave.lab.rivals.whitening import inverse_root, mahalanobis
from oddwave.scoring.gaussian import inverse_factor, mean_and_covariance

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(3, 50, 6)) @ RNG.normal(size=(3, 6, 6)) + 5.0


def test_the_distance_is_that_of_the_formula():
    mean, covariance = mean_and_covariance(VALUES)
    away = VALUES - mean[:, None]
    got = mahalanobis(torch.from_numpy(away), torch.from_numpy(inverse_factor(covariance)))
    for place in range(3):
        np.testing.assert_allclose(covariance[place], np.cov(VALUES[place].T), rtol=1e-10)
        squared = np.einsum("nd,de,ne->n", away[place], np.linalg.inv(np.cov(VALUES[place].T)), away[place])
        np.testing.assert_allclose(got[place], np.sqrt(squared), rtol=1e-8)


def test_the_root_is_of_the_inverse_and_symmetric():
    covariance = np.cov(VALUES[0].T)
    root = inverse_root(torch.from_numpy(covariance)).numpy()
    np.testing.assert_allclose(root @ root, np.linalg.inv(covariance), rtol=1e-8)
    np.testing.assert_allclose(root, root.T, atol=1e-10)


def test_ridge_and_floor_bound_what_a_direction_is_enlarged_by():
    flat = torch.diag(torch.tensor([4.0, 0.0]))
    np.testing.assert_allclose(inverse_root(flat, floor=0.25), np.diag([0.5, 2.0]), rtol=1e-6)
    np.testing.assert_allclose(inverse_root(flat, ridge=1.0), np.diag([5**-0.5, 1.0]), rtol=1e-6)
