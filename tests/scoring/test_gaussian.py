"""Covariances, and the triangular factor of an inverse one, against the formula."""

import numpy as np
import pytest

from oddwave.scoring.gaussian import inverse_factor, mean_and_covariance

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(3, 50, 6)) @ RNG.normal(size=(3, 6, 6)) + 5.0


def test_one_vector_has_no_spread():
    mean, covariance = mean_and_covariance(VALUES[:, :1])
    np.testing.assert_array_equal(mean, VALUES[:, 0])
    assert not covariance.any()


def test_the_factor_is_of_the_inverse_and_triangular():
    lower, covariance = inverse_factor(mean_and_covariance(VALUES)[1]), [np.cov(own.T) for own in VALUES]
    np.testing.assert_allclose(lower @ lower.transpose(0, 2, 1), np.linalg.inv(covariance), rtol=1e-8)
    np.testing.assert_array_equal(np.triu(lower, 1), 0.0)
    with pytest.raises(np.linalg.LinAlgError):
        inverse_factor(np.zeros((2, 2)))
