"""One-class support vector machine on windows, with a Gaussian kernel, through scikit-learn.

    score(w) = -(sum over support vectors s_i of a_i exp(-g ||w - s_i||^2) + b),   0 <= a_i <= 1,  sum of a_i = nu m

The plane that keeps m training windows furthest from the origin of the kernel's space, but for at most the share `nu`;
g = `sharpness` / (D * variance of all values). The score is scikit-learn's `decision_function` with the sign turned, so
that higher is more anomalous.
Source: Schoelkopf et al. 2001, Estimating the support of a high-dimensional distribution (Neural Computation 13).

Departures. `sharpness` is 10 where scikit-learn's "scale" has 1: the D values of a window depend on one another, so
windows lie closer than D free values would, and nu is 0.1; both did better on planted anomalies than 1 and 0.5. The
plane is found from at most `max_reference` evenly spaced training windows, because the solver's time grows with their
square. `fit_predict` leaves the support vectors that overlap a window (in a panel, the instance itself) out of its sum.
The sum is our own, over the saved support vectors: scikit-learn's object could only be saved as a pickle. Read
`series_base.py` for the interface.

Legend: N windows, C channels, L points, D = C L values of a window.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist
from sklearn.svm import OneClassSVM as ScikitOneClassSVM

from oddwave.errors import ConfigError
from oddwave.lab.rivals.series_base import WindowBaseline, row_blocks
from oddwave.scoring.neighbours import Apart
from oddwave.tensors.series_windows import window_starts

__all__ = ["OneClassSVM"]


@dataclass(kw_only=True, eq=False)
class OneClassSVM(WindowBaseline):
    """Distance to the plane that at most the share `nu` of the training windows lies beyond."""

    name: ClassVar[str] = "one_class_svm"
    fitted: ClassVar[tuple[str, ...]] = (*WindowBaseline.fitted, "support", "weights", "offset_and_gamma")
    nu: float = 0.1
    sharpness: float = 10.0
    max_reference: int = 2000

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.nu < 1.0:
            raise ConfigError(f"nu is {self.nu}: give a share between 0 and 1, such as 0.1")
        if not self.sharpness > 0.0 or self.max_reference < 2:
            raise ConfigError(
                f"sharpness {self.sharpness} with max_reference {self.max_reference}: give above 0, and 2 or more"
            )
        self._support, self._weights = np.zeros((0, 0)), np.zeros(0)
        self._support_index = np.zeros(0, dtype=np.int64)  # which training windows they were
        self._offset_and_gamma = np.zeros(2)

    def _fit_windows(self, windows: Float[np.ndarray, "N C L"]) -> None:
        chosen = self._references(windows, self.max_reference)
        vectors = windows[chosen].reshape(len(chosen), -1)
        variance = float(vectors.var())
        gamma = self.sharpness / (vectors.shape[1] * variance) if variance > 0.0 else 1.0
        machine = ScikitOneClassSVM(nu=self.nu, gamma=gamma).fit(vectors)
        self._support, self._weights = machine.support_vectors_, machine.dual_coef_[0]
        self._support_index = chosen[machine.support_]
        self._offset_and_gamma = np.array([machine.intercept_[0], gamma])

    def _score_windows(self, windows: Float[np.ndarray, "N C L"]) -> Float[np.ndarray, " N"]:
        return self._beyond(windows, None)

    def _score_training(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        starts, reach = np.arange(len(x)), 1
        if x.ndim == 2:
            starts, reach = window_starts(len(x), self.window_size, self.stride), self.window_size
        apart = Apart(starts, starts[self._support_index], reach)
        return self._to_items(self._beyond(self._windows(x), apart), x)

    def _beyond(self, windows: Float[np.ndarray, "N C L"], apart: Apart | None) -> Float[np.ndarray, " N"]:
        """Return how far windows lie beyond the plane, without the support vectors that they may not be compared to."""
        offset, gamma = self._offset_and_gamma
        scores = np.empty(len(windows))
        for begin, block in row_blocks(windows, len(self._support)):
            part = slice(begin, begin + len(block))
            near = np.exp(-gamma * cdist(block, self._support, "sqeuclidean"))
            if apart is not None:
                near[apart.excluded(part)] = 0.0
            # a sum along each row, not a matrix product, whose rounding depends on the number of rows
            scores[part] = -(near * self._weights).sum(axis=1) - offset
        return scores
