"""The series modality: streams and panel instances to tensors of windows, and reconstructions and maps back.

Legend: n points, C channels, L points of a window, N windows. `SeriesScaler` holds the statistics of training normals;
`SeriesModality` puts scaling, windows, resampling and folding together. Read `series_windows.py` and `period.py` next.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.errors import CheckpointError, ConfigError, NotFittedError, ShapeError
from oddwave.modalities.series_items import SeriesItem
from oddwave.modalities.series_windows import (
    cut_windows,
    fold_window,
    join_windows,
    resample_windows,
    spans_break,
    unfold_window,
    window_starts,
    window_statistics,
)

__all__ = [
    "LINEAR_LIMIT",
    "SeriesBatch",
    "SeriesModality",
    "SeriesScaler",
    "cut_windows",
    "fill_missing",
    "fold_window",
    "join_windows",
    "resample_windows",
    "robust_scale",
    "spans_break",
    "unfold_window",
    "window_starts",
    "window_statistics",
]

LINEAR_LIMIT = 1.5  # beyond this many thirds of three robust deviations the scale grows by the logarithm only
_SPREAD = 3.0  # robust standard deviations that map to 1
_NORMAL_IQR, _NORMAL_P90 = 1.349, 3.290  # widths of the middle 50 % and 90 % of a normal distribution, in deviations


@dataclass(frozen=True)
class SeriesScaler:
    """A global, robust scale per channel: u = (x - centre) / (3 scale), compressed beyond |u| = 1.5.

    y = u up to 1.5, then sign(u) (1.5 + log(1 + |u| - 1.5)): continuous with its slope, so values beyond everything
    seen in training keep their order and can be undone, without drowning the rest. One scale for the whole stream,
    because a scale per window erases level shifts.
    """

    centre: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(cls, arrays: Iterable[Float[np.ndarray, "n C"]]) -> "SeriesScaler":
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
        u = (values - np.array(self.centre)) / (_SPREAD * np.array(self.scale))
        far = np.maximum(np.abs(u) - LINEAR_LIMIT, 0.0)
        scaled: np.ndarray = np.sign(u) * (np.minimum(np.abs(u), LINEAR_LIMIT) + np.log1p(far))
        return scaled

    def inverse(self, scaled: Float[np.ndarray, "*n C"]) -> Float[np.ndarray, "*n C"]:
        """Undo `transform`. Raises: ShapeError for other channels."""
        self._check(scaled)
        far = np.maximum(np.abs(scaled) - LINEAR_LIMIT, 0.0)
        u = np.sign(scaled) * (np.minimum(np.abs(scaled), LINEAR_LIMIT) + np.expm1(far))
        values: np.ndarray = u * (_SPREAD * np.array(self.scale)) + np.array(self.centre)
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


@dataclass(frozen=True, eq=False)
class SeriesBatch:
    """An item's windows as tensors, and what is needed to put them back.

    `statistics` are the windows' means and log-stds in globally scaled units, also where `scale` is "global".
    """

    x0: Float[np.ndarray, "N C *grid"]
    starts: Int[np.ndarray, " N"]
    statistics: Float[np.ndarray, "N 2*C"]
    observed: Bool[np.ndarray, "n C"]
    n_timepoints: int
    means: Float[np.ndarray, "N C 1"]  # taken off each window; zeros with the global scale
    deviations: Float[np.ndarray, "N C 1"]  # each window was divided by; ones with the global scale


@dataclass(frozen=True)
class SeriesModality:
    """Windows of `window_size` points every `stride`, resampled to `length` points (None: as they are).

    `scale="window"` standardises every window by itself after the global scale; its level and spread remain in
    `SeriesBatch.statistics`. `representation="folded"` makes 2-D tensors, one `period` (in tensor points) per row.
    """

    window_size: int
    stride: int = 1
    length: int | None = None
    scale: Literal["global", "window"] = "global"
    representation: Literal["window", "folded"] = "window"
    period: int | None = None
    scaler: SeriesScaler | None = None

    name: ClassVar[str] = "series"

    def __post_init__(self) -> None:
        if self.scale not in ("global", "window") or self.representation not in ("window", "folded"):
            raise ConfigError(
                f"scale is {self.scale!r} and representation {self.representation!r}: give 'global' or 'window', and "
                "'window' or 'folded'"
            )
        if self.representation == "folded" and not self.period:
            raise ConfigError("representation='folded' needs a period in points: find one with find_periods")

    @property
    def grid_dims(self) -> int:
        """1 for windows, 2 for folded windows."""
        return 2 if self.representation == "folded" else 1

    def fit(self, items: Iterable[SeriesItem]) -> "SeriesModality":
        """Return the modality with the global scale of normal training items. Raises: ShapeError."""
        return replace(self, scaler=SeriesScaler.fit(item.values for item in items))

    def tensors(self, item: SeriesItem) -> SeriesBatch:
        """Return the item's windows as tensors; missing points are filled by straight lines.

        Raises: NotFittedError; ShapeError for another number of channels or a series shorter than a window.
        """
        filled, observed = fill_missing(self._fitted.transform(item.values))
        windows, starts = cut_windows(filled, self.window_size, self.stride)
        statistics = window_statistics(windows)
        means, deviations = np.zeros((*windows.shape[:2], 1)), np.ones((*windows.shape[:2], 1))
        if self.scale == "window":
            means = windows.mean(axis=2, keepdims=True)
            deviations = _SPREAD * np.maximum(windows.std(axis=2, keepdims=True), 1e-3)
        x0 = resample_windows((windows - means) / deviations, self._length)
        if self.representation == "folded" and self.period:
            x0 = fold_window(x0, self.period)
        return SeriesBatch(x0, starts, statistics, observed, len(filled), means, deviations)

    def restore(self, x0: Float[np.ndarray, "N C *grid"], batch: SeriesBatch) -> Float[np.ndarray, "n C"]:
        """Return reconstructed windows as one stream in the item's own units, overlaps averaged in scaled units.

        Exact for an unchanged x0 unless the windows were resampled (that loses detail) or values were missing.
        """
        windows = self._unfolded(x0) * batch.deviations + batch.means
        return self._fitted.inverse(join_windows(windows, batch.starts, batch.n_timepoints))

    def restore_maps(self, maps: Float[np.ndarray, "N *grid"], batch: SeriesBatch) -> Float[np.ndarray, " n"]:
        """Return maps over the grid as one value per point, the mean over the windows that cover it."""
        return join_windows(self._unfolded(maps[:, None]), batch.starts, batch.n_timepoints)[:, 0]

    def _unfolded(self, x0: Float[np.ndarray, "N C *grid"]) -> Float[np.ndarray, "N C L"]:
        flat = unfold_window(x0, self._length) if self.representation == "folded" else x0
        return resample_windows(flat, self.window_size)

    @property
    def _length(self) -> int:
        return self.length or self.window_size

    @property
    def _fitted(self) -> SeriesScaler:
        if self.scaler is None:
            raise NotFittedError("the series modality has no scale yet: call fit with normal items first")
        return self.scaler

    def to_dict(self) -> dict[str, Any]:
        """Return settings and scale as plain JSON values."""
        return {**asdict(self), "scaler": self.scaler.to_dict() if self.scaler else None}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "SeriesModality":
        """Return the modality that `to_dict` described. Raises: CheckpointError, ConfigError."""
        try:
            scaler = SeriesScaler.from_dict(state["scaler"]) if state["scaler"] is not None else None
            return cls(**{**state, "scaler": scaler})
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"the saved series modality is damaged ({error!r}): fit the model again") from error
