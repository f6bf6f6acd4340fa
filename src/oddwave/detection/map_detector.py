"""What the detectors of images and audio share: both judge by maps, and both need normal items to learn from.

Read `image/detector.py` and `audio/detector.py` next; `map_model.py` for what happens inside.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from oddwave.calibration.conformal import Calibration
from oddwave.config import DetectorConfig
from oddwave.detection.base import ModalityDetector
from oddwave.detection.map_model import MapModel

__all__ = ["MapDetector"]

State = dict[str, torch.Tensor]
Constants = dict[str, Any]


class MapDetector(ModalityDetector):
    """A detector whose model gives maps: `peaks` are the highest values of those of held-out normal items.

    `digests` are the hashes of the items that were learnt from: the scores of those are flattered.
    """

    def __init__(self, config: DetectorConfig, read_options: dict[str, Any]) -> None:
        super().__init__(config, read_options)
        self.model: MapModel | None = None
        self.peaks: Float[np.ndarray, " n"] = np.zeros(0)
        self.digests: frozenset[str] = frozenset()

    def _fitted(self) -> MapModel:
        self.fitted_calibration()
        assert self.model is not None
        return self.model

    def _settled(self, model: MapModel, scores: Sequence[float], peaks: Sequence[float], source: str) -> Calibration:
        """Take over a fitted model, and return the calibration by what held-out normals score."""
        calibration = Calibration.fit([np.array(scores, float)], 1, source)
        self.peaks, self.model, self.choices = np.array(peaks, float), model, model.evidence
        return calibration

    def _peak_threshold(self, alpha: float) -> float:
        return Calibration(self.peaks, self.peaks, 1, "").threshold(alpha)

    def _warnings(self, data: Any) -> list[str]:
        known = len(data.known_in(self.digests))
        return [f"{known} of the {self.noun} were trained on: their scores are flattered"] if known else []

    def _is_known(self, item: Any) -> bool:
        return item.digest in self.digests

    def _with_peaks(self, tensors: State, constants: Constants) -> tuple[State, Constants]:
        return tensors, {**constants, "peaks": self.peaks.tolist(), "digests": sorted(self.digests)}

    def _restored(self, model: MapModel, constants: dict[str, Any]) -> None:
        self.model = model
        model.evidence = self.choices
        self.peaks, self.digests = np.array(constants["peaks"], float), frozenset(constants["digests"])

    def networks(self) -> tuple[nn.Module, ...]:
        """Return the denoisers and the decoder, where there is one. Raises: NotFittedError."""
        return self._fitted().terms.networks

    def _model_facts(self) -> dict[str, Any]:
        model = self._fitted()
        hidden = ("data_fingerprint", "warnings", "added")
        return {
            **{key: value for key, value in self.meta.items() if key not in hidden},
            "space": self.config.maps.space,
            "perceptual": self.config.maps.perceptual,
            "reconstruction_weight": model.fusion.reconstruction_weight,
            "memory_weight": model.fusion.memory_weight,
            "top_percent": f"{100 * model.top_share:.2g} %",
            "choices": self.choices,
        }
