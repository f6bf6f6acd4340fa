"""A series as Azure's clients send it: read and checked, put on its grid, fitted and scored by itself.

A point is anomalous where its score is among the upper quarter or within an event, and its value lies beyond
expected +- (100 - sensitivity) * margin, of which 3.5 robust deviations are five margins: the boundary at their default
sensitivity of 95. Margins of single points are moved so that this rule, which clients apply by themselves, gives the
very points that are flagged here.

Legend: n points sent, N points on the grid, period in points.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.config import preset
from oddwave.detector import Detector
from oddwave.records import SeriesResult
from oddwave.tensors.period import find_periods

__all__ = ["AzureError", "AzureSeries", "change_points", "entire", "last"]

_LEAST, _MOST = 12, 8640  # points
_STEPS = {"weekly": 604800.0, "daily": 86400.0, "hourly": 3600.0, "minutely": 60.0, "secondly": 1.0,
          "microsecond": 1e-6}  # fmt: skip
_MONTHS = {"yearly": 12, "monthly": 1}
_IMPUTE = ("auto", "previous", "linear", "fixed", "zero", "notFill")
_MOST_MISSING = 0.1  # of the grid, as their documentation has it
_ROBUST = 1.4826
_DEFAULT, _DEVIATIONS = 5, 3.5  # 100 - their default sensitivity; where the boundary lies then
_CHANGED = 6.0  # deviations between the medians before and after, at the default threshold and more


class AzureError(Exception):
    """What is wrong with a request, by one of their codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class AzureSeries:
    """A series on its grid, and what was asked; `place` says where on the grid each point lies that was sent."""

    values: Float[np.ndarray, " N"]
    place: Int[np.ndarray, " n"]
    period: int | None = None
    max_anomaly_ratio: float = 0.25
    sensitivity: int = 95
    window: int | None = None
    threshold: float = 0.9

    @classmethod
    def read(cls, body: Any, *, changes: bool = False) -> "AzureSeries":
        """Read and check a request's JSON. Raises: AzureError."""
        if not isinstance(body, dict):
            raise AzureError("InvalidJsonFormat", "the body is no JSON object")
        series = body.get("series")
        if series is None:
            raise AzureError("RequiredSeries", "'series' is missing: send [{timestamp, value}, ...]")
        if not isinstance(series, list) or not _LEAST <= len(series) <= _MOST:
            number = len(series) if isinstance(series, list) else "no list of"
            raise AzureError("InvalidSeries", f"'series' has {number} points: send {_LEAST} to {_MOST:,}")
        values = np.array([_value(point, number) for number, point in enumerate(series)])
        granularity = body.get("granularity")
        if granularity is None and changes:
            raise AzureError("RequiredGranularity", "'granularity' is missing: daily, hourly, ... or none")
        granularity = "none" if granularity is None else granularity
        known = (*_MONTHS, *_STEPS, "none")
        if granularity == "perMinute" or granularity == "perSecond":
            granularity = {"perMinute": "minutely", "perSecond": "secondly"}[granularity]
        if granularity not in known:
            raise AzureError("InvalidGranularity", f"'granularity' is {granularity!r:.40}: send {', '.join(known)}")
        interval = _whole(body, "customInterval", 1, 1_000_000, "InvalidCustomInterval") or 1
        period = _whole(body, "period", 0, len(series), "InvalidPeriod")
        grid, place = values, np.arange(len(values))
        if granularity != "none":
            grid, place = _on_grid(series, values, granularity, interval, _imputation(body))
        return cls(
            grid,
            place,
            period or None,
            _number(body, "maxAnomalyRatio", 0.25, 0.0, 0.5),
            _or(_whole(body, "sensitivity", 0, 99, "InvalidModelArgument"), 95),
            _whole(body, "stableTrendWindow", 1, len(series) // 2, "InvalidModelArgument"),
            _number(body, "threshold", 0.9, 0.0, 1.0),
        )

    @property
    def found_period(self) -> int:
        """The period that was given or found; 0 where there is none."""
        if self.period is not None:
            return self.period
        periods = find_periods(_calm(self.values)[:, None]).periods if len(self.values) >= 16 else ()
        return int(periods[0]) if periods else 0


def _calm(values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Return values without single spikes, which would hide a period of few cycles."""
    known = _complete(values)
    middle = np.array([np.median(known[max(0, at - 2) : at + 3]) for at in range(len(known))])
    gap = np.abs(known - middle)
    return np.where(gap > 5 * _ROBUST * max(float(np.median(gap)), 1e-12), middle, known)


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def _value(point: Any, number: int) -> float:
    value = point.get("value") if isinstance(point, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise AzureError("InvalidSeries", f"point {number} of 'series' has no number as its 'value'")
    return float(value)


def _whole(body: Mapping[str, Any], name: str, low: int, high: int, code: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise AzureError(code, f"'{name}' is {value!r:.40}: send a whole number from {low} to {high}")
    return value


def _number(body: Mapping[str, Any], name: str, otherwise: float, low: float, high: float) -> float:
    value = body.get(name)
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int | float) or not low < value < high:
        raise AzureError("InvalidModelArgument", f"'{name}' is {value!r:.40}: send a number between {low} and {high}")
    return float(value)


def _imputation(body: Mapping[str, Any]) -> tuple[str, float]:
    mode, fixed = body.get("imputeMode") or "auto", body.get("imputeFixedValue")
    if mode not in _IMPUTE:
        raise AzureError("InvalidImputeMode", f"'imputeMode' is {mode!r:.40}: send {', '.join(_IMPUTE)}")
    if mode == "fixed" and (isinstance(fixed, bool) or not isinstance(fixed, int | float)):
        raise AzureError("InvalidImputeFixedValue", "imputeMode is 'fixed': send a number as imputeFixedValue")
    return mode, float(fixed) if mode == "fixed" and fixed is not None else 0.0


# The grid


def _on_grid(
    series: Sequence[Any], values: Float[np.ndarray, " n"], granularity: str, interval: int, impute: tuple[str, float]
) -> tuple[Float[np.ndarray, " N"], Int[np.ndarray, " n"]]:
    """Put points on the grid of their granularity, and fill what is missing."""
    times = [_time(point, number) for number, point in enumerate(series)]
    for number, (one, other) in enumerate(pairwise(times)):
        if other <= one:
            raise AzureError("InvalidSeries", f"the timestamps of points {number} and {number + 1} do not ascend")
    if granularity in _MONTHS:
        months = [12 * time.year + time.month for time in times]
        steps = np.array([(month - months[0]) / (_MONTHS[granularity] * interval) for month in months])
    else:
        step = timedelta(seconds=_STEPS[granularity] * interval)
        steps = np.array([(time - times[0]) / step for time in times])
    place = np.round(steps).astype(int)
    off = np.flatnonzero(np.abs(steps - place) > 1e-6)
    if len(off) or (np.diff(place) < 1).any():
        number = int(off[0]) if len(off) else int(np.argmax(np.diff(place) < 1)) + 1
        raise AzureError("InvalidSeries", f"the timestamp of point {number} is not on the grid of '{granularity}' with "
                                          f"customInterval {interval}")  # fmt: skip
    length = int(place[-1]) + 1
    missing = length - len(values)
    if missing > _MOST_MISSING * length:
        raise AzureError("InvalidSeries", f"{missing} of {length} points are missing, at most "
                                          f"{100 * _MOST_MISSING:.0f} % may be")  # fmt: skip
    return _filled(values, place, length, *impute), place


def _time(point: Any, number: int) -> datetime:
    text = point.get("timestamp") if isinstance(point, dict) else None
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        moment = None
    if moment is None:
        raise AzureError("InvalidSeries", f"point {number} of 'series' has no ISO 8601 'timestamp'")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _filled(
    values: Float[np.ndarray, " n"], place: Int[np.ndarray, " n"], length: int, mode: str, fixed: float
) -> Float[np.ndarray, " N"]:
    grid = np.full(length, np.nan)
    grid[place] = values
    gaps = np.flatnonzero(np.isnan(grid))
    if mode == "linear":
        grid[gaps] = np.interp(gaps, place, values)
    elif mode == "previous":
        grid[gaps] = values[np.searchsorted(place, gaps) - 1]
    elif mode in ("fixed", "zero"):
        grid[gaps] = fixed
    return grid  # auto and notFill leave missing what is missing: it is judged so


# What is computed


def entire(series: AzureSeries) -> dict[str, Any]:
    """Return the answer of entire/detect."""
    period = series.found_period
    expected, flagged, severity, usual = _judged(series, period)
    values = series.values[series.place]
    expected, flagged, severity = (own[series.place] for own in (expected, flagged, severity))
    above = values > expected
    margins = _margins(values - expected, flagged, 100 - series.sensitivity, usual).tolist()
    return {
        "period": period,
        "expectedValues": expected.tolist(),
        "upperMargins": margins,
        "lowerMargins": margins,
        "isAnomaly": flagged.tolist(),
        "isNegativeAnomaly": (flagged & ~above).tolist(),
        "isPositiveAnomaly": (flagged & above).tolist(),
        "severity": severity.tolist(),
    }


def last(series: AzureSeries) -> dict[str, Any]:
    """Return the answer of last/detect."""
    whole = entire(series)
    lists = {"expectedValue": "expectedValues", "upperMargin": "upperMargins", "lowerMargin": "lowerMargins"}
    plain = ("isAnomaly", "isNegativeAnomaly", "isPositiveAnomaly", "severity")
    return {
        "period": whole["period"],
        "suggestedWindow": 4 * whole["period"] + 1 if whole["period"] else max(_LEAST, min(len(series.values), 29)),
        **{name: whole[source][-1] for name, source in lists.items()},
        **{name: whole[name][-1] for name in plain},
    }


def _judged(
    series: AzureSeries, period: int
) -> tuple[Float[np.ndarray, " N"], Bool[np.ndarray, " N"], Float[np.ndarray, " N"], float]:
    """Return what was expected, which points are anomalous, how severe each is from 0 to 1, and the usual margin."""
    values, length = series.values, len(series.values)
    if np.nanmax(values) - np.nanmin(values) <= 1e-12 * max(1.0, float(np.nanmax(np.abs(values)))):
        return np.full(length, np.nanmedian(values)), np.zeros(length, bool), np.zeros(length), 1e-9
    item = _scored(series)
    scores = np.nan_to_num(item.scores, nan=-np.inf)
    high = np.quantile(scores[np.isfinite(scores)], 0.75)
    odd = np.isfinite(values) & ((scores > high) | (item.labels == 1))
    usual = _without(values, odd, period)
    gap = np.abs(values - usual)
    calm = gap[np.isfinite(gap) & ~odd] if (np.isfinite(gap) & ~odd).any() else gap[np.isfinite(gap)]
    margin = max(_DEVIATIONS * _ROBUST * float(np.median(calm)), 1e-9) / _DEFAULT
    flagged = odd & (gap > (100 - series.sensitivity) * margin)
    most = max(1, int(series.max_anomaly_ratio * length))
    if flagged.sum() > most:
        flagged &= np.isin(np.arange(length), np.argsort(-np.where(flagged, scores, -np.inf))[:most])
    normal = usual if item.reconstruction is None else item.reconstruction[:, 0]
    expected = np.where(odd | ~np.isfinite(normal), usual, normal)
    with np.errstate(invalid="ignore"):
        severity = np.where(flagged, 1.0 - 2.0 ** -(gap / (2 * _DEFAULT * margin)), 0.0)
    return expected, flagged, severity, margin


def _scored(series: AzureSeries) -> SeriesResult:
    """Return the series as oddwave judges it by itself, each stretch compared with all the others."""
    length, settings = len(series.values), []
    if length < 32 or series.period:
        size = max(4, min(2 * (series.period or 2), length // 3))
        settings.append(f"series.window_sizes=[{size}]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that so few points support no low rate
        detector = Detector(preset("fast").with_overrides(settings))
        return detector.detect(series.values[:, None], explain="all").series[0]


def _without(values: Float[np.ndarray, " N"], flagged: Bool[np.ndarray, " N"], period: int) -> Float[np.ndarray, " N"]:
    """Return what the other points let expect at flagged ones: a normal version still resembles what it stands for."""
    known = np.where(flagged, np.nan, values)
    others, half = _complete(known), max(2, min(period or 4, len(values) // 4))
    for _ in range(3):  # the season fills the gaps, and without them it is better known
        season = _season(others, period)
        level = known - season
        around = [level[max(0, at - half) : at + half + 1] for at in range(len(level))]
        whole = float(np.nanmedian(level))
        local = np.array([float(np.nanmedian(own)) if np.isfinite(own).any() else whole for own in around])
        others = np.where(np.isfinite(known), known, local + season)
    return np.asarray(local + season)


def _margins(
    gap: Float[np.ndarray, " n"], flagged: Bool[np.ndarray, " n"], scale: int, margin: float
) -> Float[np.ndarray, " n"]:
    """Return margins of which `scale` times is the boundary: normal points lie within it, flagged ones beyond."""
    bound, size = scale * margin, np.abs(gap)
    inside = np.maximum(bound, 1.05 * size)
    return np.asarray(np.where(flagged, np.minimum(bound, 0.95 * size), inside) / scale)


def change_points(series: AzureSeries) -> dict[str, Any]:
    """Return the answer of changepoint/detect: where the level before and after differs beyond the usual scatter.

    Once the season is taken out, the medians of the windows before and after each point are compared, in units of how
    much such medians differ by chance; of those within a window the largest difference counts.
    """
    period, values = series.found_period, _complete(series.values)
    length = len(values)
    window = series.window or max(4, min(period or 7, length // 4))
    level = values - _season(values, period)
    scatter = _ROBUST * float(np.median(np.abs(np.diff(level) - np.median(np.diff(level))))) / math.sqrt(2)
    scatter = max(scatter, 1e-6 * float(np.ptp(values)), 1e-12)
    needed = _CHANGED * (1.9 - series.threshold)
    deviations = np.zeros(length)
    for at in range(window, length - window + 1):
        gap = abs(float(np.median(level[at : at + window]) - np.median(level[at - window : at])))
        deviations[at] = gap / (scatter * math.sqrt(math.pi / window))  # of the difference of two medians
    confidence = 1.0 - 2.0 ** -np.square(deviations / needed)
    around = [deviations[max(0, at - window) : at + window + 1].max() for at in range(length)]
    found = (deviations >= needed) & (deviations >= np.array(around))
    found &= ~np.concatenate([[False], found[:-1]])  # of equal neighbours the first
    return {
        "period": period,
        "isChangePoint": found[series.place].tolist(),
        "confidenceScores": confidence[series.place].tolist(),
    }


def _complete(values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    known = np.flatnonzero(np.isfinite(values))
    return np.asarray(np.interp(np.arange(len(values)), known, values[known]))


def _season(values: Float[np.ndarray, " N"], period: int) -> Float[np.ndarray, " N"]:
    """Return the part that repeats, as the median over all periods of what differs from a running level."""
    if period < 2 or len(values) < 2 * period:
        return np.zeros(len(values))
    kernel = np.ones(period) / period
    padded = np.pad(values, (period // 2, period - 1 - period // 2), mode="edge")
    apart = values - np.convolve(padded, kernel, "valid")
    phase = np.arange(len(values)) % period
    shape = np.array([np.median(apart[phase == own]) for own in range(period)])
    return np.asarray((shape - shape.mean())[phase])
