"""Series that were given but cannot be judged, in their places: unreadable files, instances of another length.

Nothing is dropped on the way from the source to the result: whatever was given has an entry, in the order given, and
where nothing can be said it says so. Read `series/detector.py` next.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from oddwave.detection.series.plan import WindowPlan
from oddwave.detection.series.streams import Stream
from oddwave.errors import DataError
from oddwave.results import DetectionResult, SeriesResult
from oddwave.sources.series.items import SeriesFailure, SeriesSet, in_order

__all__ = ["rows_with_unread", "with_unread", "without_short"]


def without_short(
    data: SeriesSet, streams: Sequence[Stream], plan: WindowPlan, *, stop: bool
) -> tuple[SeriesSet, list[Stream]]:
    """Set aside the instances of another length than the model's, and return the others with their streams.

    A stream too short for any window stays: its points are all there, each without a score.
    Raises: DataError where nothing fits the model, or where something does not and is to `stop` all.
    """
    reasons = [_length_fault(stream, plan) for stream in streams]
    if all(reasons) or (stop and any(reasons)):
        raise DataError(next(filter(None, reasons)))
    if not plan.panel:
        return data, list(streams)
    left, items, failures = iter(reasons), [], list[SeriesFailure]()
    for place, entry in enumerate(data.entries):
        if isinstance(entry, SeriesFailure):
            failures.append(entry)
        elif reason := next(left):
            failures.append(SeriesFailure(entry.id, None, reason, place))
        else:
            items.append(entry)
    kept = [stream for stream, reason in zip(streams, reasons, strict=True) if not reason]
    return replace(data, items=tuple(items), failures=tuple(failures)), kept


def _length_fault(stream: Stream, plan: WindowPlan) -> str:
    """Say why a stream's length does not fit the model; "" where it does."""
    needed = min(plan.sizes)
    if plan.panel and len(stream) != needed:
        return f"instance '{stream.id}' has {len(stream)} points, the model knows instances of {needed}"
    if len(stream) < needed:
        held = "points" if stream.places is None else "points with values"
        return (
            f"series '{stream.id}' has {len(stream)} {held}, the model's shortest window has {needed}: "
            "give a longer stretch, or fit with smaller series.window_sizes"
        )
    return ""


def with_unread(result: DetectionResult, data: SeriesSet) -> DetectionResult:
    """Put entries without a score at the places of what was not read."""
    entries = in_order(result.series, data.failures)
    return replace(
        result,
        items=tuple(
            SeriesResult.unread(entry.id, entry.reason, data.channel_names)
            if isinstance(entry, SeriesFailure)
            else entry
            for entry in entries
        ),
    )


def rows_with_unread(rows: Sequence[Float[np.ndarray, " _"]], data: SeriesSet) -> Float[np.ndarray, " R"]:
    """Join the items' rows, one NaN at the place of each that was not read."""
    entries = in_order(rows, data.failures)
    return np.concatenate([np.array([np.nan]) if isinstance(entry, SeriesFailure) else entry for entry in entries])
