"""Baselines: what a user would pick instead, all behind one interface; read `base.py` next."""

from oddwave.baselines.base import Baseline
from oddwave.baselines.clip_base import ClipBaseline
from oddwave.baselines.clip_knn import FrozenKNN, FrozenMelKNN
from oddwave.baselines.isolation_forest import IsolationForest
from oddwave.baselines.knn import KNN
from oddwave.baselines.learned.addm import ADDM
from oddwave.baselines.learned.anogan import AnoGAN
from oddwave.baselines.learned.autoformer import Autoformer
from oddwave.baselines.learned.conv_autoencoder import ConvAutoencoder
from oddwave.baselines.learned.ddad import DDAD
from oddwave.baselines.learned.deco_diff import DeCoDiff
from oddwave.baselines.learned.diffad import DiffAD
from oddwave.baselines.learned.diffusionad import DiffusionAD
from oddwave.baselines.learned.dte_categorical import DTECategorical
from oddwave.baselines.learned.dte_inverse_gamma import DTEInverseGamma
from oddwave.baselines.learned.dte_nonparametric import DTENonparametric
from oddwave.baselines.learned.fast_anogan import FastAnoGAN
from oddwave.baselines.learned.imdiffusion import ImDiffusion
from oddwave.baselines.learned.invad import InvAD
from oddwave.baselines.learned.items import on_clips, on_pictures, on_series
from oddwave.baselines.learned.mdps import MDPS
from oddwave.baselines.learned.patch_svdd import PatchSVDD
from oddwave.baselines.learned.plain_ddpm import PlainDDPM
from oddwave.baselines.learned.transformer import TransformerAD
from oddwave.baselines.learned.vae import VAE
from oddwave.baselines.lof import LOF
from oddwave.baselines.log_mel_autoencoder import LogMelAutoencoder
from oddwave.baselines.log_mel_knn import LogMelKNN
from oddwave.baselines.matrix_profile import MatrixProfile
from oddwave.baselines.one_class_svm import OneClassSVM
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
    "LOF",
    "PICTURE_BASELINES",
    "Baseline",
    "ClipBaseline",
    "FrozenKNN",
    "FrozenMelKNN",
    "IsolationForest",
    "LogMelAutoencoder",
    "LogMelKNN",
    "MatrixProfile",
    "OneClassSVM",
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
    "one_class_svm": OneClassSVM,
    "lof": LOF,
    "matrix_profile": MatrixProfile,
    "vae": on_series(VAE),
    "conv_autoencoder": on_series(ConvAutoencoder),
    "transformer": on_series(TransformerAD),
    "autoformer": on_series(Autoformer),
    "plain_ddpm": on_series(PlainDDPM),
    "diffad": on_series(DiffAD),
    "imdiffusion": on_series(ImDiffusion),
    "ddad": on_series(DDAD),
    "dte_categorical": on_series(DTECategorical),
    "dte_inverse_gamma": on_series(DTEInverseGamma),
    "dte_nonparametric": on_series(DTENonparametric),
}

PICTURE_BASELINES: dict[str, type[PictureBaseline]] = {
    "random": RandomPictures,
    "patch_knn": PatchKNN,
    "padim": PaDiM,
    "vae": on_pictures(VAE),
    "anogan": on_pictures(AnoGAN),
    "fast_anogan": on_pictures(FastAnoGAN),
    "patch_svdd": on_pictures(PatchSVDD),
    "diffusionad": on_pictures(DiffusionAD, "feature"),
    "deco_diff": on_pictures(DeCoDiff, "feature"),
    "mdps": on_pictures(MDPS, "feature"),
    "addm": on_pictures(ADDM, "feature"),
    "invad": on_pictures(InvAD, "feature"),
    "ddad": on_pictures(DDAD, "feature"),
    "dte_categorical": on_pictures(DTECategorical, "feature"),
    "dte_inverse_gamma": on_pictures(DTEInverseGamma, "feature"),
    "dte_nonparametric": on_pictures(DTENonparametric, "feature"),
}

CLIP_BASELINES: dict[str, type[ClipBaseline]] = {
    "random": RandomClips,
    "log_mel_knn": LogMelKNN,
    "log_mel_autoencoder": LogMelAutoencoder,
    "frozen_knn_mel": FrozenMelKNN,
    "frozen_knn": FrozenKNN,
    "vae": on_clips(VAE),
}
