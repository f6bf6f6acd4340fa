"""What is known about normal images, and what it says of a new one: every term as a map.

    recon.feature     residual of the feature-space denoiser's one-step estimate, per noise level, as the Mahalanobis
                      distance from the residuals that normal images have at the same place
    recon.pixel       squared one-step error in pixel space (the paper's), per noise level
    feature.pixel     the paper's E_feat: distance of the frozen features of an image and of its one-step estimate
    memory.patch      distance to the nearest remembered patch
    memory.position   distance of the features from the Gaussian at the same place

Where a background is known (sounds of every sort), `recon.feature` and `memory.patch` are the logarithm of the distance
from the normals over the distance from the background: see `scoring/density_ratio.py` for why.

The part of a name before the dot is its group in `scoring/fusion.py`. Read `model.py` next: it fits all
this, weighs it, and makes scores of it.

Legend: B images, C channels, S side of the square (a sound's map is H x W), D channels of the feature grid, G its
side, M of the common map.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.config import DetectorConfig
from oddwave.diffusion.inversion import invert
from oddwave.diffusion.schedule import NoiseSchedule
from oddwave.nets.decoder import FeatureDecoder
from oddwave.nets.feature_grid import FeatureGrid
from oddwave.nets.perceptual import unit_normalised
from oddwave.nets.unet import UNet
from oddwave.scoring.image_maps import common_map
from oddwave.scoring.memory import Memory
from oddwave.scoring.one_step import one_step_estimates
from oddwave.scoring.position_gaussian import PositionGaussian
from oddwave.training.run import computes_bfloat16

__all__ = ["FEATURE_SCALE", "ImageScorer", "MapTerms"]

FEATURE_SCALE = 0.5  # standardised features times this are the denoiser's x_0, roughly within [-1, 1]
_FEATURE_LIMIT = 4.0
_INVERSION_STEPS = 4
_TINY = 1e-6

MapTerms = Mapping[str, Float[np.ndarray, "B *K M M"]]


@dataclass
class ImageScorer:
    """The networks and memories of one model; those that a model does without are None."""

    config: DetectorConfig
    grid: FeatureGrid
    schedule: NoiseSchedule
    centre: Float[Tensor, " D"]
    scale: Float[Tensor, " D"]
    feature_net: UNet | None = None
    pixel_net: UNet | None = None
    decoder: FeatureDecoder | None = None
    memory: Memory | None = None
    statistics: PositionGaussian | None = None
    residuals: dict[float, PositionGaussian] = field(default_factory=dict)
    background_memory: Memory | None = None
    background_residuals: dict[float, PositionGaussian] = field(default_factory=dict)
    noise_levels: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """The trained networks that there are."""
        found = (self.feature_net, self.pixel_net, self.decoder)
        return tuple(network for network in found if network is not None)

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D G G"]:
        """Give the standardised feature grid."""
        with self.half_precision():
            grid: Tensor = self.grid(x.contiguous(memory_format=torch.channels_last))
        standardised: Tensor = (grid - self.centre[:, None, None]) / self.scale[:, None, None]
        return standardised

    def feature_x0(self, features: Float[Tensor, "B D G G"]) -> Float[Tensor, "B D g g"]:
        """Give the feature-space denoiser's x_0: the grid, coarser."""
        coarse = F.adaptive_avg_pool2d(features, self.config.image.grids[1])
        return (coarse * FEATURE_SCALE).clamp(-_FEATURE_LIMIT, _FEATURE_LIMIT)

    def pixel_x0(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C s s"]:
        """Give the pixel-space denoiser's x_0: the image, smaller."""
        size = self.config.image.pixel_size_px
        return x if x.shape[-1] == size else F.interpolate(x, size=(size, size), mode="area")

    def terms(self, x: Float[Tensor, "B C H W"], features: Float[Tensor, "B D G G"] | None = None) -> MapTerms:
        """Compute all terms of a batch of prepared images; give their `features` where they are at hand."""
        features = self.features(x) if features is None else features
        maps: dict[str, np.ndarray] = {}
        if self.feature_net is not None:
            levels = self.noise_levels["feature"]
            residuals = self.feature_residuals(self.feature_x0(features), levels)
            distances = [self._residual_distance(t, own) for t, own in zip(levels, residuals, strict=True)]
            maps["recon.feature"] = np.stack(distances, 1)
        if self.pixel_net is not None:
            maps |= self._pixel_terms(self.pixel_net, x)
        if self.memory is not None:
            maps["memory.patch"] = self._patch_distance(self.memory, features)
        if self.statistics is not None:
            maps["memory.position"] = self._distance(self.statistics, features)
        return {name: common_map(values) for name, values in maps.items()}

    def _patch_distance(self, memory: Memory, features: Float[Tensor, "B D G G"]) -> Float[np.ndarray, "B G G"]:
        num, width, height, columns = features.shape
        patches = features.permute(0, 2, 3, 1).reshape(-1, width).numpy()
        distance = memory.distance(patches)
        if self.background_memory is not None:
            distance = _log_ratio(distance, self.background_memory.distance(patches))
        return distance.reshape(num, height, columns)

    def _residual_distance(self, level: float, residuals: Float[Tensor, "B D g g"]) -> Float[np.ndarray, "B g g"]:
        distance = self._distance(self.residuals[level], residuals)
        if level in self.background_residuals:
            distance = _log_ratio(distance, self._distance(self.background_residuals[level], residuals))
        return distance

    def by_place(self, grids: Float[Tensor, "N D G G"]) -> Float[Tensor, "_ D G _"]:
        """Lay grids out so that what a Gaussian takes for one place is one: of sounds, a row at any time."""
        if self.config.image.aligned == "places":
            return grids
        return grids.movedim(3, 1).flatten(0, 1).unsqueeze(3)

    def _distance(self, gaussian: PositionGaussian, grids: Float[Tensor, "N D G G"]) -> Float[np.ndarray, "N G G"]:
        distance = gaussian.distance(self.by_place(grids))
        if self.config.image.aligned == "places":
            return distance
        return np.moveaxis(distance.reshape(len(grids), grids.shape[3], grids.shape[2]), 1, 2)

    def feature_residuals(
        self, x0: Float[Tensor, "B D g g"], levels: Sequence[float]
    ) -> Iterator[Float[Tensor, "B D g g"]]:
        """Yield what the feature-space denoiser's one-step estimate leaves over, per noise level, in deviations.

        With `image.error="inversion"` it is where the grid arrives at that noise level instead.
        """
        assert self.feature_net is not None
        if self.config.image.error == "inversion":
            yield from self._arrivals(self.feature_net, x0, levels)
            return
        settings = self._settings(tuple(levels))
        for estimate in one_step_estimates(self.caller(self.feature_net), x0, self.schedule, **settings):  # type: ignore[arg-type]
            yield (x0 - estimate) / FEATURE_SCALE

    def _arrivals(self, net: UNet, x0: Tensor, levels: Sequence[float]) -> Iterator[Tensor]:
        for level in levels:
            last = self.schedule.timestep_at(level)
            steps = sorted({max(0, last * step // _INVERSION_STEPS) for step in range(1, _INVERSION_STEPS)} | {0, last})
            with torch.inference_mode():
                yield invert(self.caller(net), x0, self.schedule, steps[1:], self.config.training.prediction_type)

    def half_precision(self) -> AbstractContextManager[object]:
        """Compute in bfloat16 within the block where the processor does so itself."""
        if computes_bfloat16(self.config.training, 2, torch.device("cpu")):
            return torch.autocast("cpu", torch.bfloat16)
        return nullcontext()

    def caller(self, net: UNet) -> Callable[[Tensor, Tensor], Tensor]:
        """Give the network as it is called for scores: without gradients, in half precision where that is quicker."""

        def call(x_t: Tensor, t: Tensor) -> Tensor:
            with self.half_precision():
                prediction: Tensor = net(x_t, t)
            return prediction.float()

        return call

    def _settings(self, levels: tuple[float, ...]) -> dict[str, object]:
        return {
            "prediction_type": self.config.training.prediction_type,
            "noise_levels": levels,
            "num_noise_draws": self.config.scoring.num_noise_draws,
            "seed": self.config.seed,
        }

    def _pixel_terms(self, net: UNet, x: Tensor) -> dict[str, np.ndarray]:
        """Compute E_recon and E_feat of the one-step estimates at each noise level."""
        x0 = self.pixel_x0(x)
        estimates = one_step_estimates(
            self.caller(net),
            x0,
            self.schedule,
            **self._settings(self.noise_levels["pixel"]),  # type: ignore[arg-type]
        )
        own = self._taps(x0)
        recon, distance = [], []
        for estimate in estimates:
            recon.append((x0 - estimate).square().mean(1))
            distance.append(_tap_distance(own, self._taps(estimate.clamp(-1, 1))))
        return {"recon.pixel": torch.stack(recon, 1).numpy(), "feature.pixel": torch.stack(distance, 1).numpy()}

    @torch.inference_mode()
    def _taps(self, x: Tensor) -> list[Tensor]:
        with self.half_precision():
            taps = self.grid.network(x.contiguous(memory_format=torch.channels_last))
        return [unit_normalised(tap.float()) for tap in taps]


def _log_ratio(near: np.ndarray, far: np.ndarray) -> np.ndarray:
    ratio: np.ndarray = np.log(near + _TINY) - np.log(far + _TINY)
    return ratio


def _tap_distance(own: list[Tensor], other: list[Tensor]) -> Float[Tensor, "B h w"]:
    """Sum over taps of the squared distance of unit vectors (twice the cosine distance), on the finest tap's grid."""
    size = own[0].shape[2:]
    distances = [(a - b).square().sum(1, keepdim=True) for a, b in zip(own, other, strict=True)]
    return torch.stack(
        [F.interpolate(d, size=size, mode="bilinear", align_corners=False)[:, 0] for d in distances]
    ).sum(0)
