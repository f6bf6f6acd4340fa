"""How much more a vector belongs to everything else than to the normals: a ratio of two nearest-neighbour densities.

    s(q) = ln d_k(q, normals) - ln d_k(q, background)

with d_k the mean Euclidean distance to the k nearest items, every dimension divided by its deviation in the background.
In D dimensions the density at q is about proportional to d_k^-D, so s estimates ln(p_background / p_normal) / D, what a
likelihood-ratio test would look at. The distance to the normals alone calls odd whatever is rare in any world (loud,
long, many-voiced); the ratio takes that away.

Source: Wang, Kulkarni and Verdu 2009, Divergence estimation for multidimensional densities via k-nearest-neighbor
distances, IEEE Trans. Inf. Theory 55(5); Ren et al. 2019, Likelihood ratios for out-of-distribution detection
(NeurIPS). That the background is synthesised is ours. Legend: N normals, M background items, Q queries, D dimensions.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oddwave.errors import DataError, ShapeError
from oddwave.scoring.memory import Memory
from oddwave.scoring.scorer import NearestDistance

__all__ = ["DensityRatio", "RatioDistance"]

_SMALLEST_SHARE = 1e-3  # of the usual deviation: a dimension that hardly moves in the background must not decide
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class DensityRatio:
    """Normals and background, standardised, in one vector space; `RatioDistance` computes s.

    Raises: DataError where one of them is empty or not finite, or the scale is not positive.
    """

    normals: Float[np.ndarray, "N D"]
    background: Float[np.ndarray, "M D"]
    centre: Float[np.ndarray, " D"]
    scale: Float[np.ndarray, " D"]
    num_neighbors: int = 5

    def __post_init__(self) -> None:
        """Refuse what would pass for a near item and is none."""
        parts = (self.normals, self.background, self.centre, self.scale)
        if not all(len(part) and np.isfinite(part).all() for part in parts) or self.scale.min() <= 0.0:
            raise DataError("a density ratio needs items, all finite, and positive scales: fit on other data")

    @classmethod
    def fit(
        cls, normals: Float[np.ndarray, "N D"], background: Float[np.ndarray, "M D"], num_neighbors: int = 5
    ) -> "DensityRatio":
        """Standardise both by the background's mean and deviation.

        Raises: ShapeError for another number of dimensions; DataError where one of them is empty or not finite.
        """
        if normals.shape[1:] != background.shape[1:]:
            raise ShapeError(f"normals have shape {normals.shape} and the background {background.shape}: give both as "
                             "(items, dimensions) of the same vector space")  # fmt: skip
        if (
            not len(normals)
            or not len(background)
            or not (np.isfinite(normals).all() and np.isfinite(background).all())
        ):
            raise DataError(f"{len(normals)} normals, {len(background)} background items: give one or more, all finite")
        centre = background.mean(0)
        deviation = background.std(0)
        scale = np.maximum(deviation, _SMALLEST_SHARE * max(float(background.std()), _TINY))
        near, far = (((items - centre) / scale).astype(np.float32) for items in (normals, background))
        return cls(near, far, centre.astype(np.float32), scale.astype(np.float32), num_neighbors)

    def only(self, chosen: Bool[np.ndarray, " N"]) -> "DensityRatio":
        """Return the same with these normals alone."""
        return replace(self, normals=self.normals[chosen])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what a saved model holds."""
        return {
            "normals": self.normals,
            "background": self.background,
            "centre": self.centre,
            "scale": self.scale,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "DensityRatio":
        """Undo `arrays`."""
        return cls(arrays["normals"], arrays["background"], arrays["centre"], arrays["scale"])


class RatioDistance(nn.Module):
    """How much nearer a vector is to everything else than to the normals, by a `DensityRatio`."""

    def __init__(self, ratio: DensityRatio) -> None:
        super().__init__()
        self.normals, self.background = (_distance(ratio, items) for items in (ratio.normals, ratio.background))

    def forward(self, x: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
        """Return ln d_k(x, normals) - ln d_k(x, background)."""
        near, far = self.normals(x).double(), self.background(x).double()
        ratio: Tensor = (near + _TINY).log() - (far + _TINY).log()
        return ratio


def _distance(ratio: DensityRatio, items: Float[np.ndarray, "M D"]) -> NearestDistance:
    """Return the mean distance to the nearest items, over sqrt(D), which the ratio does without.

    They are looked for around their own middle: the squares of near vectors cancel far away from it.
    """
    middle, nowhere = items.mean(0), np.zeros(len(items), np.int64)
    near = items - middle
    centre = (ratio.centre + ratio.scale * middle).astype(np.float32)
    weights = np.ones(len(items), np.float32)
    return NearestDistance(Memory(near, nowhere, nowhere, centre, ratio.scale, weights, ratio.num_neighbors))
