"""What the prior learns from of a noisy window: the noise that is left of it, and nothing that tells of it otherwise.

Read `train.py` next. Legend: N windows, C channels, L points, F channels of evidence, T steps of the schedule.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["BLIND", "noisy"]

BLIND = (2, 3, 4, 6, 8, 9, 10, 11)  # channels of the evidence that tell of the window itself


def noisy(
    x: Float[Tensor, "N C F L"],
    t: Int[Tensor, " N"],
    noise: Float[Tensor, "N C L"],
    alphas_cumprod: Float[Tensor, " T"],
) -> Float[Tensor, "N C F L"]:
    """Return the evidence beside noisy windows: z_t = sqrt(a_t) z_0 + sqrt(1 - a_t) noise, and nothing that tells z_0.

    Windows with t = 0 stay as they are.
    """
    kept = alphas_cumprod[t][:, None, None]
    result = x.clone()
    result[:, :, BLIND] = 0.0
    result[:, :, 0] = kept.sqrt() * x[:, :, 0] + (1.0 - kept).sqrt() * noise
    return torch.where((t > 0)[:, None, None, None], result, x)
