"""Random scores: the floor that every other row of a table must clear, and the reason to distrust some metrics.

    series           score ~ U(0, 1), the same draw for the same seed and the same number of items
    images, clips    score, and each pixel of a map, ~ U(0, 1), drawn from the seed and the item's own values,
                     so that an item scores the same whatever lies beside it

Read `lab/metrics/point_adjust.py` for a metric under which this baseline looks excellent.
"""

import zlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from oddwave.lab.rivals.base import Baseline
from oddwave.lab.rivals.clip_base import ClipBaseline
from oddwave.lab.rivals.image_base import ImageBaseline
from oddwave.lab.rivals.series_base import SeriesBaseline

__all__ = ["RandomClips", "RandomImages", "RandomScore"]


@dataclass(kw_only=True, eq=False)
class _Random(Baseline):
    """Uniform random scores that tell nothing about the items, whatever these are."""

    name: ClassVar[str] = "random"
    seed: int = 0

    def _fit(self, items: Any) -> None:
        """Learn nothing, but refuse what the others would refuse."""
        for _ in self._batches(items) if isinstance(self, ImageBaseline) else items:
            pass

    def _score(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        return np.random.default_rng(self.seed).random(len(x))

    def _score_batch(self, batch: Float[np.ndarray, "b ..."]) -> Any:
        draws = [np.random.default_rng([self.seed, zlib.crc32(item.tobytes())]) for item in batch]
        scores = np.array([draw.random() for draw in draws])
        if batch.ndim == 2:
            return scores
        return scores, np.stack([draw.random(batch.shape[2:], dtype=np.float32) for draw in draws])


@dataclass(kw_only=True, eq=False)
class RandomScore(_Random, SeriesBaseline):
    """Random scores of series."""


@dataclass(kw_only=True, eq=False)
class RandomImages(_Random, ImageBaseline):
    """Random scores and maps of images."""


@dataclass(kw_only=True, eq=False)
class RandomClips(_Random, ClipBaseline):
    """Random scores of clips."""
