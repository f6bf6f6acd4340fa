"""What `oddwave bench speed` measures, each method behind one interface: oddwave, samplers on its own network, rivals.

    oddwave           the preset as it ships
    oddwave_denoiser  the same preset with `method=denoiser` (of audio there is no other method): one-step estimates
    ddim_50           the same network again: noised to half of the way, 50 steps back by diffusers' DDIM
    ddpm_1000         the same network: noised all the way, 1,000 steps back by diffusers' DDPM
    knn, patch_knn, frozen_knn   our own neighbours: of windows, of patches (PatchCore), of clips
    pyod_knn, pyod_iforest, pyod_autoencoder   PyOD's, on windows of 64 points or on one vector an item
    stumpi            STUMPY's matrix profile, updated point by point
    anomalib_...      PatchCore, PaDiM and EfficientAD of anomalib

Those that do not come with oddwave are left out where they are not installed (`missing`). Read `speed_cell.py` next.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from oddwave.config import DetectorConfig, preset
from oddwave.detector import Detector
from oddwave.lab.bench.audio_methods import ClipsOfFiles
from oddwave.lab.bench.image_methods import FramedImages
from oddwave.lab.bench.machine_rate import Work, work_of
from oddwave.lab.bench.same_network import SameNetwork, denoiser_settings, same_network
from oddwave.lab.rivals import BASELINES, CLIP_BASELINES, IMAGE_BASELINES
from oddwave.sources.image.items import common_channels
from oddwave.sources.image.reader import read_images
from oddwave.tensors.image_frame import ImageFrame

__all__ = [
    "DDIM",
    "DDPM",
    "Framed",
    "FrozenKNNMethod",
    "OwnMethod",
    "OwnRival",
    "PatchKNNMethod",
    "Sampled",
    "SpeedMethod",
    "WithDenoiser",
    "framed_clips",
    "missing",
]

_BRIEF = ("training.num_steps=2", "training.num_validation_draws=8")
_SIZE_PX = 256
_SAMPLE_RATE = 16_000


class SpeedMethod(ABC):
    """Fits and scores what `make_data` makes; `needs` are packages that do not come with oddwave, with their extra."""

    needs: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = "bench"
    lengths: ClassVar[tuple[int, ...]] = ()  # of a sampler that is timed with fewer steps than it has

    def __init__(self, modality: str, preset_name: str) -> None:
        self.modality, self.preset = modality, preset_name

    @abstractmethod
    def fit(self, train: Any, *, brief: bool) -> None:
        """Learn; where it is `brief`, training is cut short: it only warms up."""

    @abstractmethod
    def score(self, source: Any) -> Float[np.ndarray, " n"]:
        """Return the score of each item, of streams of each point."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what would be needed to score again."""

    def work(self, source: Any) -> Work | None:
        """Return what scoring asks of the machine; None where that is not known."""
        return None


def missing(kind: type[SpeedMethod]) -> str:
    """Return what is missing and how to get it; empty where nothing is."""
    absent = [name for name in kind.needs if find_spec(name) is None]
    return f"{', '.join(absent)} not installed: pip install 'oddwave[{kind.extra}]'" if absent else ""


class OwnMethod(SpeedMethod):
    """oddwave, as its preset is, or with a denoiser."""

    settings: Callable[[DetectorConfig], DetectorConfig] = staticmethod(lambda settings: settings)
    shares_fit: ClassVar[bool] = False  # a model that was fitted for one of them serves them all
    detector: Detector

    def fit(self, train: Any, *, brief: bool) -> None:
        given = preset(self.preset, self.modality)
        if self.modality == "audio":
            given = given.with_overrides([f"audio.sample_rate={_SAMPLE_RATE}"])
        given = type(self).settings(given)
        self.detector = Detector(given.with_overrides(_BRIEF) if brief else given).fit(train)

    def score(self, source: Any) -> Float[np.ndarray, " n"]:
        return self.detector.decision_function(source)

    def save(self, folder: Path) -> None:
        self.detector.save(folder)

    def load(self, folder: Path) -> None:
        """Take what `save` wrote instead of fitting."""
        self.detector = Detector.load(folder)

    def work(self, source: Any) -> Work | None:
        return work_of(lambda: self.score(source))


