"""DiffusionAD: two noise scales, one step each; the estimate from much noise guides the estimate from little.

    x^b   = one-step estimate of x_0 from x_b, noised to the large scale b: normal, but poor in detail
    y_s   = a_s x^b + s_s eps(x_s, s)              what the small scale s would look like if x^b were the item
    eps^  = eps(x_s, s) - w s_s (y_s - x_s)
    x~    = (x_s - s_s eps^) / a_s = x^s + w s_s^2 (x^b - x^s)        rich in detail, drawn towards normal
    map   = distance of x_0 and x~,  mean of x~ over the draws of noise

Training: noise prediction, half of each batch at small scales and half at large ones.
Source: Zhang et al. 2023, DiffusionAD: norm-guided one-step denoising diffusion (arXiv 2303.08730), section 3.

Departures. Without its segmentation network and the synthetic anomalies that train it: the map is the error that this
network would have been shown, standardised (`residual_scale.py`). Each item of a batch is seen at one scale instead of
at both, and both scales are smaller than the paper's 0.2 and 0.4, as items here have less detail to hide.

Legend: B batch, C channels, ... the grid, a = sqrt(abar), s = sqrt(1 - abar), w guidance weight.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.diffusion import diffusion_loss, guided, predict_x0
from oddwave.lab.rivals.learned.residual_scale import StandardisedReconstruction

__all__ = ["DiffusionAD"]

_BOUNDARY = 0.2  # of the table: smaller scales below, larger ones from there on


@dataclass(kw_only=True, eq=False)
class DiffusionAD(StandardisedReconstruction):
    """Distance to the norm-guided one-step estimate."""

    name: ClassVar[str] = "diffusionad"
    small_level: float = 0.1
    large_level: float = 0.25
    guidance_weight: float = 1.0
    num_draws: int = 3

    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, ""]:
        last = self.schedule.num_train_timesteps
        boundary = round(_BOUNDARY * last)
        half = len(batch) // 2
        t = torch.cat([torch.randint(boundary, (half,)), torch.randint(boundary, last, (len(batch) - half,))])
        loss, _ = diffusion_loss(network, batch, t, torch.randn_like(batch), self.schedule)
        return loss.mean()

    def _normal_version(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B C ..."]:
        draws = [self._guided_estimate(items, draw) for draw in range(self.num_draws)]
        return sum(draws[1:], start=draws[0]) / self.num_draws

    def _guided_estimate(self, items: Float[Tensor, "B C ..."], draw: int) -> Float[Tensor, "B C ..."]:
        small, large = self._at(self.small_level, items), self._at(self.large_level, items)
        normal, _ = self._denoise(self._noised(items, large, self._fixed_noise(items, 2 * draw)), large)
        x_s = self._noised(items, small, self._fixed_noise(items, 2 * draw + 1))
        noise = guided(self.network, normal, self.schedule, self.guidance_weight)(x_s, small)
        return predict_x0(x_s, noise, small, self.schedule)
