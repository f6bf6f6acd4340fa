"""Series that were given but cannot be judged: unreadable files, streams shorter than a window, in their places.

Nothing is dropped on the way from the source to the result: whatever was given has an entry, in the order given, and
where nothing can be said it says so. Read `series_work.py` next.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from oddwave.modalities.series_items import SeriesFailure, SeriesItem, SeriesSet, in_order
from oddwave.results import DetectionResult, ItemResult

__all__ = ["rows_with_unread", "set_aside", "with_unread"]


def set_aside(data: SeriesSet, reasons: Sequence[str]) -> SeriesSet:
    """Turn the items that a reason is given against into failures, each at its place; "" is no reason."""
    left = iter(reasons)
    failures: list[SeriesFailure] = []
    items: list[SeriesItem] = []
    for place, entry in enumerate(data.entries):
        if isinstance(entry, SeriesFailure):
            failures.append(entry)
        elif reason := next(left):
            failures.append(SeriesFailure(entry.id, None, reason, place))
        else:
            items.append(entry)
    return replace(data, items=tuple(items), failures=tuple(failures))


def with_unread(result: DetectionResult, data: SeriesSet) -> DetectionResult:
    """Put entries without a score at the places of what was not read."""
    entries = in_order(result.series, data.failures)
    return replace(
        result,
        items=tuple(
            ItemResult.unread(entry.id, entry.reason, data.channel_names) if isinstance(entry, SeriesFailure) else entry
            for entry in entries
        ),
    )


def rows_with_unread(rows: Sequence[Float[np.ndarray, " _"]], data: SeriesSet) -> Float[np.ndarray, " R"]:
    """Join the items' rows, one NaN at the place of each that was not read."""
    entries = in_order(rows, data.failures)
    return np.concatenate([np.array([np.nan]) if isinstance(entry, SeriesFailure) else entry for entry in entries])
