"""What the denoiser says about an item without any sampler: one-step errors at several noise levels.

For each noise level t and noise draw r the item is noised, denoised in one step, and the estimates are averaged over r
before the error is taken, which lowers the floor that random noise puts under every error:

    x0_bar(t) = mean_r x0_hat(t, r)     E_recon(t) = |x_0 - x0_bar(t)|^2     E_feat(t) = ||f(x_0) - f(x0_bar(t))||^2

f is a frozen multi-scale wavelet-energy map (`wavelet_energy`). The same passes yield the denoiser's own features, for
the memory. Every item sees the same noise per level and draw (common random numbers): a score then depends on the item
and the seed alone, never on the items beside it, and differences between items are not blurred by different noise.

Legend: N items, C channels, K noise levels, R draws, *grid = L or H, W; D feature dimensions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from oddwave.diffusion.process import PredictionType, predict_x0, q_sample
from oddwave.diffusion.schedule import NoiseSchedule
from oddwave.nets.unet import UNet
from oddwave.wavelets.pyramid import max_level, wavedec

__all__ = ["DenoiserTerms", "denoiser_terms", "estimate_terms", "wavelet_energy"]

_BATCH = 256
_ENERGY_FLOOR = 1e-4  # relative to the [-1, 1] range: energies below it are measurement noise


@dataclass(frozen=True)
class DenoiserTerms:
    """Errors per level and the denoiser's features: `recon_maps` (N, K, *grid), `feature` (N, K), `features` (N, D)."""

    recon_maps: Float[Tensor, "N K *grid"]
    feature: Float[Tensor, "N K"]
    features: Float[Tensor, "N D"]

    def take(self, index: Int[np.ndarray, " n"]) -> "DenoiserTerms":
        """Return the terms of the items at these positions."""
        return DenoiserTerms(*(own[torch.from_numpy(index)] for own in (self.recon_maps, self.feature, self.features)))

    @property
    def recon(self) -> Float[Tensor, "N K"]:
        """The mean of each map."""
        return self.recon_maps.flatten(2).mean(2)


def denoiser_terms(
    net: UNet,
    x0: Float[Tensor, "N C *grid"],
    schedule: NoiseSchedule,
    *,
    prediction_type: PredictionType,
    noise_levels: Sequence[float],
    noise: Float[Tensor, "K R C *grid"],
) -> DenoiserTerms:
    """Compute all denoiser terms of `x0` in K * R network passes; `noise_levels` are fractions of T in (0, 1].

    Every item gets the same `noise`, one per level and draw.
    """
    timesteps = [schedule.timestep_at(level) for level in noise_levels]
    noise = noise.to(x0)
    parts = [_block_terms(net, block, schedule, prediction_type, timesteps, noise) for block in torch.split(x0, _BATCH)]
    maps, feature, features = (torch.cat(column).float() for column in zip(*parts, strict=True))
    return DenoiserTerms(maps, feature, features)


def estimate_terms(
    x0: Float[Tensor, "N C *grid"], estimates: Iterable[Float[Tensor, "N C *grid"]], width: int
) -> DenoiserTerms:
    """Compute the errors of given estimates of `x0`, one per level; they come without features (zeros)."""
    energy, maps, distances = wavelet_energy(x0), [], []
    for estimate in estimates:
        maps.append((x0 - estimate).square().mean(1))
        distances.append((energy - wavelet_energy(estimate)).square().mean(1))
    return DenoiserTerms(torch.stack(maps, 1), torch.stack(distances, 1), x0.new_zeros(len(x0), width * len(maps)))


def _block_terms(
    net: UNet,
    x0: Tensor,
    schedule: NoiseSchedule,
    prediction_type: PredictionType,
    timesteps: Sequence[int],
    noise: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    energy = wavelet_energy(x0)
    maps, distances, features = [], [], []
    for level, timestep in enumerate(timesteps):
        t = torch.full((len(x0),), timestep, dtype=torch.long, device=x0.device)
        estimate, feature = torch.zeros_like(x0), torch.zeros(len(x0), net.feature_width, device=x0.device)
        for draw in noise[level]:
            x_t = q_sample(x0, draw.expand_as(x0), t, schedule)
            prediction, own = net.forward_with_features(x_t, t)
            estimate += predict_x0(x_t, prediction, t, schedule, prediction_type) / len(noise[level])
            feature += own / len(noise[level])
        maps.append((x0 - estimate).square().mean(1))
        distances.append((energy - wavelet_energy(estimate)).square().mean(1))
        features.append(feature)
    return torch.stack(maps, 1), torch.stack(distances, 1), torch.cat(features, 1)


def wavelet_energy(x: Float[Tensor, "N C *grid"]) -> Float[Tensor, "N D"]:
    """Return the log energy of every wavelet band and channel: a frozen feature map that needs no training.

    D = C times the number of bands: per level one detail band (1-D) or three (2-D), and the last approximation.
    """
    dims = x.ndim - 2
    levels = min(4, max_level(x.shape[2:]))
    coefficients = wavedec(x, levels, "db2", grid_dims=dims)
    bands = [coefficients.approx, *(band for level in coefficients.details for band in level)]
    energies = [band.flatten(2).square().mean(2) for band in bands]
    return torch.log(torch.cat(energies, 1) + _ENERGY_FLOOR)
