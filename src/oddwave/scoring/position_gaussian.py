"""A Gaussian at every place of the grid: how far a feature vector lies from those that normal images have there.

    d(x, p)^2 = (x - mu_p)^T Sigma_p^-1 (x - mu_p)        Sigma_p = covariance over the normals at p + ridge * I

Of features themselves it is the parametric twin of the patch memory (`memory.py`). Of a denoiser's residuals x_0 -
x0_bar(t) it is what makes their size mean something: a plain squared error is largest where normal images vary most,
the Mahalanobis distance of a residual where it is least like those of normal images. Saved in half precision as
whitening factors, whose quadratic form cannot turn negative. Source: Defard et al. 2021 (PaDiM), without its random
choice of dimensions; taking it of residuals is ours.

Legend: N images, D channels, G side of the grid, P = G G places.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from oddwave.errors import DataError
from oddwave.scoring.gaussian import inverse_factor, mean_and_covariance

__all__ = ["PositionGaussian", "held_out_distances"]

Array = np.ndarray

_RIDGE = 0.01  # of standardised features
_PLACES_AT_ONCE = 64


@dataclass(frozen=True)
class PositionGaussian:
    """Means and whitening factors W_p with Sigma_p^-1 = W_p W_p^T, so d = |W_p^T (x - mu_p)| (`GaussianDistance`).

    Raises: DataError where they are not finite, or a factor is none of a covariance: lower triangular, its diagonal
    above 0.
    """

    mean: Float[Tensor, "P D"]
    whitening: Float[Tensor, "P D D"]

    def __post_init__(self) -> None:
        """Refuse what is the factor of no covariance."""
        finite = bool(torch.isfinite(self.mean).all()) and bool(torch.isfinite(self.whitening).all())
        width = self.whitening.shape[-1]
        above = torch.triu(torch.ones(width, width, dtype=torch.bool), 1)
        diagonal = self.whitening.diagonal(dim1=1, dim2=2)
        if not finite or bool(self.whitening[:, above].any()) or not bool((diagonal > 0).all()):
            raise DataError("Gaussians need finite means and lower triangular factors with a positive diagonal")

    @classmethod
    def fit(cls, grids: Float[Tensor, "N D G G"], ridge: float = _RIDGE) -> "PositionGaussian":
        """Take mean and covariance at each place; with few images the ridge keeps the covariance invertible."""
        return cls._of_blocks(_by_place(grids), lambda _, own: mean_and_covariance(own), ridge)

    def joined(self, num: int, grids: Float[Tensor, "N D G G"], ridge: float = _RIDGE) -> "PositionGaussian":
        """Return the Gaussians of these images and of the `num` that were learnt from, to the last bit of half floats.

        What was learnt is taken from the factors: Sigma = W^-T W^-1 - ridge * I.
        """

        def both(block: slice, own: Array) -> tuple[Array, Array]:
            inverse = np.linalg.inv(self.whitening[block].double().numpy())
            old = inverse.transpose(0, 2, 1) @ inverse - ridge * np.eye(inverse.shape[1])
            before, (after, new) = self.mean[block].double().numpy(), mean_and_covariance(own.astype(np.float64))
            total, apart = num + own.shape[1], after - before
            between = num * own.shape[1] / total * apart[:, :, None] * apart[:, None]
            scatter = max(num - 1, 1) * old + max(own.shape[1] - 1, 1) * new + between
            return before + own.shape[1] / total * apart, scatter / max(total - 1, 1)

        return self._of_blocks(_by_place(grids), both, ridge)

    @classmethod
    def _of_blocks(
        cls, places: Float[Tensor, "P N D"], moments: Callable[[slice, Array], tuple[Array, Array]], ridge: float
    ) -> "PositionGaussian":
        num, _, width = places.shape
        mean, whitening = torch.empty(num, width), torch.empty(num, width, width)
        for first in range(0, num, _PLACES_AT_ONCE):
            block = slice(first, first + _PLACES_AT_ONCE)
            centre, covariance = moments(block, places[block].float().numpy())
            mean[block] = torch.from_numpy(centre)
            factor = inverse_factor(covariance + ridge * np.eye(width, dtype=np.float32))
            whitening[block] = torch.from_numpy(factor).half().float()
        return cls(mean, whitening)

    def arrays(self) -> dict[str, Tensor]:
        """Return what a saved model holds."""
        return {"mean": self.mean, "whitening": self.whitening.half()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Tensor]) -> "PositionGaussian":
        """Undo `arrays`."""
        return cls(arrays["mean"].float(), arrays["whitening"].float())


def held_out_distances(
    grids: Float[Tensor, "N D G G"], groups: Int[np.ndarray, " N"], ridge: float = _RIDGE
) -> Float[np.ndarray, "N P"]:
    """Return each image's distances from the Gaussians of the images of other groups, without fitting those anew.

    With v = x - mu, W W^T = (A + (n - 1) ridge I)^-1 of the scatter A of all n images, and n' images of other groups:

        d(x)^2 = (n' - 1) w^T (I - U U^T)^-1 w,    w = W^T v + s / n',    U = [W^T v of the group, s / sqrt(n')]

    and s the sum of the group's W^T v (Woodbury): leaving out costs no more than the distances themselves. Where no
    image is left, what is left out is the image alone.
    """
    places, num = _by_place(grids), len(grids)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    members = members if len(members) > 1 else [np.array([own]) for own in range(num)]
    squares = np.empty((num, len(places)))
    for first in range(0, len(places), _PLACES_AT_ONCE):
        block = slice(first, first + _PLACES_AT_ONCE)
        values = places[block].double().numpy()
        centre, covariance = mean_and_covariance(values)
        factor = inverse_factor(covariance + ridge * np.eye(values.shape[2])) / np.sqrt(max(num - 1, 1))
        away = (values - centre[:, None]) @ factor
        for own in members:
            squares[own, block] = _without(away[:, own], num).T
    distances: np.ndarray = np.sqrt(squares)
    return distances


def _without(away: Float[np.ndarray, "p g D"], num: int) -> Float[np.ndarray, "p g"]:
    """Return the squared distances of a group from the Gaussians of the others, given its whitened differences."""
    others, size = max(num - away.shape[1], 1), away.shape[1]
    shift = away.sum(1, keepdims=True)
    vectors = np.concatenate([away, shift / np.sqrt(others)], 1)
    query = away + shift / others
    gram = np.eye(size + 1) - vectors @ vectors.transpose(0, 2, 1)
    along = query @ vectors.transpose(0, 2, 1)
    solved = np.linalg.solve(gram, along.transpose(0, 2, 1)).transpose(0, 2, 1)
    found: np.ndarray = max(others - 1, 1) * np.maximum(np.square(query).sum(2) + (along * solved).sum(2), 0.0)
    return found


def _by_place(grids: Float[Tensor, "N D G G"]) -> Float[Tensor, "P N D"]:
    return grids.flatten(2).permute(2, 0, 1)
