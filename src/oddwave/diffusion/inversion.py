"""Inversion: carry an item to noise deterministically, against the direction in which samplers walk.

Where an item is as training data are, it arrives as standard normal noise; where it is not, it arrives somewhere else,
so the place of arrival says how likely the item is. Read `samplers.py` for the way back.

Source: Song et al. 2021 (DDIM as an ordinary differential equation, arXiv 2010.02502, section 4.3). Legend: B batch,
C channels, ... the grid.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.diffusion.process import Denoiser, PredictionType, predict_noise, predict_x0
from oddwave.diffusion.schedule import NoiseSchedule
from oddwave.errors import ConfigError

__all__ = ["invert"]


def invert(
    net: Denoiser,
    x0: Float[Tensor, "B C ..."],
    schedule: NoiseSchedule,
    timesteps: Sequence[int],
    prediction_type: PredictionType = "epsilon",
) -> Float[Tensor, "B C ..."]:
    """Walk from x_0 up through rising `timesteps`, one network call between two of them; return x_t at the last.

        x_next = a_next x0_hat(x_t, t) + s_next eps(x_t, t)

    At the first time step the item enters without noise (x_t = a x_0), so that one should be small.

    Raises:
        ConfigError: fewer than two time steps, or not in rising order.
    """
    if len(timesteps) < 2 or any(later <= earlier for earlier, later in pairwise(timesteps)):
        raise ConfigError(f"timesteps are {list(timesteps)}: give two or more, in rising order")
    t = torch.full((len(x0),), timesteps[0], dtype=torch.long, device=x0.device)
    x_t = schedule.scales(t, x0)[0] * x0
    for step in timesteps[1:]:
        prediction = net(x_t, t).to(x0.dtype)
        estimate = predict_x0(x_t, prediction, t, schedule, prediction_type)
        noise = predict_noise(x_t, prediction, t, schedule, prediction_type)
        t = torch.full_like(t, step)
        a, s = schedule.scales(t, x0)
        x_t = a * estimate + s * noise
    return x_t
