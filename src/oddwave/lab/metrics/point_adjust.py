"""Point-adjusted F1, kept only to show how it flatters: never rank detectors by it.

The adjustment calls every point of an anomaly detected as soon as one of its points is flagged. A long anomaly is then
hit almost surely by noise, so random scores reach values that papers report as state of the art. The record therefore
always carries the random value of the same labels beside it. Source of the warning: Kim et al. 2022, Towards a rigorous
evaluation of time-series anomaly detection (AAAI). Read `vus.py` for what to use.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from oddwave.lab.metrics.inputs import checked_labels_and_scores, label_runs

__all__ = ["PointAdjustedF1", "misleading_point_adjusted_f1"]


@dataclass(frozen=True, slots=True)
class PointAdjustedF1:
    """The flattered `value`, the `random_value` that uniform noise gets, and the `plain_value` without adjustment."""

    value: float
    random_value: float
    plain_value: float


def misleading_point_adjusted_f1(gt_label: ArrayLike, anomaly_score: ArrayLike, seed: int = 0) -> PointAdjustedF1:
    """Compute the best F1 over all thresholds (chosen on the labels) after point adjustment. DO NOT rank by it.

    Compare `value` with `random_value`, the same figure for random scores drawn with `seed`: a detector that is not far
    above it has shown nothing, and one below it may still be the better detector.
    Raises: ShapeError and DataError as `checked_labels_and_scores`.
    """
    label, score = checked_labels_and_scores(gt_label, anomaly_score)
    noise = np.random.default_rng(seed).random(label.size)
    return PointAdjustedF1(
        value=_best_f1(label, _adjusted(label, score)),
        random_value=_best_f1(label, _adjusted(label, noise)),
        plain_value=_best_f1(label, score),
    )


def _adjusted(label: Int[np.ndarray, " n"], score: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return every point of an anomaly the anomaly's highest score: flagging one then flags all."""
    raised = score.copy()
    for start, end in zip(*label_runs(label), strict=True):
        raised[start : end + 1] = score[start : end + 1].max()
    return raised


def _best_f1(label: Int[np.ndarray, " n"], score: Float[np.ndarray, " n"]) -> float:
    order = np.argsort(-score, kind="stable")
    group_end = np.append(np.flatnonzero(np.diff(score[order])), score.size - 1)
    hits = np.cumsum(label[order])[group_end]
    return float((2.0 * hits / (group_end + 1 + label.sum())).max())
