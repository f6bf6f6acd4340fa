"""Threshold-free ranking metrics over points or instances, through scikit-learn.

Higher scores must mean more anomalous. Read `vus.py` for the forms that give labelled ranges soft edges.
"""

from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score

from oddwave.errors import ConfigError
from oddwave.lab.metrics.inputs import checked_labels_and_scores

__all__ = ["auprc", "auroc", "pauc"]


def auroc(gt_label: ArrayLike, anomaly_score: ArrayLike) -> float:
    """Compute the area under the ROC curve of labels (n,) and scores (n,): 0.5 is chance, 1 perfect.

    It is the chance that a random anomaly scores above a random normal, ties counting half.
    Raises: ShapeError and DataError as `checked_labels_and_scores`.
    """
    label, score = checked_labels_and_scores(gt_label, anomaly_score)
    return float(roc_auc_score(label, score))


def auprc(gt_label: ArrayLike, anomaly_score: ArrayLike) -> float:
    """Compute the average precision (step-wise area under precision-recall); chance is the share of anomalies.

    Raises: ShapeError and DataError as `checked_labels_and_scores`.
    """
    label, score = checked_labels_and_scores(gt_label, anomaly_score)
    return float(average_precision_score(label, score))


def pauc(gt_label: ArrayLike, anomaly_score: ArrayLike, max_fpr: float = 0.1) -> float:
    """Compute the partial ROC area up to `max_fpr`, standardised so that 0.5 is chance and 1 perfect.

    Source: McClish 1989, through scikit-learn's `max_fpr`; the form the DCASE machine-sound tasks report. It is not the
    raw area over `max_fpr`, which has 0.05 for chance at 0.1.
    Raises: ConfigError for max_fpr outside (0, 1]; ShapeError and DataError as `checked_labels_and_scores`.
    """
    if not 0.0 < max_fpr <= 1.0:
        raise ConfigError(f"max_fpr is {max_fpr}: give a false-positive rate above 0 and up to 1, such as 0.1")
    label, score = checked_labels_and_scores(gt_label, anomaly_score)
    return float(roc_auc_score(label, score, max_fpr=max_fpr))
