"""One-step estimates at several noise levels: what a denoiser makes of an item, from which errors are taken.

    x0_bar(t) = mean_r x0_hat(t, r),    residual(t) = x_0 - x0_bar(t)

R = 0 noise draws stands for no noise at all, x_t = sqrt(abar_t) x_0: deterministic, one network call per level. All
items see the same noise (see `detection/series/error_maps.py`: the same for windows, and the features of the network).

Legend: B items, C channels, K noise levels, R draws, *grid = L or H, W.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from oddwave.diffusion.process import Denoiser, PredictionType, denoise_once
from oddwave.diffusion.schedule import NoiseSchedule

__all__ = ["one_step_estimates"]


def one_step_estimates(
    net: Denoiser,
    x0: Float[Tensor, "B C *grid"],
    schedule: NoiseSchedule,
    *,
    prediction_type: PredictionType,
    noise_levels: Sequence[float],
    num_noise_draws: int,
    seed: int,
    noise: Callable[[Sequence[int], int], Tensor],
) -> Iterator[Float[Tensor, "B C *grid"]]:
    """Yield x0_bar for each noise level (fractions of T in (0, 1]); `noise` gives that of a shape and a seed."""
    for number, level in enumerate(noise_levels):
        t = torch.full((len(x0),), schedule.timestep_at(level), dtype=torch.long, device=x0.device)
        seeds = [((seed * 1009 + number) * 1009 + draw) % 2**64 for draw in range(num_noise_draws)]
        draws = [noise(x0.shape[1:], own).to(x0) for own in seeds]
        yield _estimate(net, x0, t, schedule, prediction_type, draws)


def _estimate(
    net: Denoiser,
    x0: Float[Tensor, "B C *grid"],
    t: Int[Tensor, " B"],
    schedule: NoiseSchedule,
    prediction_type: PredictionType,
    draws: Sequence[Float[Tensor, "C *grid"]],
) -> Float[Tensor, "B C *grid"]:
    """Average the estimates over the noise draws; without any no noise is added."""
    if not draws:
        return denoise_once(net, x0, t, schedule, prediction_type)
    estimate = torch.zeros_like(x0)
    for own in draws:
        estimate += denoise_once(net, x0, t, schedule, prediction_type, own.expand_as(x0)) / len(draws)
    return estimate
