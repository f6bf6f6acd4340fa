"""The methods for images: oddwave itself (`own_methods.py`) and the baselines.

A method is a function of (task, seed) to a score and a map for each test image, higher = more anomalous. Every method
reads the same files through `read_images`; baselines see them as squares of 256 px, through the frame that oddwave
would choose. Seconds count everything from the files to the scores. Read `image_metrics.py` next.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from oddwave.lab.bench.clock import Clock
from oddwave.lab.bench.own_methods import run_own_method
from oddwave.lab.bench.protocol import ImageTask, Outcome
from oddwave.lab.bench.rivals import make_baseline
from oddwave.lab.rivals import IMAGE_BASELINES
from oddwave.sources.image.items import ImageItem, common_channels
from oddwave.sources.image.reader import read_images
from oddwave.tensors.image_frame import ImageFrame

__all__ = ["IMAGE_METHODS", "FramedImages"]

_SIZE_PX = 256


class FramedImages:
    """Images as squares in [-1, 1], decoded and resized when asked for: a list of files costs no memory."""

    def __init__(self, items: Sequence[ImageItem], frame: ImageFrame) -> None:
        self.items, self.frame = items, frame

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.items)

    def __getitem__(self, index: int, /) -> Float[np.ndarray, "C S S"]:
        """Return one square. Raises: DataError where the file has become unreadable."""
        return self.frame.prepare(self.items[index].pixels())


def _baseline(name: str, task: ImageTask, seed: int) -> Outcome:
    clock, baseline = Clock(), make_baseline(IMAGE_BASELINES[name], task, seed)
    train, test = _read(task.split.train_paths), _read(task.split.test_paths)
    frame, _ = ImageFrame.choose([item.size for item in train], common_channels(train), _SIZE_PX)
    baseline.fit(FramedImages(train, frame))
    clock.lap()
    scores, maps = baseline.score_and_maps(FramedImages(test, frame))
    inside = [frame.placement(*item.size).slices for item in test]
    own_maps = [own[part] for own, part in zip(maps, inside, strict=True)]
    return clock.outcome(scores, own_maps, baseline.settings, baseline.num_parameters)


def _read(paths: Sequence[Path]) -> tuple[ImageItem, ...]:
    return read_images(list(paths), on_error="stop").items


IMAGE_METHODS: dict[str, Callable[[str, ImageTask, int], Outcome]] = {
    "oddwave": run_own_method,
    "oddwave_fast": run_own_method,
    "oddwave_accurate": run_own_method,
    "oddwave_pixel": run_own_method,
    "plain_ddpm_pixel": run_own_method,
    **dict.fromkeys(IMAGE_BASELINES, _baseline),
}
