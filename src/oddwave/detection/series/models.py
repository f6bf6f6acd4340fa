"""The two models of series, and which of them a detector's settings ask for."""

from oddwave.config import DetectorConfig
from oddwave.detection.series.denoiser_model import DenoiserModel
from oddwave.detection.series.plan import WindowPlan
from oddwave.detection.series.retrieval_model import RetrievalModel

__all__ = ["SeriesModel", "build_model"]

SeriesModel = DenoiserModel | RetrievalModel


def build_model(config: DetectorConfig, plan: WindowPlan, n_channels: int) -> SeriesModel:
    """Return the model that the settings name, which has learnt nothing yet."""
    kind = RetrievalModel if config.series.method == "retrieval" else DenoiserModel
    return kind.build(config, plan, n_channels)
