"""Exact volume under the surface, VUS-PR and VUS-ROC: ranking metrics for labels that are ranges.

A range label has soft edges. For every buffer length w = 0..window_size the label is widened by h = w // 2 points on
both sides of each anomaly, a point d = 1..h away from it being worth sqrt(1 - d/w); the areas under the resulting
precision-recall and ROC curves are averaged over w (the volume). With, at one threshold and one w,

    TP = sum of the widened label over the flagged points          B = the part of TP outside the true anomalies
    P' = P + B/2  (P: true anomalous points)                       recall = min(TP / P', 1)
    E  = share of the widened anomalies (merged where their buffers share a point) with any flagged point
    TPR = recall * E        FPR = (flagged - TP) / (n - P')        precision = TP / flagged

PR area = sum over thresholds of precision * gain in TPR, ROC area = trapezoids, closed by the point (1, 1).

Exactness. This is TSB-AD's definition (`RangeAUC_volume_opt` and its `_mem` twin) with one departure: TSB-AD looks at
250 thresholds, taken at evenly spaced ranks of the sorted scores, whereas here every distinct score is a threshold.
For n <= 250 the 250 ranks hit every distinct score and the two agree to rounding; for longer series TSB-AD's coarse
steps skip the top of the ranking, which moves VUS-PR most where anomalies are rare. Equal scores are flagged together
in both, so the order of ties has no influence.

Why it is fast. The scores are sorted once; a point within reach of two anomalies has 2 * sqrt(1/2) > 1, hence the
clipped label 1, so the distances to its nearest and second-nearest anomaly say everything about every w. What is left
per w is one table look-up and one cumulative sum: O(n log n + window_size * n).

Sources: Paparrizos et al. 2022, Volume Under the Surface (PVLDB 15); Liu and Paparrizos 2024, The Elephant in the Room
(TSB-AD, NeurIPS). Read `inputs.py` for the checks, `nab_score.py` for the other range-aware rule.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from oddwave.errors import ConfigError
from oddwave.lab.metrics.inputs import checked_labels_and_scores, label_runs

__all__ = ["VUS", "vus"]


@dataclass(frozen=True, slots=True)
class VUS:
    """Both volumes, each in [0, 1], higher is better: `pr` (precision-recall) and `roc`."""

    pr: float
    roc: float


def vus(gt_label: ArrayLike, anomaly_score: ArrayLike, window_size: int = 100) -> VUS:
    """Compute VUS-PR and VUS-ROC over all distinct thresholds and all buffer lengths 0..window_size (points).

    `gt_label` (n,) is 0 or 1 per point, `anomaly_score` (n,) is higher where more anomalous. `window_size=0` gives the
    plain areas with the existence reward. See the module's docstring for the formulas and for the one departure
    from TSB-AD (all thresholds, not 250 of them).
    Raises: ConfigError for a negative window_size; ShapeError and DataError as in `checked_labels_and_scores`.
    """
    if window_size < 0:
        raise ConfigError(f"window_size is {window_size}: give the largest buffer length in points, 0 or more")
    label, score = checked_labels_and_scores(gt_label, anomaly_score)
    starts, ends = label_runs(label)
    order = np.argsort(-score, kind="stable")
    # the last position of each group of equal scores, so that a whole group is flagged at once
    group_end = np.append(np.flatnonzero(np.diff(score[order])), score.size - 1)
    num_flagged = (group_end + 1).astype(np.float64)
    nearest, second = (d[order] for d in _distances(score.size, starts, ends, cap=window_size // 2 + 1))
    true_positives = np.cumsum(label[order])[group_end].astype(np.float64)

    areas = np.zeros(2)
    existence = np.zeros(0)
    for width in range(window_size + 1):
        reach = width // 2
        if width % 2 == 0:  # the reach, hence the merged anomalies, changes with every other width only
            existence = _existence(score, score[order][group_end], starts, ends, reach)
        worth = np.zeros(window_size // 2 + 2)
        worth[0] = 1.0
        worth[1 : reach + 1] = np.sqrt(1.0 - np.arange(1, reach + 1) / max(width, 1))
        widened = worth[nearest]
        widened[second <= reach] = 1.0
        mass = np.cumsum(widened)[group_end]
        areas += _areas(mass, mass - true_positives, num_flagged, existence, int(label.sum()))
    pr, roc = areas / (window_size + 1)
    return VUS(pr=float(pr), roc=float(roc))


def _distances(
    n: int, starts: Int[np.ndarray, " k"], ends: Int[np.ndarray, " k"], cap: int
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Return every point's distance to its nearest and second-nearest anomaly, clipped at `cap`; inside one it is 0."""
    point = np.arange(n)
    far = np.iinfo(np.int32).max
    past_ends = np.concatenate(([-far, -far], ends))
    next_starts = np.concatenate((starts, [2 * far, 2 * far]))
    num_begun = np.searchsorted(starts, point, side="right")  # anomalies that begin at or before the point
    left = [np.maximum(point - past_ends[num_begun + 1 - k], 0) for k in (0, 1)]
    right = [next_starts[num_begun + k] - point for k in (0, 1)]
    ranked = np.sort(np.minimum(np.stack(left + right), cap), axis=0)
    return ranked[0], ranked[1]


def _existence(
    score: Float[np.ndarray, " n"],
    thresholds: Float[np.ndarray, " g"],
    starts: Int[np.ndarray, " k"],
    ends: Int[np.ndarray, " k"],
    reach: int,
) -> Float[np.ndarray, " g"]:
    """Return, per falling threshold, the share of widened (and merged) anomalies holding a score at or above it."""
    apart = ends[:-1] + reach < starts[1:] - reach
    first = np.maximum(starts[np.append(True, apart)] - reach, 0)
    stop = np.minimum(ends[np.append(apart, True)] + reach, score.size - 1) + 1
    padded = np.append(score, -np.inf)  # reduceat needs the last stop to be an index
    peaks = np.sort(np.maximum.reduceat(padded, np.stack([first, stop], axis=1).ravel())[::2])
    return 1.0 - np.searchsorted(peaks, thresholds, side="left") / peaks.size


def _areas(
    mass: Float[np.ndarray, " g"],
    buffer_mass: Float[np.ndarray, " g"],
    num_flagged: Float[np.ndarray, " g"],
    existence: Float[np.ndarray, " g"],
    num_positives: int,
) -> Float[np.ndarray, " 2"]:
    """Return the PR and the ROC area of one buffer length from the curves over g falling thresholds."""
    n = num_flagged[-1]
    positives = num_positives + buffer_mass / 2.0
    tpr = np.minimum(mass / positives, 1.0) * existence
    fpr = (num_flagged - mass) / (n - positives)
    pr = float(np.dot(np.diff(tpr, prepend=0.0), mass / num_flagged))
    heights = np.concatenate(([0.0], tpr, [1.0]))
    roc = float(np.dot(np.diff(fpr, prepend=0.0, append=1.0), (heights[1:] + heights[:-1]) / 2.0))
    return np.array([pr, roc])
