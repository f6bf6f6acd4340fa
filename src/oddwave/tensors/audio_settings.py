"""What a map of audio is made by, without what makes it: plain settings, read from a saved model without torch.

Read `audio_map.py` next: the map itself.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Self

from oddwave.config import AudioConfig
from oddwave.errors import ConfigError

if TYPE_CHECKING:
    from oddwave.wavelets.frame_filters import Spacing, Wavelet

__all__ = ["SMALLEST_DEVIATION_DB", "AudioMapSettings", "AudioTransform", "known_settings"]

AudioTransform = Literal["cwt", "stft-mel"]

SMALLEST_DEVIATION_DB = 1.0  # a row that never moves (silence, digital zero) would turn rounding into anomalies


@dataclass(frozen=True)
class AudioMapSettings:
    """The settings of an `AudioMap`, which says what they mean."""

    sample_rate: int = 16000
    clip_samples: int = 65536
    f_min: float = 40.0
    f_max: float | None = None
    num_rows: int = 128
    columns: int = 256
    transform: AudioTransform = "cwt"
    spacing: "Spacing" = "log"
    wavelet: "Wavelet" = "morse"
    width: float = 12.0
    floor_db: float = -110.0

    @classmethod
    def of(cls, config: AudioConfig) -> Self:
        """Take the map that a detector's settings describe; a clip is a whole number of columns long."""
        samples_per_column = max(1, round(config.clip_s * config.rate_hz / config.columns))
        return cls(
            sample_rate=config.rate_hz,
            clip_samples=samples_per_column * config.columns,
            f_min=config.f_min_hz,
            f_max=config.f_max_hz,
            num_rows=config.num_rows,
            columns=config.columns,
            transform=config.transform,
            spacing=config.spacing,
        )

    @property
    def clip_s(self) -> float:
        """Length of a clip in seconds."""
        return self.clip_samples / self.sample_rate

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Build a map from what `to_dict` gave. Raises: ConfigError for unknown settings."""
        return cls(**known_settings(cls, settings))


def known_settings(cls: type, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a dataclass as they are. Raises: ConfigError for one that it does not know."""
    names = {entry.name for entry in fields(cls)}
    if unknown := sorted(set(settings) - names):
        raise ConfigError(f"{cls.__name__} does not know {', '.join(unknown)}: expected {', '.join(sorted(names))}")
    return dict(settings)
