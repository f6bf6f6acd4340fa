"""The methods for pictures: oddwave's presets, the paper's own setting, a plain DDPM, and the baselines.

A method is a function of (task, seed) to a score and a map for each test picture, higher = more anomalous. Every method
reads the same files through `read_images`; baselines see them as squares of 256 px, through the frame that oddwave
would choose. Seconds count everything from the files to the scores. Read `picture_metrics.py` next.

    oddwave_pixel      the paper: diffusion over pixels, all four additions, noise prediction, both losses, A = lambda
                       E_recon + (1 - lambda) E_feat, nothing remembered; at 64 px, 16 base channels, 300 steps and 256
                       keys for each attention, for that is what a processor without a GPU does in minutes
    plain_ddpm_pixel   the same budget, none of the additions, pixel error only
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from oddwave.baselines import PICTURE_BASELINES
from oddwave.bench.protocol import Outcome, PictureTask
from oddwave.config import preset
from oddwave.errors import DataError
from oddwave.modalities.image_frame import ImageFrame
from oddwave.modalities.image_items import ImageItem, common_channels
from oddwave.modalities.image_source import read_images

__all__ = ["PICTURE_METHODS", "FramedPictures"]

_SIZE_PX = 256
_PAPER = (
    "image.space=pixel",
    "image.patch_memory=false",
    "image.statistics=false",
    "training.prediction_type=epsilon",
    "network.base_channels=16",
    "network.max_tokens=256",
    "training.num_steps=300",
    "training.feature_loss_weight=1.0",
)
_PLAIN = (
    "network.wavelet_pyramid=false",
    "network.attention=false",
    "network.shared_adapter=false",
    "network.hybrid_embedding=false",
    "training.feature_loss_weight=0.0",
    "scoring.reconstruction_weight=1.0",
)
_OVERRIDES: dict[str, tuple[str, ...]] = {
    "oddwave_pixel": _PAPER,
    "plain_ddpm_pixel": (*_PAPER, *_PLAIN),
}
_PRESETS = {"oddwave_fast": "fast", "oddwave_accurate": "accurate"}


class FramedPictures:
    """Pictures as squares in [-1, 1], decoded and resized when asked for: a list of files costs no memory."""

    def __init__(self, items: Sequence[ImageItem], frame: ImageFrame) -> None:
        self.items, self.frame = items, frame

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.items)

    def __getitem__(self, index: int, /) -> Float[np.ndarray, "C S S"]:
        """Return one square. Raises: DataError where the file has become unreadable."""
        return self.frame.prepare(self.items[index].pixels())


def _oddwave(name: str, task: PictureTask, seed: int) -> Outcome:
    from oddwave.detector import Detector

    settings = preset(_PRESETS.get(name, "balanced"), modality="image", seed=seed)
    clock = _Clock()
    detector = Detector(settings.with_overrides(_OVERRIDES.get(name, ()))).fit(list(task.split.train_paths))
    clock.fitted()
    pictures = detector.score(list(task.split.test_paths)).pictures
    unread = [picture for picture in pictures if picture.error]
    if unread:
        raise DataError(f"{len(unread)} test pictures could not be judged, the first: {unread[0].error}")
    scores = np.array([float(picture.scores[0]) for picture in pictures])
    return clock.outcome(scores, [picture.anomaly_map for picture in pictures])


def _baseline(name: str, task: PictureTask, seed: int) -> Outcome:
    baseline = PICTURE_BASELINES[name]()
    if hasattr(baseline, "seed"):
        baseline.seed = seed
    clock = _Clock()
    train, test = _read(task.split.train_paths), _read(task.split.test_paths)
    frame, _ = ImageFrame.choose([item.size for item in train], common_channels(train), _SIZE_PX)
    baseline.fit(FramedPictures(train, frame))
    clock.fitted()
    scores, maps = baseline.score_and_maps(FramedPictures(test, frame))
    inside = [frame.placement(*item.size).slices for item in test]
    return clock.outcome(scores, [own[part] for own, part in zip(maps, inside, strict=True)])


def _read(paths: Sequence[Path]) -> tuple[ImageItem, ...]:
    return read_images(list(paths), on_error="stop").items


class _Clock:
    """CPU seconds of the process and seconds on the clock, from its making over `fitted` to `outcome`."""

    def __init__(self) -> None:
        self.laps = [(time.process_time(), time.perf_counter())]

    def fitted(self) -> None:
        self.laps.append((time.process_time(), time.perf_counter()))

    def outcome(self, scores: Float[np.ndarray, " n"], maps: Sequence[Float[np.ndarray, "h w"]]) -> Outcome:
        begun, fitted = self.laps
        fit_s, fit_wall_s = (later - earlier for earlier, later in zip(begun, fitted, strict=True))
        score_s, score_wall_s = time.process_time() - fitted[0], time.perf_counter() - fitted[1]
        return Outcome(scores, fit_s, score_s, maps, fit_wall_s, score_wall_s)


PICTURE_METHODS: dict[str, Callable[[str, PictureTask, int], Outcome]] = {
    "oddwave": _oddwave,
    "oddwave_fast": _oddwave,
    "oddwave_accurate": _oddwave,
    "oddwave_pixel": _oddwave,
    "plain_ddpm_pixel": _oddwave,
    "patch_knn": _baseline,
    "padim": _baseline,
    "random": _baseline,
}
