"""How moments, durations and wavelet bands of series become words.

Everything here returns plain text, never markup. Read `../wording.py` for how single numbers become words.
"""

import math
from typing import Literal

import numpy as np

from oddwave.report.wording import count_text, duration_text, number_text, unit_of
from oddwave.result_times import local_times, offset_text
from oddwave.results import BandShare, SeriesEvent, SeriesResult

__all__ = ["TimeAxis", "axis_offset", "band_text", "duration_s", "event_length_text", "moment_text", "time_axis"]

TimeAxis = Literal["time", "number", "index"]


def time_axis(item: SeriesResult) -> TimeAxis:
    """Return what the horizontal axis of an item is: calendar time, its own numbers, or the point index."""
    stamps = item.timestamps
    if stamps is None or len(stamps) != len(item.values):
        return "index"
    if np.issubdtype(stamps.dtype, np.datetime64):
        return "index" if np.isnat(stamps).any() else "time"
    if np.issubdtype(stamps.dtype, np.number) and np.isfinite(stamps).all():
        return "number"
    return "index"


def moment_text(item: SeriesResult, index: int) -> str:
    """Write where a point lies: its timestamp, local with its offset where known, as short as it is; or its index."""
    axis = time_axis(item)
    if axis == "index" or item.timestamps is None:
        return f"point {index:,}"
    stamp, first, offset = item.timestamps[index], item.timestamps[:1000], ""
    if axis == "number":
        return f"{float(stamp):.10g}"
    if item.timezone is not None:
        (stamp,), (minutes,) = local_times(item.timestamps[index : index + 1], item.timezone)
        first, offset = local_times(first, item.timezone)[0], f" {offset_text(int(minutes))}"
    return str(stamp.astype(f"datetime64[{_resolution(first)}]")).replace("T", " ") + offset


def _resolution(first: np.ndarray) -> str:
    """Return the coarsest unit (days, minutes, seconds, milliseconds) that the first timestamps need."""
    return next((unit for unit in ("D", "m", "s") if np.all(first.astype(f"datetime64[{unit}]") == first)), "ms")


def duration_s(item: SeriesResult, start: int, end: int) -> float | None:
    """Return the seconds from the first to the last point, both included, or None where the item has no time axis."""
    period_s = item.sample_period_s or 0.0
    if time_axis(item) == "time" and item.timestamps is not None:
        return float((item.timestamps[end] - item.timestamps[start]) / np.timedelta64(1, "s")) + period_s
    return (end - start + 1) * period_s if period_s > 0 else None


def event_length_text(item: SeriesResult, event: SeriesEvent) -> str:
    """Write how long an event lasts, in time where there is a time axis, otherwise in points."""
    seconds = duration_s(item, event.start, event.end)
    return duration_text(seconds) if seconds else count_text(event.end - event.start + 1, "point")


def _range_text(low: float, high: float, unit: str) -> str:
    return f"{number_text(low, 2)} to {number_text(high, 2)} {unit}"


def band_text(band: BandShare, sample_period_s: float | None = None) -> str:
    """Name a wavelet band by its periods in human units, by Hz where it is faster than once a second, or by samples."""
    slowest = math.isinf(band.period_max)
    if band.low_hz is None and band.high_hz is None:
        if sample_period_s is None:
            if slowest:
                return f"over {number_text(band.period_min, 2)} samples"
            return _range_text(band.period_min, band.period_max, "samples")
        shortest_s, longest_s = band.period_min * sample_period_s, band.period_max * sample_period_s
    else:
        shortest_s = 1 / band.high_hz if band.high_hz else math.inf
        longest_s = 1 / band.low_hz if band.low_hz else math.inf
    if math.isinf(longest_s):
        name, size = unit_of(shortest_s)
        slow = f"over {number_text(shortest_s / size, 2)} {name}"
        return slow if shortest_s >= 1 else f"below {number_text(1 / shortest_s, 2)} Hz"
    if shortest_s < 1:
        return _range_text(1 / longest_s, 1 / shortest_s, "Hz")
    name, size = unit_of(longest_s)
    return _range_text(shortest_s / size, longest_s / size, name)


def axis_offset(item: SeriesResult) -> int | None:
    """Return how many minutes the drawn times are ahead of UTC: one offset, so that the axis never jumps."""
    if item.timezone is None or time_axis(item) != "time" or item.timestamps is None or not len(item.timestamps):
        return None
    return int(local_times(item.timestamps[:1], item.timezone)[1][0])
