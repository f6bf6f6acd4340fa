"""How much memory a fit will take, said before it begins: what cannot fit is refused at once, not after an hour.

The memories of wavelet maps decide: they keep some thousand numbers per window and channel.
"""

import logging
from collections.abc import Sequence

import numpy as np

from oddwave.config import DetectorConfig
from oddwave.detection.series.plan import WindowPlan
from oddwave.detection.series.streams import Stream, num_windows
from oddwave.errors import DataError
from oddwave.progress import duration
from oddwave.tensors.representation import MAP_SPACES, map_vectors

__all__ = ["check_memory", "tell_cost"]

_NUMBER_BYTES = 4
_BASE_GB = 0.5  # the program itself
_OVERHEAD = 1.4  # measured: what is held back is remembered later, and passed on between the steps
_COPIES = 3  # of the largest memory, while it is filled
_LIMIT_GB = 2.0
_ORDINARY_CHANNELS = 20  # so many are never refused unless a limit is set
_SAID_FROM_GB = 1.0
_SAID_FROM_S = 5.0
_RESAMPLED, _MOST_CHANNELS = 64, 16  # points of a remembered window; channels that the prior looks at
_DISTANCES_PER_S, _PRIOR_PER_S = 5e9, 1500.0  # measured on one core of a virtual machine of 2026
_WORKING_VALUES = 2**26


def check_memory(
    plan: WindowPlan, streams: Sequence[Stream], n_channels: int, config: DetectorConfig, feature_width: int
) -> None:
    """Refuse a fit that would take more memory than it may.

    Raises:
        DataError: with the estimate and what to do.
    """
    needed = _needed_gb(plan, streams, n_channels, config, feature_width)
    set_limit = config.series.max_memory_gb
    limit = _LIMIT_GB if set_limit == "auto" else set_limit
    if needed >= _SAID_FROM_GB:
        logging.getLogger(__name__).info("this fit takes about %.1f GB of memory", needed)
    if needed <= limit or (set_limit == "auto" and n_channels <= _ORDINARY_CHANNELS):
        return
    fitting = max(1, int(n_channels * (limit - _BASE_GB) / (needed - _BASE_GB)))
    raise DataError(
        f"{n_channels} channels in {sum(map(len, streams)):,} points would take about {needed:.1f} GB of memory, "
        f"allowed are {limit:g} GB: choose about {fitting} channels with columns= or exclude=, or set fewer "
        "series.max_windows, fewer scoring.memory_spaces or more series.max_memory_gb"
    )


def tell_cost(plan: WindowPlan, streams: Sequence[Stream], n_channels: int, config: DetectorConfig) -> None:
    """Log how long remembering and comparing windows will take, and how much memory, where that is worth saying.

    Raises:
        DataError: it would take more memory than was set; with "auto" it is bounded by design.
    """
    seconds, values = 0.0, 0
    for size, stride in zip(plan.sizes, plan.strides, strict=True):
        kept, queries = num_windows(streams, size, stride), num_windows(streams, size, config.series.query_stride(size))
        width = n_channels * _RESAMPLED
        seconds += (kept + queries) * kept * width / _DISTANCES_PER_S
        seconds += queries * min(n_channels, _MOST_CHANNELS) / _PRIOR_PER_S
        values += 2 * kept * width
    needed = _BASE_GB + _NUMBER_BYTES * (values + _WORKING_VALUES) / 2**30
    limit = config.series.max_memory_gb
    if limit != "auto" and needed > limit:
        raise DataError(
            f"{n_channels} channels in {sum(map(len, streams)):,} points would take about {needed:.1f} GB of memory, "
            f"allowed are {limit:g} GB: set a smaller scoring.memory_size or more series.max_memory_gb"
        )
    if seconds >= _SAID_FROM_S:
        logging.getLogger(__name__).info(
            "this takes about %s of processor time and %.1f GB of memory", duration(seconds), needed
        )


def _needed_gb(
    plan: WindowPlan, streams: Sequence[Stream], n_channels: int, config: DetectorConfig, feature_width: int
) -> float:
    kept, largest = 0, 0
    for size, stride in zip(plan.sizes, plan.strides, strict=True):
        windows = sum(
            (stop - start - size) // stride + 2
            for s in streams
            for start, stop in s.stretches()
            if stop - start >= size
        )
        remembered = min(windows, config.scoring.memory_size)
        for space in config.memory_spaces(panel=plan.panel):
            width = _width(space, size, n_channels, config, feature_width)
            kept += remembered * width
            largest = max(largest, windows * width)
    return _BASE_GB + _OVERHEAD * _NUMBER_BYTES * (kept + _COPIES * largest) / 2**30


def _width(space: str, size: int, n_channels: int, config: DetectorConfig, feature_width: int) -> int:
    """Return the numbers that one window takes in a memory space."""
    if space == "feature":
        return feature_width * len(config.scoring.noise_levels)
    if space == "statistics":
        return 2 * n_channels
    if space in MAP_SPACES:
        one = map_vectors(np.zeros((1, 1, size), np.float32), space, config.series.tensor_length)
        return n_channels * int(one.shape[1])
    return n_channels * min(size, config.series.tensor_length)
