"""What the detectors of images and audio share: both judge by maps, and both need normal items to learn from.

Read `image/detector.py` and `audio/detector.py` next; `map_model.py` for what happens inside.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.calibration.trimming import certain_anomalies
from oddwave.config import DetectorConfig
from oddwave.detection.base import ModalityDetector
from oddwave.errors import ConfigError

__all__ = ["JudgesByMaps", "MapDetector"]

State = dict[str, torch.Tensor]
Constants = dict[str, Any]


_SAME, _ROUNDING = 1e-6, 10.0  # smallest deviations


class JudgesByMaps(Protocol):
    """A model that gives maps; `evidence` tells why every automatic choice fell as it did."""

    evidence: dict[str, Any]

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """What was trained."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return what a report tells of how it judges."""
        ...


class MapDetector(ModalityDetector):
    """A detector whose model gives maps: `peaks` are the highest values of those of held-out normal items.

    `digests` are the hashes of the items that were learnt from: the scores of those are flattered.
    """

    tells_warnings: ClassVar[bool] = True

    def __init__(self, config: DetectorConfig, read_options: dict[str, Any]) -> None:
        super().__init__(config, read_options)
        if config.calibration.adaptive != "off":
            raise ConfigError(
                f"calibration.adaptive is '{config.calibration.adaptive}': it follows the drift of streams, and "
                f"{self.noun} have none; leave it 'off', and fit again or add healthy data where they drift"
            )
        self.model: JudgesByMaps | None = None
        self.peaks: Float[np.ndarray, " n"] = np.zeros(0)
        self.digests: frozenset[str] = frozenset()
        self._apart: Any = None  # data of which each item was judged by the others alone

    def _fitted(self) -> JudgesByMaps:
        self.fitted_calibration()
        assert self.model is not None
        return self.model

    def _settled(
        self, model: JudgesByMaps, scores: Sequence[float], peaks: Sequence[float], source: str
    ) -> Calibration:
        """Take over a fitted model, and return the calibration by what held-out normals score."""
        found, highest = (_lifted(np.array(own, float)) for own in (scores, peaks))
        if self.config.calibration.trim:
            (odd,) = certain_anomalies([found], 1)
            found, highest = found[~odd], highest[~odd]
        calibration = Calibration.fit([found], 1, source)
        self.peaks, self.model, self.choices = highest, model, model.evidence
        return calibration

    def _peak_threshold(self, rule: Rule) -> float:
        return Calibration(self.peaks, self.peaks, 1, "").threshold(Rule(rule.alpha))

    def _warnings(self, data: Any) -> list[str]:
        known = 0 if data is self._apart else len(data.known_in(self.digests))
        return [f"{known} of the {self.noun} were trained on: their scores are flattered"] if known else []

    def _is_known(self, item: Any) -> bool:
        return item.digest in self.digests

    def _with_peaks(self, tensors: State, constants: Constants) -> tuple[State, Constants]:
        return tensors, {**constants, "peaks": self.peaks.tolist(), "digests": sorted(self.digests)}

    def _restored(self, model: JudgesByMaps, constants: dict[str, Any]) -> None:
        self.model = model
        model.evidence = self.choices
        self.peaks, self.digests = np.array(constants["peaks"], float), frozenset(constants["digests"])

    def networks(self) -> tuple[nn.Module, ...]:
        """Return the denoisers and the decoder, where there is one. Raises: NotFittedError."""
        return self._fitted().networks

    def _model_facts(self) -> dict[str, Any]:
        model = self._fitted()
        hidden = ("data_fingerprint", "warnings", "added", "traits")
        return {
            **{key: value for key, value in self.meta.items() if key not in hidden},
            **model.facts(),
            "choices": self.choices,
        }


def _lifted(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Lift scores of normals that are all the same: what differs from them by rounding is their like."""
    return scores + _ROUNDING if np.ptp(scores) < _SAME else scores
