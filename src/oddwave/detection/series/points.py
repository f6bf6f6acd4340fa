"""Scores of points: what of them calibrates, and how they return to the rows of the source.

Legend: n points, N points of a stream or 1 for an instance, R rows of the source.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.detection.scored import Scored
from oddwave.detection.series.stream_scores import StreamScore
from oddwave.detection.series.streams import Stream
from oddwave.sources.series.clock import MAX_GAP
from oddwave.sources.series.items import SeriesFailure, SeriesItem, SeriesSet
from oddwave.tensors.series_scale import SeriesScaler, bridged, fill_nearby, missing_runs, usual_spacing

__all__ = [
    "ScoredSeries",
    "at_items_points",
    "calibrating",
    "entries_together",
    "filled_stretch",
    "fitted_scaler",
    "joined_rows",
    "lacks_channels",
    "on_items",
    "per_item",
    "reach_ahead",
    "row_reach",
    "scaled_streams",
    "scored_items",
    "ties_lifted",
]

_MOST_SPACING = 2**31
_TIE = 1e-3  # deviations of normal scores: what lies closer than this ...
_WHOLE_SHARE = 0.1
_BLOCK_ITEMS, _BLOCK_POINTS = 512, 200_000  # scored together: small instances one by one would take long
_TIED_SHARE = 0.05  # ... to so many of the calibration's scores differs from them by rounding


@dataclass(frozen=True, eq=False)
class ScoredSeries(Scored):
    """The scores of an item's points, with the scaled stream that they were taken of."""

    item: SeriesItem
    stream: Stream | None = None
    kind: Literal["stream", "panel"] = "stream"

    @property
    def rows(self) -> Float[np.ndarray, " R"]:
        """One score per row of the source; of an instance one."""
        return self.item.per_row(self.scores) if self.kind == "stream" else self.scores


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


def scored_items(
    items: Sequence[SeriesItem],
    streams: Sequence[Stream],
    scored: Sequence[StreamScore],
    scaler: SeriesScaler,
    kind: Literal["stream", "panel"],
) -> list[ScoredSeries]:
    """Bring the scores of streams to the points of their items, as what is judged."""
    on_points = on_items(items, streams, scored, scaler, kind)
    return [
        ScoredSeries(
            item,
            per_item(own.scores, kind),
            {name: per_item(values, kind) for name, values in own.parts.items()},
            stream=stream,
            kind=kind,
        )
        for item, stream, own in zip(items, streams, on_points, strict=True)
    ]


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
    reach = max(MAX_GAP, spacing - 1)
    kept = [item.values[_kept_points(np.asarray(item.observed.any(1)), item.breaks, reach)[0]] for item in data.items]
    return SeriesScaler.fit([values[: max(1, round(len(values) * (1.0 - held_back)))] for values in kept])


def scaled_streams(data: SeriesSet, scaler: SeriesScaler) -> list[Stream]:
    """Scale items and fill what is missing; what a channel without training values holds is passed over."""
    return [_stream(item, group, scaler, whole=data.kind == "panel") for group, item in enumerate(data.items)]


def _stream(item: SeriesItem, group: int, scaler: SeriesScaler, *, whole: bool) -> Stream:
    monitored = scaler.monitored
    kept, breaks = np.arange(item.n_timepoints), item.breaks
    if not whole:
        seen = np.asarray(item.observed[:, monitored].any(1))
        kept, breaks = _kept_points(seen, item.breaks, row_reach(scaler))
    places = None if len(kept) == item.n_timepoints else kept
    values = scaler.transform(item.values if places is None else item.values[places])
    filled, known = np.zeros(values.shape, np.float32), np.zeros(values.shape, bool)
    reach = len(values) if whole else reach_ahead(scaler)
    for start, stop in pairwise([0, *breaks, len(values)]):
        filled[start:stop], known[start:stop] = filled_stretch(values[start:stop], scaler, reach)
    return Stream(item.id, group, filled, known, breaks, places=places)


def _spacing(scaler: SeriesScaler) -> Int[np.ndarray, " C"]:
    return np.array(scaler.spacing or np.ones(len(scaler.centre), int))


def row_reach(scaler: SeriesScaler) -> int:
    """Return how many points in a row without any value still lie within a stretch."""
    spacing = int(_spacing(scaler)[scaler.monitored].min(initial=_MOST_SPACING))
    return max(MAX_GAP, spacing - 1)


def reach_ahead(scaler: SeriesScaler) -> int:
    """Return how many points after a missing value decide what stands in for it."""
    return max(MAX_GAP, int(_spacing(scaler)[scaler.monitored].max(initial=1)) - 1)


def filled_stretch(
    values: Float[np.ndarray, "n C"], scaler: SeriesScaler, reach: int
) -> tuple[Float[np.ndarray, "n C"], Bool[np.ndarray, "n C"]]:
    """Fill the missing values of a scaled stretch without a break, and say which may stand as they are.

    What a channel without training values holds is passed over.
    """
    monitored = scaler.monitored
    filled, observed = fill_nearby(np.where(monitored, values, np.nan), reach)
    known = bridged(observed, _spacing(scaler).tolist())
    known[:, ~monitored] = known[:, monitored].any(1, keepdims=True)
    return filled.astype(np.float32), known


def _kept_points(
    seen: Bool[np.ndarray, " n"], breaks: tuple[int, ...], reach: int
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
            if ends or b - a > reach:
                kept[a:b] = False
        if not kept[start:stop].any():
            begins[stop] |= start > 0
    points = np.flatnonzero(kept)
    stretch = np.cumsum(begins[:n])[points]
    return points, tuple((np.flatnonzero(np.diff(stretch)) + 1).tolist())


def entries_together(entries: Iterable[SeriesItem | SeriesFailure]) -> Iterator[list[SeriesItem | SeriesFailure]]:
    """Yield entries in order, as many together as are scored quickly in bounded memory."""
    block: list[SeriesItem | SeriesFailure] = []
    points = 0
    for entry in entries:
        block.append(entry)
        points += entry.n_timepoints if isinstance(entry, SeriesItem) else 0
        if len(block) >= _BLOCK_ITEMS or points >= _BLOCK_POINTS:
            yield block
            block, points = [], 0
    if block:
        yield block
