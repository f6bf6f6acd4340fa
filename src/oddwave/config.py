"""Every setting there is, in one frozen model; presets, and overrides such as `--set a.b=c`.

A `DetectorConfig` is complete: together with the data and the seed it determines a model. `preset(name, modality)`
gives the starting points `fast`, `balanced`, `accurate` and `paper`. The sections lie in `sections.py`. Read
`detector.py` next, which spends these settings.
"""

from collections.abc import Mapping, Sequence
from reprlib import Repr
from typing import Any

from pydantic import ValidationError, model_validator

from oddwave.errors import ConfigError
from oddwave.moved_settings import moved, with_moved
from oddwave.overrides import assign, parse_override
from oddwave.presets import PRESETS, Modality
from oddwave.registry import MODALITIES
from oddwave.sections import (
    LONGEST_CLIP,
    AudioConfig,
    CalibrationConfig,
    Device,
    DiffusionConfig,
    Fraction,
    Frozen,
    GridSide,
    ImageConfig,
    MapsConfig,
    MemorySpace,
    NetworkConfig,
    ReconstructionConfig,
    ScoringConfig,
    Seed,
    SeriesConfig,
    TrainingConfig,
    Weight,
)

__all__ = [
    "LONGEST_CLIP",
    "PRESETS",
    "AudioConfig",
    "CalibrationConfig",
    "DetectorConfig",
    "DiffusionConfig",
    "Fraction",
    "GridSide",
    "ImageConfig",
    "MapsConfig",
    "Modality",
    "NetworkConfig",
    "ReconstructionConfig",
    "ScoringConfig",
    "SeriesConfig",
    "TrainingConfig",
    "Weight",
    "config_from_dict",
    "foreign_sections",
    "preset",
]

_STREAM_SPACES: tuple[MemorySpace, ...] = ("input", "feature", "complex", "mexican_hat")
_PANEL_SPACES: tuple[MemorySpace, ...] = ("feature", "complex", "mexican_hat", "log_magnitude")

_OWNERS: dict[str, tuple[str, ...]] = {
    "series": ("series",),
    "maps": ("image", "audio"),
    "image": ("image",),
    "audio": ("audio",),
}

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 120


class DetectorConfig(Frozen):
    """The whole of a detector's settings; `device` is where it computes, and no property of a model that is saved."""

    modality: str = "series"
    preset: str = "balanced"
    seed: Seed = 0
    device: Device = "cpu"
    diffusion: DiffusionConfig = DiffusionConfig()
    network: NetworkConfig = NetworkConfig()
    training: TrainingConfig = TrainingConfig()
    scoring: ScoringConfig = ScoringConfig()
    series: SeriesConfig = SeriesConfig()
    maps: MapsConfig = MapsConfig()
    image: ImageConfig = ImageConfig()
    audio: AudioConfig = AudioConfig()
    reconstruction: ReconstructionConfig = ReconstructionConfig()
    calibration: CalibrationConfig = CalibrationConfig()

    @model_validator(mode="after")
    def _check_draws(self) -> "DetectorConfig":
        if self.modality not in MODALITIES:
            raise ValueError(f"modality '{self.modality}' does not exist; choose one of {', '.join(MODALITIES)}")
        if self.modality == "series" and not self.scoring.num_noise_draws:
            raise ValueError("scoring.num_noise_draws=0 is for images and audio: give 1 or more for series")
        return self

    @property
    def training_settings(self) -> TrainingConfig:
        """The training section with the detector's seed where it has none of its own."""
        if self.training.seed is not None:
            return self.training
        return self.training.model_copy(update={"seed": self.seed})

    def memory_spaces(self, *, panel: bool) -> tuple[MemorySpace, ...]:
        """Return the memory's spaces: as set, else by kind; a per-window scale adds what it takes away."""
        if self.scoring.memory_spaces != "auto":
            return self.scoring.memory_spaces
        spaces = _PANEL_SPACES if panel else _STREAM_SPACES
        return (*spaces, "statistics") if self.series.scaling == "window" and not panel else spaces

    def with_overrides(self, overrides: Sequence[str]) -> "DetectorConfig":
        """Apply `section.key=value` texts (values are JSON, else plain text).

        Raises:
            ConfigError: a key does not exist or a value does not fit.
        """
        data = self.model_dump()
        for text in overrides:
            path, value = parse_override(text)
            path = moved(path)
            if path[0] in foreign_sections(self.modality):
                raise _foreign(path, self.modality)
            assign(data, path, value)
        return config_from_dict(data)


def preset(name: str, modality: str = "series", **sections: Any) -> DetectorConfig:
    """Return the settings of a preset, with whole top-level values replaced by `sections`.

    Raises:
        ConfigError: no such preset or modality.
    """
    if modality not in MODALITIES:
        raise ConfigError(f"modality '{modality}' does not exist; choose one of {', '.join(MODALITIES)}")
    presets = PRESETS.get(modality, {"balanced": {}})
    if name not in presets:
        raise ConfigError(f"preset '{name}' does not exist; choose one of {', '.join(presets)}")
    return config_from_dict({"modality": modality, "preset": name, **presets[name], **sections})


def config_from_dict(data: Mapping[str, Any]) -> DetectorConfig:
    """Validate a nested mapping.

    Raises:
        ConfigError: on one line, which key, what was given, and what was expected.
    """
    try:
        config = DetectorConfig.model_validate(with_moved(data))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"setting '{where}': {first['msg']} (given: {_SHORT.repr(first['input'])})") from None
    except RecursionError:
        raise ConfigError("the settings are nested too deeply: give sections that hold plain values") from None
    for section in foreign_sections(config.modality):
        if getattr(config, section) != (usual := type(getattr(config, section))()):
            given = getattr(config, section).model_dump()
            key = next(name for name, value in given.items() if value != getattr(usual, name))
            raise _foreign([section, key], config.modality)
    return config


def foreign_sections(modality: str) -> tuple[str, ...]:
    """Return the sections that are of other modalities alone."""
    return tuple(section for section, owners in _OWNERS.items() if modality not in owners)


def _foreign(path: Sequence[str], modality: str) -> ConfigError:
    owners = " and ".join(_OWNERS[path[0]])
    return ConfigError(f"setting '{'.'.join(path)}' is of {owners}, this detector is of {modality}: leave it out")
