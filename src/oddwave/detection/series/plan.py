"""The plan of a fit: which window sizes, how they are thinned, and what is held back for calibration.

Legend: n points, L points per window.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

import numpy as np

from oddwave.config import DetectorConfig
from oddwave.detection.series.streams import Stream
from oddwave.errors import DataError
from oddwave.tensors.period import find_periods, window_sizes

__all__ = ["WindowPlan", "fold_plan", "plan_windows", "split_instances", "split_streams"]

_STRIDES_PER_WINDOW = 16
_MOST_VALUES, _FEWEST_WINDOWS = 2**24, 64  # of one memory of many channels: 64 MiB
_LONGEST_INSTANCE_TENSOR = 128
_MOST_FOLDED_PERIODS = 8


@dataclass(frozen=True)
class WindowPlan:
    """Window sizes (points), the stride of each, the period they rest on (0: none found), and the evidence for it."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    tensor_length: int
    period: int
    panel: bool
    evidence: dict[str, Any]

    @property
    def block_size(self) -> int:
        """How many points count as one independent block: a window of the middle size, or an instance (1)."""
        return 1 if self.panel else sorted(self.sizes)[len(self.sizes) // 2]


def plan_windows(streams: Sequence[Stream], config: DetectorConfig, *, panel: bool, held_back: float) -> WindowPlan:
    """Choose window sizes from the data: 1 to 4 periods, or, without a period, shares of the length.

    `held_back` is the share of each stream that calibration will take; windows must fit in it.

    Raises:
        DataError: the streams are too short for any window, or for the given sizes.
    """
    if panel:
        size = len(streams[0])
        tensor = int(np.clip(-(-size // 4) * 4, 16, _LONGEST_INSTANCE_TENSOR))
        plan = WindowPlan((size,), (size,), tensor, 0, True, {"method": "one window per instance"})
        return fold_plan(plan) if config.series.representation == "folded" else plan
    series = config.series
    longest = max(streams, key=len)
    typical = int(np.median([len(s) for s in streams]))
    estimate = find_periods(longest.values)
    period = estimate.periods[0] if estimate.periods else 0
    if series.window_sizes == "auto":
        total = sum(len(s) for s in streams)
        sizes = window_sizes(estimate, total, num=series.num_window_sizes, longest=_longest_window(typical, held_back))
    else:
        sizes = tuple(sorted(set(series.window_sizes)))
    fitting = _longest_window(typical, held_back)
    if max(sizes) > fitting:
        has = f"this one has {typical}" if len(streams) == 1 else f"half of these have {typical} or fewer"
        raise DataError(
            f"window_size {max(sizes)} needs streams of at least {_needed(max(sizes), held_back)} points, {has}: "
            "give longer streams or smaller series.window_sizes"
        )
    total = sum(len(s) for s in streams)
    strides = tuple(_stride(size, total, _most_windows(config, streams[0].values.shape[1]), period) for size in sizes)
    evidence = {"period": period, "strength": estimate.strength, "method": estimate.method, **estimate.evidence}
    plan = WindowPlan(tuple(sizes), strides, series.tensor_length, period, False, evidence)
    return fold_plan(plan) if series.representation == "folded" else plan


def _most_windows(config: DetectorConfig, n_channels: int) -> int:
    """Return how many windows of a size are kept: of many channels fewer, so that a memory stays bounded."""
    if config.series.method == "denoiser":
        return config.series.max_windows
    return max(
        _FEWEST_WINDOWS, min(config.scoring.memory_size, _MOST_VALUES // (n_channels * config.series.tensor_length))
    )


def _stride(size: int, total: int, max_windows: int, period: int) -> int:
    """Give a stride that thins windows enough and shares no divisor with the period, so that every phase is learnt."""
    stride = max(1, size // _STRIDES_PER_WINDOW, min(size, -(-total // max_windows)))
    while period and stride < size and gcd(stride, period) > 1:
        stride += 1
    return stride


def _longest_window(n: int, held_back: float) -> int:
    """Return the longest window of which the shortest part of a split stream of n points holds two, plus the gap."""
    return int(n * held_back / 3) if held_back else n // 2


def _needed(size: int, held_back: float) -> int:
    return int(np.ceil(3 * size / held_back)) if held_back else 2 * size


def fold_plan(plan: WindowPlan) -> WindowPlan:
    """Return the plan for folded windows: one size, of 2 to 8 whole periods, no longer than the plan's largest.

    Raises:
        DataError: there is no period, or none that fits twice in the largest window.
    """
    rows = min(_MOST_FOLDED_PERIODS, max(plan.sizes) // plan.period) if plan.period >= 2 else 0
    if rows < 2:
        raise DataError("representation 'folded' needs a period that fits twice in a window: choose 'window' instead")
    size = rows * plan.period
    return replace(plan, sizes=(size,), strides=(min(size, plan.strides[-1]),))


def split_streams(streams: Sequence[Stream], share: float, gap: int) -> tuple[list[Stream], list[Stream]]:
    """Hold back the last `share` of each stream in time, with `gap` points between that belong to neither part."""
    train, held = [], []
    for stream in streams:
        cut = len(stream) - max(1, round(len(stream) * share))
        train.append(stream.part(0, max(cut - gap, 1)))
        held.append(stream.part(cut, len(stream)))
    return train, held


def split_instances(streams: Sequence[Stream], share: float, seed: int) -> tuple[list[Stream], list[Stream]]:
    """Hold back a random `share` of the instances of a panel.

    Raises:
        DataError: fewer than 4 instances.
    """
    if len(streams) < 4:
        raise DataError(f"a panel of {len(streams)} instance(s) cannot be split for calibration: give at least 4")
    order = np.random.default_rng(seed).permutation(len(streams))
    num_held = max(1, round(len(streams) * share))
    held, train = sorted(order[:num_held]), sorted(order[num_held:])
    return [streams[i] for i in train], [streams[i] for i in held]
