"""Plain DDPM: noise the item part of the way, denoise it, and take the squared error; none of the additions.

    x_t    = a x_0 + s noise,  t at noise level 0.25
    x~     = DDIM from x_t down to x_0 in 10 steps
    map(x) = mean over C of (x_0 - x~)^2,  mean over the draws

Source: Ho, Jain and Abbeel 2020, Denoising diffusion probabilistic models (arXiv 2006.11239); partial noise as in
Wyatt et al. 2022, AnoDDPM.

Departures. DDIM's deterministic steps stand for DDPM's, one for every 25, in favour of processors; noise is Gaussian,
not AnoDDPM's simplex noise. Read `denoiser_method.py` first.

Legend: B batch, C channels, ... the grid, a = sqrt(abar_t), s = sqrt(1 - abar_t).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.diffusion import ddim, inference_timesteps
from oddwave.lab.rivals.learned.denoiser_method import DenoiserMethod

__all__ = ["PlainDDPM"]


@dataclass(kw_only=True, eq=False)
class PlainDDPM(DenoiserMethod):
    """Squared error of the reconstruction from partial noise."""

    name: ClassVar[str] = "plain_ddpm"
    noise_level: float = 0.25
    num_inference_steps: int = 10
    num_draws: int = 2

    def error_maps(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B ..."]:
        """Return the squared error at each place, mean over channels and draws."""
        with torch.inference_mode():
            errors = [(items - self._reconstructed(items, draw)).square().mean(1) for draw in range(self.num_draws)]
            return torch.stack(errors).mean(0)

    def _reconstructed(self, items: Float[Tensor, "B C ..."], draw: int) -> Float[Tensor, "B C ..."]:
        t = self._at(self.noise_level, items)
        steps = inference_timesteps(self.schedule, self.num_inference_steps, start=int(t[0]))
        x_t = self._noised(items, t, self._fixed_noise(items, draw))
        estimate = items
        for step in ddim(self.network, x_t, self.schedule, steps):
            estimate = step.x0_hat
        return estimate
