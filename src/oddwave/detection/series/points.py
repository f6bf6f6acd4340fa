"""Scores of points: what of them calibrates, and how they return to the rows of the source.

Legend: n points, N points of a stream or 1 for an instance, R rows of the source.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.calibration.conformal import block_maxima
from oddwave.detection.series.stream_scores import StreamScore
from oddwave.detection.series.streams import Stream
from oddwave.sources.series.clock import MAX_GAP
from oddwave.sources.series.items import SeriesItem, SeriesSet
from oddwave.tensors.series_scale import SeriesScaler, bridged, fill_missing, missing_runs, usual_spacing

__all__ = [
    "at_items_points",
    "below_fence",
    "calibrating",
    "fitted_scaler",
    "joined_rows",
    "lacks_channels",
    "on_items",
    "per_item",
    "scaled_streams",
    "ties_lifted",
    "without_odd_blocks",
]

_MOST_SPACING = 2**31
_TIE = 1e-3  # deviations of normal scores: what lies closer than this ...
_WHOLE_SHARE = 0.1
_TIED_SHARE = 0.05  # ... to so many of the calibration's scores differs from them by rounding
_BLOCK_FENCE = 2.0  # interquartile ranges of the maxima of blocks above their upper quartile
_FENCE = 3.0  # interquartile ranges above the upper quartile: beyond it a stream's own scores count as no calibration


def below_fence(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Replace scores above the upper outer fence by NaN: what is surely anomalous must not calibrate."""
    seen = scores[np.isfinite(scores)]
    if not len(seen):
        return scores
    low, high = np.quantile(seen, [0.25, 0.75])
    return np.where(scores <= high + max(_FENCE * (high - low), _TIE), scores, np.nan)


def without_odd_blocks(scores: Sequence[Float[np.ndarray, " _"]], block_size: int) -> list[Float[np.ndarray, " _"]]:
    """Replace by NaN what lies above the fence of the maxima of blocks: a stream's own faults must not calibrate it.

    Faults raise the maxima of their blocks, which are few, far above those of the others; single points hide that.
    """
    seen = [s[np.isfinite(s)] for s in scores if np.isfinite(s).any()]
    if not seen:
        return list(scores)
    maxima = np.concatenate([block_maxima(s, block_size) for s in seen])
    low, high = np.quantile(maxima, [0.25, 0.75])
    fence = high + max(_BLOCK_FENCE * (high - low), _TIE)
    return [np.where(s <= fence, s, np.nan) for s in scores]


def ties_lifted(scores: Sequence[Float[np.ndarray, " _"]]) -> list[Float[np.ndarray, " _"]]:
    """Lift calibration scores that differ by rounding only, as of a machine at rest, just above the highest of them.

    What is scored later and equals them is then their like, however it rounds. Scores that vary are left as they are.
    """
    ordered = np.sort(np.concatenate([s[np.isfinite(s)] for s in scores]))
    above = np.searchsorted(ordered, ordered + _TIE, side="right")
    tied = np.flatnonzero(above - np.arange(len(ordered)) >= max(3.0, _TIED_SHARE * len(ordered)))
    lifted = [s.copy() for s in scores]
    while len(tied):
        first = last = tied[0]
        while (later := tied[(tied > last) & (tied < above[last])]).size:
            last = later[-1]
        low, high = ordered[first], ordered[above[last] - 1]
        for own in lifted:
            own[(own >= low) & (own <= high)] = high + _TIE
        tied = tied[tied >= above[last]]
    return lifted


def per_item(values: Float[np.ndarray, " n"], kind: str) -> Float[np.ndarray, " N"]:
    """Return all points of a stream, or the one value of an instance."""
    return values if kind == "stream" else values[:1]


def joined_rows(items: Sequence[SeriesItem], scored: Sequence[StreamScore], kind: str) -> Float[np.ndarray, " R"]:
    """Join the scores of items' points, row by row of their source; of a panel, instance by instance."""
    if kind == "panel":
        return np.array([s.scores[0] for s in scored])
    return np.concatenate([item.per_row(s.scores) for item, s in zip(items, scored, strict=True)])


def on_items(
    items: Sequence[SeriesItem],
    streams: Sequence[Stream],
    scored: Sequence[StreamScore],
    scaler: SeriesScaler,
    kind: str,
) -> list[StreamScore]:
    """Bring streams' scores to their items' points; a point of which nothing was measured that counts gets no score."""
    result = []
    for item, stream, own in zip(items, streams, scored, strict=True):
        scores = at_items_points(own.scores, stream, item.n_timepoints)
        if kind == "stream":
            scores[~item.observed[:, scaler.monitored].any(1)] = np.nan
        parts = {name: at_items_points(values, stream, item.n_timepoints) for name, values in own.parts.items()}
        result.append(replace(own, scores=scores, parts=parts))
    return result


