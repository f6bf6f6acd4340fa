"""The numbers behind the plots of series: what the page's script draws, thinned so that extremes and events survive.

Legend: T points of an item, C channels, K buckets, M drawn points. Arrays travel inside the page as base64 of
little-endian floats, which the script turns back into typed arrays without parsing. Read `../templates/series.js` next.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.report.kinds.series_words import TimeAxis, axis_offset, time_axis
from oddwave.results import DetectionResult, SeriesEvent, SeriesResult
from oddwave.visible import visible

__all__ = ["MAX_CHANNELS", "item_figure", "point_budget", "sparkline"]

FULL_DETAIL_POINTS = 20_000  # streams up to this long are drawn point for point
NUMBERS_PER_PAGE = 1_500_000  # about 8 MB of base64 float32 for the data of the whole page
MAX_CHANNELS = 32  # drawn at most, the largest residual first
MAX_MISSING_RUNS = 150  # shaded at most per channel, the longest first
DETAIL_MARGIN = 64  # points kept exact on each side of an event


def pack(values: np.ndarray, *, exact: bool = False) -> str:
    """Encode an array as "f4:" or "f8:" and base64; f8 where asked, or where f4 would blur the values' differences."""
    finite = values[np.isfinite(values)]
    kind = "f8" if exact else "f4"
    if finite.size:
        largest, spread = float(np.max(np.abs(finite))), float(np.ptp(finite))
        if largest > 1e37 or spread < 1e-3 * largest:
            kind = "f8"
    raw = np.where(np.isfinite(values), values, np.nan).astype(f"<{kind}").tobytes()
    return f"{kind}:{base64.b64encode(raw).decode('ascii')}"


