"""The convolutional network of the autoencoders: three strided convolutions to a code and back.

One class for images, series and sound; what a code means (a point, or a mean and a variance) is the method's own.
Read `vae.py` and `conv_autoencoder.py`, which use it.

Legend: B batch, C channels, ... the grid, E numbers that the encoder gives, D numbers that the decoder takes.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["AutoencoderNetwork"]

_WIDTHS = (16, 32, 64)


class AutoencoderNetwork(nn.Module):
    """Encoder to `encoded_size` numbers, decoder from `code_size`; odd grids are cut back to size at the end."""

    def __init__(self, channels: int, grid: tuple[int, ...], encoded_size: int, code_size: int) -> None:
        super().__init__()
        conv, deconv = (nn.Conv2d, nn.ConvTranspose2d) if len(grid) == 2 else (nn.Conv1d, nn.ConvTranspose1d)
        self.grid = grid
        sizes = [grid]
        for _ in _WIDTHS:
            sizes.append(tuple(-(-size // 2) for size in sizes[-1]))
        self.coarse = (_WIDTHS[-1], *sizes[-1])
        down: list[nn.Module] = []
        for before, after in pairwise((channels, *_WIDTHS)):
            down += [conv(before, after, 3, 2, 1), nn.SiLU()]
        self.down = nn.Sequential(*down)
        flat = torch.Size(self.coarse).numel()
        self.to_code, self.from_code = nn.Linear(flat, encoded_size), nn.Linear(code_size, flat)
        up: list[nn.Module] = []
        for before, after in pairwise((*reversed(_WIDTHS), channels)):
            up += [nn.SiLU(), deconv(before, after, 4, 2, 1)]
        self.up = nn.Sequential(*up)

    def encode(self, x: Float[Tensor, "B C ..."]) -> Float[Tensor, "B E"]:
        """Return the numbers that stand for an item, in float32."""
        encoded: Tensor = self.to_code(self.down(x).flatten(1))
        return encoded.float()

    def decode(self, code: Float[Tensor, "B D"]) -> Float[Tensor, "B C ..."]:
        """Return the item that a code stands for."""
        shown: Tensor = self.up(self.from_code(code).reshape(-1, *self.coarse))
        for axis, size in enumerate(self.grid, start=2):
            shown = shown.narrow(axis, 0, size)
        return shown
