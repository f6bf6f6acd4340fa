"""Events: contiguous runs of points above the threshold, with their start, end, peak and p-value."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.results import SeriesEvent

__all__ = ["Quiet", "find_events", "labels_of_events", "peak_prominences", "quiet_points", "runs"]

Quiet = tuple[float, float]  # the usual evidence of a point, and how far above it stands out

_STANDS_OUT, _ROBUST = 4.0, 1.4826  # robust deviations
_NEAR, _LASTING = 3, 0.2  # points between what belongs together; a part of an event, in units of the longest
_EDGE = 0.65  # of the highest evidence of a point within an event: where the event begins and ends


def runs(flags: Bool[np.ndarray, " N"], *, max_gap: int = 0) -> list[tuple[int, int]]:
    """Return (start, end) of each run of True, both included; runs at most `max_gap` points apart become one."""
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
    rule: Rule,
    *,
    max_gap: int = 0,
    points: Float[np.ndarray, " N"] | None = None,
    of_blocks: Sequence[Calibration] = (),
    quiet: Quiet | None = None,
) -> tuple[SeriesEvent, ...]:
    """Turn point labels into events, strongest first; see `Calibration.event_p_value` for what their p-value says.

    A window that touches an anomaly raises the score of all its points, so a run of labels reaches far beyond its
    cause. Each peak that stands out of its run is an event of its own, from where the score rises past half of the peak
    (counted from the usual score) to where it falls below that again. Where `points`, evidence of each point by itself,
    stand out as well, the event begins and ends with them. A peak that normal blocks reach says nothing so fine: its
    event is the whole run. What is not rarer than `alpha` among the maxima of normal blocks is no event, for a long
    stream has many points above any threshold of points. Points that were not judged (-1) are passed over where they
    are few, as between the values of a slow sensor; no event begins or ends with one.
    `of_blocks`, one calibration per block of points, take the place of `calibration` there. `quiet` is what is usual of
    points where these are not all of a stream.
    """
    usual = float(np.median(calibration.scores))
    core, judged_by = np.zeros(len(scores), bool), np.full(len(scores), -np.inf)
    if quiet is None:
        quiet = (0.0, 0.0) if points is None else quiet_points(points[labels == 0])  # flagged ones may be most of them
    for judged in _judged_parts(scores, max_gap):
        for start, end in runs(labels[judged] > 0):
            own = scores[judged[start : end + 1]]
            for peak in _peaks(own, usual):
                place = judged[start + peak]
                by = of_blocks[place // calibration.block_size] if of_blocks else calibration
                if not by.is_event(float(own[peak]), rule):
                    continue
                beyond = own[peak] > by.blocks.max()
                left, right = _half_height(own, peak, usual) if beyond else (0, len(own) - 1)
                if points is not None and beyond:
                    left, right = _sharp_edges(points[judged[start : end + 1]], left, right, quiet)
                own_part = slice(judged[start + left], judged[start + right] + 1)
                core[own_part] = True
                judged_by[own_part] = np.maximum(judged_by[own_part], own[peak])
    events = [
        _event(item, scores, start, end, float(judged_by[start : end + 1].max()), calibration, of_blocks)
        for start, end in runs(core, max_gap=max_gap)
    ]
    return tuple(sorted(events, key=lambda event: -event.score))


def labels_of_events(scores: Float[np.ndarray, " N"], events: Sequence[SeriesEvent]) -> Int[np.ndarray, " N"]:
    """Return 1 exactly within events, 0 elsewhere, -1 where nothing was judged."""
    labels = np.zeros(len(scores), np.int64)
    for event in events:
        labels[event.start : event.end + 1] = 1
    labels[np.isnan(scores)] = -1
    return labels


def _judged_parts(scores: Float[np.ndarray, " N"], max_gap: int) -> list[Int[np.ndarray, " k"]]:
    """Return the points that were judged, apart where more than `max_gap` were not between them."""
    judged = np.flatnonzero(np.isfinite(scores))
    return np.split(judged, np.flatnonzero(np.diff(judged) > max_gap + 1) + 1)


def _peaks(own: Float[np.ndarray, " n"], usual: float) -> list[int]:
    """Return the highest point, and every other peak that a valley of half its height parts from higher ones."""
    padded = np.concatenate([[usual], own, [usual]])
    found, prominences = peak_prominences(padded)
    tall = prominences >= 0.5 * (padded[found] - usual)
    return sorted({int(np.argmax(own)), *(found[tall] - 1).tolist()})


def peak_prominences(values: Float[np.ndarray, " n"]) -> tuple[Int[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Return the inner local maxima, a plateau at its middle, and how far each stands above the higher of its bases.

    A base is the lowest value on the way to the next higher peak or to the end. These are the peaks and prominences of
    `scipy.signal.find_peaks`, whose import takes longer than most files take to score.
    """
    change = np.flatnonzero(np.diff(values))
    first, last = np.append(0, change + 1), np.append(change, len(values) - 1)
    level = values[first]
    top = np.flatnonzero((level[1:-1] > level[:-2]) & (level[1:-1] > level[2:])) + 1
    peaks = (first[top] + last[top]) // 2
    heights, valleys = values[peaks], np.minimum.reduceat(values, np.append(0, peaks))
    left, right = _bases(heights, valleys[:-1]), _bases(heights[::-1], valleys[:0:-1])[::-1]
    return peaks, heights - np.maximum(left, right)


