"""|z|: how many training standard deviations a value lies from the training mean, the largest over the channels.

    score(point) = max over channels c of |x_c - mean_c| / sd_c;   an instance of a panel: the mean over its points

The simplest rule people use (Shewhart 1931, control charts); it sees spikes and level shifts and nothing in the shape.
Read `series_base.py` for the interface.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from oddwave.lab.rivals.series_base import SeriesBaseline

__all__ = ["ZScore"]


@dataclass(kw_only=True, eq=False)
class ZScore(SeriesBaseline):
    """The absolute z-score; it has no settings."""

    name: ClassVar[str] = "zscore"

    def _fit(self, x: Float[np.ndarray, "..."]) -> None:
        """Learn nothing more: the base class keeps the mean and the standard deviation."""

    def _score(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        worst: np.ndarray = np.abs(x).max(axis=1)
        return worst if x.ndim == 2 else worst.mean(axis=1)