def at_items_points(values: Float[np.ndarray, "n *rest"], stream: Stream, n: int) -> Float[np.ndarray, "N *rest"]:
    """Put a stream's points at their places in its item; NaN where the stream has none."""
    values = values[stream.history :]
    if stream.places is None:
        return values.copy()
    spread = np.full((n, *values.shape[1:]), np.nan)
    spread[stream.places] = values
    return spread


def calibrating(scored: Sequence[StreamScore], streams: Sequence[Stream], kind: str) -> list[Float[np.ndarray, " _"]]:
    """Return the scores that calibrate: those of points of which every channel is known, where there are any."""
    whole = [np.where(stream.known.all(1), s.scores, np.nan) for stream, s in zip(streams, scored, strict=True)]
    if kind == "panel" or not any(np.isfinite(values).any() for values in whole):
        whole = [s.scores for s in scored]
    return [per_item(values, kind) for values in whole]


def lacks_channels(streams: Sequence[Stream]) -> bool:
    """Return whether hardly a point has all of its channels: scores with some of them missing calibrate no others."""
    return float(np.mean(np.concatenate([stream.known.all(1) for stream in streams]))) < _WHOLE_SHARE


def fitted_scaler(data: SeriesSet, held_back: float) -> SeriesScaler:
    """Scale by the data's own values, of a stream without the part that is held back."""
    if data.kind == "panel":
        return SeriesScaler.fit([item.values for item in data.items])
    (spacing,) = usual_spacing([np.asarray(item.observed.any(1, keepdims=True)) for item in data.items])
    kept = [item.values[_kept_points(np.asarray(item.observed.any(1)), item.breaks, spacing)[0]] for item in data.items]
    return SeriesScaler.fit([values[: max(1, round(len(values) * (1.0 - held_back)))] for values in kept])


def scaled_streams(data: SeriesSet, scaler: SeriesScaler) -> list[Stream]:
    """Scale items and fill what is missing; what a channel without training values holds is passed over."""
    return [_stream(item, group, scaler, whole=data.kind == "panel") for group, item in enumerate(data.items)]


def _stream(item: SeriesItem, group: int, scaler: SeriesScaler, *, whole: bool) -> Stream:
    monitored = scaler.monitored
    spacing = np.array(scaler.spacing or np.ones(item.n_channels, int))
    kept, breaks = np.arange(item.n_timepoints), item.breaks
    if not whole:
        row_spacing = int(spacing[monitored].min(initial=_MOST_SPACING))
        kept, breaks = _kept_points(np.asarray(item.observed[:, monitored].any(1)), item.breaks, row_spacing)
    places = None if len(kept) == item.n_timepoints else kept
    values = scaler.transform(item.values if places is None else item.values[places])
    values[:, ~monitored] = np.nan
    filled, observed = fill_missing(values)
    known = bridged(observed, spacing.tolist())
    known[:, ~monitored] = known[:, monitored].any(1, keepdims=True)
    return Stream(item.id, group, filled.astype(np.float32), known, breaks, places=places)


def _kept_points(
    seen: Bool[np.ndarray, " n"], breaks: tuple[int, ...], spacing: int
) -> tuple[Int[np.ndarray, " k"], tuple[int, ...]]:
    """Leave out long runs of points without a value, and those at the ends of a stretch: as if they were not there.

    As between rows that are absent, what lies beyond a long gap is a stretch of its own.
    """
    n = len(seen)
    kept, begins = np.ones(n, bool), np.zeros(n + 1, bool)
    begins[list(breaks)] = True
    for start, stop in missing_runs(seen):
        inner = np.flatnonzero(begins[start : stop + 1])
        cuts = [start, *(start + inner).tolist(), stop] if len(inner) else [start, stop]
        for a, b in pairwise(cuts):
            ends = a == 0 or b == n or begins[a] or begins[b]
            if ends or b - a > max(MAX_GAP, spacing - 1):
                kept[a:b] = False
        if not kept[start:stop].any():
            begins[stop] |= start > 0
    points = np.flatnonzero(kept)
    stretch = np.cumsum(begins[:n])[points]
    return points, tuple((np.flatnonzero(np.diff(stretch)) + 1).tolist())
