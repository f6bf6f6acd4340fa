"""Baselines: what a user would pick instead, all behind one interface; read `base.py` next."""

from oddwave.baselines.base import Baseline, WindowBaseline
from oddwave.baselines.isolation_forest import IsolationForest
from oddwave.baselines.knn import KNN
from oddwave.baselines.pca import PCAReconstruction
from oddwave.baselines.random_score import RandomScore
from oddwave.baselines.zscore import ZScore

__all__ = [
    "BASELINES",
    "KNN",
    "Baseline",
    "IsolationForest",
    "PCAReconstruction",
    "RandomScore",
    "WindowBaseline",
    "ZScore",
]

BASELINES: dict[str, type[Baseline]] = {
    "random": RandomScore,
    "zscore": ZScore,
    "knn": KNN,
    "pca": PCAReconstruction,
    "isolation_forest": IsolationForest,
}
