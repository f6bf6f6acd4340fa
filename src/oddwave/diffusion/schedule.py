"""The noise schedule: one frozen table that every other part of the diffusion reads.

Holds `NoiseSchedule` and `make_schedule`. Read `process.py` next (noising, targets, losses), then `samplers.py`.

Legend: B batch, T number of training time steps, abar_t = prod over s <= t of (1 - beta_s).
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from oddwave.errors import ConfigError

__all__ = ["NoiseSchedule", "ScheduleName", "make_schedule"]

ScheduleName = Literal["linear", "cosine"]

_COSINE_OFFSET = 0.008  # keeps the first betas from vanishing
_MAX_BETA = 0.999  # a beta of 1 would leave nothing of x0 to divide by


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """A table of T time steps in float64; index t = 0 is the least noisy step, T - 1 the noisiest.

    `betas` lie in (0, 1); `alphas_cumprod` (abar) falls strictly from just below 1 towards 0. The mean of x_t is
    sqrt(abar_t) x0 and its noise has standard deviation sqrt(1 - abar_t).
    """

    betas: Float[Tensor, " T"]
    alphas_cumprod: Float[Tensor, " T"]
    _copies: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)

    @property
    def num_train_timesteps(self) -> int:
        """T, the number of time steps in the table."""
        return len(self.betas)

    def scales(self, t: Int[Tensor, " B"], like: Tensor) -> tuple[Tensor, Tensor]:
        """Look up sqrt(abar_t) and sqrt(1 - abar_t), shaped (B, 1, ...) to multiply `like` of shape (B, C, *grid).

        The square roots are taken in float64 and rounded once to the type of `like`.
        """
        key = (like.device, like.dtype)
        if key not in self._copies:
            roots = self.alphas_cumprod.sqrt(), (1.0 - self.alphas_cumprod).sqrt()
            self._copies[key] = (roots[0].to(*key), roots[1].to(*key))
        shape = (-1,) + (1,) * (like.ndim - 1)
        signal, noise = self._copies[key]
        return signal[t].view(shape), noise[t].view(shape)

    def abar(self, t: int) -> float:
        """Return abar_t as a Python float; t = -1 is the clean end of the table, where abar = 1."""
        return 1.0 if t < 0 else float(self.alphas_cumprod[t])

    def timestep_at(self, noise_level: float) -> int:
        """Return the time step that a noise level in (0, 1] stands for; 1.0 is the last one, T - 1.

        Raises:
            ConfigError: if the level lies outside (0, 1].
        """
        if not 0.0 < noise_level <= 1.0:
            raise ConfigError(f"noise_level is {noise_level}; give a number above 0 and at most 1 (1 = full noise)")
        return max(round(noise_level * self.num_train_timesteps) - 1, 0)


def make_schedule(
    name: ScheduleName = "linear",
    num_train_timesteps: int = 1000,
    beta_start: float = 1e-4,
    beta_end: float = 0.02,
) -> NoiseSchedule:
    """Build the table of a named schedule.

    `linear`: betas evenly spaced from `beta_start` to `beta_end`, both included; the defaults are meant for T = 1000, a
    shorter table needs larger betas to reach full noise. `cosine`: abar follows cos^2 of a quarter turn and ignores the
    two betas; single betas are capped at 0.999.

    Raises:
        ConfigError: for an unknown name, fewer than 2 steps, or betas outside 0 < beta_start <= beta_end < 1.

    Source: linear, Ho et al. 2020 (arXiv 2006.11239); cosine, Nichol and Dhariwal 2021 (arXiv 2102.09672), eq. 17.
    """
    if num_train_timesteps < 2:
        raise ConfigError(f"num_train_timesteps is {num_train_timesteps}; give at least 2 (1000 is usual)")
    if name == "linear":
        if not 0.0 < beta_start <= beta_end < 1.0:
            raise ConfigError(f"beta_start={beta_start}, beta_end={beta_end}; give 0 < beta_start <= beta_end < 1")
        betas = torch.linspace(beta_start, beta_end, num_train_timesteps, dtype=torch.float64)
    elif name == "cosine":
        betas = _cosine_betas(num_train_timesteps)
    else:
        raise ConfigError(f"there is no schedule {name!r}; choose 'linear' or 'cosine'")
    return NoiseSchedule(betas, torch.cumprod(1.0 - betas, dim=0))


def _cosine_betas(num_train_timesteps: int) -> Float[Tensor, " T"]:
    edges = torch.linspace(0.0, 1.0, num_train_timesteps + 1, dtype=torch.float64)
    abar = torch.cos((edges + _COSINE_OFFSET) / (1.0 + _COSINE_OFFSET) * (math.pi / 2)) ** 2
    return (1.0 - abar[1:] / abar[:-1]).clamp(max=_MAX_BETA)
