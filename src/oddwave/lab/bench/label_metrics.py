"""Metrics over items with labels, and over each kind of anomaly by itself: for images and recordings alike.

Read `image_metrics.py` for what pixels add, `runner.py` for where a cell's figures go. Legend: n test items.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from oddwave.errors import DataError
from oddwave.lab.bench.protocol import AudioTask, ImageTask
from oddwave.lab.metrics.auroc import auprc, auroc, pauc

__all__ = ["audio_metrics", "auroc_by_kind"]

_MAX_FPR = 0.1


def audio_metrics(task: AudioTask, scores: Float[np.ndarray, " n"]) -> dict[str, float]:
    """Compute AUROC, AUPR and pAUC (false-positive rate up to 0.1, 0.5 for chance) over recordings.

    Raises: DataError for another number of scores than recordings.
    """
    label = task.gt_label
    if len(scores) != len(label):
        raise DataError(f"{len(scores)} scores for {len(label)} recordings")
    if len(np.unique(label)) < 2:
        return {}
    return {"auroc": auroc(label, scores), "auprc": auprc(label, scores), "pauc": pauc(label, scores, _MAX_FPR)}


def auroc_by_kind(task: ImageTask | AudioTask, scores: Float[np.ndarray, " n"]) -> Mapping[str, float]:
    """Compute the AUROC of each kind of anomaly against all normal test items."""
    label, kinds = task.gt_label, np.array(task.kinds)
    normal = scores[label == 0]
    if not len(normal):
        return {}
    anomalies = {str(kind): scores[(label == 1) & (kinds == kind)] for kind in np.unique(kinds[label == 1])}
    return {
        kind: auroc(np.repeat([0, 1], [len(normal), len(own)]), np.concatenate([normal, own]))
        for kind, own in anomalies.items()
    }