def point_budget(result: DetectionResult, num_drawn: int) -> int:
    """Return how many points each of `num_drawn` items may draw so that the page stays of a sane size."""
    columns = max((1 + 2 * min(item.values.shape[1], MAX_CHANNELS) for item in result.series), default=3)
    return int(np.clip(NUMBERS_PER_PAGE // (max(1, num_drawn) * (columns + 2)), 1_000, FULL_DETAIL_POINTS))


def detail_regions(events: Sequence[SeriesEvent], num_points: int, budget: int) -> list[tuple[int, int]]:
    """Return the [from, to) stretches to keep point for point: around events, within half the budget.

    The strongest events come first; one longer than what is left of the budget is kept around its peak.
    """
    left = budget // 2
    regions = []
    for event in sorted(events, key=lambda event: -event.score):
        margin = max(DETAIL_MARGIN, event.end - event.start)
        first, last = max(0, event.start - margin), min(num_points, event.end + margin + 1)
        if last - first > left:
            first = max(first, event.peak - left // 2)
            last = min(last, first + left)
        if last <= first:
            break
        regions.append((first, last))
        left -= last - first
    return regions


def bucket_starts(num_points: int, detail: Sequence[tuple[int, int]], budget: int) -> Int[np.ndarray, " K"]:
    """Return where each bucket of points begins: one point each inside `detail`, wide ones elsewhere.

    A wide bucket draws two points (its lowest and its highest), so about `budget` points are drawn in all.
    """
    if num_points <= budget:
        return np.arange(num_points)
    exact = np.zeros(num_points, dtype=bool)
    for first, last in detail:
        exact[first:last] = True
    num_exact = int(exact.sum())
    width = max(3, math.ceil(2 * (num_points - num_exact) / max(1, budget - num_exact)))
    run_starts = np.flatnonzero(np.diff(exact, prepend=~exact[0]))
    offset = np.arange(num_points) - np.repeat(run_starts, np.diff(run_starts, append=num_points))
    return np.flatnonzero(exact | (offset % width == 0))


def envelope(
    column: Float[np.ndarray, " T"], starts: Int[np.ndarray, " K"]
) -> tuple[Int[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """Return the drawn positions and values: lowest and highest of every wide bucket, in the order they occur.

    Positions depend on `starts` alone (a bucket's first and middle point), so all columns of an item share them; inside
    a wide bucket an extreme is therefore displaced by less than the bucket's width. NaN where a bucket has no value.
    """
    num_points = len(column)
    width = np.diff(starts, append=num_points)
    low, high = np.fmin.reduceat(column, starts), np.fmax.reduceat(column, starts)
    position = np.arange(num_points)
    low_at = np.minimum.reduceat(np.where(column == np.repeat(low, width), position, num_points), starts)
    high_at = np.minimum.reduceat(np.where(column == np.repeat(high, width), position, num_points), starts)
    pairs = np.where((low_at <= high_at)[:, None], np.stack([low, high], axis=1), np.stack([high, low], axis=1))
    positions = np.stack([starts, starts + width // 2], axis=1)
    drawn = np.stack([np.ones(len(starts), dtype=bool), width > 1], axis=1)
    return positions[drawn], pairs[drawn]


def missing_runs(missing: Bool[np.ndarray, " T"], limit: int = MAX_MISSING_RUNS) -> list[tuple[int, int]]:
    """Return the longest runs of missing points as (first, last), both included, in order of time."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]])))
    runs = [(int(first), int(last) - 1) for first, last in zip(edges[::2], edges[1::2], strict=True)]
    longest = sorted(runs, key=lambda run: run[0] - run[1])[:limit]
    return sorted(longest)


def channel_order(item: SeriesResult) -> list[int]:
    """Return channel indices, the largest residual first: |value - normal version| over the channel's own spread.

    The residual is averaged over each event's points and its largest average counts, so that a short event's channel is
    not drowned by a long one; without events, over all points. Without a reconstruction, channels that events name come
    first.
    """
    num_points, num_channels = item.values.shape
    if item.reconstruction is None or num_points == 0:
        named = [event.channel for event in item.events]
        return sorted(range(num_channels), key=lambda channel: item.channel_names[channel] not in named)
    stretches = [slice(event.start, event.end + 1) for event in item.events] or [slice(None)]
    residual = np.zeros(num_channels)
    for channel in range(num_channels):
        known = item.observed[:, channel] & np.isfinite(item.values[:, channel])
        normal = item.reconstruction[:, channel]
        # the wider of the two: a channel that went flat keeps the scale that its normal version has
        spread = max(_spread(item.values[known, channel]), _spread(normal))
        gap = np.where(known, np.abs(item.values[:, channel] - normal), np.nan)
        gaps = [part[np.isfinite(part)] for part in (gap[stretch] for stretch in stretches)]
        residual[channel] = max((float(part.mean()) for part in gaps if part.size), default=0.0) / max(spread, 1e-12)
    return [int(channel) for channel in np.argsort(-residual, kind="stable")]


def _spread(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.std(finite)) if finite.size else 0.0


def _axis_values(item: SeriesResult, axis: TimeAxis) -> Float[np.ndarray, " T"]:
    """Return where every point lies: milliseconds since 1970 (UTC or local), the item's own numbers, or indices."""
    if axis == "index" or item.timestamps is None:
        return np.arange(len(item.values), dtype=np.float64)
    if axis == "number":
        return item.timestamps.astype(np.float64)
    epoch = np.datetime64(0, "ms")
    ahead = np.timedelta64(axis_offset(item) or 0, "m")
    return np.asarray((item.timestamps - epoch + ahead) / np.timedelta64(1, "ms"), dtype=np.float64)


def _half_step(x: Float[np.ndarray, " T"]) -> float:
    return float(np.median(np.diff(x))) / 2 if len(x) > 1 else 0.5


def _row(item: SeriesResult, channel: int, starts: Int[np.ndarray, " K"], x: Float[np.ndarray, " T"]) -> dict[str, Any]:
    """Return what is drawn of one channel: its observed values, its normal version, and its missing stretches."""
    half = _half_step(x)
    observed = item.observed[:, channel] & np.isfinite(item.values[:, channel])
    _, values = envelope(np.where(observed, item.values[:, channel], np.nan), starts)
    row: dict[str, Any] = {
        "name": visible(item.channel_names[channel]),
        "values": pack(values),
        "missing": [[x[first] - half, x[last] + half] for first, last in missing_runs(~observed)],
    }
    if item.reconstruction is not None:
        row["normal"] = pack(envelope(item.reconstruction[:, channel].astype(np.float64), starts)[1])
    return row


def _score_scale(scores: Float[np.ndarray, " N"], threshold: float) -> str:
    """Choose a logarithmic score axis only where one peak would otherwise press everything else flat."""
    finite = scores[np.isfinite(scores)]
    if not finite.size or not threshold > 0 or float(np.min(finite)) <= 0:
        return "linear"
    return "log" if float(np.max(finite)) > 25 * threshold else "linear"


def item_figure(
    item: SeriesResult, threshold: float, ranks: Mapping[int, int], budget: int, *, with_score: bool
) -> dict[str, Any]:
    """Return everything the page's script needs to draw one item, ready for JSON.

    `ranks` maps an event's place within `item.events` to its number in the events table; `budget` bounds the points.
    """
    axis = time_axis(item)
    x = _axis_values(item, axis)
    half = _half_step(x)
    starts = bucket_starts(len(x), detail_regions(item.events, len(x), budget), budget)
    positions = envelope(x, starts)[0] if len(x) else np.arange(0)
    order = channel_order(item)
    figure: dict[str, Any] = {
        "id": visible(item.id),
        "axis": axis,
        "x": pack(x[positions], exact=True),
        "rows": [_row(item, channel, starts, x) for channel in order[:MAX_CHANNELS]] if len(x) else [],
        "events": [
            {"from": x[event.start] - half, "to": x[event.end] + half, "rank": ranks[place]}
            for place, event in enumerate(item.events)
        ],
    }
    if with_score and len(x):
        figure["score"] = pack(envelope(item.scores.astype(np.float64), starts)[1])
        figure["scale"] = _score_scale(item.scores, threshold)
        figure["threshold"] = threshold if math.isfinite(threshold) else None
    return figure


def sparkline(item: SeriesResult, width: int = 120, height: int = 28) -> dict[str, Any]:
    """Return a thumbnail of an item's most abnormal channel as SVG path text, and its events as (x, width) bars."""
    num_points = len(item.values)
    if not item.observed.any():
        return {"path": "", "events": [], "width": width, "height": height}
    channel = channel_order(item)[0]
    column = np.where(item.observed[:, channel], item.values[:, channel], np.nan).astype(np.float64)
    column[~np.isfinite(column)] = np.nan
    positions, values = envelope(column, bucket_starts(num_points, [], 2 * width))
    low, high = (float(np.nanmin(values)), float(np.nanmax(values))) if np.isfinite(values).any() else (0.0, 0.0)
    scale_x = width / max(1, num_points - 1)
    rows = height - 2 - (values - low) / ((high - low) or 1.0) * (height - 4)
    path, pen_down = [], False
    for at, row in zip(positions * scale_x, rows, strict=True):
        if math.isfinite(row):
            path.append(f"{'L' if pen_down else 'M'}{at:.1f} {row:.1f}")
        pen_down = math.isfinite(row)
    bars = [
        (round(event.start * scale_x, 1), round(max(1.5, (event.end - event.start) * scale_x), 1))
        for event in item.events
    ]
    return {"path": "".join(path), "events": bars, "width": width, "height": height}
