"""Local outlier factor on windows: how much sparser it is around a window than around its neighbours.

    reach(w, r) = max(||w - r||, k-distance of r),   r one of the k nearest references of w
    density(w)  = 1 / (mean over r of reach(w, r))
    score(w)    = mean over r of density(r) / density(w);   about 1 amid normal windows

Source: Breunig, Kriegel, Ng and Sander 2000, LOF: identifying density-based local outliers (definitions 5 to 7); equal
to scikit-learn's LocalOutlierFactor(novelty=True), whose neighbour search this uses. The k-distance and the density of
each reference are saved as arrays.

Departures. References are at most `max_reference` evenly spaced training windows. There are 5 neighbours, not the
usual 10 to 20: on planted anomalies fewer did better. `fit_predict` leaves out each window's own surroundings twice,
exactly: densities of references are measured anew among references that do not overlap them (start indices
|i - j| >= window_size; in a panel, other than themselves), and a window is compared to those that do not overlap it.
Read `knn.py` first, whose self-join this follows.

Legend: N windows, C channels, L points, m references or windows of a block, D = C L values of a window, K neighbours.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.neighbors import NearestNeighbors

from oddwave.errors import ConfigError, ShapeError
from oddwave.lab.rivals.series_base import BLOCK_VALUES, WindowBaseline, evenly_spaced, row_blocks
from oddwave.tensors.series_windows import window_starts

__all__ = ["LOF"]

_LEAST_REACH = 1e-10  # as in scikit-learn: the density of more than k equal windows stays finite


class _Surroundings(NamedTuple):
    """The k-distance and the density of each reference."""

    k_distance: Float[np.ndarray, " m"]
    density: Float[np.ndarray, " m"]


class _Neighbours(NamedTuple):
    """The nearest references of windows; those that are not allowed are fill-ins where too few are left."""

    place: Int[np.ndarray, "m K"]
    distance: Float[np.ndarray, "m K"]
    allowed: Bool[np.ndarray, "m K"]

    def mean(self, values: Float[np.ndarray, "m K"]) -> Float[np.ndarray, " m"]:
        """Average over the allowed."""
        total: np.ndarray = np.where(self.allowed, values, 0.0).sum(axis=1)
        means: np.ndarray = total / np.maximum(self.allowed.sum(axis=1), 1)
        return means


@dataclass(kw_only=True, eq=False)
class LOF(WindowBaseline):
    """Local outlier factor with `num_neighbors` neighbours among at most `max_reference` training windows."""

    name: ClassVar[str] = "lof"
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
        chosen = self._chosen(len(windows), windows[0].size)
        self._reference = windows[chosen].reshape(len(chosen), -1)
        own = np.arange(len(chosen))
        self._around = self._surroundings(own, own + 1)

    def _score_windows(self, windows: Float[np.ndarray, "N C L"]) -> Float[np.ndarray, " N"]:
        none = np.zeros(len(windows), dtype=np.int64)
        return self._factors(windows, self._around, none, none)

    def _score_training(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        windows, starts, reach = self._windows(x), np.arange(len(x)), 1
        if x.ndim == 2:
            starts, reach = window_starts(len(x), self.window_size, self.stride), self.window_size
            if len(x) < 3 * self.window_size - 1:
                raise ShapeError(
                    f"the series has {len(x)} points, window_size is {self.window_size}: neighbours must not overlap a"
                    f" window, give window_size {(len(x) + 1) // 3} or less"
                )
        elif len(x) < 2:
            raise ShapeError("the panel has 1 instance: its neighbours must be others, give 2 or more")
        position = starts[self._chosen(len(windows), windows[0].size)]
        around = self._surroundings(*_near(position, position, reach))
        return self._to_items(self._factors(windows, around, *_near(starts, position, reach)), x)

    def _chosen(self, num_windows: int, num_values: int) -> Int[np.ndarray, " m"]:
        return evenly_spaced(num_windows, min(self.max_reference, max(2, BLOCK_VALUES // num_values)))

    def _surroundings(self, first: Int[np.ndarray, " m"], stop: Int[np.ndarray, " m"]) -> _Surroundings:
        """Measure the references among themselves, leaving out first[i]:stop[i] for reference i."""
        found = self._neighbours(self._reference, first, stop)
        k_distance = np.where(found.allowed, found.distance, 0.0).max(axis=1)
        return _Surroundings(k_distance, _density(found, k_distance))

    def _factors(
        self,
        windows: Float[np.ndarray, "N C L"],
        around: _Surroundings,
        first: Int[np.ndarray, " N"],
        stop: Int[np.ndarray, " N"],
    ) -> Float[np.ndarray, " N"]:
        """Return the factors of windows, leaving out the references first[i]:stop[i] for window i."""
        scores = np.empty(len(windows))
        for begin, block in row_blocks(windows, windows[0].size):
            part = slice(begin, begin + len(block))
            found = self._neighbours(block, first[part], stop[part])
            scores[part] = found.mean(around.density[found.place]) / _density(found, around.k_distance)
        return scores

    def _neighbours(
        self, vectors: Float[np.ndarray, "m D"], first: Int[np.ndarray, " m"], stop: Int[np.ndarray, " m"]
    ) -> _Neighbours:
        """Find the nearest allowed references by asking for as many more as may have to be left out."""
        k = max(1, min(self.num_neighbors, len(self._reference) - 1))
        asked = min(k + int((stop - first).max()), len(self._reference))
        search = NearestNeighbors(n_neighbors=asked, algorithm="brute").fit(self._reference)
        place = search.kneighbors(vectors, return_distance=False)
        left_out = (place >= first[:, None]) & (place < stop[:, None])
        order = np.argsort(left_out, axis=1, kind="stable")[:, :k]
        place, left_out = (np.take_along_axis(array, order, axis=1) for array in (place, left_out))
        # the search rounds distances by its blocks, these do not
        distance = [np.linalg.norm(vectors - self._reference[column], axis=1) for column in place.T]
        return _Neighbours(place, np.stack(distance, axis=1), ~left_out)

    def _state(self) -> dict[str, np.ndarray]:
        return {"reference": self._reference, **self._around._asdict()}

    def _restore(self, state: dict[str, np.ndarray]) -> None:
        self._reference = state["reference"]
        self._around = _Surroundings(state["k_distance"], state["density"])


def _density(found: _Neighbours, k_distance: Float[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
    return 1.0 / (found.mean(np.maximum(found.distance, k_distance[found.place])) + _LEAST_REACH)


def _near(
    starts: Int[np.ndarray, " N"], position: Int[np.ndarray, " m"], reach: int
) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, " N"]]:
    """Return, for each start, the first reference closer than `reach` and the first after it that is not."""
    first = np.searchsorted(position, starts - reach, side="right")
    return first, np.searchsorted(position, starts + reach, side="left")
