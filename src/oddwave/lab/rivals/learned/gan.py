"""A generative adversarial network over images, and its training: what AnoGAN and f-AnoGAN have in common.

    min_D  mean softplus(-D(x)) + softplus(D(G(z))) + r / 2 |grad_x D(x)|^2,   min_G  mean softplus(-D(G(z)))
    z ~ N(0, I)

Source: Goodfellow et al. 2014, Generative adversarial nets (arXiv 1406.2661); the networks are DCGAN's (Radford et al.
2016, arXiv 1511.06434), the penalty on the slope is that of Mescheder et al. 2018 (arXiv 1801.04406).

Departures. The discriminator has no batch normalisation, so that an item's features depend on no other item; its slope
at real images is penalised instead. The generator ends without tanh, and its running average is what scores. Read
`anogan.py` next.

Legend: B batch, C channels, H x W the grid, D numbers of a code z, O outputs, F channels of an inner layer, h x w its
grid.
"""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.errors import ShapeError
from oddwave.lab.rivals.learned.method import LearnedMethod
from oddwave.training.adamw import AdamW
from oddwave.training.minimise import Descent

__all__ = ["Adam", "Gan", "GanMethod", "StridedNetwork"]

_LEAST_SIDE, _COARSE_SIDE, _MOST_LEVELS = 16, 4, 4
_LEAK = 0.2
_EMA_DECAY = 0.99


class Gan(nn.Module):
    """A DCGAN: `generator` draws images from codes, `discriminator` gives more than 0 to those it takes for real."""

    def __init__(self, channels: int, grid: tuple[int, ...], code_size: int, width: int) -> None:
        super().__init__()
        if len(grid) != 2 or min(grid) < _LEAST_SIDE:
            raise ShapeError(f"items have the grid {grid}: give images of {_LEAST_SIDE} px or more a side")
        levels = min(_MOST_LEVELS, int(math.log2(min(grid) / _COARSE_SIDE)))
        widths = [width * 2**level for level in range(levels)]
        self.code_size = code_size
        self.generator = _Generator(channels, grid, code_size, widths)
        self.discriminator = StridedNetwork(channels, grid, widths, 1)

    def draw(self, num: int) -> Float[Tensor, "B C H W"]:
        """Draw so many images, codes from torch's global generator."""
        drawn: Tensor = self.generator(torch.randn(num, self.code_size))
        return drawn

    def inner(self, items: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F h w"]:
        """Return f: the last convolution of the discriminator but one, 8 x 8 places for images of 64 px."""
        return self.discriminator.features(items, len(self.discriminator.down) - 1)


class _Generator(nn.Module):
    """Transposed convolutions, each doubling the grid; a grid that cannot be halved so often is cut to size."""

    def __init__(self, channels: int, grid: tuple[int, ...], code_size: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.grid = grid
        self.coarse = (widths[-1], *(-(-side // 2 ** len(widths)) for side in grid))
        self.from_code = nn.Linear(code_size, math.prod(self.coarse))
        layers: list[nn.Module] = [nn.BatchNorm2d(widths[-1]), nn.ReLU()]
        for before, after in pairwise(reversed(widths)):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.up = nn.Sequential(*layers, nn.ConvTranspose2d(widths[0], channels, 4, 2, 1))

    def forward(self, code: Float[Tensor, "B D"]) -> Float[Tensor, "B C H W"]:
        shown: Tensor = self.up(self.from_code(code).reshape(-1, *self.coarse))
        return shown[..., : self.grid[0], : self.grid[1]].float()


class StridedNetwork(nn.Module):
    """Convolutions, each halving the grid, to a few numbers: the discriminator has one, an encoder those of a code."""

    def __init__(self, channels: int, grid: tuple[int, ...], widths: Sequence[int], num_outputs: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(before, after, 4, 2, 1) for before, after in pairwise((channels, *widths)))
        flat = widths[-1] * math.prod(side // 2 ** len(widths) for side in grid)
        self.judge = nn.Linear(flat, num_outputs)

    def forward(self, items: Float[Tensor, "B C H W"]) -> Float[Tensor, "B O"]:
        verdict: Tensor = self.judge(self.features(items, len(self.down)).flatten(1))
        return verdict.float()

    def features(self, items: Float[Tensor, "B C H W"], depth: int) -> Float[Tensor, "B F h w"]:
        """Return the output of the first `depth` convolutions."""
        found = items
        for layer in self.down[:depth]:
            found = F.leaky_relu(layer(found), _LEAK)
        return found.float()


class Adam(AdamW):
    """Adam with the low momentum that adversarial training needs, beta = (0.5, 0.999)."""

    count = 0

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Move the weights along their gradients."""
        self.count += 1
        for weight, first, second in zip(self.weights, self._first, self._second, strict=True):
            assert weight.grad is not None
            first.lerp_(weight.grad, 0.5)
            second.lerp_(weight.grad.square(), 0.001)
            size = (second / (1.0 - 0.999**self.count)).sqrt_().add_(1e-8)
            weight.addcdiv_(first, size, value=-lr / (1.0 - 0.5**self.count))


@dataclass(kw_only=True, eq=False)
class GanMethod(LearnedMethod):
    """A method over a `Gan`; a subclass writes `error_maps` at least."""

    num_steps: int = 600
    batch_size: int = 32
    code_size: int = 64
    width: int = 16
    slope_penalty: float = 1.0

    @property
    def gan(self) -> Gan:
        """The trained networks. Raises: NotFittedError."""
        network = self.network
        assert isinstance(network, Gan)
        return network

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        return Gan(channels, grid, self.code_size, self.width)

    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
        """Return the generator's loss; that of the discriminator is `_verdict_loss`."""
        assert isinstance(network, Gan)
        return F.softplus(-network.discriminator(network.draw(len(batch)))).mean()

    def _verdict_loss(self, gan: Gan, batch: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
        with torch.no_grad():
            drawn = gan.draw(len(batch))
        real = batch.clone().requires_grad_()
        of_real, of_drawn = gan.discriminator(real), gan.discriminator(drawn)
        (slope,) = torch.autograd.grad(of_real.sum(), real, create_graph=True)
        penalty = self.slope_penalty / 2 * slope.square().flatten(1).sum(1)
        return (F.softplus(-of_real) + F.softplus(of_drawn) + penalty[:, None]).mean()

    def _train(self, network: nn.Module, items: Float[Tensor, "N C H W"], tell: Callable[[int, int], None]) -> None:
        assert isinstance(network, Gan)
        self._train_gan(network, items, self.num_steps, lambda done: tell(done, self.num_steps))

    def _train_gan(
        self, gan: Gan, items: Float[Tensor, "N C H W"], num_steps: int, tell: Callable[[int], None]
    ) -> None:
        """Step the discriminator and the generator in turn, and keep the generator's running average."""
        average = deepcopy(gan.generator)
        judging, drawing = (
            Descent(list(part.parameters()), clip=None, optimizer=Adam) for part in (gan.discriminator, gan.generator)
        )
        rates = self._rates()
        for step in range(num_steps):
            rate, batch = rates[step * self.num_steps // num_steps], self._batch(items)
            with self._half_precision():
                loss = self._verdict_loss(gan, batch)
            judging.down(loss, rate)
            with self._half_precision():
                loss = self._loss(gan, batch)
            drawing.down(loss, rate)
            _follow(average, gan.generator, min(_EMA_DECAY, (1 + step) / (10 + step)))
            tell(step + 1)
        gan.generator.load_state_dict(average.state_dict())


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move a running average towards a network, its batch statistics too."""
    for mean, now in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, 1.0 - decay)
