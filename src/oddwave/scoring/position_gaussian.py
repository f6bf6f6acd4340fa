"""A Gaussian at every place of the grid: how far a feature vector lies from those that normal images have there.

    d(x, p)^2 = (x - mu_p)^T Sigma_p^-1 (x - mu_p)        Sigma_p = covariance over the normals at p + ridge * I

Of features themselves it is the parametric twin of the patch memory (`memory.py`). Of a denoiser's residuals x_0 -
x0_bar(t) it is what makes their size mean something: a plain squared error is largest where normal images vary most,
the Mahalanobis distance of a residual where it is least like those of normal images. Saved in half precision as
whitening factors, whose quadratic form cannot turn negative. Source: Defard et al. 2021 (PaDiM), without its random
choice of dimensions; taking it of residuals is ours.

Legend: N images, D channels, G side of the grid, P = G G places.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.errors import DataError
from oddwave.scoring.gaussian import inverse_factor, mean_and_covariance

__all__ = ["PositionGaussian"]

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
        width = grids.shape[1]
        places = grids.flatten(2).permute(2, 0, 1)  # P N D
        mean = torch.empty(len(places), width)
        whitening = torch.empty(len(places), width, width)
        for first in range(0, len(places), _PLACES_AT_ONCE):
            block = slice(first, first + _PLACES_AT_ONCE)
            centre, covariance = mean_and_covariance(places[block].float().numpy())
            factor = inverse_factor(covariance + ridge * np.eye(width, dtype=np.float32))
            mean[block] = torch.from_numpy(centre)
            whitening[block] = torch.from_numpy(factor).half().float()
        return cls(mean, whitening)

    def arrays(self) -> dict[str, Tensor]:
        """Return what a saved model holds."""
        return {"mean": self.mean, "whitening": self.whitening.half()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Tensor]) -> "PositionGaussian":
        """Undo `arrays`."""
        return cls(arrays["mean"].float(), arrays["whitening"].float())
