"""Patch nearest neighbours (PatchCore): distance of each patch to the nearest of a coreset of all training patches.

    d(p)      = min over m in M of ||p - m||                      the map, brought to pixels and smoothed
    M         = greedy k-centre over all training patches P, |M| = 0.02 |P|
    s*        = max over the image's patches of d, at p*, with m* its nearest
    score     = (1 - exp ||p* - m*|| / sum over m in N_9(m*) of exp ||p* - m||) s*

p is the frozen network's features at strides 8 and 16 around one place of the finer grid (one for every 8 pixels), each
averaged over 3 x 3 places with zeros beyond the border, the coarser brought to the finer bilinearly, all as they come
(raw). N_9(m*) are the nine members of M nearest to m*, itself among them; with `reweighting=False` the score is s*.
Source: Roth et al. 2022, Towards Total Recall in Industrial Anomaly Detection (CVPR).

Departures. EfficientNet-Lite0 instead of WideResNet-50; images are not cropped. Distances for the choice of the
coreset are taken in a random projection to 32 dimensions (the paper: 128 of 1,024 or more). Memory: fitting holds all
patches, 152 floats each, or 0.6 MB for an image of 256 px.
Read `image_base.py` for the interface.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from oddwave.lab.rivals.image_base import GridBaseline, Images
from oddwave.scoring.memory import Memory
from oddwave.scoring.neighbours import nearest

__all__ = ["PatchKNN"]

_TAPS, _NEIGHBOURHOOD = (1, 2), 3  # strides 8 and 16
_NUM_REWEIGHTING = 9


@dataclass(kw_only=True, eq=False)
class PatchKNN(GridBaseline):
    """Distance to the nearest of a `coreset_share` of all training patches."""

    name: ClassVar[str] = "patch_knn"
    fitted: ClassVar[tuple[str, ...]] = ("memory",)
    coreset_share: float = 0.02
    reweighting: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(0.0 < self.coreset_share <= 1.0, f"coreset_share is {self.coreset_share}: give one in (0, 1]")
        self._memory = np.zeros((0, 0), np.float32)

    def _fit(self, x: Images) -> None:
        patches = np.zeros((0, 0), np.float32)
        for first, batch in self._batches(x, "features"):
            grid = self._grid(batch, _TAPS, _NEIGHBOURHOOD)
            places, width = grid.shape[1:]
            if not first:
                patches = np.empty((len(x) * places, width), np.float32)
            patches[first * places : (first + len(grid)) * places] = grid.reshape(-1, width)
        size = max(1, round(self.coreset_share * len(patches)))
        self._tell("coreset", 0, size)
        nowhere = np.zeros(len(patches), np.int64)
        memory = Memory.fit(patches, nowhere, nowhere, size=size, num_neighbors=1, seed=self.seed)
        self._memory = memory.vectors
        self._tell("coreset", size, size)

    def _score_batch(
        self, batch: Float[np.ndarray, "b C S S"]
    ) -> tuple[Float[np.ndarray, " b"], Float[np.ndarray, "b S S"]]:
        grid = self._grid(batch, _TAPS, _NEIGHBOURHOOD)
        found = nearest(grid.reshape(-1, grid.shape[2]), self._memory, 1, exact=True)
        distance, place = (part.reshape(len(grid), -1) for part in (found.distance, found.place))
        worst = distance.argmax(axis=1)
        scores = [
            float(distance[i, at]) * (self._weight(grid[i, at], int(place[i, at])) if self.reweighting else 1.0)
            for i, at in enumerate(worst)
        ]
        return np.array(scores), self._smoothed(distance, batch.shape[-1])

    def _weight(self, patch: Float[np.ndarray, " D"], place: int) -> float:
        """Return 1 - softmax at m*: near 1 where the neighbours of m* are as near to the patch as m* itself."""
        chosen = nearest(self._memory[[place]], self._memory, _NUM_REWEIGHTING, exact=True).place[0]
        if len(chosen) < 2:
            return 1.0  # a memory of one patch has no neighbourhood
        distances = np.linalg.norm(self._memory[chosen] - patch, axis=1).astype(np.float64)
        own = float(np.linalg.norm(self._memory[place] - patch))
        return float(1.0 - 1.0 / np.exp(distances - own).sum())
