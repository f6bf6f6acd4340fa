"""f-AnoGAN: a generator trained on normal images, and an encoder that says at once which code draws an item best.

    map(x) = |x - G(E(x))|^2 / C + k |f(x) - f(G(E(x)))|^2 / F,   the second spread over the grid
    loss   = mean of the map, over the weights of E alone: the paper's "izi_f"

Source: Schlegl et al. 2019, f-AnoGAN: fast unsupervised anomaly detection with generative adversarial networks (Medical
Image Analysis 54, doi 10.1016/j.media.2019.01.010), equations 2 to 5.

Departures. The generator is that of `gan.py`, with its loss and its code of 64 numbers, not a residual network trained
as a Wasserstein GAN; it takes two thirds of `num_steps`, the encoder the rest. The paper shows the first term alone as
its map; here the second, which the paper adds to the score of the whole item, has its place there too. Read `gan.py`
first.

Legend: B batch, C channels, H x W the grid, D numbers of a code, F channels of f.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.lab.rivals.learned.gan import Adam, Gan, GanMethod, StridedNetwork
from oddwave.training.minimise import minimise

__all__ = ["FastAnoGAN"]


@dataclass(kw_only=True, eq=False)
class FastAnoGAN(GanMethod):
    """Squared distance to the image that a generator draws from an encoder's code."""

    name: ClassVar[str] = "fast_anogan"
    num_steps: int = 780
    feature_weight: float = 1.0

    def error_maps(self, items: Float[Tensor, "B C H W"]) -> Float[Tensor, "B H W"]:
        """Return how far the drawn image is at each place, mean over channels."""
        with torch.inference_mode():
            return self._distances(self._encoded, items)

    @property
    def _encoded(self) -> "_EncodedGan":
        network = self.network
        assert isinstance(network, _EncodedGan)
        return network

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        return _EncodedGan(channels, grid, self.code_size, self.width)

    def _train(self, network: nn.Module, items: Float[Tensor, "N C H W"], tell: Callable[[int, int], None]) -> None:
        assert isinstance(network, _EncodedGan)
        num_gan_steps = max(1, 2 * self.num_steps // 3)
        self._train_gan(network, items, num_gan_steps, lambda done: tell(done, self.num_steps))
        network.eval()  # the encoder learns to use the generator that scores
        num_left = self.num_steps - num_gan_steps
        rates = self._rates()
        steps = minimise(
            lambda _: self._distances(network, self._batch(items)).mean(),
            list(network.encoder.parameters()),
            [rates[step * self.num_steps // num_left] for step in range(num_left)],
            clip=None,
            optimizer=Adam,
            precision=self._half_precision,
        )
        for done in steps:
            tell(num_gan_steps + done, self.num_steps)

    def _distances(self, network: "_EncodedGan", items: Float[Tensor, "B C H W"]) -> Float[Tensor, "B H W"]:
        drawn: Tensor = network.generator(network.encoder(items))
        apart = (network.inner(items) - network.inner(drawn)).square().mean(1, keepdim=True)
        spread: Tensor = F.interpolate(apart, size=items.shape[2:], mode="bilinear")[:, 0]
        return (items - drawn).square().mean(1) + self.feature_weight * spread


class _EncodedGan(Gan):
    """A GAN with an encoder of the discriminator's form."""

    def __init__(self, channels: int, grid: tuple[int, ...], code_size: int, width: int) -> None:
        super().__init__(channels, grid, code_size, width)
        widths = [layer.out_channels for layer in self.discriminator.down if isinstance(layer, nn.Conv2d)]
        self.encoder = StridedNetwork(channels, grid, widths, code_size)
