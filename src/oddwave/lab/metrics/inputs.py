"""The one check that every metric makes of its two arrays.

Legend: n points (or instances). Read `auroc.py` next for the plainest metrics, `vus.py` for the range-aware ones.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from oddwave.errors import DataError, ShapeError

__all__ = ["checked_labels_and_scores", "label_runs"]


def checked_labels_and_scores(
    gt_label: ArrayLike, anomaly_score: ArrayLike, *, both_classes: bool = True
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return labels as int64 and scores as float64, or refuse them.

    Raises: ShapeError for other shapes than two equal (n,); DataError for labels besides 0 and 1, scores that are not
    finite, or, with `both_classes`, labels of one kind only (no ranking metric is defined then).
    """
    label, score = np.asarray(gt_label), np.asarray(anomaly_score, dtype=np.float64)
    if label.ndim != 1 or label.shape != score.shape:
        raise ShapeError(
            f"gt_label has shape {label.shape} and anomaly_score {score.shape}: give two arrays of one shape (n,)"
        )
    if not np.isin(label, (0, 1)).all():
        raise DataError("gt_label holds values besides 0 and 1: give 0 for normal and 1 for anomalous")
    bad = int(np.count_nonzero(~np.isfinite(score)))
    if bad:
        raise DataError(f"anomaly_score has {bad} of {score.size} values NaN or infinite: give finite scores")
    if both_classes and np.unique(label).size < 2:
        raise DataError(
            f"gt_label holds {int(label.sum())} anomalous of {label.size}: a ranking metric needs both kinds"
        )
    return label.astype(np.int64), score


def label_runs(gt_label: Int[np.ndarray, " n"]) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Return the first and the last index of every run of ones (both inclusive), in order."""
    step = np.diff(np.concatenate(([0], gt_label, [0])))
    return np.flatnonzero(step == 1), np.flatnonzero(step == -1) - 1
