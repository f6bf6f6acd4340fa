"""Baselines of series: items are one float array, a stream (n, C) scored per point, or a panel (N, C, L) per instance.

Values are standardised per channel with the training mean and standard deviation. A subclass writes `_fit` and
`_score`, or, if it looks at windows, `_fit_windows` and `_score_windows`. Read `knn.py` for the strongest one.

Legend: n points, C channels, N instances or windows, L points of one, D values of one, m windows of a block.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import DataError, ShapeError
from oddwave.lab.rivals.base import Baseline
from oddwave.tensors.series_windows import sliding_windows, window_starts, window_to_point

__all__ = ["BLOCK_VALUES", "SeriesBaseline", "WindowBaseline", "evenly_spaced", "row_blocks"]

BLOCK_VALUES = 2**22  # values held by one block of windows or distances: 32 MiB in float64


@dataclass(kw_only=True, eq=False)
class SeriesBaseline(Baseline):
    """A scorer of streams and panels; `fitted` begins with the scale of the channels."""

    fitted: ClassVar[tuple[str, ...]] = ("mean", "scale")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._mean: np.ndarray = np.zeros(0)
        self._scale: np.ndarray = np.ones(0)

    @final
    def fit_predict(self, items: Any) -> Float[np.ndarray, " n"]:
        """Fit on the items and return the scores of the same items, without labels (the unsupervised protocol).

        Scores, not 0/1 labels. A baseline that would recognise its own items (nearest neighbours) leaves each item's
        own surroundings out. Raises: as `fit`.
        """
        self.fit(items)
        return self._score_training(self._standardised(self._checked(items)))

    @final
    def _checked(self, items: Any) -> Float[np.ndarray, "..."]:
        x = np.asarray(items)
        if x.dtype.kind not in "fiu":
            raise DataError(f"items have dtype {x.dtype}: give an array of numbers")
        if x.ndim not in (2, 3) or 0 in x.shape:
            raise ShapeError(
                f"items have shape {x.shape}: expected a stream (n, C) or a panel (N, C, L), x[:, None] for (n,)"
            )
        x = x.astype(np.float64)
        bad = int(np.count_nonzero(~np.isfinite(x)))
        if bad:
            raise DataError(f"items have {bad} of {x.size} values NaN or infinite: fill or remove them first")
        return x

    @final
    def _shape_of(self, x: Float[np.ndarray, "..."]) -> tuple[int, ...]:
        return x.shape[1:]

    @final
    def _learn(self, x: Float[np.ndarray, "..."]) -> None:
        self._set_scale(x)
        self._fit(self._standardised(x))

    @final
    def _judge(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        return self._score(self._standardised(x))

    @abstractmethod
    def _fit(self, x: Float[np.ndarray, "..."]) -> None:
        """Learn from standardised items."""

    @abstractmethod
    def _score(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        """Score standardised items."""

    def _score_training(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        """Score the very items that were fitted."""
        return self._score(x)

    def _set_scale(self, x: Float[np.ndarray, "..."]) -> None:
        axes = (0,) if x.ndim == 2 else (0, 2)
        self._mean, deviation = x.mean(axis=axes), x.std(axis=axes)
        self._scale = np.where(deviation <= 1e-12 * np.abs(self._mean), 1.0, deviation)  # constant channels keep unit 1

    def _standardised(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        column = (slice(None),) + (None,) * (x.ndim - 2)
        scaled: np.ndarray = (x - self._mean[column]) / self._scale[column]
        return scaled


@dataclass(kw_only=True, eq=False)
class WindowBaseline(SeriesBaseline):
    """A baseline that looks at windows: of `window_size` points every `stride` in a stream, whole instances in a panel.

    A point's score is the mean over the windows that cover it. `window_size` and `stride` do not apply to panels.
    """

    window_size: int = 64
    stride: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        window_starts(self.window_size, self.window_size, self.stride)  # refuses settings that cannot work

    @final
    def _fit(self, x: Float[np.ndarray, "..."]) -> None:
        self._fit_windows(self._windows(x))

    @final
    def _score(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        return self._to_items(self._score_windows(self._windows(x)), x)

    def _windows(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "N C L"]:
        return x if x.ndim == 3 else sliding_windows(x, self.window_size, self.stride)[0]

    def _to_items(self, scores: Float[np.ndarray, " N"], x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        if x.ndim == 3:
            return scores
        return window_to_point(scores, window_starts(len(x), self.window_size, self.stride), self.window_size, len(x))

    @staticmethod
    def _references(windows: Float[np.ndarray, "N C L"], at_most: int) -> Int[np.ndarray, " m"]:
        """Return which windows are kept: evenly spaced, `at_most` of them, fewer where they are very wide."""
        return evenly_spaced(len(windows), min(at_most, max(2, BLOCK_VALUES // windows[0].size)))

    def _own_places(self, x: Float[np.ndarray, "..."]) -> tuple[Int[np.ndarray, " N"], int]:
        """Return where each training window begins, and how near another one may not begin to be compared with it.

        Raises: ShapeError where some window is left with nothing to be compared with.
        """
        if x.ndim == 3:
            if len(x) < 2:
                raise ShapeError("the panel has 1 instance: a self-join compares instances, give 2 or more")
            return np.arange(len(x)), 1
        if len(x) < 3 * self.window_size - 1:
            raise ShapeError(
                f"the series has {len(x)} points, window_size is {self.window_size}: a self-join compares windows that"
                f" do not overlap, give window_size {(len(x) + 1) // 3} or less"
            )
        return window_starts(len(x), self.window_size, self.stride), self.window_size

    @abstractmethod
    def _fit_windows(self, windows: Float[np.ndarray, "N C L"]) -> None:
        """Learn from standardised windows."""

    @abstractmethod
    def _score_windows(self, windows: Float[np.ndarray, "N C L"]) -> Float[np.ndarray, " N"]:
        """Score standardised windows."""


def evenly_spaced(n: int, at_most: int) -> np.ndarray:
    """Return `at_most` of the indices 0..n-1, evenly spread, first and last among them (all of them if n is less)."""
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).round().astype(np.int64))


def row_blocks(windows: Float[np.ndarray, "N C L"], row_values: int) -> Iterator[tuple[int, Float[np.ndarray, "m D"]]]:
    """Yield (first index, windows flattened to (m, C * L)) so that m * row_values stays within BLOCK_VALUES."""
    size = max(1, BLOCK_VALUES // max(row_values, windows[0].size))
    for first in range(0, len(windows), size):
        block = windows[first : first + size]
        yield first, block.reshape(len(block), -1)