def _bases(heights: Float[np.ndarray, " k"], valleys: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """Return the lowest value between each peak and the next higher one before it; `valleys` lie before the peaks."""
    higher: list[tuple[float, float]] = []
    bases = []
    for height, base in zip(heights.tolist(), valleys.tolist(), strict=True):
        while higher and higher[-1][0] <= height:
            base = min(base, higher.pop()[1])
        higher.append((height, base))
        bases.append(base)
    return np.array(bases)


def _half_height(own: Float[np.ndarray, " n"], peak: int, usual: float) -> tuple[int, int]:
    high = own >= min(own[peak], usual + 0.5 * (own[peak] - usual))  # at a loose alpha a peak may lie below the usual
    return next((a, b) for a, b in runs(high) if a <= peak <= b)


def quiet_points(points: Float[np.ndarray, " N"]) -> Quiet:
    """Return the usual evidence of a point, and how much of it stands out; of no points nothing does."""
    seen = points[np.isfinite(points)]
    if not len(seen):
        return 0.0, np.inf
    usual = float(np.median(seen))
    return usual, _STANDS_OUT * _ROBUST * float(np.median(np.abs(seen - usual)))


def _sharp_edges(points: Float[np.ndarray, " n"], left: int, right: int, quiet: Quiet) -> tuple[int, int]:
    """Return the first and the last point of left..right with most of the highest evidence there, where it stands out.

    `quiet` is the usual evidence of a point, and how far above it the highest must lie.
    """
    usual, least = quiet
    own = points[left : right + 1] - usual
    highest = float(np.nanmax(own, initial=-np.inf))
    if not highest > max(least, 0.0):
        return left, right
    found = runs(own >= _EDGE * highest, max_gap=_NEAR)
    longest = max(end - start + 1 for start, end in found)
    kept = [(start, end) for start, end in found if end - start + 1 >= _LASTING * longest]  # no stray point before it
    return left + kept[0][0], left + kept[-1][1]


def _event(
    item: str,
    scores: Float[np.ndarray, " N"],
    start: int,
    end: int,
    score: float,
    calibration: Calibration,
    of_blocks: Sequence[Calibration],
) -> SeriesEvent:
    """Return an event by the score it was judged by: its edges, by points, may leave that of a window outside."""
    peak = start + int(np.nanargmax(scores[start : end + 1]))
    calibration = of_blocks[peak // calibration.block_size] if of_blocks else calibration
    return SeriesEvent(
        item, start, end, peak, score, calibration.event_p_value(score), strength=calibration.strength(score)
    )
