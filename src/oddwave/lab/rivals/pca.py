"""PCA on windows: the mean squared error of a window's projection on the leading principal components.

    score(w) = 1/D * ||(w - m) - V V^T (w - m)||^2     D values per window, V the components, m the mean window

This is the squared prediction error (Q statistic) of process monitoring. V holds the fewest components that keep
`variance_share` (0.95, the usual upper choice of the 0.90 to 0.95 range) of the training windows' variance; fewer would
call ordinary detail anomalous, more would also reproduce anomalies.
Source: Jackson and Mudholkar 1979, Control procedures for residuals associated with principal component analysis.

Departure: the components come from at most `max_reference` evenly spaced training windows, fewer for very wide windows.
Read `series_base.py` for the interface.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from oddwave.errors import ConfigError
from oddwave.lab.rivals.series_base import WindowBaseline, row_blocks

__all__ = ["PCAReconstruction"]


@dataclass(kw_only=True, eq=False)
class PCAReconstruction(WindowBaseline):
    """Reconstruction error outside the components that keep `variance_share` of the variance."""

    name: ClassVar[str] = "pca"
    fitted: ClassVar[tuple[str, ...]] = (*WindowBaseline.fitted, "mean_window", "components")
    variance_share: float = 0.95
    max_reference: int = 4096

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.variance_share < 1.0:
            raise ConfigError(f"variance_share is {self.variance_share}: give a number between 0 and 1, such as 0.95")
        if self.max_reference < 2:
            raise ConfigError(f"max_reference is {self.max_reference}: give 2 or more windows")
        self._mean_window = np.zeros(0)
        self._components = np.zeros((0, 0))

    def _fit_windows(self, windows: Float[np.ndarray, "N C L"]) -> None:
        chosen = self._references(windows, self.max_reference)
        vectors = windows[chosen].reshape(len(chosen), -1)
        self._mean_window = vectors.mean(axis=0)
        _, singular, rows = np.linalg.svd(vectors - self._mean_window, full_matrices=False)
        variance = singular**2
        kept = 0
        if variance.sum() > 0.0:
            kept = int(np.searchsorted(np.cumsum(variance) / variance.sum(), self.variance_share)) + 1
        self._components = rows[:kept]

    def _score_windows(self, windows: Float[np.ndarray, "N C L"]) -> Float[np.ndarray, " N"]:
        scores = np.empty(len(windows))
        for first, block in row_blocks(windows, windows[0].size):
            centred = block - self._mean_window
            residual = centred - (centred @ self._components.T) @ self._components
            scores[first : first + len(block)] = np.mean(residual**2, axis=1)
        return scores
