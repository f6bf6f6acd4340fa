"""Variational autoencoder: reconstruction error of a convolutional VAE, on images, series and sound.

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
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.lab.rivals.learned.autoencoder_network import AutoencoderNetwork
from oddwave.lab.rivals.learned.method import LearnedMethod

__all__ = ["VAE"]


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
        assert isinstance(network, AutoencoderNetwork)
        with torch.inference_mode():
            return (items - network.decode(_distribution(network, items)[0])).square().mean(1)

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        return AutoencoderNetwork(channels, grid, 2 * self.code_size, self.code_size)

    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, ""]:
        assert isinstance(network, AutoencoderNetwork)
        mean, log_variance = _distribution(network, batch)
        code = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        error = (batch - network.decode(code).float()).square().sum() / 2
        divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum()
        return (error + divergence) / batch.numel()


def _distribution(
    network: AutoencoderNetwork, items: Float[Tensor, "B C ..."]
) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
    """Return mean and log variance of the code."""
    mean, log_variance = network.encode(items).chunk(2, dim=1)
    return mean, log_variance.clamp(-10.0, 10.0)
