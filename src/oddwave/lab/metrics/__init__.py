"""Metrics over labels and scores, higher scores being more anomalous; read `vus.py` for the headline metric."""

from oddwave.lab.metrics.aupro import aupro, pixel_auroc
from oddwave.lab.metrics.auroc import auprc, auroc, pauc
from oddwave.lab.metrics.event import EventScores, event_scores
from oddwave.lab.metrics.f1 import F1Max, f1_max
from oddwave.lab.metrics.nab_score import NAB_PROFILES, NabProfile, NabScore, nab_score
from oddwave.lab.metrics.point_adjust import PointAdjustedF1, misleading_point_adjusted_f1
from oddwave.lab.metrics.ucr import ucr_accuracy, ucr_hit
from oddwave.lab.metrics.vus import VUS, vus

__all__ = [
    "NAB_PROFILES",
    "VUS",
    "EventScores",
    "F1Max",
    "NabProfile",
    "NabScore",
    "PointAdjustedF1",
    "auprc",
    "aupro",
    "auroc",
    "event_scores",
    "f1_max",
    "misleading_point_adjusted_f1",
    "nab_score",
    "pauc",
    "pixel_auroc",
    "ucr_accuracy",
    "ucr_hit",
    "vus",
]
