"""A light decoder from the feature grid back to an image: it shows what a repaired grid would look like.

Scores never pass through it. It is trained on normal images alone, so it knows normal surfaces only; it is there for
people's eyes. Read `feature_grid.py` for the grid.

Legend: B batch, C channels of the image, D of the grid, G side of the grid, S side of the image (a multiple of G).
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.errors import ConfigError
from oddwave.nets.blocks import conv, group_norm

__all__ = ["FeatureDecoder"]

_WIDEST, _NARROWEST = 64, 16


class FeatureDecoder(nn.Module):
    """Double the grid by nearest neighbours and a convolution until it is an image of `size_px`, values in [-1, 1]."""

    def __init__(self, in_width: int, grid: int, channels: int, size_px: int) -> None:
        """Build the decoder. Raises: ConfigError where `size_px` is not `grid` times a power of two."""
        super().__init__()
        ratio = size_px // grid
        if ratio * grid != size_px or ratio & (ratio - 1) or ratio < 1:
            raise ConfigError(f"a grid of {grid} cannot be doubled to {size_px} px: give a grid that divides it by 2^n")
        steps = ratio.bit_length() - 1
        widths = [max(_NARROWEST, _WIDEST >> step) for step in range(steps + 1)]
        self.input = conv(2, in_width, widths[0])
        self.steps = nn.ModuleList(conv(2, wide, narrow) for wide, narrow in pairwise(widths))
        self.norms = nn.ModuleList(group_norm(width, 8) for width in widths)
        self.output = conv(2, widths[-1], channels)

    def forward(self, grid: Float[Tensor, "B D G G"]) -> Float[Tensor, "B C S S"]:
        """Return the images."""
        h = F.silu(self.norms[0](self.input(grid)))
        for step, norm in zip(self.steps, self.norms[1:], strict=True):
            h = F.silu(norm(step(F.interpolate(h, scale_factor=2.0, mode="nearest"))))
        image: Tensor = torch.tanh(self.output(h))
        return image
