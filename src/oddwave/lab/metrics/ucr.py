"""Accuracy in the manner of the UCR anomaly archive: each stream holds one anomaly, and only the highest score counts.

A stream is right where its peak lies within the labelled range widened on both sides by max(100, length) points.
Source: Wu and Keogh 2021, Current time series anomaly detection benchmarks are flawed. Read `vus.py` for several
anomalies in one stream.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from oddwave.errors import DataError, ShapeError
from oddwave.lab.metrics.inputs import checked_labels_and_scores

__all__ = ["ucr_accuracy", "ucr_hit"]

MIN_SLACK = 100


def ucr_hit(anomaly_score: ArrayLike, window: tuple[int, int], train_end: int = 0) -> bool:
    """Return whether the highest score (n,) from `train_end` on lies near `window`, (start, end) inclusive.

    Of several equal highest scores the first one counts. Raises: ShapeError or DataError for scores that are no finite
    (n,) array, or a window or train_end outside of it.
    """
    score = np.asarray(anomaly_score, dtype=np.float64)
    checked_labels_and_scores(np.zeros(score.shape, dtype=np.int64), score, both_classes=False)
    start, end = window
    if not 0 <= start <= end < len(score) or not 0 <= train_end < len(score):
        raise DataError(f"window {window} or train_end {train_end} does not lie within the {len(score)} scores")
    peak = train_end + int(np.argmax(score[train_end:]))
    slack = max(MIN_SLACK, end - start + 1)
    return start - slack <= peak <= end + slack


def ucr_accuracy(
    anomaly_scores: Sequence[ArrayLike], windows: Sequence[tuple[int, int]], train_ends: Sequence[int] | None = None
) -> float:
    """Compute the share of streams whose peak is right, in [0, 1].

    Raises: ShapeError for lists of different or no length; as `ucr_hit` otherwise.
    """
    ends = [0] * len(windows) if train_ends is None else list(train_ends)
    if not anomaly_scores or not len(anomaly_scores) == len(windows) == len(ends):
        raise ShapeError(
            f"{len(anomaly_scores)} score arrays, {len(windows)} windows, {len(ends)} train_ends: give one a stream"
        )
    hits = [ucr_hit(score, span, end) for score, span, end in zip(anomaly_scores, windows, ends, strict=True)]
    return float(np.mean(hits))
