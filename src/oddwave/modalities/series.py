"""What every value of a series passes through first: a global, robust scale, and lines across what is missing.

Legend: n points, C channels. `SeriesScaler` holds the statistics of training normals. Read `series_windows.py` and
`representation.py` next: windows, and the tensors they become.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from oddwave.errors import CheckpointError, ShapeError

__all__ = ["LINEAR_LIMIT", "SeriesScaler", "compressed", "expanded", "fill_missing", "robust_scale"]

LINEAR_LIMIT = 300.0  # in units of three robust deviations: beyond it the scale grows by the logarithm only
_SPREAD = 3.0  # robust standard deviations that map to 1
_NORMAL_IQR, _NORMAL_P90 = 1.349, 3.290  # widths of the middle 50 % and 90 % of a normal distribution, in deviations


@dataclass(frozen=True)
class SeriesScaler:
    """A global, robust scale per channel: u = (x - centre) / (3 scale), compressed far beyond everything usual.

    Linear up to |u| = 300 so that distances between windows stay what they are; beyond, `compressed`, so that a broken
    sensor's 1e30 stays a number to compute with. One scale for the whole stream, because a scale per window erases
    level shifts.
    """

    centre: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(cls, arrays: Iterable[Float[np.ndarray, "_ C"]]) -> "SeriesScaler":
        """Take the scale from training normals, NaN left out; see `robust_scale`.

        Raises: ShapeError where there is no array or their channels differ.
        """
        parts = list(arrays)
        if not parts or len({part.shape[1] for part in parts}) != 1:
            raise ShapeError(f"the scale needs arrays with equal channels, got shapes {[p.shape for p in parts[:5]]}")
        pairs = [robust_scale(channel) for channel in np.concatenate(parts).T]
        return cls(tuple(centre for centre, _ in pairs), tuple(scale for _, scale in pairs))

    def transform(self, values: Float[np.ndarray, "*n C"]) -> Float[np.ndarray, "*n C"]:
        """Return scaled values, roughly within [-1, 1]; NaN stays NaN. Raises: ShapeError for other channels."""
        self._check(values)
        return compressed((values - np.array(self.centre)) / (_SPREAD * np.array(self.scale)), LINEAR_LIMIT)

    def inverse(self, scaled: Float[np.ndarray, "*n C"]) -> Float[np.ndarray, "*n C"]:
        """Undo `transform`. Raises: ShapeError for other channels."""
        self._check(scaled)
        values: np.ndarray = expanded(scaled, LINEAR_LIMIT) * (_SPREAD * np.array(self.scale)) + np.array(self.centre)
        return values

    def _check(self, values: np.ndarray) -> None:
        if values.shape[-1] != len(self.centre):
            raise ShapeError(f"values have {values.shape[-1]} channel(s), the scale was fitted on {len(self.centre)}")

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as plain JSON values."""
        return {"centre": list(self.centre), "scale": list(self.scale)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "SeriesScaler":
        """Return the scaler that `to_dict` described. Raises: CheckpointError for anything else."""
        try:
            centre, scale = (tuple(float(v) for v in state[key]) for key in ("centre", "scale"))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the saved scale is damaged ({error!r}): fit the model again") from error
        if len(centre) != len(scale) or not np.isfinite([*centre, *scale]).all() or min(scale, default=1.0) <= 0:
            raise CheckpointError("the saved scale holds values that no fit gives: fit the model again")
        return cls(centre, scale)


def compressed(u: Float[np.ndarray, "*shape"], limit: float) -> Float[np.ndarray, "*shape"]:
    """Return u up to |u| = limit, then sign(u) (limit + log(1 + |u| - limit)): continuous with its slope, monotone."""
    size = np.abs(u)
    squeezed: np.ndarray = np.sign(u) * (np.minimum(size, limit) + np.log1p(np.maximum(size - limit, 0.0)))
    return squeezed


def expanded(y: Float[np.ndarray, "*shape"], limit: float) -> Float[np.ndarray, "*shape"]:
    """Undo `compressed`."""
    size = np.abs(y)
    stretched: np.ndarray = np.sign(y) * (np.minimum(size, limit) + np.expm1(np.maximum(size - limit, 0.0)))
    return stretched


def robust_scale(channel: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Return the median and a robust standard deviation of the values that are there.

    The deviation is the larger of those that the middle half and the middle nine tenths suggest, so that a second,
    rarer level counts; where both are zero (rare events on a constant), the standard deviation; for a constant channel
    a tenth of its magnitude, or 1 at zero, so that a later change shows; (0, 1) without any value.
    """
    known = channel[np.isfinite(channel)]
    if not known.size:
        return 0.0, 1.0
    p5, p25, centre, p75, p95 = (float(q) for q in np.quantile(known, (0.05, 0.25, 0.5, 0.75, 0.95)))
    smallest = 1e-9 * float(np.abs(known).max()) + 1e-100  # below this, differences are rounding
    scale = max((p75 - p25) / _NORMAL_IQR, (p95 - p5) / _NORMAL_P90)
    if scale <= smallest:
        scale = float(known.std())
    if scale <= smallest:
        scale = 0.1 * abs(centre) if 0.1 * abs(centre) > smallest else 1.0
    return centre, scale


def fill_missing(values: Float[np.ndarray, "n C"]) -> tuple[Float[np.ndarray, "n C"], Bool[np.ndarray, "n C"]]:
    """Fill NaN by straight lines in time, the ends by the nearest value, and say which values were observed.

    A channel without any value becomes 0.
    """
    observed = np.isfinite(values)
    filled = np.where(observed, values, 0.0)
    time = np.arange(len(values))
    for c in np.flatnonzero(observed.any(axis=0) & ~observed.all(axis=0)):
        seen = observed[:, c]
        filled[:, c] = np.interp(time, time[seen], values[seen, c])
    return filled, observed
