"""F1 over whole events, and how far the edges of the found ones are off.

    true event        a run of labelled points
    predicted event   a run of points that score at or above the threshold
    found             a true event that any predicted one overlaps; it counts once, however many do
    false             a predicted event that overlaps no true one

    F1 = 2 found / (2 found + false + missed)

The threshold is the one with the largest F1 among up to 200 quantiles of the scores, chosen on the labels: an upper
bound, granted to every method alike. Of thresholds with the same F1 the one with the larger F1 over points is taken,
then the higher one. Only quantiles that flag at most twice as many points as are labelled (5 % of all points, where
that is more) are tried: flagging everything is one predicted event that overlaps all true ones, and would reach 1.

At that threshold `start_error` is the median over the found events of |first point of the first predicted event that
overlaps - first true point|, in units of the median length of the true events; `end_error` likewise of the last points.
Neither is defined where nothing is found. Read `vus.py` for what needs no threshold.

Legend: n points, k true and m predicted events.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from oddwave.lab.metrics.inputs import checked_labels_and_scores, label_runs

__all__ = ["EventScores", "event_scores"]

_MOST_THRESHOLDS = 200
_MOST_FLAGGED, _LEAST_ALLOWED = 2.0, 0.05  # times the labelled points; share of all points that may always be flagged


@dataclass(frozen=True, slots=True)
class EventScores:
    """The best event F1, in [0, 1], its threshold, and the edge errors there in event lengths; NaN if none is found."""

    f1: float
    threshold: float
    start_error: float
    end_error: float


def event_scores(gt_label: ArrayLike, anomaly_score: ArrayLike) -> EventScores:
    """Compute event F1 at its best threshold and the errors of start and end; see the module's docstring.

    `gt_label` (n,) is 0 or 1 per point, `anomaly_score` (n,) is higher where more anomalous. F1 is 0 and the threshold
    infinite where every threshold flags too many points, as for a constant score.
    Raises: ShapeError and DataError as `checked_labels_and_scores`.
    """
    label, score = checked_labels_and_scores(gt_label, anomaly_score)
    best = (0.0, 0.0)
    result = EventScores(0.0, np.inf, np.nan, np.nan)
    true = label_runs(label)
    for threshold in _thresholds(score, int(label.sum())):
        flagged = score >= threshold
        predicted = label_runs(flagged.astype(np.int64))
        first, last = _overlapping(true, predicted)
        found = first <= last
        false = np.count_nonzero(np.greater(*_overlapping(predicted, true)))
        f1 = 2.0 * found.sum() / (found.sum() + len(found) + false)  # found + all true ones = 2 found + missed
        points = 2.0 * label[flagged].sum() / (flagged.sum() + label.sum())
        if (f1, points) > best:
            best = (f1, points)
            start, end = _edge_errors(true, predicted, first, last, found)
            result = EventScores(float(f1), float(threshold), start, end)
    return result


def _thresholds(score: Float[np.ndarray, " n"], num_labelled: int) -> Float[np.ndarray, " t"]:
    """Return falling thresholds: quantiles, denser towards the top, that flag no more points than allowed."""
    falling = np.sort(score)[::-1]
    most = min(score.size - 1, max(1, round(max(_MOST_FLAGGED * num_labelled, _LEAST_ALLOWED * score.size))))
    ranks = np.unique(np.geomspace(1, most, _MOST_THRESHOLDS).round().astype(np.int64))
    thresholds = np.unique(falling[ranks - 1])[::-1]
    num_flagged = np.searchsorted(-falling, -thresholds, side="right")
    allowed: np.ndarray = thresholds[num_flagged <= most]
    return allowed


def _overlapping(
    runs: tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]],
    others: tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]],
) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Return, per run, the first and the last of the others that overlap it; first > last where none does."""
    return np.searchsorted(others[1], runs[0], side="left"), np.searchsorted(others[0], runs[1], side="right") - 1


def _edge_errors(
    true: tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]],
    predicted: tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]],
    first: Int[np.ndarray, " k"],
    last: Int[np.ndarray, " k"],
    found: Bool[np.ndarray, " k"],
) -> tuple[float, float]:
    unit = float(np.median(true[1] - true[0] + 1))
    starts = np.abs(predicted[0][first[found]] - true[0][found])
    ends = np.abs(predicted[1][last[found]] - true[1][found])
    return float(np.median(starts)) / unit, float(np.median(ends)) / unit
