"""Images, windows of series and clips of sound as the tensors of a `LearnedMethod`, and its maps as their scores.

`on_images`, `on_series` and `on_clips` turn a method into a baseline of that modality, so that a method is written
once. The tensors:

    images, "pixel"     (C, s, s): the image itself, averaged to `size_px` a side, in [-1, 1]
    images, "feature"   (D, 16, 16): the frozen network's grid, each channel standardised by the training images,
                          halved and cut at 4, as oddwave's own feature space
    series                (C, L): a window in deviations of its channels, or a whole instance
    sound                 (1, 64, 128): the wavelet map of a clip, rows standardised by the training clips, averaged
                          over 2 x 2 places

The scores: of an image the mean of the highest 0.5 % of its smoothed map, of a window and of a clip the mean of its
map. Read `method.py` first.

Legend: N items, b of one batch, C channels, S side in pixels, n samples or points, R rows and T columns of a map.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from oddwave.lab.rivals.base import Baseline
from oddwave.lab.rivals.clip_base import ClipBaseline
from oddwave.lab.rivals.image_base import ImageBaseline, Images
from oddwave.lab.rivals.learned.method import LearnedMethod
from oddwave.lab.rivals.series_base import WindowBaseline, evenly_spaced
from oddwave.nets.feature_grid import FeatureGrid
from oddwave.nets.perceptual import load_perceptual
from oddwave.scoring.maps import top_mean

__all__ = [
    "ByMethod",
    "ClipsByMethod",
    "ImagesByMethod",
    "Space",
    "WindowsByMethod",
    "on_clips",
    "on_images",
    "on_series",
]

Space = Literal["pixel", "feature"]

_TOP_SHARE = 0.005
_BLUR_SHARE = 4 / 256
_GRID_SIZE, _FEATURE_SCALE, _FEATURE_LIMIT = 16, 0.5, 4.0
_MOST_WINDOWS, _WINDOWS_AT_ONCE = 5000, 256
_POOLED = 2
_OWN = "method."


@dataclass(kw_only=True, eq=False)
class ByMethod(Baseline):
    """What the three have in common: `learned`, the method itself; `num_steps` of 0 is its own budget."""

    method: ClassVar[type[LearnedMethod]]
    num_steps: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        own = self.method(seed=self.seed)
        self.learned = replace(own, num_steps=self.num_steps) if self.num_steps else own

    @property
    def num_parameters(self) -> int:
        """How many numbers the method learnt. Raises: NotFittedError."""
        return self.learned.num_parameters

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, with those of the method."""
        return super().settings | asdict(self.learned)

    def _arrays(self) -> dict[str, np.ndarray]:
        return super()._arrays() | {_OWN + name: array for name, array in self.learned.arrays().items()}

    def _take(self, arrays: Mapping[str, np.ndarray]) -> None:
        super()._take(arrays)
        self.learned.take({name.removeprefix(_OWN): own for name, own in arrays.items() if name.startswith(_OWN)})


@dataclass(kw_only=True, eq=False)
class ImagesByMethod(ByMethod, ImageBaseline):
    """A learned method over images."""

    fitted: ClassVar[tuple[str, ...]] = ("centre", "scale")
    space: ClassVar[Space] = "pixel"
    size_px: int = 64
    perceptual: str = "efficientnet_lite0"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._centre, self._scale = np.zeros((1, 1, 1), np.float32), np.ones((1, 1, 1), np.float32)
        self._grid: FeatureGrid | None = None

    def _fit(self, x: Images) -> None:
        raw = torch.cat([self._raw(batch) for _, batch in self._batches(x, "images")])
        if self.space == "feature":
            deviation, mean = torch.std_mean(raw, dim=(0, 2, 3), correction=0)
            self._centre, self._scale = (own[:, None, None].numpy() for own in (mean, deviation.clamp(min=1e-4)))
        self.learned.fit(self._scaled(raw), lambda done, total: self._tell("training", done, total))

    def _score_batch(
        self, batch: Float[np.ndarray, "b C S S"]
    ) -> tuple[Float[np.ndarray, " b"], Float[np.ndarray, "b S S"]]:
        side = batch.shape[-1]
        maps = self.learned.error_maps(self._scaled(self._raw(batch)))
        pixels = F.interpolate(maps[:, None], size=(side, side), mode="bilinear", align_corners=False)[:, 0]
        smooth = ndimage.gaussian_filter(pixels.detach().numpy(), (0.0, _BLUR_SHARE * side, _BLUR_SHARE * side))
        return top_mean(torch.from_numpy(smooth), _TOP_SHARE).double().numpy(), smooth

    def _raw(self, batch: Float[np.ndarray, "b C S S"]) -> Tensor:
        images = torch.from_numpy(batch)
        if self.space == "pixel":
            return F.interpolate(images, size=(self.size_px, self.size_px), mode="area")
        if self._grid is None:
            self._grid = FeatureGrid(load_perceptual(self.perceptual), _GRID_SIZE)
        grid: Tensor = self._grid(images)
        return grid

    def _scaled(self, raw: Tensor) -> Tensor:
        if self.space == "pixel":
            return raw
        centre, scale = torch.from_numpy(self._centre), torch.from_numpy(self._scale)
        return ((raw - centre) / scale * _FEATURE_SCALE).clamp(-_FEATURE_LIMIT, _FEATURE_LIMIT)


