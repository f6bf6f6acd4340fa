"""Baselines: what a user would pick instead, all behind one interface; read `base.py` next."""

from oddwave.baselines.base import Baseline
from oddwave.baselines.clip_base import ClipBaseline
from oddwave.baselines.clip_knn import FrozenKNN, FrozenMelKNN
from oddwave.baselines.isolation_forest import IsolationForest
from oddwave.baselines.knn import KNN
from oddwave.baselines.learned.items import on_clips, on_pictures, on_series
from oddwave.baselines.learned.plain_ddpm import PlainDDPM
from oddwave.baselines.learned.vae import VAE
from oddwave.baselines.log_mel_autoencoder import LogMelAutoencoder
from oddwave.baselines.log_mel_knn import LogMelKNN
from oddwave.baselines.patch_knn import PatchKNN
from oddwave.baselines.pca import PCAReconstruction
from oddwave.baselines.picture_base import PictureBaseline
from oddwave.baselines.position_gaussian import PaDiM
from oddwave.baselines.random_clips import RandomClips
from oddwave.baselines.random_pictures import RandomPictures
from oddwave.baselines.random_score import RandomScore
from oddwave.baselines.series_base import SeriesBaseline, WindowBaseline
from oddwave.baselines.zscore import ZScore

__all__ = [
    "BASELINES",
    "CLIP_BASELINES",
    "KNN",
    "PICTURE_BASELINES",
    "Baseline",
    "ClipBaseline",
    "FrozenKNN",
    "FrozenMelKNN",
    "IsolationForest",
    "LogMelAutoencoder",
    "LogMelKNN",
    "PCAReconstruction",
    "PaDiM",
    "PatchKNN",
    "PictureBaseline",
    "RandomClips",
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
    "vae": on_series(VAE),
    "plain_ddpm": on_series(PlainDDPM),
}

PICTURE_BASELINES: dict[str, type[PictureBaseline]] = {
    "random": RandomPictures,
    "patch_knn": PatchKNN,
    "padim": PaDiM,
    "vae": on_pictures(VAE),
}

CLIP_BASELINES: dict[str, type[ClipBaseline]] = {
    "random": RandomClips,
    "log_mel_knn": LogMelKNN,
    "log_mel_autoencoder": LogMelAutoencoder,
    "frozen_knn_mel": FrozenMelKNN,
    "frozen_knn": FrozenKNN,
    "vae": on_clips(VAE),
}
