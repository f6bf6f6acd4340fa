"""Which modalities there are, and where the detector of each one lives: it is imported when one is made.

A new modality adds a line here; what else it brings lies in a folder of its own (see `docs/architecture.md`).
"""

from importlib import import_module
from typing import Any

__all__ = ["MODALITIES", "detector_class", "room_of"]

MODALITIES: dict[str, str] = {
    "series": "oddwave.detection.series.detector:SeriesDetector",
    "image": "oddwave.detection.image.detector:ImageDetector",
    "audio": "oddwave.detection.audio.detector:AudioDetector",
}


def detector_class(modality: str) -> Any:
    """Return the `ModalityDetector` that serves a modality. Raises: KeyError for one that is not there."""
    module, _, name = MODALITIES[modality].partition(":")
    return getattr(import_module(module), name)


def room_of(modality: str, name: str) -> Any:
    """Return a module that lies beside a modality's detector: "facts", "schema". Raises: KeyError, ImportError."""
    return import_module(f"{MODALITIES[modality].partition(':')[0].rpartition('.')[0]}.{name}")
