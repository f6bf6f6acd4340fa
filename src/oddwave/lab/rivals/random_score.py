"""Random scores: the floor that every other row of a table must clear, and the reason to distrust some metrics.

    score ~ U(0, 1), the same draw for the same seed and the same number of items

Read `lab/metrics/point_adjust.py` for a metric under which this baseline looks excellent.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from oddwave.lab.rivals.series_base import SeriesBaseline

__all__ = ["RandomScore"]


@dataclass(kw_only=True, eq=False)
class RandomScore(SeriesBaseline):
    """Uniform random scores that ignore the data."""

    name: ClassVar[str] = "random"
    seed: int = 0

    def _fit(self, x: Float[np.ndarray, "..."]) -> None:
        """Learn nothing."""

    def _score(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        return np.random.default_rng(self.seed).random(len(x))

    def _state(self) -> dict[str, np.ndarray]:
        return {}

    def _restore(self, state: dict[str, np.ndarray]) -> None:
        """Take nothing more."""
