"""Local outlier factor on windows: how much sparser it is around a window than around its neighbours.

    reach(w, r) = max(||w - r||, k-distance of r),   r one of the k nearest references of w
    density(w)  = 1 / (mean over r of reach(w, r))
    score(w)    = mean over r of density(r) / density(w);   about 1 amid normal windows

Source: Breunig, Kriegel, Ng and Sander 2000, LOF: identifying density-based local outliers (definitions 5 to 7); equal
to scikit-learn's LocalOutlierFactor(novelty=True). The k-distance and the density of each reference are saved.

Departures. References are at most `max_reference` evenly spaced training windows. There are 5 neighbours, not the
usual 10 to 20: on planted anomalies fewer did better. `fit_predict` leaves out each window's own surroundings twice,
exactly: densities of references are measured anew among references that do not overlap them (start indices
|i - j| >= window_size; in a panel, other than themselves), and a window is compared to those that do not overlap it.
Read `knn.py` first, whose self-join this follows.

Legend: N windows, C channels, L points, m references or windows of a block, D = C L values of a window, K neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from oddwave.errors import ConfigError
from oddwave.lab.rivals.series_base import WindowBaseline
from oddwave.scoring.neighbours import Apart, Neighbours, nearest

__all__ = ["LOF"]

_LEAST_REACH = 1e-10  # as in scikit-learn: the density of more than k equal windows stays finite


class _Surroundings(NamedTuple):
    """The k-distance and the density of each reference."""

    k_distance: Float[np.ndarray, " m"]
    density: Float[np.ndarray, " m"]


@dataclass(kw_only=True, eq=False)
class LOF(WindowBaseline):
    """Local outlier factor with `num_neighbors` neighbours among at most `max_reference` training windows."""

    name: ClassVar[str] = "lof"
    fitted: ClassVar[tuple[str, ...]] = (*WindowBaseline.fitted, "reference")
    num_neighbors: int = 5
    max_reference: int = 5000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_neighbors < 1 or self.max_reference < 2:
            raise ConfigError(
                f"num_neighbors {self.num_neighbors} with max_reference {self.max_reference}: give >= 1 and >= 2"
            )
        self._reference = np.zeros((0, 0))
        self._around = _Surroundings(np.zeros(0), np.zeros(0))

    def _fit_windows(self, windows: Float[np.ndarray, "N C L"]) -> None:
        chosen = self._references(windows, self.max_reference)
        self._reference = windows[chosen].reshape(len(chosen), -1)
        own = np.arange(len(chosen))
        self._around = self._surroundings(Apart(own, own, 1))

    def _score_windows(self, windows: Float[np.ndarray, "N C L"]) -> Float[np.ndarray, " N"]:
        return self._factors(windows, self._around, None)

    def _score_training(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        windows, (starts, reach) = self._windows(x), self._own_places(x)
        position = starts[self._references(windows, self.max_reference)]
        around = self._surroundings(Apart(position, position, reach))
        return self._to_items(self._factors(windows, around, Apart(starts, position, reach)), x)

    def _surroundings(self, apart: Apart) -> _Surroundings:
        """Measure the references among themselves."""
        found = self._nearest(self._reference, apart)
        k_distance = np.where(np.isfinite(found.distance), found.distance, 0.0).max(axis=1)
        return _Surroundings(k_distance, _density(found, k_distance))

    def _factors(
        self, windows: Float[np.ndarray, "N C L"], around: _Surroundings, apart: Apart | None
    ) -> Float[np.ndarray, " N"]:
        found = self._nearest(windows.reshape(len(windows), -1), apart)
        factors: np.ndarray = found.mean(around.density[found.place]) / _density(found, around.k_distance)
        return factors

    def _nearest(self, vectors: Float[np.ndarray, "m D"], apart: Apart | None) -> Neighbours:
        k = max(1, min(self.num_neighbors, len(self._reference) - 1))
        return nearest(vectors, self._reference, k, apart=apart, exact=True)

    def _arrays(self) -> dict[str, np.ndarray]:
        return super()._arrays() | self._around._asdict()

    def _take(self, arrays: Mapping[str, np.ndarray]) -> None:
        super()._take(arrays)
        self._around = _Surroundings(arrays["k_distance"], arrays["density"])


def _density(found: Neighbours, k_distance: Float[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
    return 1.0 / (found.mean(np.maximum(found.distance, k_distance[found.place])) + _LEAST_REACH)
