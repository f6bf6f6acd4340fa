"""Drift of streams: their scores block by block, and which channel's level, spread, slope or gaps moved.

Two statistics of each block are tested, its highest score and its median: the first shows more frequent peaks, the
second a level that stays. Blocks are as long as dependence asks for. Read `detection/drift.py` first.

Legend: n points, C channels, B blocks, S statistics of a channel.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.drift import block_values, find_drift, independent_blocks
from oddwave.detection.scored import Scored, Unjudged
from oddwave.records import Drift
from oddwave.sources.series.items import SeriesItem
from oddwave.tensors.series_scale import SeriesScaler

__all__ = ["STATISTICS", "StreamBlocks", "block_statistics", "drift_of_blocks", "streams_drift", "value_statistics"]

STATISTICS = ("level", "spread", "point-to-point change", "slope", "missing values")
_SMALLEST = (
    0.05,
    0.05,
    0.05,
    0.05,
    0.05,
)  # deviations from block to block that no statistic stays below, in its own unit
_LEAST_SPREAD = 1e-3  # of the channel's scale; of a constant one the logarithm would say much of nothing
_LARGEST, _FEWEST = 1e6, 3  # blocks
_MOVED = 2.0  # deviations from block to block, in the median of all blocks since: single ones may lie as far off


def block_statistics(
    items: Sequence[SeriesItem], scaler: SeriesScaler, calibration: Calibration
) -> dict[str, Any] | None:
    """Return what blocks of normal data are like: of each channel's statistics the mean and the deviation.

    None where there are too few blocks to tell a deviation.
    """
    size = independent_blocks(calibration.scores, calibration.block_size)
    found = np.concatenate([value_statistics(item.values, scaler, size) for item in items])
    if len(found) < _FEWEST:
        return None
    known = np.isfinite(found)
    count = np.maximum(known.sum(0), 1)
    middle = np.where(known, found, 0.0).sum(0) / count
    spread = np.sqrt(np.where(known, (found - middle) ** 2, 0.0).sum(0) / np.maximum(count - 1, 1))
    pairs = np.stack([middle, np.maximum(spread, _SMALLEST)], axis=-1)
    return {"size": size, "channels": pairs.tolist()}


def value_statistics(values: Float[np.ndarray, "n C"], scaler: SeriesScaler, size: int) -> Float[np.ndarray, "B C S"]:
    """Return the statistics of whole blocks, in the scaler's units; NaN where a block has too few values.

    A stream that is shorter than a block has none.
    """
    num = len(values) // size
    blocks = scaler.transform(values)[: num * size].reshape(num, size, values.shape[1])
    known = np.isfinite(blocks)
    values, count = np.where(known, blocks, 0.0), np.maximum(known.sum(1), 1)
    level = values.sum(1) / count
    away = np.where(known, blocks - level[:, None], 0.0)
    spread = np.log(np.sqrt((away**2).sum(1) / count) + _LEAST_SPREAD)
    steps, pairs = np.diff(values, axis=1), known[:, 1:] & known[:, :-1]
    rough = np.log(np.sqrt((np.where(pairs, steps, 0.0) ** 2).sum(1) / np.maximum(pairs.sum(1), 1)) + _LEAST_SPREAD)
    time = np.linspace(-1.0, 1.0, size)[None, :, None]
    slope = (away * time).sum(1) / np.maximum((known * time**2).sum(1), 1.0)
    missing = 1.0 - known.mean(1)
    found: np.ndarray = np.clip(np.stack([level, spread, rough, slope, missing], axis=-1), -_LARGEST, _LARGEST)
    found[..., :4][2 * known.sum(1) < size] = np.nan
    found[..., 2][4 * pairs.sum(1) < size] = np.nan
    return found


def streams_drift(
    judged: Sequence[Scored | Unjudged], calibration: Calibration, scaler: SeriesScaler, usual: dict[str, Any] | None
) -> tuple[Drift, ...]:
    """Return the drift of each stream of which the scores, and a statistic of a channel, have moved and stay so."""
    size = independent_blocks(calibration.scores, calibration.block_size)
    normal = block_values(calibration.scores, size)
    found = []
    for own in judged:
        if isinstance(own, Unjudged) or own.fault:
            continue
        blocks = StreamBlocks(
            own.item.id,
            own.item.channel_names,
            size,
            block_values(own.scores, size),
            partial(_of_item, own.item, scaler),
        )
        drift = drift_of_blocks(blocks, normal, usual)
        found += [drift] if drift else []
    return tuple(found)


@dataclass(frozen=True, eq=False)
class StreamBlocks:
    """The blocks of a stream: maxima and medians of their scores; `statistics`, asked with a size, of its values."""

    id: str
    channel_names: Sequence[str]
    size: int
    values: Float[np.ndarray, "2 B"]
    statistics: Callable[[int], Float[np.ndarray, "B C S"]]


def drift_of_blocks(
    blocks: StreamBlocks, normal: Float[np.ndarray, "2 b"], usual: dict[str, Any] | None
) -> Drift | None:
    """Return the drift of a stream by its blocks, or None; `normal` are the maxima and medians of normal blocks."""
    tests = [find_drift(new, old, num_tests=len(normal)) for new, old in zip(blocks.values, normal, strict=True)]
    drifts = [test for test in tests if test is not None]
    if not drifts:
        return None
    best = max(drifts, key=lambda test: (test.share, test.capital))
    since = best.since * blocks.size
    moved, shift = _most_moved(blocks, since, usual)
    if not moved:  # odd here and there, day after day: that is what events are for
        return None
    return Drift(blocks.id, since, moved, shift, best.share, best.share_since, best.capital, best.p_value)


def _of_item(item: SeriesItem, scaler: SeriesScaler, size: int) -> Float[np.ndarray, "B C S"]:
    return value_statistics(item.values, scaler, size)


def _most_moved(blocks: StreamBlocks, since: int, usual: dict[str, Any] | None) -> tuple[str, float]:
    """Return the channel and statistic that moved most from a point on, and by how many usual deviations."""
    if usual is None:
        return "", float("nan")
    found = blocks.statistics(usual["size"])[since // usual["size"] :]
    pairs = np.array(usual["channels"])
    away = (found - pairs[..., 0]) / pairs[..., 1]
    if not len(away):
        return "", float("nan")
    shifts = np.array([[_median(away[:, c, s]) for s in range(len(STATISTICS))] for c in range(pairs.shape[0])])
    channel, statistic = np.unravel_index(np.argmax(np.abs(shifts)), shifts.shape)
    shift = float(shifts[channel, statistic])
    if abs(shift) < _MOVED:
        return "", float("nan")
    return f"{STATISTICS[statistic]} of {blocks.channel_names[int(channel)]}", shift


def _median(values: Float[np.ndarray, " B"]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0