@dataclass(kw_only=True, eq=False)
class WindowsByMethod(ByMethod, WindowBaseline):
    """A learned method over windows of streams or whole instances."""

    def _fit_windows(self, windows: Float[np.ndarray, "N C L"]) -> None:
        self.learned.fit(self._tensor(windows[evenly_spaced(len(windows), _MOST_WINDOWS)]))

    def _score_windows(self, windows: Float[np.ndarray, "N C L"]) -> Float[np.ndarray, " N"]:
        blocks = (windows[i : i + _WINDOWS_AT_ONCE] for i in range(0, len(windows), _WINDOWS_AT_ONCE))
        maps = [self.learned.error_maps(self._tensor(block)).detach().double() for block in blocks]
        return np.concatenate([own.mean(1).numpy() for own in maps])

    def _tensor(self, windows: Float[np.ndarray, "N C L"]) -> Float[Tensor, "N C L"]:
        return torch.from_numpy(np.ascontiguousarray(windows, np.float32))


@dataclass(kw_only=True, eq=False)
class ClipsByMethod(ByMethod, ClipBaseline):
    """A learned method over the wavelet maps of clips."""

    fitted: ClassVar[tuple[str, ...]] = ("rows",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._rows = np.zeros((2, 0))  # mean and deviation of each row, in dB

    def _fit(self, batches: Iterator[Float[np.ndarray, "b n"]]) -> None:
        from oddwave.tensors.audio_map import RowScale

        levels = torch.from_numpy(np.concatenate([self._levels_db(batch, "cwt") for batch in batches]))
        scale = RowScale.fit(levels)
        self._rows = np.stack([scale.mean_db, scale.deviation_db])
        self.learned.fit(self._tensor(levels))

    def _score_batch(self, batch: Float[np.ndarray, "b n"]) -> Float[np.ndarray, " b"]:
        maps = self.learned.error_maps(self._tensor(torch.from_numpy(self._levels_db(batch, "cwt"))))
        scores: np.ndarray = maps.detach().double().mean((1, 2)).numpy()
        return scores

    def _tensor(self, levels: Float[Tensor, "b R T"]) -> Float[Tensor, "b 1 _ _"]:
        from oddwave.tensors.audio_map import RowScale

        return F.avg_pool2d(RowScale(self._rows[0], self._rows[1]).scale(levels).float(), _POOLED)


def on_images(method: type[LearnedMethod], space: Space = "pixel") -> type[ImagesByMethod]:
    """Make a method a baseline of images, in the space where it is at home."""
    return type(f"{method.__name__}OnImages", (ImagesByMethod,), {**_named(method), "space": space})


def on_series(method: type[LearnedMethod]) -> type[WindowsByMethod]:
    """Make a method a baseline of series."""
    return type(f"{method.__name__}OnSeries", (WindowsByMethod,), _named(method))


def on_clips(method: type[LearnedMethod]) -> type[ClipsByMethod]:
    """Make a method a baseline of sound."""
    return type(f"{method.__name__}OnClips", (ClipsByMethod,), _named(method))


def _named(method: type[LearnedMethod]) -> dict[str, object]:
    return {"name": method.name, "method": method, "__doc__": method.__doc__, "__module__": method.__module__}
