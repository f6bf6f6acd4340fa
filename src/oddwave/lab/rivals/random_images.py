"""Random scores and maps of images: the floor that every other row of a table must clear.

    score ~ U(0, 1), each pixel of the map ~ U(0, 1), drawn from the seed and the image's own values

so an image scores the same whatever lies beside it. Read `random_score.py` for the same on series.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from oddwave.lab.rivals.image_base import ImageBaseline, Images

__all__ = ["RandomImages"]


@dataclass(kw_only=True, eq=False)
class RandomImages(ImageBaseline):
    """Uniform random scores and maps that tell nothing about the images."""

    name: ClassVar[str] = "random"
    seed: int = 0

    def _fit(self, x: Images) -> None:
        for _ in self._batches(x):
            pass  # learn nothing, but refuse what the others would refuse

    def _score_batch(
        self, batch: Float[np.ndarray, "b C S S"]
    ) -> tuple[Float[np.ndarray, " b"], Float[np.ndarray, "b S S"]]:
        draws = [np.random.default_rng([self.seed, zlib.crc32(image.tobytes())]) for image in batch]
        scores = np.array([draw.random() for draw in draws])
        return scores, np.stack([draw.random(batch.shape[2:], dtype=np.float32) for draw in draws])

    def _arrays(self) -> dict[str, np.ndarray]:
        return {}

    def _take(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take nothing."""
