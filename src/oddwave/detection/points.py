"""Scores of points: what of them calibrates, and how they return to the rows of the source.

Legend: n points, N points of a stream or 1 for an instance, R rows of the source.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from oddwave.detection.series_detection import StreamScore
from oddwave.detection.streams import Stream
from oddwave.modalities.series import SeriesScaler, fill_missing
from oddwave.modalities.series_items import SeriesItem, SeriesSet

__all__ = ["below_fence", "joined_rows", "per_item", "scaled_streams"]

_FENCE = 3.0  # interquartile ranges above the upper quartile: beyond it a stream's own scores count as no calibration


def below_fence(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Replace scores above the upper outer fence by NaN: what is surely anomalous must not calibrate."""
    seen = scores[np.isfinite(scores)]
    if not len(seen):
        return scores
    low, high = np.quantile(seen, [0.25, 0.75])
    return np.where(scores <= high + _FENCE * (high - low), scores, np.nan)


def per_item(values: Float[np.ndarray, " n"], kind: str) -> Float[np.ndarray, " N"]:
    """Give all points of a stream, or the one value of an instance."""
    return values if kind == "stream" else values[:1]


def joined_rows(items: Sequence[SeriesItem], scored: Sequence[StreamScore], kind: str) -> Float[np.ndarray, " R"]:
    if kind == "panel":
        return np.array([s.scores[0] for s in scored])
    masked = [np.where(item.observed.any(1), s.scores, np.nan) for item, s in zip(items, scored, strict=True)]
    return np.concatenate([item.per_row(values) for item, values in zip(items, masked, strict=True)])


def scaled_streams(data: SeriesSet, scaler: SeriesScaler) -> list[Stream]:
    streams = []
    for group, item in enumerate(data.items):
        filled, observed = fill_missing(scaler.transform(item.values))
        seen = np.asarray(observed.any(axis=1))
        streams.append(Stream(item.id, group, filled.astype(np.float32), seen, item.breaks))
    return streams
