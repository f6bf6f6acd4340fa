"""What the JSON of a saved model of histograms may hold."""

from typing import Any

from oddwave.detection.model_schema import Constants, Meta


class META(Meta):
    modality: str
    num_train_histograms: int


class CONSTANTS(Constants):
    standardiser: dict[str, Any]
