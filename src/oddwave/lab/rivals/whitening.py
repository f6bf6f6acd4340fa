"""The symmetric factor of an inverse covariance, and the Mahalanobis distance through any factor.

The symmetric factor turns nothing, so that a network can learn on what it whitens; `scoring/gaussian.py` has the
triangular one. Legend: P Gaussians, N vectors of each, D dimensions.
"""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["inverse_root", "mahalanobis"]


def inverse_root(covariance: Float[Tensor, "D D"], *, ridge: float = 0.0, floor: float = 0.0) -> Float[Tensor, "D D"]:
    """Return the symmetric W with W W = (C + ridge I)^-1, in C's own precision.

    Variances below `floor` are raised to it first: no direction is enlarged beyond what the floor allows.
    """
    variances, directions = torch.linalg.eigh(covariance)
    root: Tensor = (directions * (variances.clamp(min=floor) + ridge).rsqrt()) @ directions.T
    return root


def mahalanobis(away: Float[Tensor, "P N D"], factor: Float[Tensor, "P D D"]) -> Float[Tensor, "P N"]:
    """Return |W^T (x - mu)| for each difference `away` = x - mu."""
    return (away @ factor).square().sum(2).sqrt()
