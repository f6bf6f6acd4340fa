"""The wavelet pyramid module: the noisy input's own wavelet bands, handed to every stage of the encoder.

Legend: B batch, C channels, *grid = L or H, W; l = 1..n level, p = reach of a filter beyond its pair of samples.
`oddwave.wavelets.pyramid` holds the filters; read `unet.py` next.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.nets.adapter import PortedConv
from oddwave.nets.blocks import reflect_pad
from oddwave.wavelets.pyramid import border_reach, filter_and_halve, filter_bank

__all__ = ["WaveletPyramid"]


class WaveletPyramid(nn.Module):
    """cat[A_l / 2^l, D_l] of the input, through a zero-initialised 1x1 convolution per level and port.

    The input is mirrored at its borders, far enough for all levels at once: p (2^n - 1) points at each end. Each level
    then filters without any padding and uses up p points of what is left of the margin, so nothing of one border can
    leak into the other, as it would through the periodic border of `dwt`.
    """

    bank: Tensor
    band_scale: Tensor

    def __init__(self, ports: Mapping[str, int], stage_widths: Sequence[int], *, grid_dims: int, wavelet: str) -> None:
        super().__init__()
        self.grid_dims = grid_dims
        self.num_levels = len(stage_widths)
        self.reach = border_reach(wavelet)
        self.num_bands = 2**grid_dims
        bands = {port: channels * self.num_bands for port, channels in ports.items()}
        self.levels = nn.ModuleList(
            PortedConv(bands, width, grid_dims=grid_dims, kernel_size=1, entering=True, zero=True)
            for width in stage_widths
        )
        self.register_buffer("bank", filter_bank(wavelet, grid_dims, dtype=torch.get_default_dtype()), persistent=False)
        scale = torch.ones(self.num_levels, self.num_bands, *(1,) * grid_dims)
        scale[:, 0] = torch.tensor([0.5**level for level in range(1, self.num_levels + 1)]).view(-1, *(1,) * grid_dims)
        self.register_buffer("band_scale", scale, persistent=False)

    def forward(self, x: Float[Tensor, "B C *grid"], port: str) -> list[Float[Tensor, "B F ..."]]:
        """Return what is added to the encoder at stages 1..n; level l has the grid's size / 2^l, rounded up."""
        return [level(bands, port) for level, bands in zip(self.levels, self.bands(x), strict=True)]

    def bands(self, x: Float[Tensor, "B C *grid"]) -> list[Float[Tensor, "B D ..."]]:
        """Return cat[A_l / 2^l, D_l] of each level l, D = C 2^grid_dims, the bands of one channel side by side."""
        levels = []
        for coefficients, scale in zip(self.coefficients(x), self.band_scale, strict=True):
            levels.append((coefficients * scale).flatten(1, 2))
        return levels

    def coefficients(self, x: Float[Tensor, "B C *grid"]) -> list[Float[Tensor, "B C bands ..."]]:
        """Return the bands of each level, unscaled, in the order of `dwt`, cropped to the exact halved sizes."""
        batch, channels, *grid = x.shape
        margin = self.reach * (2**self.num_levels - 1)
        pads = [(margin, margin + -size % 2**self.num_levels) for size in grid]
        rest = reflect_pad(x, pads).flatten(0, 1).unsqueeze(1)
        levels = []
        for _ in range(self.num_levels):
            bands = filter_and_halve(rest, self.bank)
            rest = bands[:, :1]
            margin = (margin - self.reach) // 2
            grid = [(size + 1) // 2 for size in grid]
            for axis, size in enumerate(grid, start=2):
                bands = bands.narrow(axis, margin, size)
            levels.append(bands.reshape(batch, channels, *bands.shape[1:]))
        return levels
