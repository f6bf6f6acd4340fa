"""The rows of scores.csv, and a pandas frame of them: one per item given, of streams one per row of the source.

Read `report/outputs.py` for the other tables. Legend: R rows of the source.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oddwave.errors import MissingExtraError
from oddwave.records import AnyResult, Kind, SeriesResult
from oddwave.result_times import clock_text, zone_of

__all__ = ["score_columns", "score_frame", "series_of"]

_STREAM_COLUMNS = ("item", "index", "timestamp", "score", "p_value", "label", "status", "reason")
_STATUS = np.array(["judged", "not judged"], dtype=object)


def score_columns(kind: Kind, items: Sequence[AnyResult]) -> dict[str, list[Any]]:
    """Return the columns of scores.csv; NaN stands where there is no score, label -1 says so."""
    if kind != "stream":
        return {
            "item": [item.id for item in items],
            "score": [item.score for item in items],
            "p_value": [item.p_value for item in items],
            "label": [item.label for item in items],
            "status": [item.status for item in items],
            "reason": [item.reason for item in items],
            "p_tail": [item.strength.p_tail for item in items],
            "deviations": [item.strength.deviations for item in items],
        }
    columns: dict[str, list[Any]] = {name: [] for name in _STREAM_COLUMNS}
    for item in series_of(items):
        for name, values in _stream_columns(item).items():
            columns[name] += values
    return columns


def series_of(items: Sequence[AnyResult]) -> tuple[SeriesResult, ...]:
    """Return those items that are streams or panel instances."""
    return tuple(item for item in items if isinstance(item, SeriesResult))


def _stream_columns(item: SeriesResult) -> Mapping[str, list[Any]]:
    """One entry per row of the source, in its order; rows that became no point have no score and label -1."""
    point = np.arange(len(item.scores)) if item.row_index is None else item.row_index
    lost = point < 0
    scores, p_values = (np.where(lost, np.nan, values[point]) for values in (item.scores, item.p_values))
    unjudged = np.isnan(scores)
    stamps = _row_stamps(item)
    seen = np.asarray(item.observed.any(axis=1))
    seen = seen[point] if len(seen) == len(item.scores) else np.ones(len(point), bool)
    reasons = np.select([~unjudged, np.full(len(point), bool(item.error)), lost, ~seen], [0, 1, 2, 3], 4)
    texts = np.array(["", item.reason, "no time", "no value", "too few values around it"], dtype=object)
    return {
        "item": [item.id] * len(point),
        "index": list(range(len(point))),
        "timestamp": [""] * len(point) if stamps is None else clock_text(stamps, item.timezone),
        "score": scores.tolist(),
        "p_value": p_values.tolist(),
        "label": np.where(unjudged, -1, item.labels[point]).tolist(),
        "status": _STATUS[unjudged.astype(int)].tolist(),
        "reason": texts[reasons].tolist(),
    }


def _row_stamps(item: SeriesResult) -> np.ndarray | None:
    return item.timestamps if item.row_index is None else item.row_timestamps


def score_frame(kind: Kind, items: Sequence[AnyResult]) -> Any:
    """Return scores.csv as a pandas DataFrame, times as timestamps, in local time where one is known.

    Raises: MissingExtraError where pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError("to_frame()", "series") from None
    columns: dict[str, Any] = dict(score_columns(kind, items))
    if kind == "stream":
        stamps = [_frame_stamps(pd, item) for item in series_of(items)]
        columns["timestamp"] = pd.concat(stamps, ignore_index=True) if stamps else []
    return pd.DataFrame(columns)


def _frame_stamps(pd: Any, item: SeriesResult) -> Any:
    stamps = _row_stamps(item)
    if stamps is None:
        return pd.Series(pd.NaT, index=range(len(item.scores) if item.row_index is None else len(item.row_index)))
    series = pd.Series(stamps)
    if item.timezone is None or not np.issubdtype(stamps.dtype, np.datetime64):
        return series
    return series.dt.tz_localize("UTC").dt.tz_convert(zone_of(item.timezone))
