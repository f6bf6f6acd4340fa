"""Diffusion time estimation: how much noise does a vector look to have? What is expected of the item itself scores it.

    x_s = x + s e,   e ~ N(0, I),  log s uniform from `least_noise` to `most_noise`,  x a whitened vector of an item
    a network sees x_s and gives its posterior over the time, that is over s

A vector that lies off the normal ones looks like one that was moved off them by noise. This module holds what the three
forms of it share: items as whitened vectors and back (a window of a series is one vector; of a grid it is the patch
around each place, one place where there are many channels, 8 x 8 where there are few), and the training of the two that
have a network. The network sees |x| / sqrt(D) apart from the direction, and nothing larger than `most_noise` could have
made: how many times larger a vector was is handed on beside what is said, as time goes on where training ended.

Source: Livernoche et al. 2023, On diffusion modeling for anomaly detection (arXiv 2305.18593).

Departures of all three. The paper takes an item as one vector; patches make a map of a grid, log(1 + exp z) with z a
place's score in deviations of those of training items there. Vectors are whitened, by Ledoit and Wolf's covariance, so
that the same distance is as odd in every direction. Whitened vectors noised as DDPM does it (a x + s e) would look
alike at all times, so x is not shrunk, as in the paper's own derivation. Read `dte_nonparametric.py` next, which has no
network.

Legend: N items, B of a batch, C channels, ... the grid, n vectors of an item, m of a batch, D numbers of one, K said.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from sklearn.covariance import ledoit_wolf
from torch import Tensor, nn

from oddwave.errors import ConfigError
from oddwave.lab.rivals.learned.method import LearnedMethod
from oddwave.lab.rivals.whitening import inverse_root

__all__ = ["DiffusionTimeMethod", "TrainedTimeMethod", "Whitening", "as_maps", "as_vectors"]

_PATCH_SIDE, _ENOUGH_CHANNELS = 8, 64
_WIDTHS = (256, 512, 256)  # the paper's network
_MOST_VECTORS, _LEAST_VECTORS, _MOST_NUMBERS = 512, 64, 2**19  # of a step
_MOST_MEASURED, _AT_ONCE = 10_000, 32
_WIDEST = 1024  # numbers of a vector: above, whitening is of single numbers
_RIDGE, _LEAST_VARIANCE = 0.01, 1e-4  # as shares of the mean variance, and of items of unit size
_PRIOR_ITEMS = 20.0  # seen in so many items, a place's own statistics weigh as much as that of all places


def as_vectors(items: Float[Tensor, "B C ..."]) -> tuple[Float[Tensor, "B n D"], tuple[int, ...]]:
    """Return each item as vectors, and how many there are along each axis of the grid."""
    if items.ndim == 3:
        return items.flatten(1)[:, None], (1,)
    if items.shape[1] >= _ENOUGH_CHANNELS:
        return items.flatten(2).transpose(1, 2), tuple(items.shape[2:])
    side = min(_PATCH_SIDE, *items.shape[2:])
    stride, margin = max(1, side // 2), side // 4  # patches lie around the middles of blocks of `stride` places
    wide = F.pad(items, (margin,) * 4, mode="replicate")
    counts = tuple((size - side) // stride + 1 for size in wide.shape[2:])
    return F.unfold(wide, side, stride=stride).transpose(1, 2), counts


def as_maps(values: Float[Tensor, "B n"], counts: tuple[int, ...], grid: tuple[int, ...]) -> Float[Tensor, "B ..."]:
    """Bring one value for each vector to the places of the grid."""
    coarse = values.reshape(len(values), 1, *counts)
    mode = "linear" if len(grid) == 1 else "bilinear"
    return F.interpolate(coarse, size=grid, mode=mode, align_corners=False)[:, 0]


class Whitening(nn.Module):
    """Centre and whitening of vectors, as buffers: their numbers get about unit size and go each its own way."""

    centre: Tensor
    factor: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("factor", torch.ones(width))

    def measure(self, vectors: Float[Tensor, "m D"]) -> None:
        """Learn from normal vectors; of very wide ones, or of one alone, each number by itself."""
        self.centre = vectors.mean(0)
        away = vectors - self.centre
        ridge = _RIDGE * max(float(away.square().mean()), _LEAST_VARIANCE)
        if len(away) < 2 or away.shape[1] > _WIDEST:
            self.factor = (away.square().mean(0) + ridge).rsqrt()
            return
        covariance = torch.from_numpy(ledoit_wolf(away.double().numpy(), assume_centered=True)[0])
        self.factor = inverse_root(covariance, ridge=ridge).float()

    def forward(self, vectors: Float[Tensor, "m D"]) -> Float[Tensor, "m D"]:
        """Return whitened vectors."""
        away = vectors - self.centre
        return away * self.factor if self.factor.ndim == 1 else away @ self.factor


@dataclass(kw_only=True, eq=False)
class DiffusionTimeMethod(LearnedMethod):
    """A method that scores whitened vectors; a subclass writes the head of the network that does so."""

    batch_size: int = 64

    @final
    def error_maps(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B ..."]:
        """Return how far each place's score lies above those of normal items; of a window its own, at all points."""
        with torch.inference_mode():
            scores, counts = self._scores(items)
            if items.ndim > 3:
                scores = F.softplus((scores - self.network.get_buffer("mean")) / self.network.get_buffer("deviation"))
            return as_maps(scores, counts, tuple(items.shape[2:]))

    @abstractmethod
    def _head(self, width: int) -> nn.Module:
        """Return what says something about whitened vectors of `width` numbers."""

    def _time_score(self, said: Float[Tensor, "m ..."]) -> Float[Tensor, " m"]:
        """Turn what was said of vectors into their scores, which are above 0."""
        return said

    def _scores(self, items: Float[Tensor, "B C ..."]) -> tuple[Float[Tensor, "B n"], tuple[int, ...]]:
        vectors, counts = as_vectors(items)
        said = self.network(vectors.flatten(0, 1)).float()
        return self._time_score(said).reshape(len(items), -1), counts

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        width = as_vectors(torch.zeros(1, channels, *grid))[0].shape[2]
        network = nn.Sequential(Whitening(width), self._head(width))
        network.register_buffer("mean", torch.zeros(1))
        network.register_buffer("deviation", torch.ones(1))
        return network

    def _measured(self, network: nn.Module, items: Float[Tensor, "N C ..."]) -> tuple[Whitening, nn.Module]:
        """Measure the whitening, and return the two parts of the network."""
        whitening, head = _parts(network)
        vectors = as_vectors(items[torch.randperm(len(items))[:_MOST_MEASURED]])[0].flatten(0, 1)
        whitening.measure(vectors[torch.randperm(len(vectors))[:_MOST_MEASURED]])
        return whitening, head

    def _finish(self, network: nn.Module, items: Float[Tensor, "N C ..."]) -> None:
        if items.ndim == 3:
            return
        scores = torch.cat([self._scores(some)[0] for some in torch.split(items, _AT_ONCE)])
        trust = len(scores) / (len(scores) + _PRIOR_ITEMS)
        mean = torch.lerp(scores.mean(), scores.mean(0), trust)
        away = (scores - mean).square()
        network.register_buffer("mean", mean)
        network.register_buffer("deviation", torch.lerp(away.mean(), away.mean(0), trust).sqrt().clamp(min=1e-6))


