"""A Gaussian per place (PaDiM): Mahalanobis distance of the features at each place from those of normal images there.

    mean_p, C_p = mean and covariance of z_p over the training images;   C_p <- C_p + 0.01 I
    d(p)        = sqrt((z_p - mean_p)^T C_p^-1 (z_p - mean_p))    the map, brought to pixels and smoothed
    score       = the largest value of the smoothed map

z_p is the frozen network's features at strides 4, 8 and 16 at one place of a grid (one for every 8 pixels), each
channel divided by its standard deviation over all training images and places.
Source: Defard et al. 2021, PaDiM: a Patch Distribution Modeling Framework (ICPR workshops).

Departures. EfficientNet-Lite0, whose three taps have 176 channels together: all are used, where the paper draws 100 of
448 (`num_dimensions=100` draws so many). The grid has a place for every 8 pixels instead of 4. Channels are
standardised, which gives 0.01 I the same meaning for any network. Means and covariances are summed up batch by batch,
so memory does not grow with the number of images: it is a few times 1,024 matrices of 176 x 176 at 256 px.
Read `image_base.py` for the interface.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from oddwave.lab.rivals.image_base import GridBaseline, Images
from oddwave.lab.rivals.whitening import mahalanobis
from oddwave.scoring.gaussian import inverse_factor

__all__ = ["PaDiM"]

_TAPS, _NEIGHBOURHOOD = (0, 1, 2), 1
_REGULARISATION = 0.01
_BLOCK_PLACES = 64


@dataclass(kw_only=True, eq=False)
class PaDiM(GridBaseline):
    """Mahalanobis distance per place, in all features or `num_dimensions` of them, drawn by `seed`."""

    name: ClassVar[str] = "padim"
    fitted: ClassVar[tuple[str, ...]] = ("kept", "mean", "whitening")
    num_dimensions: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.num_dimensions is None or self.num_dimensions >= 1, "num_dimensions: give 1 or more")
        self._kept = np.zeros(0, np.int64)
        self._mean = np.zeros((0, 0), np.float32)  # (P, D), in the features' own units
        self._whitening = np.zeros((0, 0, 0), np.float32)  # (P, D, D): |W^T (z - mean)| is the distance

    @property
    def is_seeded(self) -> bool:
        """Whether scores depend on the seed: where it draws some of the features."""
        return self.num_dimensions is not None

    def _fit(self, x: Images) -> None:
        sums: _Sums | None = None
        for _, batch in self._batches(x, "features"):
            grid = self._grid(batch, _TAPS, _NEIGHBOURHOOD)
            if sums is None:
                self._kept = self._drawn(grid.shape[2])
                sums = _Sums(grid[..., self._kept])
            sums.add(grid[..., self._kept])
        assert sums is not None  # there is an image
        self._mean = sums.mean
        self._whiten(sums)

    def _drawn(self, width: int) -> np.ndarray:
        if self.num_dimensions is None or self.num_dimensions >= width:
            return np.arange(width)
        return np.sort(np.random.default_rng(self.seed).choice(width, self.num_dimensions, replace=False))

    def _whiten(self, sums: "_Sums") -> None:
        """Set matrices W with W W^T = C^-1, and take the features' units into them."""
        unit, num_places = sums.unit, len(sums.mean)
        ridge = _REGULARISATION * np.eye(len(unit))
        self._whitening = np.empty((num_places, len(unit), len(unit)), np.float32)
        for first in range(0, num_places, _BLOCK_PLACES):
            block = slice(first, first + _BLOCK_PLACES)
            covariance = sums.covariance(block) / (unit * unit[:, None])
            self._whitening[block] = inverse_factor(covariance + ridge) / unit[:, None]
            self._tell("covariances", min(first + _BLOCK_PLACES, num_places), num_places)

    def _score_batch(
        self, batch: Float[np.ndarray, "b C S S"]
    ) -> tuple[Float[np.ndarray, " b"], Float[np.ndarray, "b S S"]]:
        away = self._grid(batch, _TAPS, _NEIGHBOURHOOD)[..., self._kept] - self._mean
        distance = mahalanobis(torch.from_numpy(away).transpose(0, 1), torch.from_numpy(self._whitening))
        maps = self._smoothed(distance.T.numpy(), batch.shape[-1])
        return maps.max(axis=(1, 2)).astype(np.float64), maps


class _Sums:
    """Sums over images of features and of their products at each place; one batch in memory at a time.

    Features are shifted and scaled by the first batch's before they are summed: squares then lose no digits.
    """

    def __init__(self, first: Float[np.ndarray, "b P D"]) -> None:
        num_places, width = first.shape[1:]
        self.shift = first.mean((0, 1))
        self.scale = np.maximum(first.std((0, 1)), 1e-6)
        self.num = 0
        self.total = np.zeros((num_places, width), np.float32)
        self.products = np.zeros((num_places, width, width), np.float32)

    def add(self, grid: Float[np.ndarray, "b P D"]) -> None:
        """Add a batch."""
        z = (grid - self.shift) / self.scale
        at_place = np.ascontiguousarray(z.transpose(1, 2, 0))
        self.num += len(grid)
        self.total += z.sum(0)
        self.products += _products(at_place, at_place.transpose(0, 2, 1))

    @property
    def mean(self) -> Float[np.ndarray, "P D"]:
        """The mean at each place."""
        mean: np.ndarray = self.shift + self.scale * self.total / self.num
        return mean

    @property
    def unit(self) -> Float[np.ndarray, " D"]:
        """The standard deviation of each channel over all images and places."""
        squares = np.einsum("pdd->d", self.products) / (self.num * len(self.products))
        variance = squares - np.square(self.total.mean(0) / self.num)
        unit: np.ndarray = self.scale * np.sqrt(np.maximum(variance, 1e-12))
        return unit

    def covariance(self, block: slice) -> Float[np.ndarray, "p D D"]:
        """The covariance at some places."""
        total = self.total[block]
        centred = self.products[block] - total[:, :, None] * total[:, None] / self.num
        covariance: np.ndarray = centred.astype(np.float64) / max(self.num - 1, 1) * self.scale * self.scale[:, None]
        return covariance


def _products(a: Float[np.ndarray, "P i j"], b: Float[np.ndarray, "P j k"]) -> Float[np.ndarray, "P i k"]:
    """Multiply many small matrices by torch, which shares them out among threads; numpy would share out each one."""
    product: np.ndarray = torch.bmm(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    return product
