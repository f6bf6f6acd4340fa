"""ADDM: a denoiser trained against a discriminator, so that what it has partly denoised passes for a noised real item.

    x_t      = a x_0 + s noise,   x^ the denoiser's one-step estimate of x_0,   k = t - stride
    denoised ~ q(x_k | x_t, x^)                                 DDPM's step down from t to k
    real     ~ q(x_k | x_0)                                     the item, noised to k
    D        : min  -log D(real, k) - log(1 - D(denoised, k))
    denoiser : min  |noise - eps(x_t, t)|^2 - lambda log D(denoised, k)
    map      = distance of x_0 and x~,  x~ by DDIM from partial noise in a few steps, mean over the draws of noise

Source: Yu et al. 2023, Adversarial denoising diffusion model for unsupervised anomaly detection (arXiv 2312.04382).

Departures. A step of the game spans `stride` time steps, because items one step apart can hardly be told apart and
scoring takes long steps too. The discriminator is a small convolutional one that judges every patch and sees the noise
level as one more channel. DDIM's deterministic steps stand for DDPM's when scoring, in favour of processors; the error
is standardised (`residual_scale.py`) instead of squared alone.

Legend: B batch, C channels, ... the grid, a = sqrt(abar_t), s = sqrt(1 - abar_t).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from oddwave.diffusion import diffusion_loss
from oddwave.lab.rivals.learned.residual_scale import StandardisedReconstruction
from oddwave.training.minimise import Descent

__all__ = ["ADDM"]

_WIDTHS = (16, 32, 64)


@dataclass(kw_only=True, eq=False)
class ADDM(StandardisedReconstruction):
    """Distance to the reconstruction by a denoiser that was trained against a discriminator."""

    name: ClassVar[str] = "addm"
    noise_level: float = 0.15
    num_inference_steps: int = 3
    num_draws: int = 2
    adversarial_weight: float = 0.01
    stride: int = 100

    def _normal_version(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B C ..."]:
        return self._reconstructed(
            items,
            noise_level=self.noise_level,
            num_inference_steps=self.num_inference_steps,
            num_draws=self.num_draws,
        )

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        network = super()._build(channels, grid)
        network.add_module("discriminator", _Discriminator(channels, len(grid)))
        return network

    def _train(self, network: nn.Module, items: Float[Tensor, "N C ..."], tell: Callable[[int, int], None]) -> None:
        """Take turns on each batch: the discriminator learns from the denoised items, then the denoiser from it."""
        judge = network.get_submodule("discriminator")
        judging = Descent(list(judge.parameters()))
        own = set(judging.weights)
        denoising = Descent([weight for weight in network.parameters() if weight not in own])
        for step, rate in enumerate(self._rates()):
            batch = self._batch(items)
            with self._half_precision():
                error, denoised, k = self._step_down(network, batch)
                told_real = judge(self._noised(batch, k, torch.randn_like(batch)), self._level(k, batch))
                told_denoised = judge(denoised.detach(), self._level(k, batch))
                mistaken = F.softplus(-told_real).mean() + F.softplus(told_denoised).mean()
            judging.down(mistaken, rate)
            with self._half_precision():
                found_out = F.softplus(-judge(denoised, self._level(k, batch))).mean()
            denoising.down(error + self.adversarial_weight * found_out, rate)
            tell(step + 1, self.num_steps)

    def _step_down(
        self, network: nn.Module, batch: Float[Tensor, "B C ..."]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "B C ..."], Int[Tensor, " B"]]:
        """Return the mean squared error of the noise, and what DDPM's step makes of the items at time step k."""
        t = self._random_t(len(batch))
        k = (t - self.stride).clamp(min=0)
        noise = torch.randn_like(batch)
        errors, estimate = diffusion_loss(network, batch, t, noise, self.schedule)
        (a, s), (a_k, s_k) = self.schedule.scales(t, batch), self.schedule.scales(k, batch)
        kept = (a * s_k**2) / (a_k * s**2)  # how much of x_t the posterior's mean keeps
        mean = kept * self._noised(batch, t, noise) + (a_k - kept * a) * estimate
        spread = s_k * (1.0 - kept * a / a_k).clamp(min=0.0).sqrt()
        return errors.mean(), mean + spread * torch.randn_like(batch), k

    def _level(self, k: Int[Tensor, " B"], batch: Float[Tensor, "B C ..."]) -> Float[Tensor, "B 1 ..."]:
        return self.schedule.scales(k, batch)[1].expand_as(batch[:, :1])


class _Discriminator(nn.Module):
    """Tell, patch by patch, real noised items (above 0) from denoised ones (below 0)."""

    def __init__(self, channels: int, grid_dims: int) -> None:
        super().__init__()
        conv = nn.Conv2d if grid_dims == 2 else nn.Conv1d
        layers: list[nn.Module] = []
        for before, after in pairwise((channels + 1, *_WIDTHS)):
            layers += [conv(before, after, 3, 2, 1), nn.SiLU()]
        self.layers = nn.Sequential(*layers, conv(_WIDTHS[-1], 1, 1))

    def forward(self, x_k: Float[Tensor, "B C ..."], level: Float[Tensor, "B 1 ..."]) -> Float[Tensor, "B 1 ..."]:
        """Return the logit of each patch."""
        told: Tensor = self.layers(torch.cat([x_k, level], dim=1))
        return told.float()
