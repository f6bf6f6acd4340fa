"""The scorer of images by retrieval: two distances from normal images, each in the units that normals have, added.

    memory     distance of each patch to the nearest remembered one m, wherever that was, times w_m = 2 r / (r_m + r)
    position   Mahalanobis distance, from the Gaussian at the same place, of the features less their mean around it
    map        sum over both of (d - usual d) / (usual deviation of d), on the common map

r_m is the mean distance of m to its own five nearest in other images, r their median: what is far from everything
normal counts for less where normal patches are far from each other, too. "Usual" is over healthy images that were
compared with the others: of the memory one number for all places, of the Gaussians one for each place, drawn towards
the common one where images are few. Patches are the frozen network's features at strides 8 and 16, as they come;
Gaussians see all of its taps, standardised per channel, on a coarser grid, less the mean over 7 x 7 places: what a
place adds to its surroundings, as a denoiser's residual would tell it. Nothing is trained. Read `patch_memory.py` and
`retrieval_model.py` next: where all of it comes from.

Source: Roth et al. 2022 (PatchCore) and Defard et al. 2021 (PaDiM) for the two distances, Breunig et al. 2000 for the
weights; the sum in units of cross-fitted normals is ours. Legend: B squares, C channels, S side of a square, D
channels of the feature grid, d of a patch, G side of the grid, g of the coarser one, N normal squares, M side of the
common map.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oddwave.nets.feature_grid import FeatureGrid
from oddwave.scoring.maps import common_map, hidden, top_mean
from oddwave.scoring.memory import Memory
from oddwave.scoring.position_gaussian import PositionGaussian
from oddwave.scoring.scorer import GaussianDistance, NearestDistance, PartScores

__all__ = ["NAMES", "RetrievalScorer", "Usual", "coarse_grids", "fused", "patch_channels", "residual_grids"]

NAMES = ("memory", "position")

_PATCH_STRIDE = 8  # of the finest tap that a patch is described by
_REACH = 3  # places of the coarser grid at each side
_SHRINKAGE = 10.0  # images that the common mean and deviation of all places count for
_SMOOTHING = 5  # places of the common map at each side over which usual values are averaged
_RELATIVE_FLOOR, _FLOOR = 0.02, 0.02  # smallest deviation, in units of the distance itself and of features


def patch_channels(grid: FeatureGrid) -> slice:
    """Return which channels of the feature grid describe a patch: those of strides 8 and more, where there are any."""
    fine = sum(
        width
        for tap, width in ((tap, grid.network.widths[tap]) for tap in grid.taps)
        if grid.network.strides[tap] < _PATCH_STRIDE
    )
    ordered = sorted(grid.taps) == list(grid.taps)
    return slice(fine if ordered and fine < grid.width else 0, None)


def coarse_grids(
    features: Float[Tensor, "B D G G"], centre: Float[Tensor, " D"], scale: Float[Tensor, " D"], size: int
) -> Float[Tensor, "B D g g"]:
    """Return standardised features on a coarser grid."""
    standardised = (features - centre[:, None, None]) / scale[:, None, None]
    return F.adaptive_avg_pool2d(standardised, size)


def residual_grids(
    features: Float[Tensor, "B D G G"], centre: Float[Tensor, " D"], scale: Float[Tensor, " D"], size: int
) -> Float[Tensor, "B D g g"]:
    """Return what the Gaussians see: standardised features on a coarser grid, less their mean around each place."""
    coarse = coarse_grids(features, centre, scale, size)
    around = F.pad(coarse, (_REACH, _REACH, _REACH, _REACH), mode="replicate")
    return coarse - F.avg_pool2d(around, 2 * _REACH + 1, stride=1)


@dataclass(frozen=True, eq=False)
class Usual:
    """What a distance is for normal images, at each place of the common map: its mean and its deviation."""

    centre: Float[np.ndarray, "M M"]
    unit: Float[np.ndarray, "M M"]

    @classmethod
    def of(
        cls, num: int, total: Float[np.ndarray, "M M"], squares: Float[np.ndarray, "M M"], *, by_place: bool
    ) -> "Usual":
        """Take both from the sums of `num` maps and of their squares."""
        mean, power = total / num, squares / num
        common, variance = float(mean.mean()), float(power.mean() - mean.mean() ** 2)
        floor = (_RELATIVE_FLOOR * abs(common) + _FLOOR) ** 2
        if not by_place:
            return cls(np.full_like(mean, common), np.full_like(mean, np.sqrt(max(variance, floor))))
        from scipy import ndimage

        share = num / (num + _SHRINKAGE)
        own, own_variance = (
            ndimage.uniform_filter(each, _SMOOTHING, mode="nearest") for each in (mean, power - mean**2)
        )
        centre = share * own + (1.0 - share) * common
        mixed = share * np.maximum(own_variance, 0.0) + (1.0 - share) * variance
        return cls(centre, np.sqrt(np.maximum(mixed, floor)))

    def standardised(self, maps: Float[np.ndarray, "N M M"]) -> Float[np.ndarray, "N M M"]:
        """Return maps in these units."""
        found: np.ndarray = ((maps - self.centre) / self.unit).astype(np.float32)
        return found


class RetrievalScorer(nn.Module):
    """Squares to scores and maps: see the module's formula."""

    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        grid: FeatureGrid,
        units: tuple[Float[Tensor, " D"], Float[Tensor, " D"]],
        memory: Memory,
        gaussian: PositionGaussian,
        usual: Mapping[str, Usual],
        *,
        place_grid: int,
        top_share: float,
    ) -> None:
        super().__init__()
        self.grid, self.place_grid, self.top_share = grid, place_grid, top_share
        self.register_buffer("centre", units[0])
        self.register_buffer("scale", units[1])
        self.channels = patch_channels(grid)
        self.memory, self.position = NearestDistance(memory), GaussianDistance(gaussian)
        for name in NAMES:
            own = usual[name]
            self.register_buffer(f"{name}_centre", torch.from_numpy(own.centre.astype(np.float32)))
            self.register_buffer(f"{name}_unit", torch.from_numpy(own.unit.astype(np.float32)))

    def forward(self, x: Float[Tensor, "B C S S"], monitored: Bool[Tensor, "B M M"] | None = None) -> PartScores:
        """Score prepared squares; `monitored` says which places of their maps count (None: all)."""
        return self.of_features(self.features(x), monitored)

    def features(self, x: Float[Tensor, "B C S S"]) -> Float[Tensor, "B D G G"]:
        """Return what the frozen network sees in squares."""
        found: Tensor = self.grid(x.contiguous(memory_format=torch.channels_last))
        return found

    def of_features(
        self, features: Float[Tensor, "B D G G"], monitored: Bool[Tensor, "B M M"] | None = None
    ) -> PartScores:
        """Score squares whose features are at hand."""
        return self.of_distances(self.distances(features), monitored)

    def distances(self, features: Float[Tensor, "B D G G"]) -> dict[str, Float[Tensor, "B M M"]]:
        """Return both distances, on the common map."""
        num, _, rows, columns = features.shape
        patches = features[:, self.channels].permute(0, 2, 3, 1).reshape(num * rows * columns, -1)
        near = self.memory(patches).reshape(num, rows, columns)
        far = self.position(residual_grids(features, self.centre, self.scale, self.place_grid))
        return {"memory": common_map(near), "position": common_map(far)}

    def of_distances(
        self, distances: Mapping[str, Float[Tensor, "B M M"]], monitored: Bool[Tensor, "B M M"] | None = None
    ) -> PartScores:
        """Score squares whose distances are at hand."""
        groups = {
            name: (distances[name] - getattr(self, f"{name}_centre")) / getattr(self, f"{name}_unit") for name in NAMES
        }
        return fused(groups, self.top_share, monitored)


def fused(
    groups: Mapping[str, Float[Tensor, "B M M"]], top_share: float, monitored: Bool[Tensor, "B M M"] | None
) -> PartScores:
    """Add standardised distances, and take the mean of the highest share of the map for a score."""
    seen = {name: own if monitored is None else hidden(own, monitored) for name, own in groups.items()}
    whole = torch.stack([seen[name] for name in NAMES]).sum(0)
    parts = {name: top_mean(own, top_share) for name, own in seen.items()}
    return PartScores(top_mean(whole, top_share), whole, parts)
