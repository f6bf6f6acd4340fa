"""Convolutional autoencoder: error of the reconstruction from a narrow code, on images, series and sound.

    z      = f(x),   D numbers
    loss   = mean of (x - g(z))^2
    map(x) = mean over C of (x - g(f(x)))^2

Source: Masci et al. 2011, Stacked convolutional auto-encoders for hierarchical feature extraction; as an anomaly score
Sakurada and Yairi 2014, Anomaly detection using autoencoders with nonlinear dimensionality reduction.

Departures. Strided convolutions stand for pooling, all layers are trained at once, and the code is a vector: with a
code as large as a feature map a network copies anomalies too. The code has an eighth of the numbers of an item at most.
Read `autoencoder_network.py` next.

Legend: B batch, C channels, ... the grid, D numbers of a code.
"""

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.lab.rivals.learned.autoencoder_network import AutoencoderNetwork
from oddwave.lab.rivals.learned.method import LearnedMethod

__all__ = ["ConvAutoencoder"]

_VALUES_PER_NUMBER = 8


@dataclass(kw_only=True, eq=False)
class ConvAutoencoder(LearnedMethod):
    """Error of the reconstruction by a convolutional autoencoder whose code has at most `code_size` numbers."""

    name: ClassVar[str] = "conv_autoencoder"
    num_steps: int = 1000
    batch_size: int = 32
    code_size: int = 64

    def error_maps(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B ..."]:
        """Return the squared error at each place, mean over channels."""
        with torch.inference_mode():
            return (items - _reconstructed(self.network, items)).square().mean(1)

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        size = max(1, min(self.code_size, channels * prod(grid) // _VALUES_PER_NUMBER))
        return AutoencoderNetwork(channels, grid, size, size)

    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, ""]:
        return (batch - _reconstructed(network, batch).float()).square().mean()


def _reconstructed(network: nn.Module, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B C ..."]:
    assert isinstance(network, AutoencoderNetwork)
    return network.decode(network.encode(items))
