"""DTE-NP: diffusion time estimation without a network, the mean distance to the k nearest training items.

    p(s^2 | x)  ~ InverseGamma(d / 2 - 1, ||x - x_0||^2 / 2),   the posterior over the noise's variance, one item x_0
    score(x)    = 1/k sum over the k nearest m of ||x - m||,     its scale's root where there are many items
    map(x)_p    = P/k sum over the same m of ||x_p - m_p||^2 / ||x - m||,   whose mean over the P places is the score

What is remembered are whole windows of series, whose distance the last line shares out among the points, and patches
of grids, whose map is their score (`diffusion_time.py`).

Source: Livernoche et al. 2023, On diffusion modeling for anomaly detection (arXiv 2305.18593), section 3 and DTE-NP.

Departures. The paper takes an item as one vector; patches make a map of a grid. What is remembered is bounded: all
windows up to 5,000, of patches a greedy k-centre choice (as PatchCore's), which on planted defects of normal pictures
is better than as many patches drawn at random. Nothing is trained, `num_steps` has no effect. Read `method.py` first.

Legend: N items, B of a batch, C channels, ... the grid, n patches of an item, M remembered, D numbers of a patch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.baselines.learned.diffusion_time import as_maps, as_vectors
from oddwave.baselines.learned.method import LearnedMethod
from oddwave.scoring.memory import coreset

__all__ = ["DTENonparametric"]

_MOST_WINDOWS, _MOST_PATCHES, _MOST_CANDIDATES = 5_000, 3_000, 25_000
_MOST_VALUES = 2**24  # remembered at most: 64 MiB
_QUERIES_AT_ONCE = 512


@dataclass(kw_only=True, eq=False)
class DTENonparametric(LearnedMethod):
    """Mean distance to the `num_neighbors` nearest training windows, or patches."""

    name: ClassVar[str] = "dte_nonparametric"
    num_neighbors: int = 5

    def error_maps(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B ..."]:
        """Return the mean distance of each place's patch, or each point's share of its window's."""
        with torch.inference_mode():
            patches, counts = as_vectors(items)
            if items.ndim == 3:
                return torch.cat([self._shares(some, items) for some in torch.split(patches[:, 0], _QUERIES_AT_ONCE)])
            flat = patches.flatten(0, 1)
            away = [self._differences(some).norm(dim=2).mean(1) for some in torch.split(flat, _QUERIES_AT_ONCE)]
            return as_maps(torch.cat(away).reshape(len(items), -1), counts, tuple(items.shape[2:]))

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        network = nn.Module()
        network.register_buffer("memory", torch.zeros(0, 0))
        return network

    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, ""]:
        return batch.new_zeros(())  # there is nothing to minimise

    def _train(self, network: nn.Module, items: Float[Tensor, "N C ..."], tell: Callable[[int, int], None]) -> None:
        """Remember windows, or a choice of patches."""
        patches = as_vectors(items)[0].flatten(0, 1)
        room = max(2, _MOST_VALUES // patches.shape[1])
        if items.ndim == 3:
            chosen = torch.linspace(0, len(patches) - 1, min(len(patches), room, _MOST_WINDOWS)).round().long()
        else:
            patches = patches[torch.randperm(len(patches))[:_MOST_CANDIDATES]]
            chosen = torch.from_numpy(coreset(patches.numpy(), min(room, _MOST_PATCHES), seed=self.seed))
        network.register_buffer("memory", patches[chosen].clone())
        tell(1, 1)

    def _differences(self, queries: Float[Tensor, "q D"]) -> Float[Tensor, "q k D"]:
        """Return what separates each query from its nearest remembered ones."""
        memory = self.network.get_buffer("memory")
        # |q - m|^2 without the constant |q|^2 chooses; distances are then taken of the differences themselves
        order = memory.square().sum(1) - 2.0 * queries @ memory.T
        nearest = order.topk(min(self.num_neighbors, len(memory)), dim=1, largest=False).indices
        return queries[:, None] - memory[nearest]

    def _shares(self, windows: Float[Tensor, "q D"], items: Float[Tensor, "B C L"]) -> Float[Tensor, "q L"]:
        """Return each point's share of the mean distance, times the number of points."""
        away = self._differences(windows).square()
        distance = away.sum(2, keepdim=True).sqrt().clamp(min=1e-12)
        by_point = (away / distance).mean(1).reshape(len(windows), *items.shape[1:])
        return by_point.sum(1) * items.shape[2]
