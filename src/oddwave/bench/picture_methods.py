"""The methods for pictures: oddwave itself (`own_methods.py`) and the baselines.

A method is a function of (task, seed) to a score and a map for each test picture, higher = more anomalous. Every method
reads the same files through `read_images`; baselines see them as squares of 256 px, through the frame that oddwave
would choose. Seconds count everything from the files to the scores. Read `picture_metrics.py` next.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jaxtyping import Float

from oddwave.baselines import PICTURE_BASELINES
from oddwave.bench.clock import Clock
from oddwave.bench.own_methods import fit_and_score, own_settings
from oddwave.bench.protocol import Outcome, PictureTask
from oddwave.modalities.image_frame import ImageFrame
from oddwave.modalities.image_items import ImageItem, common_channels
from oddwave.modalities.image_source import read_images

__all__ = ["PICTURE_METHODS", "FramedPictures"]

_SIZE_PX = 256


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
    pictures, clock = fit_and_score(name, task, seed, lambda result: result.pictures)
    scores = np.array([float(picture.scores[0]) for picture in pictures])
    maps = [picture.anomaly_map for picture in pictures]
    return clock.outcome(scores, maps, own_settings(name, task, seed).model_dump(mode="json"))


def _baseline(name: str, task: PictureTask, seed: int) -> Outcome:
    baseline = PICTURE_BASELINES[name]()
    if hasattr(baseline, "seed"):
        baseline.seed = seed
    clock = Clock()
    train, test = _read(task.split.train_paths), _read(task.split.test_paths)
    frame, _ = ImageFrame.choose([item.size for item in train], common_channels(train), _SIZE_PX)
    baseline.fit(FramedPictures(train, frame))
    clock.fitted()
    scores, maps = baseline.score_and_maps(FramedPictures(test, frame))
    inside = [frame.placement(*item.size).slices for item in test]
    return clock.outcome(scores, [own[part] for own, part in zip(maps, inside, strict=True)], asdict(baseline))


def _read(paths: Sequence[Path]) -> tuple[ImageItem, ...]:
    return read_images(list(paths), on_error="stop").items


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
