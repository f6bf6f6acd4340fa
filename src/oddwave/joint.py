"""One model of several modalities: one trained network with a port for each, and a detector of each around it.

    joint = JointDetector().fit({"image": "good_parts", "audio": "healthy"})    # preset "paper" of each modality
    result = joint.score("new_parts")                                           # the modality follows from the files
    joint.detector("audio").score("today.wav", alpha=0.05)                      # or: an ordinary Detector
    joint.save("model"); JointDetector.load("model")                            # the network is stored once

What one network for all modalities is worth is told in docs/method.md. Read `detection/joint_fit.py` for how it is
trained, `detection/joint_parts.py` for how it is stored.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oddwave.config import DetectorConfig, preset
from oddwave.detection.job import FitJob
from oddwave.detector import Detector
from oddwave.errors import ConfigError, NotFittedError
from oddwave.registry import MODALITIES, detector_class
from oddwave.results import DetectionResult

if TYPE_CHECKING:
    from oddwave.detection.base import ModalityDetector
    from oddwave.detection.joint_fit import JointNetwork

__all__ = ["JointDetector"]


class JointDetector:
    """Learns what is normal in several modalities with one denoiser; see the module's example.

    Each modality scores as an ordinary detector with the same network would, to the bit.
    """

    def __init__(
        self,
        configs: Mapping[str, DetectorConfig] | None = None,
        *,
        device: str | None = None,
        read_options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Make an unfitted joint detector; a modality without settings in `configs` has those of preset "paper".

        `read_options` go to the readers, by modality. Network, training and seed must be the same for all.

        Raises:
            ConfigError: settings or options of a modality that is not there, or under another one's name.
        """
        self._configs, self._device = dict(configs or {}), device
        self._read_options = {modality: dict(own) for modality, own in (read_options or {}).items()}
        self._detectors: dict[str, ModalityDetector] = {}
        self._network: JointNetwork | None = None
        for modality in (*self._configs, *self._read_options):
            _require_known(modality)
        for modality, config in self._configs.items():
            if config.modality != modality:
                raise ConfigError(f"the settings for {modality} are of modality {config.modality}: give its own")

    def __repr__(self) -> str:
        """Return one line: of which modalities, once fitted."""
        return f"JointDetector({', '.join(self._detectors) or 'not fitted'})"

    def fit(
        self,
        sources: Mapping[str, Any],
        *,
        show_progress: bool = False,
        checkpoint_dir: Path | None = None,
        resume: bool = False,
    ) -> "JointDetector":
        """Learn from normal data of two modalities or more, by name.

        `training.num_steps` counts the steps of each modality, so each sees as much of its data as in a fit of its own.
        A fit that fails leaves the detector as it was.

        Raises:
            ConfigError: fewer than two modalities, or settings that one network cannot serve.
            DataError: as `Detector.fit`.
        """
        from oddwave.detection.joint_fit import check_joint, fit_joint

        configs = {modality: self._config(modality) for modality in sources}
        check_joint(configs)
        options = self._read_options
        detectors = {name: detector_class(name)(own, options.get(name, {})) for name, own in configs.items()}
        network = fit_joint(detectors, sources, FitJob(show_progress, checkpoint_dir, resume))
        self._detectors, self._network = detectors, network
        return self

    @property
    def modalities(self) -> tuple[str, ...]:
        """What it has learnt."""
        return tuple(self._detectors)

    def detector(self, modality: str) -> Detector:
        """Return the detector of one modality. Raises: NotFittedError; ConfigError for one that was not learnt."""
        self._fitted()
        if modality not in self._detectors:
            raise ConfigError(
                f"modality is {modality!r:.40}, expected one that was learnt: {', '.join(self.modalities)}"
            )
        return Detector.around(self._detectors[modality])

    def detector_for(self, source: Any, modality: str | None = None) -> Detector:
        """Return the detector that paths are meant for, by the endings of their files, or that of the named modality.

        Raises: DataError where there is not just one; as `detector`.
        """
        from oddwave.detection.joint_which import one_of

        self._fitted()
        return self.detector(one_of(self.modalities, source) if modality is None else modality)

    def score(self, source: Any, *, modality: str | None = None, **options: Any) -> DetectionResult:
        """Score data with the detector that they are meant for; `options` and errors as in `Detector.score`."""
        return self.detector_for(source, modality).score(source, **options)

    def save(self, directory: Path | str) -> Path:
        """Save to a directory, whole or not at all. Raises: NotFittedError; CheckpointError if it cannot be written."""
        from oddwave.detection.store import save_joint

        return save_joint(self._fitted(), self._detectors, Path(directory))

    @classmethod
    def load(cls, directory: Path | str, *, device: str = "cpu", allow_external: bool = False) -> "JointDetector":
        """Load what `save` wrote. Raises: as `Detector.load`."""
        from oddwave.detection.store import load_joint

        joint = cls()
        joint._network, joint._detectors = load_joint(Path(directory), device=device, allow_external=allow_external)
        return joint

    @property
    def num_parameters(self) -> int:
        """How many weights the network has, those of all ports counted. Raises: NotFittedError."""
        return sum(weight.numel() for weight in self._fitted().net.parameters())

    def _config(self, modality: str) -> DetectorConfig:
        _require_known(modality)
        config = self._configs.get(modality) or preset("paper", modality)
        return config if self._device is None else config.with_overrides([f"device={self._device}"])

    def _fitted(self) -> "JointNetwork":
        if self._network is None:
            raise NotFittedError("this joint detector has learnt nothing yet: call fit, or load a saved model")
        return self._network


def _require_known(modality: str) -> None:
    if modality not in MODALITIES:
        raise ConfigError(f"modality is {modality!r:.40}, expected one of {', '.join(MODALITIES)}")
