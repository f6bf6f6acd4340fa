"""oddwave itself on pictures and on sound: its presets, the paper's own setting, and a plain DDPM.

    oddwave_pixel, oddwave_audio_pixel
                       the paper: diffusion over pixels (of a picture, or of a sound's map), all four additions, noise
                       prediction, both losses, A = lambda E_recon + (1 - lambda) E_feat, nothing remembered; at 64 px,
                       16 base channels, 300 steps and 256 keys for each attention, for that is what a processor
                       without a GPU does in minutes
    plain_ddpm_pixel, plain_ddpm_audio
                       the same budget, none of the additions, pixel error only

A detector is told the files to train on and the files to judge, nothing else. Read `picture_methods.py` and
`sound_methods.py` next, which have a row's other methods.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from oddwave.bench.clock import Clock
from oddwave.bench.protocol import PictureTask, SoundTask
from oddwave.config import DetectorConfig, preset
from oddwave.errors import DataError
from oddwave.results import DetectionResult, PictureResult, SoundResult

__all__ = ["fit_and_score", "own_settings"]

AnyResult = TypeVar("AnyResult", PictureResult, SoundResult)

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
_MAP_ALONE = ("audio.clip_spaces=[]",)  # what is known of a clip as a whole is remembered, not denoised
_OVERRIDES: dict[str, tuple[str, ...]] = {
    "oddwave_pixel": _PAPER,
    "plain_ddpm_pixel": (*_PAPER, *_PLAIN),
    "oddwave_audio_pixel": (*_PAPER, *_MAP_ALONE),
    "plain_ddpm_audio": (*_PAPER, *_MAP_ALONE, *_PLAIN),
}
_ITEMS = {"image": "pictures", "audio": "recordings"}
_PRESETS = {"oddwave_fast": "fast", "oddwave_accurate": "accurate"}


def own_settings(name: str, task: PictureTask | SoundTask, seed: int) -> DetectorConfig:
    """Give the settings that a method of this name has on tasks of this modality."""
    settings = preset(_PRESETS.get(name, "balanced"), modality=task.modality, seed=seed)
    return settings.with_overrides(_OVERRIDES.get(name, ()))


def fit_and_score(
    name: str, task: PictureTask | SoundTask, seed: int, items_of: Callable[[DetectionResult], Sequence[AnyResult]]
) -> tuple[Sequence[AnyResult], Clock]:
    """Fit a detector and score the task's test files; return what `items_of` takes from the result, and the seconds.

    Raises: DataError where an item could not be judged.
    """
    from oddwave.detector import Detector

    clock = Clock()
    detector = Detector(own_settings(name, task, seed)).fit(list(task.split.train_paths))
    clock.fitted()
    items = items_of(detector.score(list(task.split.test_paths)))
    unread = [item for item in items if item.error]
    if unread:
        raise DataError(f"{len(unread)} test {_ITEMS[task.modality]} could not be judged, the first: {unread[0].error}")
    return items, clock
