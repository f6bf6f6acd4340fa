"""Diffusion time estimation: a network guesses how much noise was added to a vector; the guess for none is the score.

    x_s = x + s e,   e ~ N(0, I),  log s uniform from `least_noise` to `most_noise`,  x a whitened vector of an item
    the network sees x_s and gives its posterior over the time, that is over s; of an item itself it is the score

A vector that lies off the normal ones looks like one that was moved off them by noise. This module holds what the three
forms of it share: items as vectors and back (a window of a series is one vector; of a grid it is the patch around each
place, one place where there are many channels, 8 x 8 where there are few), and the ground of the two that train.

Source: Livernoche et al. 2023, On diffusion modeling for anomaly detection (arXiv 2305.18593).

Departures of both. The paper takes an item as one vector; patches make a map of a grid. Vectors are whitened (Ledoit
and Wolf's covariance), so that noise of one size is as odd in every direction; whitened vectors noised as DDPM does it
(a x + s e) would look alike at all times, so x is not shrunk, as in the paper's own derivation. Scores at places are
standardised by those of training items there. Read `dte_categorical.py` next.

Legend: N items, B of a batch, C channels, ... the grid, n vectors of an item, m of a batch, D numbers of one, K
outputs.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from sklearn.covariance import ledoit_wolf
from torch import Tensor, nn

from oddwave.baselines.learned.method import LearnedMethod

__all__ = ["DiffusionTimeMethod", "as_maps", "as_vectors"]

_PATCH_SIDE, _ENOUGH_CHANNELS = 8, 64
_WIDTHS = (256, 512, 256)  # the paper's network
_VECTORS_PER_STEP, _MOST_MEASURED, _AT_ONCE = 512, 10_000, 32
_WIDEST = 1024  # numbers of a vector: above, whitening is of single numbers
_RIDGE = 0.01
_PRIOR_ITEMS = 20.0  # seen in so many items, a place's own statistics weigh as much as those of all places


def as_vectors(items: Float[Tensor, "B C ..."]) -> tuple[Float[Tensor, "B n D"], tuple[int, ...]]:
    """Return each item as vectors, and how many there are along each axis of the grid."""
    if items.ndim == 3:
        return items.flatten(1)[:, None], (1,)
    if items.shape[1] >= _ENOUGH_CHANNELS:
        return items.flatten(2).transpose(1, 2), tuple(items.shape[2:])
    side, stride, margin = _patch(items.shape[2:])  # patches lie around the middles of blocks of `stride` places
    wide = F.pad(items, (margin,) * 4, mode="replicate")
    counts = tuple((size - side) // stride + 1 for size in wide.shape[2:])
    return F.unfold(wide, side, stride=stride).transpose(1, 2), counts


def as_maps(values: Float[Tensor, "B n"], counts: tuple[int, ...], grid: tuple[int, ...]) -> Float[Tensor, "B ..."]:
    """Bring one value for each vector to the places of the grid."""
    coarse = values.reshape(len(values), 1, *counts)
    mode = "linear" if len(grid) == 1 else "bilinear"
    return F.interpolate(coarse, size=grid, mode=mode, align_corners=False)[:, 0]


def _patch(grid: tuple[int, ...]) -> tuple[int, int, int]:
    side = min(_PATCH_SIDE, *grid)
    return side, max(1, side // 2), side // 4


@dataclass(kw_only=True, eq=False)
class DiffusionTimeMethod(LearnedMethod):
    """A method that guesses the noise in vectors; a subclass says what the outputs are, and their loss and score."""

    num_steps: int = 1000
    batch_size: int = 64
    least_noise: float = 0.1
    most_noise: float = 3.0

    @property
    @abstractmethod
    def _num_outputs(self) -> int:
        """Return K, how many numbers the network says about a vector."""

    @abstractmethod
    def _time_loss(self, said: Float[Tensor, "m K"], share: Float[Tensor, " m"]) -> Float[Tensor, ""]:
        """Return the loss of what was said of vectors at times given as shares, 0 for the least noise, 1 for most."""

    @abstractmethod
    def _time_score(self, said: Float[Tensor, "m K"]) -> Float[Tensor, " m"]:
        """Return what is expected of the time, by what was said."""

    @final
    def error_maps(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B ..."]:
        """Return the time expected at each place, in deviations of normal items; of a window the time itself."""
        with torch.inference_mode():
            scores, counts = self._scores(items)
            if items.ndim > 3:
                scores = (scores - self.network.get_buffer("mean")) / self.network.get_buffer("deviation")
            return as_maps(scores, counts, tuple(items.shape[2:]))

    def _scores(self, items: Float[Tensor, "B C ..."]) -> tuple[Float[Tensor, "B n"], tuple[int, ...]]:
        vectors, counts = as_vectors(items)
        return self._time_score(self.network(vectors.flatten(0, 1)).float()).reshape(len(items), -1), counts

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        vectors, _ = as_vectors(torch.zeros(1, channels, *grid))
        return _TimeNetwork(vectors.shape[2], self._num_outputs)

    def _train(self, network: nn.Module, items: Float[Tensor, "N C ..."], tell: Callable[[int, int], None]) -> None:
        assert isinstance(network, _TimeNetwork)
        vectors = as_vectors(items[torch.randperm(len(items))[:_MOST_MEASURED]])[0].flatten(0, 1)
        network.whiten(vectors[torch.randperm(len(vectors))[:_MOST_MEASURED]])
        super()._train(network, items, tell)

    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, ""]:
        assert isinstance(network, _TimeNetwork)
        vectors = as_vectors(batch)[0].flatten(0, 1)
        white = network.whitened(vectors[torch.randint(len(vectors), (_VECTORS_PER_STEP,))])
        share = torch.rand(len(white))
        noise = self.least_noise * (self.most_noise / self.least_noise) ** share
        return self._time_loss(network.said(white + noise[:, None] * torch.randn_like(white)).float(), share)

    def _finish(self, network: nn.Module, items: Float[Tensor, "N C ..."]) -> None:
        if items.ndim == 3:
            return
        scores = torch.cat([self._scores(some)[0] for some in torch.split(items, _AT_ONCE)])
        trust = len(scores) / (len(scores) + _PRIOR_ITEMS)
        mean = torch.lerp(scores.mean(), scores.mean(0), trust)
        away = (scores - mean).square()
        network.register_buffer("mean", mean)
        network.register_buffer("deviation", torch.lerp(away.mean(), away.mean(0), trust).sqrt().clamp(min=1e-6))


class _TimeNetwork(nn.Module):
    """Whiten vectors, then a multi-layer perceptron."""

    centre: Tensor
    whitening: Tensor

    def __init__(self, width: int, num_outputs: int) -> None:
        super().__init__()
        for name, value in (("centre", torch.zeros(width)), ("whitening", torch.ones(width)),
                            ("mean", torch.zeros(1)), ("deviation", torch.ones(1))):  # fmt: skip
            self.register_buffer(name, value)
        layers: list[nn.Module] = []
        for before, after in zip((width, *_WIDTHS[:-1]), _WIDTHS, strict=True):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.said = nn.Sequential(*layers, nn.Linear(_WIDTHS[-1], num_outputs))

    def whiten(self, vectors: Float[Tensor, "m D"]) -> None:
        """Measure centre and whitening; of very wide vectors each number by itself."""
        self.centre = vectors.mean(0)
        away = vectors - self.centre
        usual = float(away.square().mean()) + 1e-12
        if vectors.shape[1] > _WIDEST:
            self.whitening = (away.square().mean(0) + _RIDGE * usual).rsqrt()
            return
        covariance = torch.from_numpy(ledoit_wolf(away.double().numpy(), assume_centered=True)[0])
        values, directions = torch.linalg.eigh(covariance)
        self.whitening = ((directions * (values.clamp(min=0.0) + _RIDGE * usual).rsqrt()) @ directions.T).float()

    def whitened(self, vectors: Float[Tensor, "m D"]) -> Float[Tensor, "m D"]:
        """Return vectors whose numbers have about unit size and go each its own way."""
        away = vectors - self.centre
        return away * self.whitening if self.whitening.ndim == 1 else away @ self.whitening

    def forward(self, vectors: Float[Tensor, "m D"]) -> Float[Tensor, "m K"]:
        """Return what the network says of vectors as they are."""
        said: Tensor = self.said(self.whitened(vectors))
        return said
