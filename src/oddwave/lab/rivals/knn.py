"""k nearest neighbours on windows: the mean Euclidean distance to the k (5) nearest training windows.

    score(w) = 1/k * sum over the k nearest references r of ||w - r||,  windows standardised by the training's scale

Source: Ramaswamy, Rastogi and Shim 2000 (distance to neighbours as an outlier score); with every window of one stream
compared to the others it is the k-neighbour form of the time-series discord (Keogh, Lin and Fu 2005), except that
windows keep their level and scale (no z-normalisation per window, which would erase level shifts).

Departures. References are bounded: at most `max_reference`, fewer where windows are so wide that they would not fit in
256 MiB; they are then evenly spaced training windows. Candidates are found block by block through one matrix product;
the distances of the k chosen are then computed directly, so a score does not depend on the block it was computed in.
`fit_predict` is a self-join: a window's neighbours must not overlap it (start indices |i - j| >= window_size), a panel
instance is not its own neighbour. Read `series_base.py` for the interface.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import ConfigError, ShapeError
from oddwave.lab.rivals.series_base import WindowBaseline, evenly_spaced, row_blocks
from oddwave.tensors.series_windows import window_starts

__all__ = ["KNN"]

MAX_REFERENCE_VALUES = 2**25  # 256 MiB in float64


@dataclass(kw_only=True, eq=False)
class KNN(WindowBaseline):
    """Mean distance to the `num_neighbors` nearest of at most `max_reference` training windows."""

    name: ClassVar[str] = "knn"
    num_neighbors: int = 5
    max_reference: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_neighbors < 1 or self.max_reference < 2:
            raise ConfigError(
                f"num_neighbors {self.num_neighbors} with max_reference {self.max_reference}: give >= 1 and >= 2"
            )
        self._reference = np.zeros((0, 0))
        self._reference_index = np.zeros(0, dtype=np.int64)

    def _fit_windows(self, windows: Float[np.ndarray, "N C L"]) -> None:
        at_most = min(self.max_reference, max(2, MAX_REFERENCE_VALUES // windows[0].size))
        self._reference_index = evenly_spaced(len(windows), at_most)
        self._reference = windows[self._reference_index].reshape(len(self._reference_index), -1)

    def _score_windows(self, windows: Float[np.ndarray, "N C L"]) -> Float[np.ndarray, " N"]:
        none = np.zeros(len(windows), dtype=np.int64)
        return self._mean_distance(windows, none, none)

    def _score_training(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        windows = self._windows(x)
        own, position, reach = np.arange(len(windows)), self._reference_index, 1
        if x.ndim == 2:
            starts, reach = window_starts(len(x), self.window_size, self.stride), self.window_size
            if len(x) < 3 * self.window_size - 1:
                raise ShapeError(
                    f"the series has {len(x)} points, window_size is {self.window_size}: a self-join compares windows"
                    f" that do not overlap, give window_size {(len(x) + 1) // 3} or less"
                )
            own, position = starts, starts[self._reference_index]
        elif len(x) < 2:
            raise ShapeError("the panel has 1 instance: a self-join needs 2 or more")
        first = np.searchsorted(position, own - reach, side="right")
        stop = np.searchsorted(position, own + reach, side="left")
        return self._to_items(self._mean_distance(windows, first, stop), x)

    def _mean_distance(
        self, windows: Float[np.ndarray, "N C L"], first: Int[np.ndarray, " N"], stop: Int[np.ndarray, " N"]
    ) -> Float[np.ndarray, " N"]:
        """Return mean distances, leaving out the references first[i]:stop[i] for window i."""
        reference, square = self._reference, np.einsum("ij,ij->i", self._reference, self._reference)
        scores = np.empty(len(windows))
        k = min(self.num_neighbors, len(reference))
        for begin, block in row_blocks(windows, len(reference)):
            # |w - r|^2 without the constant |w|^2, which does not change the order
            distance = block @ reference.T
            distance *= -2.0
            distance += square
            for row in np.flatnonzero(stop[begin : begin + len(block)] > first[begin : begin + len(block)]):
                distance[row, first[begin + row] : stop[begin + row]] = np.inf
            nearest = np.argpartition(distance, k - 1, axis=1)[:, :k]
            allowed = np.isfinite(np.take_along_axis(distance, nearest, axis=1))
            exact = np.stack([np.linalg.norm(block - reference[nearest[:, j]], axis=1) for j in range(k)], axis=1)
            scores[begin : begin + len(block)] = np.where(allowed, exact, 0.0).sum(axis=1) / allowed.sum(axis=1)
        return scores

    def _state(self) -> dict[str, np.ndarray]:
        return {"reference": self._reference}

    def _restore(self, state: dict[str, np.ndarray]) -> None:
        self._reference = state["reference"]