@dataclass(kw_only=True, eq=False)
class TrainedTimeMethod(DiffusionTimeMethod):
    """A method whose head is trained to tell the noise; a subclass says what is told, and its loss and score."""

    num_steps: int = 1000
    least_noise: float = 0.1
    most_noise: float = 6.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.least_noise < self.most_noise:
            raise ConfigError(
                f"least_noise {self.least_noise}, most_noise {self.most_noise}: give the first above 0, and less"
            )

    @property
    @abstractmethod
    def _num_outputs(self) -> int:
        """Return K, how many numbers the network says about a vector."""

    @abstractmethod
    def _time_loss(self, said: Float[Tensor, "m _"], share: Float[Tensor, " m"]) -> Float[Tensor, ""]:
        """Return the loss of what was said of vectors at times given as shares, 0 for the least noise, 1 for most."""

    def _head(self, width: int) -> nn.Module:
        return _TimeNetwork(width, self._num_outputs, math.hypot(1.0, self.most_noise))

    def _train(self, network: nn.Module, items: Float[Tensor, "N C ..."], tell: Callable[[int, int], None]) -> None:
        self._measured(network, items)
        super()._train(network, items, tell)

    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, ""]:
        whitening, head = _parts(network)
        vectors = as_vectors(batch)[0].flatten(0, 1)
        count = max(_LEAST_VECTORS, min(_MOST_VECTORS, _MOST_NUMBERS // vectors.shape[1]))
        white = whitening(vectors[torch.randint(len(vectors), (count,))])
        share = torch.rand(count)
        noise = self.least_noise * (self.most_noise / self.least_noise) ** share
        return self._time_loss(head(white + noise[:, None] * torch.randn_like(white)).float(), share)


class _TimeNetwork(nn.Module):
    """A perceptron on the direction of a vector and its size, up to a limit."""

    def __init__(self, width: int, num_outputs: int, limit: float) -> None:
        super().__init__()
        self.limit = limit
        layers: list[nn.Module] = []
        for before, after in zip((width + 1, *_WIDTHS[:-1]), _WIDTHS, strict=True):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.said = nn.Sequential(*layers, nn.Linear(_WIDTHS[-1], num_outputs))

    def forward(self, vectors: Float[Tensor, "m D"]) -> Float[Tensor, "m _"]:
        """Return what is said, then the logarithms of a vector's size and of how far it exceeds the limit."""
        log_size = 0.5 * (vectors.square().mean(1, keepdim=True) + 1e-6).log()
        within = log_size.clamp(max=math.log(self.limit))
        said: Tensor = self.said(torch.cat([vectors * (-log_size).exp(), within], 1)).float()
        return torch.cat([said, log_size, log_size - within], 1)


def _parts(network: nn.Module) -> tuple[Whitening, nn.Module]:
    assert isinstance(network, nn.Sequential)
    whitening, head = network
    assert isinstance(whitening, Whitening)
    return whitening, head
