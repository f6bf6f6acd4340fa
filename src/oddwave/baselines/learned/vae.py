"""Variational autoencoder: reconstruction error of a convolutional VAE, on pictures, series and sound.

    q(z | x) = N(mu(x), diag sigma(x)^2),   p(x | z) = N(g(z), I)
    loss     = ||x - g(z)||^2 / 2 + KL(q(z | x) || N(0, I)),  summed over all numbers of x, over their count
    map(x)   = mean over C of (x - g(mu(x)))^2

Source: Kingma and Welling 2014, Auto-encoding variational Bayes (arXiv 1312.6114), equations 7 and 10; as an anomaly
score An and Cho 2015.

Departures. The score is the error of the reconstruction from the mean code, not the average over drawn codes (An and
Cho's reconstruction probability): it is deterministic and ranks alike where p has one variance. Read `method.py` first.

Legend: B batch, C channels, ... the grid, D numbers of a code.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.baselines.learned.method import LearnedMethod

__all__ = ["VAE"]

_WIDTHS = (16, 32, 64)


@dataclass(kw_only=True, eq=False)
class VAE(LearnedMethod):
    """Error of the reconstruction by a convolutional variational autoencoder."""

    name: ClassVar[str] = "vae"
    num_steps: int = 1000
    batch_size: int = 32
    code_size: int = 64

    def error_maps(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B ..."]:
        """Return the squared error at each place, mean over channels."""
        network = self.network
        assert isinstance(network, _Autoencoder)
        with torch.inference_mode():
            return (items - network.decode(network.encode(items)[0])).square().mean(1)

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        return _Autoencoder(channels, grid, self.code_size)

    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, ""]:
        assert isinstance(network, _Autoencoder)
        mean, log_variance = network.encode(batch)
        code = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        error = (batch - network.decode(code).float()).square().sum() / 2
        divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum()
        return (error + divergence) / batch.numel()


class _Autoencoder(nn.Module):
    """Three strided convolutions to a code and back; grids that cannot be halved are cut back at the end."""

    def __init__(self, channels: int, grid: tuple[int, ...], code_size: int) -> None:
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
        self.to_code, self.from_code = nn.Linear(flat, 2 * code_size), nn.Linear(code_size, flat)
        up: list[nn.Module] = []
        for before, after in pairwise((*reversed(_WIDTHS), channels)):
            up += [nn.SiLU(), deconv(before, after, 4, 2, 1)]
        self.up = nn.Sequential(*up)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the code."""
        mean, log_variance = self.to_code(self.down(x).flatten(1)).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-10.0, 10.0)

    def decode(self, code: Tensor) -> Tensor:
        """Return the item that a code stands for."""
        shown: Tensor = self.up(self.from_code(code).reshape(-1, *self.coarse))
        for axis, size in enumerate(self.grid, start=2):
            shown = shown.narrow(axis, 0, size)
        return shown
