"""DiffAD: items imputed from chosen observed points, whose weight grows as the noise falls, at several noise levels.

    observed : points that are no candidates, in every second stretch of `stretch` points (two passes, so that each
               point is imputed); candidates are the blocks whose variance jumps against a neighbouring block's
    c        = w x_0 + (1 - w) x_t, w = a                    what the network sees of observed points at time step t
    x^_k     = estimate of x_0 at noise level k, the mean of the passes that impute the point
    map(x)   = sum_k v_k d(x_0, x^_k),  v_k = k / sum k      levels in falling order: the less noise, the more weight

Source: Xiao et al. 2023, Imputation-based time-series anomaly detection with conditional weight-incremental diffusion
models (KDD 2023, doi 10.1145/3580305.3599391).

Departures. A block's variance is compared with that of its neighbours as in the authors' selection of points by
density ratio, but the limit is the ratio that 99 % of the training blocks stay below, not a fixed 10. Each level is one
estimate from the item noised to it, not one chain of DDPM from pure noise, which is what makes the weights by step
matter. A U-Net stands for their multi-scale state space model. Read `imputing_method.py` first.

Legend: N items, B of a batch, C channels, ... the grid, L its last axis, b blocks of it, a = sqrt(abar_t).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from oddwave.lab.rivals.learned.imputing_method import ImputingMethod

__all__ = ["DiffAD"]

_BLOCKS = 8
_USUAL_SHARE = 0.99
_LEAST_VARIANCE = 1e-3


@dataclass(kw_only=True, eq=False)
class DiffAD(ImputingMethod):
    """Error of imputing from points that look normal, weighted by noise level."""

    name: ClassVar[str] = "diffad"
    noise_levels: tuple[float, ...] = (0.5, 0.25, 0.1)
    stretch: int = 4
    withheld_share: float = 0.25

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        network = super()._build(channels, grid)
        network.register_buffer("largest_jump", torch.full((), torch.inf))
        return network

    def _finish(self, network: nn.Module, items: Float[Tensor, "N C ..."]) -> None:
        jumps = _variance_jumps(items).flatten()
        network.register_buffer("largest_jump", jumps.kthvalue(max(1, round(_USUAL_SHARE * len(jumps)))).values)
        super()._finish(network, items)

    def _step_weights(self) -> Sequence[float]:
        ranks = range(1, len(self.noise_levels) + 1)
        return [rank / sum(ranks) for rank in ranks]

    def _condition(
        self, items: Float[Tensor, "B C ..."], x_t: Float[Tensor, "B C ..."], t: Int[Tensor, " B"]
    ) -> Float[Tensor, "B C ..."]:
        return torch.lerp(x_t, items, self.schedule.scales(t, items)[0])

    def _random_masks(self, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, "B 1 ..."]:
        """Mask every second stretch, and blocks at random as if they were candidates."""
        phases = torch.cat([self._stretches(batch[:1], phase) for phase in (0, 1)])[torch.randint(2, (len(batch),))]
        shape = (len(batch), 1, *(1,) * (batch.ndim - 3), min(_BLOCKS, batch.shape[-1]))
        return torch.maximum(phases, _spread((torch.rand(shape) < self.withheld_share).float(), phases))

    def _imputations(self, items: Float[Tensor, "B C ..."]) -> list[Float[Tensor, "B C ..."]]:
        jumps = _variance_jumps(items)
        candidates = _spread((jumps > self.network.get_buffer("largest_jump")).float(), items[:, :1])
        passes = [torch.maximum(self._stretches(items, phase), candidates) for phase in (0, 1)]
        filled = []
        for k, level in enumerate(self.noise_levels):
            t = self._at(level, items)
            x_t = self._noised(items, t, self._fixed_noise(items, k))
            parts = [masks * self._filled(items, x_t, masks, t) for masks in passes]
            filled.append(torch.stack(parts).sum(0) / torch.stack(passes).sum(0))
        return filled

    def _stretches(self, items: Float[Tensor, "B C ..."], phase: int) -> Float[Tensor, "B 1 ..."]:
        place = torch.arange(items.shape[-1])
        return (place // self.stretch % 2 == phase).to(items.dtype).expand(len(items), 1, *items.shape[2:])


def _variance_jumps(items: Float[Tensor, "N C ..."]) -> Float[Tensor, "N 1 ... b"]:
    """Return for each block by what factor its variance, or a neighbour's, exceeds the other: 1 or more."""
    flat = items.flatten(1, -2)
    blocks = F.adaptive_avg_pool1d
    num = min(_BLOCKS, items.shape[-1])
    variance = (blocks(flat.square(), num) - blocks(flat, num).square()).mean(1).clamp(min=0.0) + _LEAST_VARIANCE
    steps = variance.log().diff(dim=1).abs()
    ends = steps.new_zeros(len(items), 1)
    jumps = torch.maximum(torch.cat([ends, steps], 1), torch.cat([steps, ends], 1)).exp()
    return jumps.reshape(len(items), 1, *(1,) * (items.ndim - 3), num)


def _spread(blocks: Float[Tensor, "B 1 ... b"], like: Float[Tensor, "B 1 ..."]) -> Float[Tensor, "B 1 ..."]:
    """Return every place its block's value."""
    length, num = like.shape[-1], blocks.shape[-1]
    return blocks[..., torch.arange(length) * num // length].expand(like.shape)
