"""What the detector asks of each modality: learn, score, explain, and give itself away to be saved.

`SeriesDetector` (`series/detector.py`) and `ImageDetector` (`image/detector.py`) are the two there are; `detector.py`
chooses by the configuration's modality and `archive.py` stores either in the same four files. Read one of the two next.
"""

import difflib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from oddwave.config import DetectorConfig, Modality
from oddwave.detection.model_tensors import TensorFile
from oddwave.errors import ConfigError, NotFittedError
from oddwave.results import DetectionResult
from oddwave.scoring.calibration import Calibration
from oddwave.version import __version__

__all__ = ["NO_SCORE", "ModalityDetector", "check_read_options"]

NO_SCORE = "got no score, the model gives NaN: fit it again"


class ModalityDetector(ABC):
    """A fitted (or not yet fitted) model of one modality, with its calibration and what is known of its making.

    `decision_scores_` are the scores of the calibration normals (after `detect`, of the data themselves); `meta` is
    what `meta.json` holds; `choices` are the automatic choices with their evidence, which `config.json` holds beside
    the settings.
    """

    modality: ClassVar[Modality]

    def __init__(self, config: DetectorConfig, read_options: dict[str, Any]) -> None:
        self.config, self.read_options = config, read_options
        self.calibration: Calibration | None = None
        self.decision_scores_: Float[np.ndarray, " n"] = np.zeros(0)
        self.meta: dict[str, Any] = {}
        self.choices: dict[str, Any] = {}

    @abstractmethod
    def read(self, source: Any) -> Any:
        """Read a source to be scored: an item set of the modality, with `items`, `notes` and `fingerprint`.

        Raises: DataError.
        """

    @abstractmethod
    def fit(
        self, source: Any, *, show_progress: bool = False, checkpoint_dir: Path | None = None, resume: bool = False
    ) -> None:
        """Learn from normal data alone, a share of which is held back to calibrate. Raises: DataError."""

    @abstractmethod
    def detect(
        self,
        source: Any,
        *,
        alpha: float | None = None,
        show_progress: bool = False,
        checkpoint_dir: Path | None = None,
        resume: bool = False,
    ) -> DetectionResult:
        """Fit and score the same data, which may hold anomalies. Raises: DataError."""

    @abstractmethod
    def score(self, source: Any, *, alpha: float | None = None, show_progress: bool = False) -> DetectionResult:
        """Score data and explain what was found. Raises: NotFittedError, DataError, ConfigError."""

    @abstractmethod
    def decision_function(self, source: Any) -> Float[np.ndarray, " R"]:
        """Give one score per row or item, in the order given; NaN where nothing can be said. Raises: as `score`."""

    @abstractmethod
    def predict(self, source: Any, *, alpha: float | None = None) -> Int[np.ndarray, " R"]:
        """Give 0 (normal), 1 (anomalous) or -1 (not judged) per row or item, in the order given. Raises: as `score`."""

    @abstractmethod
    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Give the tensors and the JSON constants that a saved model holds. Raises: NotFittedError."""

    @abstractmethod
    def restore(self, tensors: TensorFile, constants: dict[str, Any]) -> None:
        """Take back what `state` gave; `meta`, `choices` and `calibration` are there already.

        Raises: CheckpointError for tensors that are not what the settings imply.
        """

    @abstractmethod
    def networks(self) -> tuple[nn.Module, ...]:
        """Give the networks that were trained. Raises: NotFittedError."""

    @property
    def num_parameters(self) -> int:
        """How many weights the trained networks have; the frozen perceptual network is not counted."""
        return sum(weight.numel() for network in self.networks() for weight in network.parameters())

    @abstractmethod
    def facts(self) -> dict[str, str]:
        """Say in a few words what the model was trained on and how, for `oddwave info`. Raises: NotFittedError."""

    @property
    def threshold_(self) -> float:
        """The score at and above which p <= the default alpha. Raises: NotFittedError."""
        calibration = self.fitted_calibration()
        return calibration.threshold(max(self.config.calibration.alpha, calibration.smallest_alpha))

    def fitted_calibration(self) -> Calibration:
        """Give the calibration. Raises: NotFittedError."""
        if self.calibration is None:
            raise NotFittedError("this detector has learnt nothing yet: call fit or detect, or load a saved model")
        return self.calibration

    def common_meta(self, fingerprint: str) -> dict[str, Any]:
        """Give what `meta.json` says of every model."""
        return {
            "package_version": __version__,
            "data_fingerprint": fingerprint,
            "seed": self.config.seed,
            "preset": self.config.preset,
        }


def check_read_options(
    options: Mapping[str, Any], reader: Callable[..., Any], *, without: tuple[str, ...] = ()
) -> None:
    """Refuse reading options that a reader does not know. Raises: ConfigError, with the one that may be meant."""
    parameters = inspect.signature(reader).parameters.values()
    known = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.name not in without]
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, 1)
            hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(known)}"
            raise ConfigError(f"reading option {name!r} does not exist: {hint}")
