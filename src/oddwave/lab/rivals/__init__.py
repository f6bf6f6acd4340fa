"""Baselines: what a user would pick instead, all behind one interface; read `base.py` next."""

from oddwave.lab.rivals.base import Baseline
from oddwave.lab.rivals.clip_base import ClipBaseline
from oddwave.lab.rivals.clip_knn import FrozenKNN, FrozenMelKNN
from oddwave.lab.rivals.image_base import ImageBaseline
from oddwave.lab.rivals.isolation_forest import IsolationForest
from oddwave.lab.rivals.knn import KNN
from oddwave.lab.rivals.learned.addm import ADDM
from oddwave.lab.rivals.learned.anogan import AnoGAN
from oddwave.lab.rivals.learned.autoformer import Autoformer
from oddwave.lab.rivals.learned.conv_autoencoder import ConvAutoencoder
from oddwave.lab.rivals.learned.ddad import DDAD
from oddwave.lab.rivals.learned.deco_diff import DeCoDiff
from oddwave.lab.rivals.learned.diffad import DiffAD
from oddwave.lab.rivals.learned.diffusionad import DiffusionAD
from oddwave.lab.rivals.learned.dte_categorical import DTECategorical
from oddwave.lab.rivals.learned.dte_inverse_gamma import DTEInverseGamma
from oddwave.lab.rivals.learned.dte_nonparametric import DTENonparametric
from oddwave.lab.rivals.learned.fast_anogan import FastAnoGAN
from oddwave.lab.rivals.learned.imdiffusion import ImDiffusion
from oddwave.lab.rivals.learned.invad import InvAD
from oddwave.lab.rivals.learned.items import on_clips, on_images, on_series
from oddwave.lab.rivals.learned.mdps import MDPS
from oddwave.lab.rivals.learned.patch_svdd import PatchSVDD
from oddwave.lab.rivals.learned.plain_ddpm import PlainDDPM
from oddwave.lab.rivals.learned.transformer import TransformerAD
from oddwave.lab.rivals.learned.vae import VAE
from oddwave.lab.rivals.lof import LOF
from oddwave.lab.rivals.log_mel_autoencoder import LogMelAutoencoder
from oddwave.lab.rivals.log_mel_knn import LogMelKNN
from oddwave.lab.rivals.matrix_profile import MatrixProfile
from oddwave.lab.rivals.one_class_svm import OneClassSVM
from oddwave.lab.rivals.patch_knn import PatchKNN
from oddwave.lab.rivals.pca import PCAReconstruction
from oddwave.lab.rivals.position_gaussian import PaDiM
from oddwave.lab.rivals.random_score import RandomClips, RandomImages, RandomScore
from oddwave.lab.rivals.series_base import SeriesBaseline, WindowBaseline
from oddwave.lab.rivals.zscore import ZScore

__all__ = [
    "BASELINES",
    "CLIP_BASELINES",
    "IMAGE_BASELINES",
    "KNN",
    "LOF",
    "Baseline",
    "ClipBaseline",
    "FrozenKNN",
    "FrozenMelKNN",
    "ImageBaseline",
    "IsolationForest",
    "LogMelAutoencoder",
    "LogMelKNN",
    "MatrixProfile",
    "OneClassSVM",
    "PCAReconstruction",
    "PaDiM",
    "PatchKNN",
    "RandomClips",
    "RandomImages",
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

IMAGE_BASELINES: dict[str, type[ImageBaseline]] = {
    "random": RandomImages,
    "patch_knn": PatchKNN,
    "padim": PaDiM,
    "vae": on_images(VAE),
    "anogan": on_images(AnoGAN),
    "fast_anogan": on_images(FastAnoGAN),
    "patch_svdd": on_images(PatchSVDD),
    "diffusionad": on_images(DiffusionAD, "feature"),
    "deco_diff": on_images(DeCoDiff, "feature"),
    "mdps": on_images(MDPS, "feature"),
    "addm": on_images(ADDM, "feature"),
    "invad": on_images(InvAD, "feature"),
    "ddad": on_images(DDAD, "feature"),
    "dte_categorical": on_images(DTECategorical, "feature"),
    "dte_inverse_gamma": on_images(DTEInverseGamma, "feature"),
    "dte_nonparametric": on_images(DTENonparametric, "feature"),
}

CLIP_BASELINES: dict[str, type[ClipBaseline]] = {
    "random": RandomClips,
    "log_mel_knn": LogMelKNN,
    "log_mel_autoencoder": LogMelAutoencoder,
    "frozen_knn_mel": FrozenMelKNN,
    "frozen_knn": FrozenKNN,
    "vae": on_clips(VAE),
}
