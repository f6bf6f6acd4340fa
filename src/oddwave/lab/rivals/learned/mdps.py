"""MDPS: normal versions sampled from the posterior given the item; where the item looks odd, it counts as not observed.

    y      = the item, where the mask m is 1 an observation of its normal version x_0 up to noise
    x_t   <- a y + s z  where m = 1                           z the noise of the start
    x'     = x^ + min(rho (s / a)^2 / |y - x^|, 1) (y - x^)   x^ one-step estimate from x_t, |.| its root mean square
    x_prev = DDIM's step with eta = 1 towards x', from the noise level down to a sample of x_0 in a few steps
    d      = distance of y and the mean of the samples

First pass: m = 0 everywhere, x' alone ties the samples to y; its distance is d1. Then m = 1 except where d1 exceeds
what all but a small share of normal places reach, and a second pass samples those places anew from what surrounds them:

    map    = d1 where m = 1,  d1 sqrt(d2) elsewhere           both 1 for usual normal places of their kind

Source: Wu et al. 2024, Unsupervised anomaly detection via masked diffusion posterior sampling (arXiv 2404.17900);
posterior sampling after Chung et al. 2023 (arXiv 2209.14687), whose rho and norm these are.

Departures. The guidance is gradient-free: the derivative of x^ by x_t is taken as 1 / a, as if the noise estimate were
held fixed, which spares two thirds of the cost, and never leads beyond y. The mask's threshold comes from training
items, not from the extremes of the test set. Samples are averaged before the difference is taken, which leaves less of
their own randomness in it; differences are standardised (`residual_scale.py`, each pass by its own) instead of pixel
plus perceptual ones, and the second pass weighs the first's map, which the paper only makes the mask of.

Legend: B batch, C channels, ... the grid, a = sqrt(abar_t), s = sqrt(1 - abar_t), rho guidance weight.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oddwave.diffusion import ddim, inference_timesteps
from oddwave.lab.rivals.learned.residual_scale import ResidualScale, StandardisedReconstruction, training_batches

__all__ = ["MDPS"]


@dataclass(kw_only=True, eq=False)
class MDPS(StandardisedReconstruction):
    """Distance to the mean of samples from the masked posterior."""

    name: ClassVar[str] = "mdps"
    noise_level: float = 0.3
    guidance_weight: float = 0.3
    masked_share: float = 0.1
    num_inference_steps: int = 3
    num_draws: int = 2

    def error_maps(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B ..."]:
        """Return how far the item lies from its normal version at each place, weighed by the masked pass."""
        with torch.inference_mode():
            first = self.scale(items - self._normal_version(items))
            observed = first <= self.network.get_buffer("threshold")
            second = self._scale_named("masked_scale")(items - self._sampled(items, observed[:, None]))
            return torch.where(observed, first, first * second.sqrt())

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        network = super()._build(channels, grid)
        network.add_module("masked_scale", ResidualScale(channels, len(grid)))
        network.register_buffer("threshold", torch.zeros(()))
        return network

    def _finish(self, network: nn.Module, items: Float[Tensor, "N C ..."]) -> None:
        super()._finish(network, items)
        batches = training_batches(items)
        first = [self.scale(batch - self._normal_version(batch)) for batch in batches]
        threshold = torch.cat(first).quantile(1.0 - self.masked_share)
        network.register_buffer("threshold", threshold)
        masked = [
            (batch - self._sampled(batch, (d <= threshold)[:, None])).movedim(1, -1)[d > threshold]
            for batch, d in zip(batches, first, strict=True)
        ]
        places = torch.cat(masked)  # (places, C): each counts as an item with one place
        if len(places):
            self._scale_named("masked_scale").measure(places.reshape(*places.shape, *(1,) * (items.ndim - 2)))

    def _normal_version(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B C ..."]:
        return self._sampled(items, torch.zeros_like(items[:, :1], dtype=torch.bool))

    def _sampled(self, items: Float[Tensor, "B C ..."], observed: Bool[Tensor, "B 1 ..."]) -> Float[Tensor, "B C ..."]:
        """Return the mean of samples from the posterior given the items at the observed places."""
        t = self._at(self.noise_level, items)
        steps = inference_timesteps(self.schedule, self.num_inference_steps, start=int(t[0]))
        total = torch.zeros_like(items)
        for draw in range(self.num_draws):
            noises = [self._fixed_noise(items, draw * len(steps) + step) for step in range(len(steps))]
            net = _Posterior(self, items, observed, noises[0])
            walk = ddim(
                net,
                self._noised(items, t, noises[0]),
                self.schedule,
                steps,
                prediction_type="sample",
                noise=noises.__getitem__,
                eta=1.0,
            )
            *_, last = walk
            total += last.x0_hat
        return total / self.num_draws


@dataclass(frozen=True, eq=False)
class _Posterior:
    """Answer a sampler with the estimate of x_0 given the observation, instead of the prior's."""

    method: MDPS
    items: Float[Tensor, "B C ..."]
    observed: Bool[Tensor, "B 1 ..."]
    noise: Float[Tensor, "B C ..."]

    def __call__(self, x_t: Float[Tensor, "B C ..."], t: Tensor) -> Float[Tensor, "B C ..."]:
        a, s = self.method.schedule.scales(t, x_t)
        x_t = torch.where(self.observed, a * self.items + s * self.noise, x_t)
        estimate, _ = self.method._denoise(x_t, t)
        away = self.items - estimate
        size = away.flatten(1).square().mean(1).sqrt().clamp(min=1e-6).reshape(a.shape)
        pull = self.method.guidance_weight * (s / a) ** 2 / size
        return estimate + pull.clamp(max=1.0) * away
