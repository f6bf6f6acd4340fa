"""One-step estimates at several noise levels: what a denoiser makes of an item, from which errors are taken.

    x0_bar(t) = mean_r x0_hat(t, r),    residual(t) = x_0 - x0_bar(t)

R = 0 noise draws stands for no noise at all, x_t = sqrt(abar_t) x_0: deterministic, one network call per level. All
items see the same noise (see `error_maps.py`, which does the same for windows and adds the features of the network).

Legend: B items, C channels, K noise levels, R draws, *grid = L or H, W.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.diffusion.process import Denoiser, PredictionType, denoise_once
from oddwave.diffusion.schedule import NoiseSchedule

__all__ = ["one_step_estimates"]


@torch.inference_mode()
def one_step_estimates(
    net: Denoiser,
    x0: Float[Tensor, "B C *grid"],
    schedule: NoiseSchedule,
    *,
    prediction_type: PredictionType,
    noise_levels: Sequence[float],
    num_noise_draws: int,
    seed: int,
) -> Iterator[Float[Tensor, "B C *grid"]]:
    """Yield x0_bar for each noise level (fractions of T in (0, 1])."""
    for number, level in enumerate(noise_levels):
        step = schedule.timestep_at(level)
        t = torch.full((len(x0),), step, dtype=torch.long, device=x0.device)
        if num_noise_draws == 0:
            yield denoise_once(net, x0, t, schedule, prediction_type)
            continue
        estimate = torch.zeros_like(x0)
        for draw in range(num_noise_draws):
            generator = torch.Generator().manual_seed((seed * 1009 + number) * 1009 + draw)
            noise = torch.randn(x0.shape[1:], generator=generator).to(x0).expand_as(x0)
            estimate += denoise_once(net, x0, t, schedule, prediction_type, noise) / num_noise_draws
        yield estimate
