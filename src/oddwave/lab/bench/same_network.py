"""A fitted detector's own denoiser, used the other ways that there are: samplers of any number of steps.

What the network sees stays the same: grids of frozen features of images and of clips, windows of series. The error of a
reconstruction is squared and averaged over channels; an image's or a clip's score is the mean of the highest share of
its map, a window's the mean. Read `fewer_calls.py` of the studies and `speed_methods.py` next, which compare.

Legend: N parts (images, clips, windows), C channels, *grid = L or H, W.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from oddwave.config import DetectorConfig
from oddwave.detection.audio.model import AudioModel
from oddwave.detection.audio.split import hop_samples
from oddwave.detection.image.model import ImageModel
from oddwave.detection.image.one_step import one_step_estimates
from oddwave.detection.image.terms import MapTerms
from oddwave.detection.image.tiles import cut_image
from oddwave.detection.series.denoiser_model import DenoiserModel
from oddwave.detection.series.detector import SeriesDetector
from oddwave.detection.series.points import scaled_streams
from oddwave.detection.series.streams import cut_streams
from oddwave.detector import Detector
from oddwave.diffusion.external import external_sampler
from oddwave.diffusion.noise import ItemNoise, common_noise
from oddwave.diffusion.samplers import reconstruct
from oddwave.diffusion.schedule import NoiseSchedule
from oddwave.errors import ConfigError
from oddwave.nets.unet import UNet
from oddwave.scoring.maps import top_mean
from oddwave.sources.audio.clips import ClipStream
from oddwave.tensors.series_windows import window_to_point

__all__ = ["DENOISERS", "Encoded", "SameNetwork", "denoiser_settings", "same_network"]

DENOISERS = {"series": "series.method=denoiser", "image": "image.method=denoiser"}  # of audio the only method
_BATCH = {1: 256, 2: 16}  # by grid dimensions


def denoiser_settings(settings: DetectorConfig) -> DetectorConfig:
    """Return the settings with the method that trains a denoiser."""
    return settings.with_overrides([DENOISERS[settings.modality]] if settings.modality in DENOISERS else [])


@dataclass(frozen=True, eq=False)
class Encoded:
    """What the network sees of each part, the item that it is part of, and where in it a window begins."""

    x0: Float[Tensor, "N C *grid"]
    owner: Int[np.ndarray, " N"]
    start: Int[np.ndarray, " N"]

    def per_item(self, scores: Float[np.ndarray, " N"]) -> Float[np.ndarray, " items"]:
        """Return the score of each item: that of its worst part."""
        return np.array([scores[self.owner == item].max() for item in range(int(self.owner.max()) + 1)])

    def per_point(self, scores: Float[np.ndarray, " N"], size: int, num: int) -> Float[np.ndarray, " points"]:
        """Return the score of each of `num` points of one stream: the mean over the windows that cover it."""
        return window_to_point(scores, self.start, size, num)


@dataclass(frozen=True)
class SameNetwork:
    """A network as its detector calls it, its table, and how data become what it sees (`encode`).

    `window_size` is that of series, in points.
    """

    net: UNet
    call: Callable[[Tensor, Tensor], Tensor]
    schedule: NoiseSchedule
    config: DetectorConfig
    top_share: float | None
    encode: Callable[[Any], Encoded]
    window_size: int = 0

    @torch.inference_mode()
    def one_step(self, x0: Float[Tensor, "N C *grid"], noise_levels: Iterable[float]) -> Float[np.ndarray, "N K"]:
        """Return the score of each part by one-step estimates, one for each noise level."""
        levels, num_draws = tuple(noise_levels), self.config.scoring.num_noise_draws
        blocks = []
        for block in self._blocks(x0):
            estimates = one_step_estimates(
                self.call, block, self.schedule, prediction_type=self.config.training.prediction_type,
                noise_levels=levels, num_noise_draws=num_draws, seed=self.config.seed, noise=common_noise,
            )  # fmt: skip
            blocks.append(torch.stack([self._scores(block, estimate) for estimate in estimates], 1))
        return torch.cat(blocks).double().numpy()

    @torch.inference_mode()
    def sampled(
        self, x0: Float[Tensor, "N C *grid"], *, scheduler: str, num_steps: int, noise_level: float
    ) -> Float[np.ndarray, " N"]:
        """Return the score of each part by a reconstruction through a scheduler of diffusers.

        Each part has noise of its own, which follows from its place among the parts.
        Raises: MissingExtraError without diffusers; ConfigError as `reconstruct`.
        """
        sampler, blocks, first = external_sampler(scheduler), [], 0
        for block in self._blocks(x0):
            ids = range(first, first + len(block))
            estimate = reconstruct(
                self.call, block, self.schedule, sampler=sampler, noise_level=noise_level,
                num_inference_steps=num_steps, prediction_type=self.config.training.prediction_type,
                noise=ItemNoise(block.shape, list(ids), self.config.seed),
            )  # fmt: skip
            blocks.append(self._scores(block, estimate))
            first += len(block)
        return torch.cat(blocks).double().numpy()

    def _scores(self, x0: Tensor, estimate: Tensor) -> Float[Tensor, " N"]:
        error = (x0 - estimate).square().mean(1)
        return error.flatten(1).mean(1) if self.top_share is None else top_mean(error, self.top_share)

    def _blocks(self, x0: Tensor) -> Iterator[Tensor]:
        yield from torch.split(x0, _BATCH[x0.ndim - 2])


def same_network(detector: Detector) -> SameNetwork:
    """Return the denoiser of a fitted detector. Raises: ConfigError where it was fitted without one."""
    work, model = detector.inner, getattr(detector.inner, "model", None)
    if isinstance(model, DenoiserModel):
        assert isinstance(work, SeriesDetector)
        return _of_series(work, model)
    if not isinstance(model, ImageModel | AudioModel) or model.terms.feature_net is None:
        raise ConfigError("the detector has no denoiser of features: fit it with method=denoiser and space=feature")
    encode = _of_images(detector, model) if isinstance(model, ImageModel) else _of_audio(detector, model)
    net = model.terms.feature_net
    return SameNetwork(
        net,
        model.terms.caller(net),
        model.terms.schedule,
        detector.config,
        model.top_share,
        _grids(model.terms, encode),
    )


def _grids(terms: MapTerms, squares: Callable[[Any], Iterator[Float[Tensor, "B C H W"]]]) -> Callable[[Any], Encoded]:
    """Return what turns items, each given as its squares, into what the denoiser of features sees."""

    @torch.inference_mode()
    def encoded(source: Any) -> Encoded:
        grids = [terms.feature_x0(terms.features(x)) for x in squares(source)]
        owner = np.repeat(np.arange(len(grids)), [len(each) for each in grids])
        return Encoded(torch.cat(grids), owner, np.zeros(len(owner), np.int64))

    return encoded


def _of_images(detector: Detector, model: ImageModel) -> Callable[[Any], Iterator[Tensor]]:
    def squares(source: Any) -> Iterator[Tensor]:
        for item in detector.inner.read(source).items:
            yield torch.from_numpy(cut_image(item.pixels(), model.frame, model.config.image, None).tensors)

    return squares


def _of_audio(detector: Detector, model: AudioModel) -> Callable[[Any], Iterator[Tensor]]:
    audio, own = model.audio, model.audio.audio_map
    cut = {"sample_rate": own.sample_rate, "clip_samples": own.clip_samples}

    def maps(source: Any) -> Iterator[Tensor]:
        hop = hop_samples(own, model.config)
        for item in detector.inner.read(source).items:
            clips = np.stack([clip.samples for clip in ClipStream(item, **cut, hop_samples=hop)])
            yield audio.x0(audio.levels(clips))

    return maps


def _of_series(work: SeriesDetector, model: DenoiserModel) -> SameNetwork:
    scorer = model.scorers[0]
    size = scorer.window_size

    def windows(source: Any) -> Encoded:
        assert work.scaler is not None
        streams = scaled_streams(work.read(source), work.scaler)
        cut = scorer.completed(cut_streams(streams, size, max(1, size // 2)))
        return Encoded(scorer.representation.encode(cut.windows), cut.stream, cut.local_starts)

    return SameNetwork(scorer.net, scorer.net, scorer.schedule, model.config, None, windows, size)
