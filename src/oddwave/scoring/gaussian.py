"""Gaussians: covariances, and what whitens them.

    d(x)^2 = (x - mu)^T Sigma^-1 (x - mu) = |W^T (x - mu)|^2        for every W with W W^T = Sigma^-1

A distance through a factor is a norm and cannot turn negative. Of the factors, the triangular one is the quickest to
find for many small matrices. Read `position_gaussian.py` next, which has a Gaussian at every place of a grid.

Legend: P Gaussians, N vectors of each, D dimensions.
"""

import numpy as np
from jaxtyping import Float

__all__ = ["inverse_factor", "mean_and_covariance"]


def mean_and_covariance(
    values: Float[np.ndarray, "P N D"],
) -> tuple[Float[np.ndarray, "P D"], Float[np.ndarray, "P D D"]]:
    """Return the mean and the unbiased covariance of each set of vectors; of a single vector the covariance is 0."""
    mean = values.mean(1)
    away = values - mean[:, None]
    return mean, away.transpose(0, 2, 1) @ away / max(values.shape[1] - 1, 1)


def inverse_factor(covariance: Float[np.ndarray, "*P D D"]) -> Float[np.ndarray, "*P D D"]:
    """Return the lower triangular W with W W^T = C^-1, in float64.

    Raises: numpy.linalg.LinAlgError where C is not positive definite; a small multiple of I on top makes it so.
    """
    # numpy's, not torch's: batches of inverses fail in some builds of torch's BLAS with several threads
    factor: np.ndarray = np.linalg.cholesky(np.linalg.inv(covariance.astype(np.float64)))
    return factor
