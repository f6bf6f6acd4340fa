"""The time embedding: sinusoids of t, optionally convolved as a 1-D signal (hybrid), then a small MLP.

Legend: B batch, S sinusoids, E width of the embedding. Read `blocks.py` next: `ResidualBlock` uses the embedding.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from oddwave.nets.blocks import separate_draws

__all__ = ["TimeEmbedding", "sinusoids"]

_CONV_FEATURES = 8  # filters of the hybrid embedding's first layer


def sinusoids(t: Float[Tensor, " B"], frequencies: Float[Tensor, " half"]) -> Float[Tensor, "B S"]:
    """Return [sin(t w_i), cos(t w_i)], neighbours in frequency side by side (Vaswani et al. 2017, section 3.5)."""
    angles = t[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class TimeEmbedding(nn.Module):
    """MLP(Conv1D(Sinusoidal(t))): two convolutions of three taps with SiLU, left out if not `hybrid`."""

    frequencies: Tensor

    def __init__(self, width: int, *, hybrid: bool) -> None:
        super().__init__()
        half = width // 2
        steps = torch.arange(half, dtype=torch.float32, device="cpu") / half  # also of a net on the device "meta"
        self.register_buffer("frequencies", torch.exp(-math.log(10_000.0) * steps), persistent=False)
        self.mlp = nn.Sequential(nn.Linear(2 * half, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.convs: nn.Module = _signal_convs() if hybrid else nn.Identity()

    def forward(self, t: Float[Tensor, " B"] | Int[Tensor, " B"]) -> Float[Tensor, "B E"]:
        """Return the embedding of each item's t, any real number; steps 0..999 are what a trained net knows."""
        own_dtype = self.frequencies.dtype
        # Half precision cannot tell t = 998 from 999.
        dtype = torch.promote_types(own_dtype, torch.float32)
        signal = sinusoids(t.to(dtype), self.frequencies.to(dtype)).to(own_dtype)
        out: Tensor = self.mlp(self.convs(signal[:, None]).squeeze(1))
        return out


def _signal_convs() -> nn.Module:
    with separate_draws("hybrid_embedding"):
        return nn.Sequential(
            nn.Conv1d(1, _CONV_FEATURES, 3, padding=1),
            nn.SiLU(),
            nn.Conv1d(_CONV_FEATURES, 1, 3, padding=1),
            nn.SiLU(),
        )
