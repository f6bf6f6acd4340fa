"""oddwave itself: its presets in every modality; of images and audio also the paper's own setting and a plain DDPM.

    oddwave_pixel, oddwave_audio_pixel
                       the paper: diffusion over pixels (of an image, or of a sound's map), all four additions, noise
                       prediction, both losses, A = lambda E_recon + (1 - lambda) E_feat, nothing remembered; at 64 px,
                       16 base channels, 300 steps and 256 keys for each attention, for that is what a processor
                       without a GPU does in minutes
    plain_ddpm_pixel, plain_ddpm_audio
                       the same budget, none of the additions, pixel error only

A detector is told the data to train on and the data to judge, nothing else. Read `methods.py`, `image_methods.py` and
`audio_methods.py` next, which have a row's other methods, and `ablation.py` for what each part is worth.

Legend: n points of all streams.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from jaxtyping import Float

from oddwave.config import DetectorConfig, preset
from oddwave.errors import DataError
from oddwave.lab.bench.clock import Clock
from oddwave.lab.bench.protocol import AnyTask, ImageTask, Outcome, Task
from oddwave.lab.bench.quick import at_effort
from oddwave.results import AudioResult, ImageResult

if TYPE_CHECKING:
    from oddwave.detector import Detector

__all__ = ["PAPER_SETTING", "run_own_method", "score_task", "streams_of"]

AnyResult = TypeVar("AnyResult", ImageResult, AudioResult)

PAPER_SETTING = (
    "maps.space=pixel",
    "maps.patch_memory=false",
    "maps.statistics=false",
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
_DENOISER = "image.method=denoiser"
_OVERRIDES: dict[str, tuple[str, ...]] = {
    "oddwave_pixel": (_DENOISER, *PAPER_SETTING),
    "plain_ddpm_pixel": (_DENOISER, *PAPER_SETTING, *_PLAIN),
    "oddwave_audio_pixel": (*PAPER_SETTING, *_MAP_ALONE),
    "plain_ddpm_audio": (*PAPER_SETTING, *_MAP_ALONE, *_PLAIN),
}
_PRESETS = {"oddwave_fast": "fast", "oddwave_accurate": "accurate"}


def run_own_method(name: str, task: AnyTask, seed: int) -> Outcome:
    """Run the setting of oddwave that a method of this name stands for. Raises: as `score_task`."""
    settings = preset(_PRESETS.get(name, "balanced"), modality=task.modality, seed=seed)
    heard = (f"audio.sample_rate={settings.audio.rate_hz}",) * (task.modality == "audio")  # as all others hear it
    return score_task(settings.with_overrides((*heard, *_OVERRIDES.get(name, ()))), task)


def score_task(settings: DetectorConfig, task: AnyTask) -> Outcome:
    """Fit a detector with these settings and score the test items. Raises: DataError for one that cannot be judged."""
    from oddwave.detector import Detector

    own, clock = at_effort(settings, task), Clock()
    detector = Detector(own)
    maps: Sequence[np.ndarray] = ()
    if isinstance(task, Task):
        scores = _series_scores(detector, task, clock)
    else:
        detector.fit(list(task.split.train_paths))
        clock.lap()
        result = detector.score(list(task.split.test_paths))
        if isinstance(task, ImageTask):
            scores = np.array([float(image.scores[0]) for image in _judged(result.images)])
            maps = [image.anomaly_map for image in result.images]
        else:
            scores = np.array([recording.score for recording in _judged(result.recordings)])
    return clock.outcome(scores, maps, own.model_dump(mode="json"), detector.num_parameters)


def streams_of(joined: Float[np.ndarray, "..."], ends: tuple[int, ...]) -> Any:
    """Return the array itself, or the streams of a joint task as a dictionary."""
    if not ends:
        return joined
    return {f"stream_{i:02d}": part for i, part in enumerate(np.split(joined, ends[:-1]))}


def _series_scores(detector: "Detector", task: Task, clock: Clock) -> Float[np.ndarray, " n"]:
    from oddwave.detection.series.detector import SeriesDetector

    if task.train is None:
        assert isinstance(detector.inner, SeriesDetector)
        return np.concatenate([stream.scores for stream in detector.inner.fit_scores(task.test)])
    detector.fit(streams_of(task.train, task.train_ends))
    clock.lap()
    return detector.decision_function(streams_of(task.test, task.test_ends))


def _judged(items: Sequence[AnyResult]) -> Sequence[AnyResult]:
    unread = [item for item in items if item.error]
    if unread:
        raise DataError(f"{len(unread)} of {len(items)} test items could not be judged, the first: {unread[0].error}")
    return items
