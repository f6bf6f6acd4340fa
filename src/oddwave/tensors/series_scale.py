"""What every value of a series passes through first: a global, robust scale, and lines across what is missing.

Legend: n points, C channels. `SeriesScaler` holds the statistics of training normals. Read `series_windows.py` and
`representation.py` next: windows, and the tensors they become.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from oddwave.errors import CheckpointError, ShapeError

__all__ = [
    "LINEAR_LIMIT",
    "SeriesScaler",
    "bridged",
    "compressed",
    "expanded",
    "fill_missing",
    "fill_nearby",
    "missing_runs",
    "robust_scale",
    "usual_spacing",
]

LINEAR_LIMIT = 300.0  # in units of three robust deviations: beyond it the scale grows by the logarithm only
_SPREAD = 3.0  # robust standard deviations that map to 1
_NORMAL_IQR, _NORMAL_P90 = 1.349, 3.290  # widths of the middle 50 % and 90 % of a normal distribution, in deviations
_ROUNDING = 1e-9  # of a channel's magnitude: differences below it are rounding
_FEW_ULPS = 8  # of numbers that passed through 32 bits
_LONGEST_SPACING = 64  # points: values further apart are too few to say what lies between
_SMALLEST_SHARE = 0.1  # of the points, that a channel must have a say in to be monitored


@dataclass(frozen=True)
class SeriesScaler:
    """A global, robust scale per channel: u = (x - centre) / (3 scale), compressed far beyond everything usual.

    Linear up to |u| = 300 so that distances between windows stay what they are; beyond, `compressed`, so that a broken
    sensor's 1e30 stays a number to compute with. One scale for the whole stream, because a scale per window erases
    level shifts. `spacing` is how many points lie from one value of a channel to the next: 1 where each point has one,
    4 for a sensor at a quarter of the rate, 0 for a channel with too few values to learn from; empty: 1 throughout.
    """

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    spacing: tuple[int, ...] = ()

    @classmethod
    def fit(cls, arrays: Iterable[Float[np.ndarray, "_ C"]]) -> "SeriesScaler":
        """Take the scale from training normals, NaN left out; see `robust_scale`.

        Raises: ShapeError where there is no array or their channels differ.
        """
        parts = list(arrays)
        if not parts or len({part.shape[1] for part in parts}) != 1:
            raise ShapeError(f"the scale needs arrays with equal channels, got shapes {[p.shape for p in parts[:5]]}")
        pairs = [robust_scale(channel) for channel in np.concatenate(parts).T]
        spacing = usual_spacing([np.isfinite(part) for part in parts])
        return cls(tuple(centre for centre, _ in pairs), tuple(scale for _, scale in pairs), spacing)

    @property
    def monitored(self) -> Bool[np.ndarray, " C"]:
        """Which channels had enough values in training to be judged."""
        return np.array(self.spacing) > 0 if self.spacing else np.ones(len(self.centre), bool)

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
        return {"centre": list(self.centre), "scale": list(self.scale), "spacing": list(self.spacing)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "SeriesScaler":
        """Return the scaler that `to_dict` described. Raises: CheckpointError for anything else."""
        try:
            centre, scale = (tuple(float(v) for v in state[key]) for key in ("centre", "scale"))
            spacing = tuple(int(v) for v in state["spacing"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the saved scale is damaged ({error!r}): fit the model again") from error
        fitting = len(centre) == len(scale) and len(spacing) in (0, len(centre)) and min(spacing, default=0) >= 0
        if not fitting or not np.isfinite([*centre, *scale]).all() or min(scale, default=1.0) <= 0:
            raise CheckpointError("the saved scale holds values that no fit gives: fit the model again")
        return cls(centre, scale, spacing)


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
    smallest = _rounding(known)
    scale = max((p75 - p25) / _NORMAL_IQR, (p95 - p5) / _NORMAL_P90)
    if scale <= smallest:
        scale = float(known.std())
    if scale <= smallest:
        scale = 0.1 * abs(centre) if 0.1 * abs(centre) > smallest else 1.0
    return centre, scale


def _rounding(known: Float[np.ndarray, " n"]) -> float:
    """Return the size below which a channel's differences are rounding, of the last or of some earlier computer.

    Numbers that are all exact in 32 bits, and differ by a step or two of that form, were rounded to it.
    """
    magnitude = float(np.abs(known).max())
    smallest = _ROUNDING * magnitude + 1e-100
    if magnitude >= np.finfo(np.float32).max or np.ptp(known) > 1e-5 * magnitude:
        return smallest
    steps = np.diff(np.unique(known))
    ulp = float(np.spacing(np.float32(magnitude)))
    if steps.size and steps.min() <= 2 * ulp and (known.astype(np.float32) == known).all():
        return max(smallest, _FEW_ULPS * ulp)
    return smallest


def usual_spacing(observed: Iterable[Bool[np.ndarray, "_ C"]]) -> tuple[int, ...]:
    """Say for each channel how many points lie from one value to the next, nine times in ten no more than that.

    0 where, gaps of that length bridged, a channel still has a say in less than a tenth of the points.
    """
    parts = list(observed)
    total = sum(len(part) for part in parts)
    result = []
    for c in range(parts[0].shape[1]):
        distances = np.concatenate([np.diff(np.flatnonzero(part[:, c])) for part in parts])
        usual = int(np.quantile(distances, 0.9, method="inverted_cdf")) if len(distances) else 1
        spacing = usual if usual <= _LONGEST_SPACING else 1
        covered = sum(int(bridged(part[:, c : c + 1], (spacing,)).sum()) for part in parts)
        result.append(spacing if covered >= _SMALLEST_SHARE * total else 0)
    return tuple(result)


def bridged(observed: Bool[np.ndarray, "n C"], spacing: Sequence[int]) -> Bool[np.ndarray, "n C"]:
    """Count as known what lies in gaps no longer than a channel's usual spacing leaves."""
    known = observed.copy()
    for c, width in enumerate(spacing):
        if width > 1:
            for start, stop in missing_runs(observed[:, c]):
                known[start:stop, c] |= stop - start < width
    return known


def missing_runs(seen: Bool[np.ndarray, " n"]) -> list[tuple[int, int]]:
    """Return (start, stop) of each run of points that were not seen."""
    edges = np.diff(np.concatenate([[1], seen.astype(np.int8), [1]]))
    return list(zip(np.flatnonzero(edges == -1).tolist(), np.flatnonzero(edges == 1).tolist(), strict=True))


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


def fill_nearby(
    values: Float[np.ndarray, "n C"], reach: int
) -> tuple[Float[np.ndarray, "n C"], Bool[np.ndarray, "n C"]]:
    """Fill NaN as `fill_missing` does, without looking further than `reach` points ahead.

    Longer gaps hold the last value, 0 before the first one, up to the last `reach` points, which take the next value:
    what is measured after hours of silence says nothing of them, and a stream need not wait for it.
    """
    filled, observed = fill_missing(values)
    for c in np.flatnonzero(observed.any(axis=0) & ~observed.all(axis=0)):
        for start, stop in missing_runs(observed[:, c]):
            if stop < len(values) and (start == 0 or stop - start > reach):
                near = max(start, stop - reach)
                filled[start:near, c] = values[start - 1, c] if start else 0.0
                filled[near:stop, c] = values[stop, c]
    return filled, observed
