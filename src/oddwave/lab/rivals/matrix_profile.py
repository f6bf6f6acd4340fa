"""Matrix profile: the distance of each window to its nearest window in the training stream, both z-normalised.

    P(w) = min over training windows r of ||z(w) - z(r)||,   z(w) = (w - mean of w) / deviation of w
    score of a point = mean of P over the windows that cover it; of several channels, the mean of their profiles

Source: Yeh et al. 2016, Matrix profile I: all pairs similarity joins for time series; computed by STOMP (Zhu et al.
2016, Matrix profile II) in stumpy (Law 2019). Scoring new data is the AB-join of test and training stream;
`fit_predict` is the self-join, which leaves out the windows that start within a quarter of a window, stumpy's rule. A
flat window is at distance 0 from flat ones and sqrt(window_size) from others.

Departures. The training stream is bounded: its last `max_reference` points are kept (a self-join takes all points).
Channels are joined one by one, where mSTAMP (Yeh et al. 2017) would sort them at each point. An instance of a panel is
one window: its distance to the nearest training instance, channel by channel, without stumpy. Whatever the training's
scale, z-normalisation hides level shifts and changes of size. Read `knn.py` for neighbours that see them.

Legend: n points, C channels, N instances, M training instances, L points of a window.
"""

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from oddwave.errors import ConfigError, MissingExtraError, ShapeError
from oddwave.lab.rivals.series_base import SeriesBaseline
from oddwave.scoring.neighbours import Apart, nearest
from oddwave.tensors.series_windows import window_starts, window_to_point

__all__ = ["MatrixProfile"]

_FEWEST_POINTS = 3  # all z-normalised windows of two points are alike


@dataclass(kw_only=True, eq=False)
class MatrixProfile(SeriesBaseline):
    """Distance of z-normalised windows to the nearest; streams need stumpy (MissingExtraError), panels do not."""

    name: ClassVar[str] = "matrix_profile"
    fitted: ClassVar[tuple[str, ...]] = (*SeriesBaseline.fitted, "reference")
    window_size: int = 64
    max_reference: int = 50_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window_size < _FEWEST_POINTS or self.max_reference < self.window_size:
            raise ConfigError(
                f"window_size {self.window_size} with max_reference {self.max_reference}: give 3 points or more, and "
                "room for a window"
            )
        self._reference = np.zeros((0, 0))  # a stream (n, C), or z-normalised instances (M, C, L)

    def _fit(self, x: Float[np.ndarray, "..."]) -> None:
        if x.ndim == 3:
            self._reference = _z_normalised(x)
            return
        window_starts(len(x), self.window_size)  # refuses a stream shorter than a window
        self._reference = x[-self.max_reference :].copy()

    def _score(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        if x.ndim == 3:
            return self._nearest_instance(_z_normalised(x), own=False)
        window_starts(len(x), self.window_size)
        return self._to_points(
            [_profile(x[:, c], self.window_size, self._reference[:, c]) for c in range(x.shape[1])], len(x)
        )

    def _score_training(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        if x.ndim == 3:
            if len(x) < 2:
                raise ShapeError("the panel has 1 instance: a self-join needs 2 or more")
            return self._nearest_instance(_z_normalised(x), own=True)
        fewest = self.window_size + 2 * _excluded(self.window_size) + 1
        if len(x) < fewest:
            raise ShapeError(
                f"the series has {len(x)} points, window_size is {self.window_size}: a self-join needs {fewest} points"
                " or more, give a longer series or a smaller window"
            )
        return self._to_points([_profile(channel, self.window_size) for channel in x.T], len(x))

    def _to_points(self, profiles: list[Float[np.ndarray, " N"]], n: int) -> Float[np.ndarray, " n"]:
        return window_to_point(np.mean(profiles, axis=0), window_starts(n, self.window_size), self.window_size, n)

    def _nearest_instance(self, z: Float[np.ndarray, "N C L"], own: bool) -> Float[np.ndarray, " N"]:
        """Return the mean over channels of the distance to the nearest instance, with `own` to the nearest other."""
        place = np.arange(len(z))
        apart = Apart(place, place, 1) if own else None
        channels = zip(np.moveaxis(z, 1, 0), np.moveaxis(self._reference, 1, 0), strict=True)
        found = [nearest(values, known, 1, apart=apart, exact=True).distance[:, 0] for values, known in channels]
        means: np.ndarray = np.mean(found, axis=0)
        return means


def _profile(
    x: Float[np.ndarray, " n"], window_size: int, reference: Float[np.ndarray, " m"] | None = None
) -> Float[np.ndarray, " N"]:
    """Return the profile of one channel: against the reference, or against itself where there is none."""
    try:
        import stumpy
    except ImportError as error:
        raise MissingExtraError("the matrix profile of a stream", "stumpy") from error
    threads = torch.get_num_threads()  # numba sets the number of OpenMP's threads for all of the process
    with warnings.catch_warnings():
        # stumpy warns where a stream is scored that was also the training's, which here is a question one may ask
        warnings.simplefilter("ignore", UserWarning)
        if reference is None:
            joined = stumpy.stump(x.copy(), window_size)
        else:
            joined = stumpy.stump(x.copy(), window_size, reference.copy(), ignore_trivial=False)
    torch.set_num_threads(threads)
    profile: np.ndarray = joined[:, 0].astype(np.float64)
    return profile


def _excluded(window_size: int) -> int:
    """Return how far from a window's start, in points, stumpy leaves out neighbours in a self-join."""
    return -(-window_size // 4)


def _z_normalised(x: Float[np.ndarray, "N C L"]) -> Float[np.ndarray, "N C L"]:
    """Return each channel of each instance with mean 0 and deviation 1; flat ones become 0."""
    centred = x - x.mean(axis=2, keepdims=True)
    deviation = x.std(axis=2, keepdims=True)
    flat = deviation <= 1e-7  # stumpy's threshold, in deviations of the training
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, deviation))
