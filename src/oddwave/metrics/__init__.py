"""Metrics over labels and scores, higher scores being more anomalous; read `vus.py` for the headline metric."""

from oddwave.metrics.auroc import auprc, auroc, pauc
from oddwave.metrics.nab_score import NAB_PROFILES, NabProfile, NabScore, nab_score
from oddwave.metrics.point_adjust import PointAdjustedF1, misleading_point_adjusted_f1
from oddwave.metrics.ucr import ucr_accuracy, ucr_hit
from oddwave.metrics.vus import VUS, vus

__all__ = [
    "NAB_PROFILES",
    "VUS",
    "NabProfile",
    "NabScore",
    "PointAdjustedF1",
    "auprc",
    "auroc",
    "misleading_point_adjusted_f1",
    "nab_score",
    "pauc",
    "ucr_accuracy",
    "ucr_hit",
    "vus",
]
