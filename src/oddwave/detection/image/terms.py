"""What is known about normal images, and what it says of a new one: every term as a map.

    recon.feature     residual of the feature-space denoiser's one-step estimate, per noise level, as the Mahalanobis
                      distance from the residuals that normal images have at the same place
    recon.pixel       squared one-step error in pixel space (the paper's), per noise level
    feature.pixel     the paper's E_feat: distance of the frozen features of an image and of its one-step estimate
    memory.patch      distance to the nearest remembered patch
    memory.position   distance of the features from the Gaussian at the same place

Where a background is known (a synthetic set, for audio), `recon.feature` and `memory.patch` are the logarithm of the
distance from the normals over the distance from the background: see `detection/density_ratio.py` for why.

The part of a name before the dot is its group in `scoring/fusion.py`. Read `model.py` next: it fits all
this, weighs it, and makes scores of it.

Legend: B images, C channels, S side of the square (a sound's map is H x W), D channels of the feature grid, G its
side, M of the common map.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oddwave.config import DetectorConfig
from oddwave.detection.device import chosen_device
from oddwave.detection.image.one_step import one_step_estimates
from oddwave.diffusion.inversion import invert
from oddwave.diffusion.samplers import reconstruct
from oddwave.diffusion.schedule import NoiseSchedule, make_schedule
from oddwave.nets.decoder import FeatureDecoder
from oddwave.nets.feature_grid import FeatureGrid
from oddwave.nets.perceptual import load_perceptual, unit_normalised
from oddwave.nets.unet import UNet
from oddwave.scoring.fusion import Fusion, Standardiser
from oddwave.scoring.maps import common_map, hidden, top_mean
from oddwave.scoring.memory import Memory
from oddwave.scoring.position_gaussian import PositionGaussian
from oddwave.scoring.scorer import CommonNoise, GaussianDistance, NearestDistance, PartScores, Scorer
from oddwave.training.run import computes_bfloat16

__all__ = ["FEATURE_SCALE", "MapScorer", "MapTerms", "distances_of", "new_terms"]

FEATURE_SCALE = 0.5  # standardised features times this are the denoiser's x_0, roughly within [-1, 1]
_FEATURE_LIMIT = 4.0
_INVERSION_STEPS = 4
_TINY = 1e-6


class MapTerms(nn.Module):
    """The networks and memories of one model, and the terms that they give; those that a model does without are None.

    `noise_levels` are those of each space. What is learnt in NumPy (`memory`, `statistics`, `residuals` by noise level,
    and the same of a background) is set as such, and becomes modules with buffers as it is.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, config: DetectorConfig, grid: FeatureGrid, schedule: NoiseSchedule) -> None:
        super().__init__()
        self.config, self.grid, self.schedule = config, grid, schedule
        self.register_buffer("centre", torch.zeros(grid.width))
        self.register_buffer("scale", torch.ones(grid.width))
        self.feature_net: UNet | None = None
        self.pixel_net: UNet | None = None
        self.decoder: FeatureDecoder | None = None
        self.noise_levels: dict[str, tuple[float, ...]] = {}
        self.learnt: dict[str, Any] = {}
        self.distances = nn.ModuleDict()
        self.noise = CommonNoise()

    @property
    def device(self) -> torch.device:
        """Where all of this computes."""
        return self.centre.device

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """The trained networks that there are."""
        found = (self.feature_net, self.pixel_net, self.decoder)
        return tuple(network for network in found if network is not None)

    def learn(self, name: str, found: Memory | PositionGaussian | dict[float, PositionGaussian]) -> None:
        """Take over what was learnt: "memory", "statistics", "residuals", or one of those of a background."""
        self.learnt[name] = found
        self.distances.update(distances_of(name, found))
        self.distances.to(self.device)

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D G G"]:
        """Return the standardised feature grid."""
        with self.half_precision():
            grid: Tensor = self.grid(x.contiguous(memory_format=torch.channels_last))
        standardised: Tensor = (grid - self.centre[:, None, None]) / self.scale[:, None, None]
        return standardised

    def feature_x0(self, features: Float[Tensor, "B D G G"]) -> Float[Tensor, "B D g g"]:
        """Return the feature-space denoiser's x_0: the grid, coarser."""
        coarse = F.adaptive_avg_pool2d(features, self.config.maps.grids[1])
        return (coarse * FEATURE_SCALE).clamp(-_FEATURE_LIMIT, _FEATURE_LIMIT)

    def pixel_x0(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C s s"]:
        """Return the pixel-space denoiser's x_0: the image, smaller."""
        size = self.config.maps.pixel_size_px
        return x if x.shape[-1] == size else F.interpolate(x, size=(size, size), mode="area")

    def forward(
        self, x: Float[Tensor, "B C H W"], features: Float[Tensor, "B D G G"] | None = None
    ) -> dict[str, Float[Tensor, "B *K M M"]]:
        """Compute all terms of a batch of prepared images; give their `features` where they are at hand."""
        features = self.features(x) if features is None else features
        maps: dict[str, Tensor] = {}
        if self.feature_net is not None:
            levels = self.noise_levels["feature"]
            residuals = self.feature_residuals(self.feature_x0(features), levels)
            distances = [self._residual_distance(t, own) for t, own in zip(levels, residuals, strict=True)]
            maps["recon.feature"] = torch.stack(distances, 1)
        if self.pixel_net is not None:
            maps |= self._pixel_terms(self.pixel_net, x)
        if "memory" in self.distances:
            maps["memory.patch"] = self._patch_distance(features)
        if "statistics" in self.distances:
            maps["memory.position"] = self._distance("statistics", features)
        return {name: common_map(values) for name, values in maps.items()}

    def _patch_distance(self, features: Float[Tensor, "B D G G"]) -> Float[Tensor, "B G G"]:
        num, width, height, columns = features.shape
        patches = features.permute(0, 2, 3, 1).reshape(-1, width)
        distance: Tensor = self.distances["memory"](patches)
        if "background_memory" in self.distances:
            distance = _log_ratio(distance, self.distances["background_memory"](patches))
        return distance.reshape(num, height, columns)

    def _residual_distance(self, level: float, residuals: Float[Tensor, "B D g g"]) -> Float[Tensor, "B g g"]:
        distance = self._distance(_key("residuals", level), residuals)
        background = _key("background_residuals", level)
        return _log_ratio(distance, self._distance(background, residuals)) if background in self.distances else distance

    def by_place(self, grids: Float[Tensor, "N D G G"]) -> Float[Tensor, "_ D G _"]:
        """Lay grids out so that what a Gaussian takes for one place is one: of audio, a row at any time."""
        if self.config.maps.aligned == "places":
            return grids
        return grids.movedim(3, 1).flatten(0, 1).unsqueeze(3)

    def _distance(self, name: str, grids: Float[Tensor, "N D G G"]) -> Float[Tensor, "N G G"]:
        distance: Tensor = self.distances[name](self.by_place(grids))
        if self.config.maps.aligned == "places":
            return distance
        return distance.reshape(len(grids), grids.shape[3], grids.shape[2]).movedim(1, 2)

    def feature_residuals(
        self, x0: Float[Tensor, "B D g g"], levels: Sequence[float]
    ) -> Iterator[Float[Tensor, "B D g g"]]:
        """Yield what the feature-space denoiser's one-step estimate leaves over, per noise level, in deviations.

        With `maps.error="inversion"` it is where the grid arrives at that noise level instead.
        """
        assert self.feature_net is not None
        if self.config.maps.error == "inversion":
            yield from self._arrivals(self.feature_net, x0, levels)
            return
        for estimate in self._estimates(self.feature_net, x0, levels):
            yield (x0 - estimate) / FEATURE_SCALE

    def _estimates(self, net: UNet, x0: Tensor, levels: Sequence[float]) -> Iterator[Tensor]:
        """Yield what the denoiser makes of x_0, per noise level: in one step, or by the whole reverse process."""
        training, scoring, how = self.config.training, self.config.scoring, self.config.reconstruction
        if scoring.estimate == "one_step":
            yield from one_step_estimates(
                self.caller(net),
                x0,
                self.schedule,
                prediction_type=training.prediction_type,
                noise_levels=levels,
                num_noise_draws=scoring.num_noise_draws,
                seed=self.config.seed,
                noise=self.noise,
            )
            return
        for level in levels:
            yield reconstruct(
                self.caller(net),
                x0,
                self.schedule,
                sampler=how.sampler,
                noise_level=level,
                num_inference_steps=how.num_inference_steps,
                guidance_weight=how.guidance_weight,
                prediction_type=training.prediction_type,
                noise=lambda draw: self.noise(x0.shape[1:], self.config.seed * 1009 + draw).expand_as(x0),
            )

    def _arrivals(self, net: UNet, x0: Tensor, levels: Sequence[float]) -> Iterator[Tensor]:
        for level in levels:
            last = self.schedule.timestep_at(level)
            steps = sorted({max(0, last * step // _INVERSION_STEPS) for step in range(1, _INVERSION_STEPS)} | {0, last})
            yield invert(self.caller(net), x0, self.schedule, steps[1:], self.config.training.prediction_type)

    def half_precision(self, net: nn.Module | None = None) -> AbstractContextManager[object]:
        """Compute in bfloat16 within the block where the processor does so itself, and the network is large enough.

        None stands for the frozen network.
        """
        size = {} if net is None else {"num_weights": sum(own.numel() for own in net.parameters())}
        if computes_bfloat16(self.config.training, 2, self.device, **size):
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def caller(self, net: UNet) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the network as it is called for scores: in half precision where that is quicker."""

        def call(x_t: Tensor, t: Tensor) -> Tensor:
            with self.half_precision(net):
                prediction: Tensor = net(x_t, t)
            return prediction.float()

        return call

    def _pixel_terms(self, net: UNet, x: Tensor) -> dict[str, Tensor]:
        """Compute E_recon and E_feat of the estimates at each noise level."""
        x0 = self.pixel_x0(x)
        own = self._taps(x0)
        recon, distance = [], []
        for estimate in self._estimates(net, x0, self.noise_levels["pixel"]):
            recon.append((x0 - estimate).square().mean(1))
            distance.append(_tap_distance(own, self._taps(estimate.clamp(-1, 1))))
        return {"recon.pixel": torch.stack(recon, 1), "feature.pixel": torch.stack(distance, 1)}

    def _taps(self, x: Tensor) -> list[Tensor]:
        with self.half_precision():
            taps = self.grid.network(x.contiguous(memory_format=torch.channels_last))
        return [unit_normalised(tap.float()) for tap in taps]


class MapScorer(Scorer):
    """The scorer of squares and of maps of audio: terms as maps, fused, and the top share of the map for a score."""

    def __init__(
        self,
        terms: MapTerms,
        standardiser: Standardiser,
        fusion: Fusion,
        top_share: float,
    ) -> None:
        super().__init__(standardiser, fusion)
        self.terms, self.top_share = terms, top_share

    def forward(self, x: Float[Tensor, "B C H W"], monitored: Bool[Tensor, "B M M"] | None = None) -> PartScores:
        """Score prepared squares; `monitored` says which places of their maps count (None: all)."""
        return self.of_terms(self.terms(x), monitored)

    def of_terms(
        self, terms: Mapping[str, Float[Tensor, "B *K M M"]], monitored: Bool[Tensor, "B M M"] | None = None
    ) -> PartScores:
        """Score squares whose terms are at hand."""
        groups = self.groups(terms, monitored)
        fused = self.fuse(groups)
        parts = {name: top_mean(values, self.top_share) for name, values in groups.items()}
        return PartScores(top_mean(fused, self.top_share), fused, parts)

    def groups(
        self, terms: Mapping[str, Float[Tensor, "B *K M M"]], monitored: Bool[Tensor, "B M M"] | None
    ) -> dict[str, Float[Tensor, "B M M"]]:
        """Standardise the terms in use and average them by group, with what is not monitored hidden."""
        groups = {name: values.float() for name, values in self.standardise(terms).items()}
        return groups if monitored is None else {name: hidden(own, monitored) for name, own in groups.items()}


def distances_of(
    name: str, found: Memory | PositionGaussian | dict[float, PositionGaussian]
) -> dict[str, NearestDistance | GaussianDistance]:
    """Return what was learnt as modules with buffers, by the names that `MapTerms` looks for."""
    if isinstance(found, dict):
        return {_key(name, level): GaussianDistance(own) for level, own in found.items()}
    return {name: NearestDistance(found) if isinstance(found, Memory) else GaussianDistance(found)}


def _key(name: str, level: float) -> str:
    return f"{name}_{level:g}".replace(".", "_")


def _log_ratio(near: Tensor, far: Tensor) -> Tensor:
    return (near + _TINY).log() - (far + _TINY).log()


def _tap_distance(own: list[Tensor], other: list[Tensor]) -> Float[Tensor, "B h w"]:
    """Sum over taps of the squared distance of unit vectors (twice the cosine distance), on the finest tap's grid."""
    size = own[0].shape[2:]
    distances = [(a - b).square().sum(1, keepdim=True) for a, b in zip(own, other, strict=True)]
    return torch.stack(
        [F.interpolate(d, size=size, mode="bilinear", align_corners=False)[:, 0] for d in distances]
    ).sum(0)


def new_terms(config: DetectorConfig) -> MapTerms:
    """Return terms that have learnt nothing, around the frozen network that the configuration names.

    Raises: CheckpointError, MissingExtraError or ConfigError where that network cannot be had.
    """
    maps = config.maps
    network = load_perceptual(maps.perceptual, None if maps.perceptual_path is None else Path(maps.perceptual_path))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    grid = FeatureGrid(network, maps.grids[0], maps.taps)
    schedule = make_schedule(config.diffusion.schedule, config.diffusion.num_train_timesteps)
    return MapTerms(config, grid, schedule).to(chosen_device(config.device))
