"""The models that are served: each with its name, its facts, its thread, and a bound on how many requests it takes.

Read `batching.py` for the thread.
"""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oddwave.detection.saved import SEAL, read_saved
from oddwave.detector import Detector
from oddwave.errors import ConfigError
from oddwave.report.facts import choices
from oddwave.service.answers import plain
from oddwave.service.batching import ScoringThread
from oddwave.service.limits import Limits, ProblemError
from oddwave.visible import visible

__all__ = ["ServedModel", "load_models"]

_NAME = re.compile(r"[\w.-]{1,100}", re.ASCII)


@dataclass
class ServedModel:
    """A fitted detector under a name; `about` is what is told of it."""

    name: str
    detector: Detector
    fingerprint: str
    about: dict[str, Any]
    limits: Limits
    in_flight: int = 0
    thread: ScoringThread = field(init=False)

    def __post_init__(self) -> None:
        """Hold the reader to the service's limits, and start the thread."""
        options = self.detector.read_options
        if "on_error" in options:
            options["on_error"] = "skip"  # each file of a request keeps its place
        if self.modality == "image":
            options["max_pixels"] = min(int(options.get("max_pixels", self.limits.max_pixels)), self.limits.max_pixels)
        self.thread = ScoringThread(self.detector, self.limits, self.name)

    @property
    def modality(self) -> str:
        """What it judges."""
        return str(self.detector.config.modality)

    @property
    def identity(self) -> dict[str, str]:
        """What answers and history say of it."""
        return {"name": self.name, "fingerprint": self.fingerprint, "modality": self.modality}

    @property
    def state(self) -> dict[str, Any]:
        """How busy it is."""
        return {"in_flight": self.in_flight, "waiting": len(self.thread.waiting), "seconds_each": self.thread.usual_s}

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Count a request while it is read, queued and scored. Raises: ProblemError (429) where there are too many."""
        if self.in_flight >= self.limits.max_waiting:
            retry = max(1, math.ceil(self.thread.wait_s))
            told = f"{self.in_flight} requests wait for '{self.name}', as many as may: ask again in {retry} s"
            raise ProblemError(429, told, {"Retry-After": str(retry)})
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    @classmethod
    def load(
        cls, name: str, folder: Path, limits: Limits, *, device: str = "cpu", allow_external: bool = False
    ) -> "ServedModel":
        """Load a model. Raises: CheckpointError; ConfigError for a device that cannot be used here."""
        detector = Detector.load(folder, device=device, allow_external=allow_external)
        saved = read_saved(folder)
        about = {
            "name": name,
            "modality": saved.config.modality,
            "kind": saved.meta.get("kind", saved.config.modality),
            "fingerprint": str(saved.meta[SEAL]),
            "trained_on": saved.facts(),
            "channels": list(saved.meta.get("channel_names", [])),
            "preset": saved.config.preset,
            "seed": saved.config.seed,
            "alpha": saved.alpha,
            "smallest_alpha": saved.smallest_alpha,
            "threshold": saved.threshold,
            "calibration": {"num_scores": len(saved.constants["scores"]), "source": saved.constants["source"]},
            "choices": [
                {"name": own.name, "chosen": own.chosen, "why": own.why, "evidence": list(map(list, own.evidence))}
                for own in choices(saved.choices)
            ],
            "warnings": [visible(str(text)) for text in saved.meta.get("warnings", [])],
            "times_added": len(saved.meta.get("added") or []),
            "package_version": str(saved.meta["package_version"]),
        }  # fmt: skip
        return cls(name, detector, str(saved.meta[SEAL]), plain(about), limits)


def load_models(
    given: Sequence[str], limits: Limits, *, device: str = "cpu", allow_external: bool = False
) -> dict[str, ServedModel]:
    """Load models given as FOLDER or NAME=FOLDER. Raises: ConfigError for names; CheckpointError."""
    folders: dict[str, Path] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not equals or Path(text).is_dir():
            name, folder = (
                re.sub(r"[^\w.-]+", "_", Path(text).absolute().name, flags=re.ASCII).strip("_") or "model",
                text,
            )
        if not _NAME.fullmatch(name):
            raise ConfigError(f"'{name:.60}' is no name for a model: give letters, digits, dots, dashes, NAME=FOLDER")
        if name in folders:
            raise ConfigError(f"two models are called '{name}': give one another name, NAME=FOLDER")
        folders[name] = Path(folder)
    return {
        name: ServedModel.load(name, folder, limits, device=device, allow_external=allow_external)
        for name, folder in folders.items()
    }
