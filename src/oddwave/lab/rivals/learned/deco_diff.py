"""DeCo-Diff: a network that sees items noised in some patches only learns to take away what deviates, and nothing else.

    x_t    = x_0 + M (a x_0 + s noise - x_0),            M = 1 in random patches, 0 elsewhere
    eta    = (x_t - x_0) / s,                            what the network predicts: 0 where nothing was noised
    test   : x_t = x_0 as it is, t falling from the noise level;
             x~ = x_t - s eta(x_t, t), x_next = x~ + s_next / s (x_t - x~)
    map(x) = distance of x_0 and the last x~

What is normal passes through unchanged, as clean patches did in training; what is odd is taken for noise and replaced.

Source: Beizaee et al. 2025, Correcting deviations from normality: a reformulated diffusion model for multi-class
unsupervised anomaly detection (CVPR 2025, arXiv 2503.19357).

Departures. One kind of item at a time, not many classes in one network. The network works on the tensor itself (feature
grids stand for the paper's autoencoder latents), so of the paper's two distances, of latents and of images, there is
one; it is standardised by what normal items leave (`residual_scale.py`) instead of being cut at fixed thresholds.

Legend: B batch, C channels, ... the grid, a = sqrt(abar_t), s = sqrt(1 - abar_t).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from oddwave.diffusion import inference_timesteps
from oddwave.lab.rivals.learned.residual_scale import StandardisedReconstruction

__all__ = ["DeCoDiff"]

_PATCH_SIDES = (1, 2, 4, 8)


@dataclass(kw_only=True, eq=False)
class DeCoDiff(StandardisedReconstruction):
    """Distance of an item to its corrected version."""

    name: ClassVar[str] = "deco_diff"
    noise_level: float = 0.5
    num_corrections: int = 4
    most_noised: float = 0.7

    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, ""]:
        t = self._random_t(len(batch))
        x_t, deviation = self._corrupted(batch, t, self._mask(batch))
        loss: Tensor = (network(x_t, t).float() - deviation).square().mean()
        return loss

    def _mask(self, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, "B 1 ..."]:
        """Draw patches of one side for the batch, and for each item the share of them that is noised."""
        grid = batch.shape[2:]
        side = _PATCH_SIDES[int(torch.randint(len(_PATCH_SIDES), ()))]
        share = self.most_noised * torch.rand(len(batch), 1, *(1,) * len(grid))
        noised = torch.rand(len(batch), 1, *(-(-size // side) for size in grid)) < share
        mask = F.interpolate(noised.float(), scale_factor=float(side), mode="nearest")
        for axis, size in enumerate(grid, start=2):
            mask = mask.narrow(axis, 0, size)
        return mask

    def _corrupted(
        self, items: Float[Tensor, "B C ..."], t: Int[Tensor, " B"], mask: Float[Tensor, "B 1 ..."]
    ) -> tuple[Float[Tensor, "B C ..."], Float[Tensor, "B C ..."]]:
        """Return items noised where the mask is 1, and the deviation to predict, in units of the noise."""
        noised = self._noised(items, t, torch.randn_like(items))
        away = mask * (noised - items)
        return items + away, away / self.schedule.scales(t, items)[1]

    def _normal_version(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B C ..."]:
        """Correct the item as it is, the noise level falling from step to step."""
        start = self.schedule.timestep_at(self.noise_level)
        steps = inference_timesteps(self.schedule, min(self.num_corrections, start + 1), start=start)
        x_t, corrected, before = items, items, 0.0
        for step in steps:
            t = torch.full((len(items),), step, dtype=torch.long)
            s = float(self.schedule.scales(t[:1], items)[1])
            if before:
                x_t = corrected + s / before * (x_t - corrected)
            corrected, before = x_t - s * self.network(x_t, t).float(), s
        return corrected
