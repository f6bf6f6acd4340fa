"""k nearest neighbours on windows: the mean Euclidean distance to the k (5) nearest training windows.

    score(w) = 1/k * sum over the k nearest references r of ||w - r||,  windows standardised by the training's scale

Source: Ramaswamy, Rastogi and Shim 2000 (distance to neighbours as an outlier score); with every window of one stream
compared to the others it is the k-neighbour form of the time-series discord (Keogh, Lin and Fu 2005), except that
windows keep their level and scale (no z-normalisation per window, which would erase level shifts).

Departures. References are bounded: at most `max_reference`, fewer where windows are so wide that they would not fit in
256 MiB; they are then evenly spaced training windows.
`fit_predict` is a self-join: a window's neighbours must not overlap it (start indices |i - j| >= window_size), a panel
instance is not its own neighbour. Read `series_base.py` for the interface.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from oddwave.errors import ConfigError
from oddwave.lab.rivals.series_base import WindowBaseline, evenly_spaced
from oddwave.scoring.neighbours import Apart, nearest

__all__ = ["KNN"]

MAX_REFERENCE_VALUES = 2**25  # 256 MiB in float64


@dataclass(kw_only=True, eq=False)
class KNN(WindowBaseline):
    """Mean distance to the `num_neighbors` nearest of at most `max_reference` training windows."""

    name: ClassVar[str] = "knn"
    fitted: ClassVar[tuple[str, ...]] = (*WindowBaseline.fitted, "reference")
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
        return self._mean_distance(windows, None)

    def _score_training(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        starts, reach = self._own_places(x)
        apart = Apart(starts, starts[self._reference_index], reach)
        return self._to_items(self._mean_distance(self._windows(x), apart), x)

    def _mean_distance(self, windows: Float[np.ndarray, "N C L"], apart: Apart | None) -> Float[np.ndarray, " N"]:
        found = nearest(windows.reshape(len(windows), -1), self._reference, self.num_neighbors, apart=apart, exact=True)
        return found.mean(found.distance)
