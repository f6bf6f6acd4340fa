"""Random scores of clips: the floor that every other row of a table must clear.

    score ~ U(0, 1), drawn from the seed and the clip's own values

so a clip scores the same whatever lies beside it. Read `random_score.py` for the same on series.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from oddwave.lab.rivals.clip_base import ClipBaseline

__all__ = ["RandomClips"]


@dataclass(kw_only=True, eq=False)
class RandomClips(ClipBaseline):
    """Uniform random scores that tell nothing about the clips."""

    name: ClassVar[str] = "random"
    seed: int = 0

    def _fit(self, batches: Iterator[Float[np.ndarray, "b n"]]) -> None:
        for _ in batches:
            pass  # learn nothing, but refuse what the others would refuse

    def _score_batch(self, batch: Float[np.ndarray, "b n"]) -> Float[np.ndarray, " b"]:
        return np.array([np.random.default_rng([self.seed, zlib.crc32(clip.tobytes())]).random() for clip in batch])

    def _arrays(self) -> dict[str, np.ndarray]:
        return {}

    def _take(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take nothing."""
