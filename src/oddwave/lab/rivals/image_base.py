"""Baselines of images: items are (N, C, S, S) in [-1, 1], an array or any sequence of (C, S, S) read as it goes.

An image gets one score and a map (S, S), both higher where more anomalous. Images are taken in batches, so that a
sequence that decodes them when asked (`images[i]`) costs the memory of one batch, besides what a method remembers.
An image's score does not depend on the images beside it. A subclass of `ImageBaseline` writes `_fit` and
`_score_batch`; one of `GridBaseline` looks through a frozen network. Read `patch_knn.py` for the strongest one.

Legend: N images, b of one batch, C channels, S side in pixels, P places of the grid, D channels there.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, final, runtime_checkable

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.lab.rivals.base import Baseline

if TYPE_CHECKING:
    from oddwave.nets.perceptual import PerceptualNetwork

__all__ = ["GridBaseline", "ImageBaseline", "Images", "OnProgress"]

OnProgress = Callable[[str, int, int], None]  # what is being done, how much is done, of how much

_BATCH_SIZE = 16
_MIN_SIDE_PX = 32
_BLUR_SHARE = 4 / 256  # deviation of the Gaussian over maps, as a share of the side: 4 px at 256 px
_TOLERANCE = 1e-3


@runtime_checkable
class Images(Protocol):
    """An array (N, C, S, S), or anything that gives its images by index when asked."""

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def __getitem__(self, index: int, /) -> Any:
        """Return one image, (C, S, S)."""
        ...


@dataclass(kw_only=True, eq=False)
class ImageBaseline(Baseline):
    """A scorer of square images of one size; its fitted state is what `fitted` names.

    `on_progress` may be set to hear how far a long `fit` has come; it is no setting and is not saved.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.on_progress: OnProgress | None = None

    @final
    def score_and_maps(self, items: Any) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, "N S S"]]:
        """Return the scores of `decision_function`, and how anomalous each pixel is. Raises: as `decision_function`."""
        scored = [self._score_batch(batch) for _, batch in self._batches(self._expected(items))]
        return np.concatenate([scores for scores, _ in scored]), np.concatenate([maps for _, maps in scored])

    @final
    def _checked(self, items: Any) -> Images:
        if not (hasattr(items, "__len__") and hasattr(items, "__getitem__")) or isinstance(items, str | Mapping):
            raise DataError(f"items are of type {type(items).__name__}: give an array or a sequence of images")
        if not len(items):
            raise ShapeError("no image was given: give one or more")
        if isinstance(items, np.ndarray) and items.ndim != 4:
            raise ShapeError(f"items have shape {items.shape}: expected (N, C, S, S), x[None] for one image")
        images: Images = items
        return images

    @final
    def _shape_of(self, x: Images) -> tuple[int, ...]:
        shape = np.shape(x[0])
        if len(shape) != 3 or shape[1] != shape[2] or shape[1] < _MIN_SIDE_PX or not shape[0]:
            raise ShapeError(
                f"images have shape {shape}: expected channels, side, side, with a side of {_MIN_SIDE_PX} px or more"
            )
        return tuple(int(size) for size in shape)

    @final
    def _learn(self, x: Images) -> None:
        self._shape_of(x)
        self._fit(x)

    @final
    def _judge(self, x: Images) -> Float[np.ndarray, " N"]:
        return np.concatenate([self._score_batch(batch)[0] for _, batch in self._batches(x)])

    @final
    def _batches(self, x: Images, stage: str = "") -> Iterator[tuple[int, Float[np.ndarray, "b C S S"]]]:
        """Yield (first index, images) and tell the progress of a stage; an image that cannot be used is refused."""
        shape = self._shape_of(x)
        for first in range(0, len(x), _BATCH_SIZE):
            stop = min(first + _BATCH_SIZE, len(x))
            yield first, np.stack([_usable(x[i], i, shape) for i in range(first, stop)])
            self._tell(stage, stop, len(x))

    def _tell(self, stage: str, done: int, total: int) -> None:
        if stage and self.on_progress is not None:
            self.on_progress(stage, done, total)

    @abstractmethod
    def _fit(self, x: Images) -> None:
        """Learn from images, best through `_batches`."""

    @abstractmethod
    def _score_batch(
        self, batch: Float[np.ndarray, "b C S S"]
    ) -> tuple[Float[np.ndarray, " b"], Float[np.ndarray, "b S S"]]:
        """Return the score and the map of each image of a batch."""


@dataclass(kw_only=True, eq=False)
class GridBaseline(ImageBaseline):
    """A baseline on the grid of a frozen network's features, one place for every 8 pixels.

    `perceptual` is a name that `load_perceptual` knows and finds the weights of by itself.
    """

    perceptual: str = "efficientnet_lite0"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._network: PerceptualNetwork | None = None

    def _grid(
        self, batch: Float[np.ndarray, "b C S S"], taps: Sequence[int], neighbourhood: int
    ) -> Float[np.ndarray, "b P D"]:
        """Return the features of some taps at each place, averaged over a neighbourhood of so many places a side.

        Beyond the border the neighbours are zeros, as in PatchCore.
        """
        import torch

        from oddwave.nets.feature_grid import FeatureGrid

        if self._network is None:
            from oddwave.nets.perceptual import load_perceptual

            self._network = load_perceptual(self.perceptual)
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        grid = FeatureGrid(self._network, _grid_side(batch.shape[-1]), taps, neighbourhood, zero_border=True)
        with torch.inference_mode():
            found = grid(torch.from_numpy(batch).contiguous(memory_format=torch.channels_last))
        places: np.ndarray = found.flatten(2).transpose(1, 2).contiguous().numpy()
        return places

    def _smoothed(self, distances: Float[np.ndarray, "b P"], side: int) -> Float[np.ndarray, "b S S"]:
        """Bring distances at places to pixels: bilinear, then a Gaussian of 4 px at 256 px."""
        import torch
        import torch.nn.functional as F

        maps = torch.from_numpy(distances.astype(np.float32).reshape(-1, 1, _grid_side(side), _grid_side(side)))
        pixels = F.interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)[:, 0].numpy()
        sigma = _BLUR_SHARE * side
        smoothed: np.ndarray = ndimage.gaussian_filter(pixels, (0.0, sigma, sigma))
        return smoothed

    @staticmethod
    def _require(condition: bool, message: str) -> None:
        if not condition:
            raise ConfigError(message)


def _grid_side(side: int) -> int:
    return -(-side // 8)


def _usable(image: Any, index: int, shape: tuple[int, ...]) -> Float[np.ndarray, "C S S"]:
    values = np.asarray(image)
    if values.shape != shape:
        raise ShapeError(f"image {index} has shape {values.shape}, the first {shape}: give images of one shape")
    if values.dtype.kind != "f":
        raise DataError(f"image {index} has dtype {values.dtype}: give floats in [-1, 1]")
    values = values.astype(np.float32)
    if not np.isfinite(values).all() or np.abs(values).max() > 1.0 + _TOLERANCE:
        raise DataError(f"image {index} has values that are not within [-1, 1]: scale it, 2 * x / 255 - 1 for bytes")
    return values
