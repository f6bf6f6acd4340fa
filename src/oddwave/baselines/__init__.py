"""Baselines: what a user would pick instead, all behind one interface; read `base.py` next."""

from oddwave.baselines.base import Baseline
from oddwave.baselines.isolation_forest import IsolationForest
from oddwave.baselines.knn import KNN
from oddwave.baselines.patch_knn import PatchKNN
from oddwave.baselines.pca import PCAReconstruction
from oddwave.baselines.picture_base import PictureBaseline
from oddwave.baselines.position_gaussian import PaDiM
from oddwave.baselines.random_pictures import RandomPictures
from oddwave.baselines.random_score import RandomScore
from oddwave.baselines.series_base import SeriesBaseline, WindowBaseline
from oddwave.baselines.zscore import ZScore

__all__ = [
    "BASELINES",
    "KNN",
    "PICTURE_BASELINES",
    "Baseline",
    "IsolationForest",
    "PCAReconstruction",
    "PaDiM",
    "PatchKNN",
    "PictureBaseline",
    "RandomPictures",
    "RandomScore",
    "SeriesBaseline",
    "WindowBaseline",
    "ZScore",
]

BASELINES: dict[str, type[SeriesBaseline]] = {
    "random": RandomScore,
    "zscore": ZScore,
    "knn": KNN,
    "pca": PCAReconstruction,
    "isolation_forest": IsolationForest,
}

PICTURE_BASELINES: dict[str, type[PictureBaseline]] = {
    "random": RandomPictures,
    "patch_knn": PatchKNN,
    "padim": PaDiM,
}
