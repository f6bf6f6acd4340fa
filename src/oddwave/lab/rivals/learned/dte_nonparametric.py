"""DTE-NP: diffusion time estimation without a network, the mean distance to the k nearest training vectors.

    p(s^2 | x)  = InverseGamma(D / 2 - 1, ||x - x_0||^2 / 2),   the posterior over the noise's variance, one normal x_0
    score(x)    = 1/k sum over the k nearest m of ||x - m||,     which stands for its scale's root where there are many

Source: Livernoche et al. 2023, On diffusion modeling for anomaly detection (arXiv 2305.18593), section 3 and DTE-NP.

Departures. Those of `diffusion_time.py`. What is remembered is bounded: all windows up to 5,000, of patches a greedy
k-centre choice (as PatchCore's). Nothing is trained, so `num_steps` has no effect. Read `diffusion_time.py` first.

Legend: N items, C channels, ... the grid, m vectors, M remembered, D numbers of one, k neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.lab.rivals.learned.diffusion_time import DiffusionTimeMethod, as_vectors
from oddwave.scoring.neighbours import coreset, nearest

__all__ = ["DTENonparametric"]

_MOST_WINDOWS, _MOST_PATCHES, _MOST_CANDIDATES = 5_000, 3_000, 25_000
_MOST_VALUES = 2**24  # remembered at most: 64 MiB


@dataclass(kw_only=True, eq=False)
class DTENonparametric(DiffusionTimeMethod):
    """Mean distance to the `num_neighbors` nearest training windows, or patches."""

    name: ClassVar[str] = "dte_nonparametric"
    num_neighbors: int = 5

    def _head(self, width: int) -> nn.Module:
        return _Nearest(width, self.num_neighbors)

    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, ""]:
        return batch.new_zeros(())  # there is nothing to minimise

    def _train(self, network: nn.Module, items: Float[Tensor, "N C ..."], tell: Callable[[int, int], None]) -> None:
        """Remember windows, or a choice of patches."""
        whitening, nearest = self._measured(network, items)
        vectors = as_vectors(items)[0].flatten(0, 1)
        room = max(2, _MOST_VALUES // vectors.shape[1])
        if items.ndim == 3:
            chosen = torch.linspace(0, len(vectors) - 1, min(len(vectors), room, _MOST_WINDOWS)).round().long()
            nearest.register_buffer("memory", whitening(vectors[chosen]))
        else:
            white = whitening(vectors[torch.randperm(len(vectors))[:_MOST_CANDIDATES]])
            kept = torch.from_numpy(coreset(white.numpy(), min(room, _MOST_PATCHES), seed=self.seed))
            nearest.register_buffer("memory", white[kept])
        tell(1, 1)


class _Nearest(nn.Module):
    """Mean distance to the nearest of what is remembered."""

    memory: Tensor

    def __init__(self, width: int, num_neighbors: int) -> None:
        super().__init__()
        self.num_neighbors = num_neighbors
        self.register_buffer("memory", torch.zeros(1, width))

    def forward(self, vectors: Float[Tensor, "m D"]) -> Float[Tensor, " m"]:
        """Return the distance of each vector."""
        found = nearest(vectors.numpy(), self.memory.numpy(), self.num_neighbors, exact=True)
        return torch.from_numpy(found.distance.mean(1))
