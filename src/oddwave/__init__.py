"""oddwave learns what normal looks like, from normal data alone, and flags anomalies.

    import oddwave

    detector = oddwave.Detector().fit("healthy.csv")
    result = detector.score("today.csv")            # result.events, result.scores; higher = more anomalous
    detector.save("model")
    detector = oddwave.load("model")

Names are loaded when first used, so importing the package is quick. Read `detector.py` next.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oddwave.version import __version__

if TYPE_CHECKING:
    from oddwave.config import DetectorConfig as DetectorConfig
    from oddwave.config import preset as preset
    from oddwave.detector import Detector as Detector
    from oddwave.errors import CheckpointError as CheckpointError
    from oddwave.errors import ConfigError as ConfigError
    from oddwave.errors import DataError as DataError
    from oddwave.errors import MissingExtraError as MissingExtraError
    from oddwave.errors import NotFittedError as NotFittedError
    from oddwave.errors import OddwaveError as OddwaveError
    from oddwave.errors import ShapeError as ShapeError
    from oddwave.fused import Fused as Fused
    from oddwave.fused import fuse as fuse
    from oddwave.joint import JointDetector as JointDetector
    from oddwave.results import AudioEvent as AudioEvent
    from oddwave.results import AudioExcerpt as AudioExcerpt
    from oddwave.results import AudioResult as AudioResult
    from oddwave.results import BandShare as BandShare
    from oddwave.results import CalibrationSummary as CalibrationSummary
    from oddwave.results import DetectionResult as DetectionResult
    from oddwave.results import ImageRegion as ImageRegion
    from oddwave.results import ImageResult as ImageResult
    from oddwave.results import SeriesEvent as SeriesEvent
    from oddwave.results import SeriesResult as SeriesResult
    from oddwave.results import WaveletShare as WaveletShare
    from oddwave.sources.audio.reader import read_audio as read_audio
    from oddwave.sources.image.reader import read_images as read_images
    from oddwave.sources.series.reader import read_series as read_series
    from oddwave.wavelets.frame import WaveletFrame as WaveletFrame

_HOMES = {
    "BandShare": "results",
    "CalibrationSummary": "results",
    "CheckpointError": "errors",
    "ConfigError": "errors",
    "DataError": "errors",
    "DetectionResult": "results",
    "Detector": "detector",
    "DetectorConfig": "config",
    "SeriesEvent": "results",
    "SeriesResult": "results",
    "MissingExtraError": "errors",
    "NotFittedError": "errors",
    "OddwaveError": "errors",
    "ImageResult": "results",
    "ImageRegion": "results",
    "JointDetector": "joint",
    "ShapeError": "errors",
    "Fused": "fused",
    "fuse": "fused",
    "AudioEvent": "results",
    "AudioExcerpt": "results",
    "AudioResult": "results",
    "WaveletFrame": "wavelets.frame",
    "WaveletShare": "results",
    "preset": "config",
    "read_audio": "sources.audio.reader",
    "read_images": "sources.image.reader",
    "read_series": "sources.series.reader",
}

__all__ = [
    "AudioEvent",
    "AudioExcerpt",
    "AudioResult",
    "BandShare",
    "CalibrationSummary",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "DetectionResult",
    "Detector",
    "DetectorConfig",
    "Fused",
    "ImageRegion",
    "ImageResult",
    "JointDetector",
    "MissingExtraError",
    "NotFittedError",
    "OddwaveError",
    "SeriesEvent",
    "SeriesResult",
    "ShapeError",
    "WaveletFrame",
    "WaveletShare",
    "__version__",
    "fuse",
    "load",
    "preset",
    "read_audio",
    "read_images",
    "read_series",
]


def load(
    directory: Path | str, *, modality: str | None = None, device: str = "cpu", allow_external: bool = False
) -> "Detector":
    """Load a saved detector, of a joint model that of one `modality`; see `Detector.load` for the other options.

    Raises:
        CheckpointError: the directory is missing, damaged, or holds something else.
    """
    from oddwave.detector import Detector

    return Detector.load(directory, modality=modality, device=device, allow_external=allow_external)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