class WithDenoiser(OwnMethod):
    """oddwave with a denoiser."""

    settings = staticmethod(denoiser_settings)
    shares_fit: ClassVar[bool] = True


class Sampled(WithDenoiser):
    """The denoiser of the same fit, with a scheduler of diffusers; the error of the reconstruction is the score."""

    needs: ClassVar[tuple[str, ...]] = ("diffusers",)
    extra: ClassVar[str] = "samplers"
    scheduler: ClassVar[str] = "DDIMScheduler"
    num_steps: ClassVar[int] = 50
    noise_level: ClassVar[float] = 0.5

    @cached_property
    def network(self) -> SameNetwork:
        """The denoiser of the fitted detector."""
        return same_network(self.detector)

    def score(self, source: Any) -> Float[np.ndarray, " n"]:
        return self.in_steps(source, self.num_steps)

    def in_steps(self, source: Any, num_steps: int) -> Float[np.ndarray, " n"]:
        """Score with this number of steps."""
        seen = self.network.encode(source)
        scores = self.network.sampled(
            seen.x0, scheduler=self.scheduler, num_steps=num_steps, noise_level=self.noise_level
        )
        if self.modality == "series":
            return seen.per_point(scores, self.network.window_size, len(source))
        return seen.per_item(scores)

    def work(self, source: Any) -> Work | None:
        """Return the work of all steps, from that of one and of two."""
        one, two = (work_of(lambda num=num: self.in_steps(source, num)) for num in (1, 2))  # type: ignore[misc]
        more = self.num_steps - 1
        return Work(
            one.multiply_adds + more * (two.multiply_adds - one.multiply_adds),
            one.num_bytes + more * (two.num_bytes - one.num_bytes),
        )


class DDIM(Sampled):
    """50 deterministic steps."""


class DDPM(Sampled):
    """1,000 ancestral steps from full noise, as the paper has it."""

    scheduler: ClassVar[str] = "DDPMScheduler"
    num_steps: ClassVar[int] = 1000
    noise_level: ClassVar[float] = 1.0
    lengths: ClassVar[tuple[int, ...]] = (5, 10, 20)


class OwnRival(SpeedMethod):
    """A baseline of `lab/rivals` that reads what oddwave reads."""

    name: ClassVar[str] = "knn"

    def fit(self, train: Any, *, brief: bool) -> None:
        if self.modality == "series":
            self.baseline: Any = BASELINES[self.name]()
        elif self.modality == "image":
            self.baseline = IMAGE_BASELINES[self.name]()
        else:
            self.baseline = CLIP_BASELINES[self.name](sample_rate=_SAMPLE_RATE)
        self.framed = Framed(train) if self.modality == "image" else None
        self.baseline.fit(self._items(train))

    def score(self, source: Any) -> Float[np.ndarray, " n"]:
        items = self._items(source)
        scores: np.ndarray = self.baseline.decision_function(items)
        return items.worst(scores) if isinstance(items, ClipsOfFiles) else scores

    def save(self, folder: Path) -> None:
        self.baseline.save(folder)

    def _items(self, source: Any) -> Any:
        if self.framed is not None:
            return self.framed(source)
        return source if self.modality == "series" else framed_clips(source)


class PatchKNNMethod(OwnRival):
    """PatchCore, our own."""

    name: ClassVar[str] = "patch_knn"


class FrozenKNNMethod(OwnRival):
    """Neighbours of clips by frozen features."""

    name: ClassVar[str] = "frozen_knn"


class Framed:
    """Brings files of images to the squares that oddwave would choose for those that were fitted on."""

    def __init__(self, train: Sequence[Path]) -> None:
        items = read_images(list(train), on_error="stop").items
        self.frame, _ = ImageFrame.choose([item.size for item in items], common_channels(items), _SIZE_PX)

    def __call__(self, source: Sequence[Path]) -> FramedImages:
        return FramedImages(read_images(list(source), on_error="stop").items, self.frame)


def framed_clips(source: Sequence[Path]) -> ClipsOfFiles:
    """Return the clips of recordings, as oddwave cuts them."""
    return ClipsOfFiles(source, preset("balanced", "audio").audio)
