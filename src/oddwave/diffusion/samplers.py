"""Samplers: short generators that walk the schedule table from a noisy x_t back to a clean item.

All share one signature, `sampler(net, x_t, schedule, timesteps, *, prediction_type, noise)`, start at whatever step
`timesteps` starts with, keep no state outside the generator, and yield a `SamplerStep` per network call; the last
step's `x0_hat` is the answer. `reconstruct` is the whole round: noise an item, then denoise it. Settings carry
diffusers' names. Read `external.py` next for any diffusers scheduler in the same form.

Legend: B batch, C channels, ... the grid, abar the cumulative product of (1 - beta), a = sqrt(abar), s = sqrt(1 -
abar).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.diffusion.guidance import guided
from oddwave.diffusion.process import Denoiser, PredictionType, predict_noise, predict_x0, q_sample
from oddwave.diffusion.schedule import NoiseSchedule
from oddwave.errors import ConfigError

__all__ = [
    "SAMPLERS",
    "NoiseSource",
    "Sampler",
    "SamplerStep",
    "TimestepSpacing",
    "ddim",
    "ddpm",
    "dpmsolver_plus_plus",
    "inference_timesteps",
    "reconstruct",
]

TimestepSpacing = Literal["trailing", "leading", "linspace"]
NoiseSource = Callable[[int], Tensor]
"""Draw number -> standard normal noise shaped like x_t; `ItemNoise` is one that ignores batch neighbours."""


@dataclass(frozen=True, slots=True)
class SamplerStep:
    """One network call: the state `x_t` at time step `t`, and the clean item `x0_hat` the network sees in it."""

    t: int
    x_t: Float[Tensor, "B C ..."]
    x0_hat: Float[Tensor, "B C ..."]


@runtime_checkable
class Sampler(Protocol):
    """What every sampler is: a function from a noisy start to a stream of steps."""

    def __call__(
        self,
        net: Denoiser,
        x_t: Tensor,
        schedule: NoiseSchedule,
        timesteps: Sequence[int],
        *,
        prediction_type: PredictionType = "epsilon",
        noise: NoiseSource | None = None,
    ) -> Iterator[SamplerStep]: ...


def inference_timesteps(
    schedule: NoiseSchedule,
    num_inference_steps: int,
    timestep_spacing: TimestepSpacing = "trailing",
    start: int | None = None,
) -> list[int]:
    """Choose the falling time steps a sampler visits between `start` (default: the last of the table) and 0.

    `trailing` begins exactly at `start`; `linspace` includes `start` and 0; `leading` ends at 0 and begins a stride
    below `start`. From the end of the table these are diffusers' grids of the same names.

    Raises:
        ConfigError: for an unknown spacing, a start outside the table, or more steps than there are.

    Source: Lin et al. 2023 (arXiv 2305.08891), table 2.
    """
    count = schedule.num_train_timesteps if start is None else start + 1
    if not 1 <= count <= schedule.num_train_timesteps:
        raise ConfigError(f"start is {start}; the table has time steps 0 to {schedule.num_train_timesteps - 1}")
    if not 1 <= num_inference_steps <= count:
        raise ConfigError(f"num_inference_steps is {num_inference_steps}; give 1 to {count}, the steps there are")
    steps = range(num_inference_steps)
    if timestep_spacing == "trailing":
        return [round(count - i * count / num_inference_steps) - 1 for i in steps]
    if timestep_spacing == "leading":
        return [i * (count // num_inference_steps) for i in reversed(steps)]
    if timestep_spacing == "linspace":
        stride = (count - 1) / max(num_inference_steps - 1, 1)
        return [round(i * stride) for i in reversed(steps)]
    raise ConfigError(f"there is no timestep_spacing {timestep_spacing!r}; choose trailing, leading or linspace")


def ddpm(
    net: Denoiser,
    x_t: Float[Tensor, "B C ..."],
    schedule: NoiseSchedule,
    timesteps: Sequence[int],
    *,
    prediction_type: PredictionType = "epsilon",
    noise: NoiseSource | None = None,
    variance_type: Literal["fixed_small", "fixed_large"] = "fixed_small",
) -> Iterator[SamplerStep]:
    """Walk back by ancestral sampling, the paper's reverse step.

    x_prev = (x_t - beta / sqrt(1 - abar) eps) / sqrt(1 - beta) + sigma z, where sigma^2 is the posterior variance
    (`fixed_small`) or beta (`fixed_large`). Where steps are skipped, beta means 1 - abar_t / abar_prev. The last step
    adds no noise. Each step but the last takes one draw from `noise`, numbered from 1 (0 is the start's own noise).

    Raises:
        ConfigError: without a noise source, or for an unknown variance type.

    Source: Ho et al. 2020 (arXiv 2006.11239), algorithm 2; Chen 2025 (arXiv 2505.05137), the reverse process.
    """
    if noise is None:
        raise ConfigError("ddpm draws noise at every step and was given none; pass noise=ItemNoise(x0.shape, ids)")
    if variance_type not in ("fixed_small", "fixed_large"):
        raise ConfigError(f"there is no variance_type {variance_type!r}; choose 'fixed_small' or 'fixed_large'")
    for draw, (t, t_prev) in enumerate(_pairs(timesteps, schedule), start=1):
        x0_hat, _ = _estimate(net, x_t, t, schedule, prediction_type)
        yield SamplerStep(t, x_t, x0_hat)
        if t_prev < 0:
            return
        abar, abar_prev = schedule.abar(t), schedule.abar(t_prev)
        alpha = abar / abar_prev
        beta = 1.0 - alpha
        # The reverse step above with eps written through x0_hat: equal, and stable where abar is close to 0.
        mean = (math.sqrt(abar_prev) * beta * x0_hat + math.sqrt(alpha) * (1.0 - abar_prev) * x_t) / (1.0 - abar)
        variance = beta if variance_type == "fixed_large" else beta * (1.0 - abar_prev) / (1.0 - abar)
        x_t = mean + math.sqrt(variance) * noise(draw).to(x_t)


def ddim(
    net: Denoiser,
    x_t: Float[Tensor, "B C ..."],
    schedule: NoiseSchedule,
    timesteps: Sequence[int],
    *,
    prediction_type: PredictionType = "epsilon",
    noise: NoiseSource | None = None,
    eta: float = 0.0,
) -> Iterator[SamplerStep]:
    """Walk back by DDIM: x_prev = a_prev x0_hat + sqrt(1 - abar_prev - sigma^2) eps + sigma z.

    sigma = eta sqrt((1 - abar_prev) / (1 - abar) (1 - abar / abar_prev)); eta = 0 (default) is deterministic and needs
    no noise source, eta = 1 is DDPM. Draws are numbered as in `ddpm`.

    Raises:
        ConfigError: if eta is negative, above 1, or positive without a noise source.

    Source: Song et al. 2021 (arXiv 2010.02502), eqs. 12 and 16.
    """
    if not 0.0 <= eta <= 1.0:
        raise ConfigError(f"eta is {eta}; give a number from 0 (deterministic) to 1 (as noisy as DDPM)")
    if eta > 0.0 and noise is None:
        raise ConfigError(f"ddim with eta={eta} draws noise and was given none; pass noise=ItemNoise(x0.shape, ids)")
    for draw, (t, t_prev) in enumerate(_pairs(timesteps, schedule), start=1):
        x0_hat, eps = _estimate(net, x_t, t, schedule, prediction_type)
        yield SamplerStep(t, x_t, x0_hat)
        if t_prev < 0:
            return
        abar, abar_prev = schedule.abar(t), schedule.abar(t_prev)
        variance = eta**2 * (1.0 - abar_prev) / (1.0 - abar) * (1.0 - abar / abar_prev)
        x_t = math.sqrt(abar_prev) * x0_hat + math.sqrt(1.0 - abar_prev - variance) * eps
        if noise is not None and variance > 0.0:
            x_t = x_t + math.sqrt(variance) * noise(draw).to(x_t)


def dpmsolver_plus_plus(
    net: Denoiser,
    x_t: Float[Tensor, "B C ..."],
    schedule: NoiseSchedule,
    timesteps: Sequence[int],
    *,
    prediction_type: PredictionType = "epsilon",
    noise: NoiseSource | None = None,
) -> Iterator[SamplerStep]:
    """Walk back by DPM-Solver++ (2M): second-order multistep on the data prediction, midpoint form; 5-20 steps suffice.

    With l = log(a / s), h = l_prev - l_t and h_last the h of the step before, the estimate is carried forward as
    D = x0_hat + (h / h_last) / 2 (x0_hat - x0_hat of the step before), and x_prev = s_prev / s_t x_t + a_prev (1 -
    e^-h) D. The first step is first-order; the last ends at x0_hat. Deterministic: `noise` is never drawn from.

    Source: Lu et al. 2022 (arXiv 2211.01095), algorithm 2.
    """
    x0_last: Tensor | None = None
    h_last = 0.0
    for t, t_prev in _pairs(timesteps, schedule):
        x0_hat, _ = _estimate(net, x_t, t, schedule, prediction_type)
        yield SamplerStep(t, x_t, x0_hat)
        if t_prev < 0:
            return
        h = _half_log_snr(schedule, t_prev) - _half_log_snr(schedule, t)
        ahead = x0_hat if x0_last is None else x0_hat + (0.5 * h / h_last) * (x0_hat - x0_last)
        abar, abar_prev = schedule.abar(t), schedule.abar(t_prev)
        shrink = math.sqrt((1.0 - abar_prev) / (1.0 - abar))
        x_t = shrink * x_t - math.sqrt(abar_prev) * math.expm1(-h) * ahead
        x0_last, h_last = x0_hat, h


SAMPLERS: Mapping[str, Sampler] = {"ddpm": ddpm, "ddim": ddim, "dpmsolver++": dpmsolver_plus_plus}
"""The samplers by the names that settings use."""


@torch.no_grad()
def reconstruct(
    net: Denoiser,
    x0: Float[Tensor, "B C ..."],
    schedule: NoiseSchedule,
    *,
    sampler: str | Sampler = "ddim",
    noise_level: float = 0.5,
    num_inference_steps: int | None = None,
    eta: float = 0.0,
    guidance_weight: float = 0.0,
    prediction_type: PredictionType = "epsilon",
    noise: Tensor | NoiseSource | None = None,
) -> Float[Tensor, "B C ..."]:
    """Noise each item up to `noise_level` and denoise it again: its normal version, x_tilde.

    Args:
        sampler: a name in `SAMPLERS`, or any sampler, such as one from `external_sampler`.
        noise_level: in (0, 1], how far the input is noised; 1.0 is the paper's full noise, from which little of the
            input survives.
        num_inference_steps: network calls between the noise level and 0, evenly spaced ("trailing"); None means 10, and
            every step for `ddpm`. Never more than there are steps below the noise level.
        eta: for `ddim` only, 0 deterministic to 1 as noisy as DDPM.
        guidance_weight: DDAD's w; 0 lets the network go where it will, larger values hold it to the input.
        noise: a tensor or draw 0 of a noise source noises the input; None adds none (x_t = sqrt(abar_t) x0). Samplers
            that draw on the way (`ddpm`, eta > 0) need a source, such as `ItemNoise`.

    Raises:
        ConfigError: for a setting that is unknown, out of range, or at odds with the sampler.
    """
    walk = _resolve(sampler, eta)
    start = schedule.timestep_at(noise_level)
    if num_inference_steps is None:
        num_inference_steps = start + 1 if sampler == "ddpm" else 10
    timesteps = inference_timesteps(schedule, min(num_inference_steps, start + 1), start=start)
    source = noise if callable(noise) else None
    first = noise(0).to(x0) if callable(noise) else noise
    t = torch.full((len(x0),), start, device=x0.device)
    x_t = schedule.scales(t, x0)[0] * x0 if first is None else q_sample(x0, first, t, schedule)
    held = guided(net, x0, schedule, guidance_weight, prediction_type)
    x_tilde = x0
    for step in walk(held, x_t, schedule, timesteps, prediction_type=prediction_type, noise=source):
        x_tilde = step.x0_hat
    return x_tilde


def _resolve(sampler: str | Sampler, eta: float) -> Sampler:
    if eta != 0.0:
        if sampler != "ddim":
            raise ConfigError(f"eta={eta} was given with sampler {sampler!r}; only 'ddim' takes it, leave it at 0")
        return partial(ddim, eta=eta)
    if not isinstance(sampler, str):
        return sampler
    if sampler not in SAMPLERS:
        raise ConfigError(f"there is no sampler {sampler!r}; choose one of {', '.join(SAMPLERS)}")
    return SAMPLERS[sampler]


def _pairs(timesteps: Sequence[int], schedule: NoiseSchedule) -> Iterator[tuple[int, int]]:
    """Pair each time step with the one it leads to; the last leads to -1, the clean end of the table."""
    falling = all(later < earlier for earlier, later in pairwise(timesteps))
    if not timesteps or not falling or not 0 <= timesteps[-1] <= timesteps[0] < schedule.num_train_timesteps:
        raise ConfigError(
            f"timesteps begin {list(timesteps)[:5]}; give a falling list within {schedule.num_train_timesteps - 1} to 0"
        )
    return zip(timesteps, [*timesteps[1:], -1], strict=True)


def _estimate(
    net: Denoiser, x_t: Tensor, t: int, schedule: NoiseSchedule, prediction_type: PredictionType
) -> tuple[Tensor, Tensor]:
    """Call the network once and return what it says as (x0_hat, noise)."""
    times = torch.full((len(x_t),), t, device=x_t.device)
    prediction = net(x_t, times).to(x_t.dtype)
    return (
        predict_x0(x_t, prediction, times, schedule, prediction_type),
        predict_noise(x_t, prediction, times, schedule, prediction_type),
    )


def _half_log_snr(schedule: NoiseSchedule, t: int) -> float:
    abar = schedule.abar(t)
    return 0.5 * math.log(abar / (1.0 - abar))
