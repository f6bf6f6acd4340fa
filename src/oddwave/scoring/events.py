"""Events: contiguous runs of points above the threshold, with their start, end, peak and p-value."""

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.results import Event
from oddwave.scoring.calibration import Calibration

__all__ = ["find_events", "runs"]


def runs(flags: Bool[np.ndarray, " N"], *, max_gap: int = 0) -> list[tuple[int, int]]:
    """Give (start, end) of each run of True, both included; runs at most `max_gap` points apart become one."""
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    merged: list[tuple[int, int]] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if merged and start - merged[-1][1] - 1 <= max_gap:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def find_events(
    item: str,
    scores: Float[np.ndarray, " N"],
    labels: Int[np.ndarray, " N"],
    calibration: Calibration,
    *,
    max_gap: int = 0,
) -> tuple[Event, ...]:
    """Turn point labels into events, strongest first; see `Calibration.event_p_value` for what their p-value says."""
    events = []
    for start, end in runs(labels > 0, max_gap=max_gap):
        peak = start + int(np.nanargmax(scores[start : end + 1]))
        score = float(scores[peak])
        events.append(Event(item, start, end, peak, score, calibration.event_p_value(score)))
    return tuple(sorted(events, key=lambda event: -event.score))
