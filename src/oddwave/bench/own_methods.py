"""oddwave itself: on pictures and sound its presets, the paper's own setting, a plain DDPM; on series any setting.

    oddwave_pixel, oddwave_audio_pixel
                       the paper: diffusion over pixels (of a picture, or of a sound's map), all four additions, noise
                       prediction, both losses, A = lambda E_recon + (1 - lambda) E_feat, nothing remembered; at 64 px,
                       16 base channels, 300 steps and 256 keys for each attention, for that is what a processor
                       without a GPU does in minutes
    plain_ddpm_pixel, plain_ddpm_audio
                       the same budget, none of the additions, pixel error only

A detector is told the data to train on and the data to judge, nothing else. Read `methods.py`, `picture_methods.py` and
`sound_methods.py` next, which have a row's other methods, and `ablation.py` for what each part is worth.

Legend: n points of all streams.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from oddwave.bench.clock import Clock
from oddwave.bench.protocol import Outcome, PictureTask, SoundTask, Task
from oddwave.config import DetectorConfig, preset
from oddwave.errors import DataError
from oddwave.results import DetectionResult, PictureResult, SoundResult

__all__ = ["PAPER_SETTING", "fit_and_score", "own_settings", "score_pictures", "score_series", "streams_of"]

AnyResult = TypeVar("AnyResult", PictureResult, SoundResult)

PAPER_SETTING = (
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
    "oddwave_pixel": PAPER_SETTING,
    "plain_ddpm_pixel": (*PAPER_SETTING, *_PLAIN),
    "oddwave_audio_pixel": (*PAPER_SETTING, *_MAP_ALONE),
    "plain_ddpm_audio": (*PAPER_SETTING, *_MAP_ALONE, *_PLAIN),
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
    return _fit_and_score(own_settings(name, task, seed), task, items_of)


def score_pictures(settings: DetectorConfig, task: PictureTask) -> Outcome:
    """Fit a detector with these settings; give each test picture its score and map. Raises: DataError."""
    pictures, clock = _fit_and_score(settings, task, lambda result: result.pictures)
    scores = np.array([float(picture.scores[0]) for picture in pictures])
    return clock.outcome(scores, [picture.anomaly_map for picture in pictures], settings.model_dump(mode="json"))


def score_series(settings: DetectorConfig, task: Task) -> Outcome:
    """Fit a detector with these settings; give each test point or instance its score. Raises: DataError."""
    from oddwave.detection.series_work import SeriesWork
    from oddwave.detector import Detector

    started = time.process_time()
    if task.train is None:
        scores = np.concatenate([s.scores for s in SeriesWork(settings, {}).fit_scores(task.test)])
        return Outcome(scores, time.process_time() - started, 0.0)
    detector = Detector(settings).fit(streams_of(task.train, task.train_ends))
    fitted = time.process_time()
    scores = detector.decision_function(streams_of(task.test, task.test_ends))
    return Outcome(scores, fitted - started, time.process_time() - fitted)


def streams_of(joined: Float[np.ndarray, "..."], ends: tuple[int, ...]) -> Any:
    """Give the array itself, or the streams of a joint task as a dictionary."""
    if not ends:
        return joined
    return {f"stream_{i:02d}": part for i, part in enumerate(np.split(joined, ends[:-1]))}


def _fit_and_score(
    settings: DetectorConfig,
    task: PictureTask | SoundTask,
    items_of: Callable[[DetectionResult], Sequence[AnyResult]],
) -> tuple[Sequence[AnyResult], Clock]:
    from oddwave.detector import Detector

    clock = Clock()
    detector = Detector(settings).fit(list(task.split.train_paths))
    clock.fitted()
    items = items_of(detector.score(list(task.split.test_paths)))
    unread = [item for item in items if item.error]
    if unread:
        raise DataError(f"{len(unread)} test {_ITEMS[task.modality]} could not be judged, the first: {unread[0].error}")
    return items, clock
