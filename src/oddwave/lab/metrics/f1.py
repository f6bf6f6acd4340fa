"""The best F1 over all thresholds, with the threshold that reaches it.

Read `auroc.py` for metrics that need no threshold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from oddwave.lab.metrics.inputs import checked_labels_and_scores

__all__ = ["F1Max", "f1_max"]


@dataclass(frozen=True, slots=True)
class F1Max:
    """The best F1, in [0, 1], and the score from which on items are flagged to reach it."""

    value: float
    threshold: float


def f1_max(gt_label: ArrayLike, anomaly_score: ArrayLike) -> F1Max:
    """Compute the largest F1 of flagging the scores (n,) at or above a threshold.

    WARNING: the threshold is chosen on the labels themselves. The value is an upper bound that no user can count on,
    and flagging everything reaches 2 p / (1 + p) for a share p of anomalies. Report it beside AUROC, for comparison
    with other publications; use a calibrated threshold to decide. Among equal values the highest threshold is given.
    Raises: ShapeError and DataError as `checked_labels_and_scores`.
    """
    label, score = checked_labels_and_scores(gt_label, anomaly_score)
    ranked = np.argsort(-score, kind="stable")
    group_end = np.append(np.flatnonzero(np.diff(score[ranked])), score.size - 1)
    hits = np.cumsum(label[ranked])[group_end]
    values = 2.0 * hits / (group_end + 1 + label.sum())
    best = int(np.argmax(values))
    return F1Max(value=float(values[best]), threshold=float(score[ranked][group_end[best]]))
