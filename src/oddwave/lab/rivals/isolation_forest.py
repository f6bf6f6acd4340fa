"""Isolation forest on windows, through scikit-learn with its defaults (100 trees of up to 256 windows each).

A window that random splits separate early is anomalous; the score is scikit-learn's `-score_samples`, in (0, 1], so
that higher is more anomalous (scikit-learn's own sign is the opposite).
Source: Liu, Ting and Zhou 2008, Isolation Forest (ICDM).

Departure: at most `max_reference` evenly spaced training windows are kept; trees sample from these.
Saving keeps those windows and the seed, and loading grows the forest anew: the scores are exactly equal under the same
scikit-learn version. Trees are not stored, because that would need pickle. Read `series_base.py` for the interface.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from sklearn.ensemble import IsolationForest as ScikitIsolationForest

from oddwave.errors import ConfigError
from oddwave.lab.rivals.series_base import BLOCK_VALUES, WindowBaseline, evenly_spaced, row_blocks

__all__ = ["IsolationForest"]


@dataclass(kw_only=True, eq=False)
class IsolationForest(WindowBaseline):
    """`num_trees` isolation trees over flattened windows; `seed` makes the forest repeatable."""

    name: ClassVar[str] = "isolation_forest"
    fitted: ClassVar[tuple[str, ...]] = (*WindowBaseline.fitted, "reference")
    num_trees: int = 100
    max_reference: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_trees < 1:
            raise ConfigError(f"num_trees is {self.num_trees}: give 1 or more")
        if self.max_reference < 2:
            raise ConfigError(f"max_reference is {self.max_reference}: give 2 or more windows")
        self._reference = np.zeros((0, 0))
        self._forest: ScikitIsolationForest | None = None

    def _fit_windows(self, windows: Float[np.ndarray, "N C L"]) -> None:
        at_most = min(self.max_reference, max(256, BLOCK_VALUES // windows[0].size))
        chosen = evenly_spaced(len(windows), at_most)
        self._grow(windows[chosen].reshape(len(chosen), -1))

    def _grow(self, reference: Float[np.ndarray, "m D"]) -> None:
        self._reference = reference
        self._forest = ScikitIsolationForest(n_estimators=self.num_trees, random_state=self.seed).fit(reference)

    def _score_windows(self, windows: Float[np.ndarray, "N C L"]) -> Float[np.ndarray, " N"]:
        assert self._forest is not None  # fit and load both grow it
        blocks = (block for _, block in row_blocks(windows, windows[0].size))
        return np.concatenate([-self._forest.score_samples(block) for block in blocks])

    def _take(self, arrays: Mapping[str, np.ndarray]) -> None:
        super()._take(arrays)
        self._grow(self._reference)
