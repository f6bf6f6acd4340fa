"""What the JSON of a saved model must hold: names, types and bounds, and what the files must say alike.

One schema for all of it, used when a model is saved and when it is loaded: whatever a fit can give lies within, and
what lies outside would score silently wrong, or not at all. Tensors: `model_tensors.py`. Read `archive.py` next.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from oddwave.config import DetectorConfig, Fraction, GridSide, Modality, Weight
from oddwave.registry import room_of
from oddwave.tensors.audio_settings import SMALLEST_DEVIATION_DB

__all__ = [
    "AudioConstants",
    "AudioMeta",
    "Constants",
    "FrameForm",
    "Fusion",
    "ImageConstants",
    "ImageMeta",
    "MapConstants",
    "Meta",
    "RetrievalImageConstants",
    "SavedSettings",
    "SeriesConstants",
    "SeriesMeta",
    "StandardiserForm",
    "schemas_of",
]

_LARGEST_SCORE = 1e8  # robust deviations; the largest that compressed values over the smallest deviation can give
_LARGEST = 1e12
_MOST_SCORES, _MOST_ITEMS = 5_000_000, 10_000_000_000

Score = Annotated[float, Field(gt=-_LARGEST_SCORE, lt=_LARGEST_SCORE)]
Number = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
Positive = Annotated[float, Field(gt=0.0, le=_LARGEST)]
Scores = Annotated[list[Score], Field(min_length=1, max_length=_MOST_SCORES)]
Levels = Annotated[list[Fraction], Field(min_length=1, max_length=64)]
Text = Annotated[str, Field(max_length=10_000)]
Texts = Annotated[list[Text], Field(max_length=1_000_000)]
Count = Annotated[int, Field(ge=0, le=_MOST_ITEMS)]
Size = Annotated[int, Field(ge=1, le=1_000_000)]
Sizes = Annotated[list[Size], Field(min_length=1, max_length=64)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{1,128}$")]
Group = Literal["recon", "feature", "memory"]
Space = Literal["feature", "pixel"]
ClipSpace = Literal["features", "texture", "levels"]
Usual = tuple[Number, Positive]


class _Saved(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


# meta.json


class _Added(_Saved):
    package_version: Annotated[str, Field(max_length=100)]
    data_fingerprint: Text
    num_items: Count
    num_remembered: Count
    num_calibration: Count
    num_left_out: Count


class Meta(_Saved):
    facts_sha256: Digest
    modality: Modality
    package_version: Annotated[str, Field(max_length=100)]
    data_fingerprint: Text
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    preset: Text
    read_options: Annotated[dict[Annotated[str, Field(max_length=100)], JsonValue], Field(max_length=100)]
    added: Annotated[list[_Added], Field(max_length=100_000)] = []
    traits: Annotated[dict[Annotated[str, Field(max_length=100)], Usual], Field(max_length=100)] = {}


class _BlockStatistics(_Saved):
    size: Size
    channels: Annotated[list[tuple[Usual, Usual, Usual, Usual, Usual]], Field(max_length=100_000)]


class SeriesMeta(Meta):
    kind: Literal["stream", "panel"]
    channel_names: Annotated[list[Text], Field(min_length=1, max_length=100_000)]
    num_train_items: Count
    num_train_points: Count
    day_first: bool | None
    block_statistics: _BlockStatistics | None = None


class ImageMeta(Meta):
    num_train_images: Count
    num_calibration_images: Count
    num_channels: Size
    brightest_value: Annotated[float, Field(ge=0.0, le=1e12)] | None = None
    warnings: Texts


class AudioMeta(Meta):
    num_train_recordings: Count
    train_duration_s: Annotated[float, Field(ge=0.0, le=1e12)]
    num_train_clips: Count
    num_calibration_clips: Count
    warnings: Texts


# config.json


class SavedSettings(DetectorConfig):
    """All settings, and the automatic choices with their evidence; those are for people's eyes."""

    choices: Annotated[dict[Text, JsonValue], Field(max_length=1000)]

    def settings(self) -> DetectorConfig:
        """Return the settings alone."""
        return DetectorConfig(**{name: getattr(self, name) for name in DetectorConfig.model_fields})


# calibration.json


class Fusion(_Saved):
    reconstruction_weight: Weight
    memory_weight: Weight


class StandardiserForm(_Saved):
    terms: Annotated[dict[Text, tuple[list[Number], list[Positive]]], Field(min_length=1, max_length=64)]
    groups: Annotated[dict[Group, Usual], Field(min_length=1)]
    score: Usual


class Constants(_Saved):
    scores: Scores
    blocks: Scores
    block_size: Annotated[int, Field(ge=1, le=1_000_000)]
    source: Text
    fusion: Fusion | None = None  # none where no terms are weighed


class _Plan(_Saved):
    sizes: Sizes
    strides: Sizes
    tensor_length: Annotated[int, Field(ge=1, le=65_536)]
    period: Annotated[int, Field(ge=0, le=1_000_000_000)]
    panel: bool


class _Scorer(_Saved):
    noise_levels: Levels
    standardiser: StandardiserForm
    point_statistics: Usual
    num_neighbors: Annotated[int, Field(ge=0, le=10_000)]


class _Basis(_Saved):
    distance: Annotated[dict[Text, Usual], Field(min_length=1, max_length=64)]
    residual: Annotated[list[Usual], Field(min_length=1, max_length=100_000)]
    log_odds: Annotated[list[Annotated[float, Field(ge=-1e4, le=1e4)]], Field(min_length=1, max_length=100_000)]
    liveliness: Annotated[list[tuple[Usual, Usual]], Field(min_length=1, max_length=100_000)]


class _Memory(_Saved):
    size: Size
    channels: Annotated[list[Annotated[int, Field(ge=0, lt=100_000)]], Field(min_length=1, max_length=100_000)]
    basis: _Basis


class _Scale(_Saved):
    centre: Annotated[
        list[Annotated[float, Field(ge=-1e300, le=1e300)]], Field(min_length=1)
    ]  # in the data's own units
    scale: Annotated[list[Annotated[float, Field(ge=1e-300, le=1e300)]], Field(min_length=1)]
    spacing: list[Annotated[int, Field(ge=0, le=2**31)]]  # points from one value to the next, 0 without values


class SeriesConstants(Constants):
    """What a model of series holds beside its tensors."""

    plan: _Plan
    scorers: Annotated[list[_Scorer], Field(max_length=64)] = []
    memories: Annotated[list[_Memory], Field(max_length=2000)] = []  # of one by retrieval
    prior_sha256: Digest | None = None
    rare_channels: Annotated[list[Annotated[int, Field(ge=0, lt=100_000)]], Field(max_length=100_000)] = []
    num_remembered: Annotated[list[Count], Field(max_length=64)] = []
    ranges: Annotated[list[tuple[Number, Annotated[float, Field(ge=0.0, le=_LARGEST)]]], Field(max_length=64)]
    scale: _Scale


class MapConstants(Constants):
    """What models of images and of sound have in common."""

    fusion: Fusion
    standardiser: StandardiserForm
    terms: Annotated[list[Text], Field(min_length=1, max_length=64)]
    top_share: Fraction
    noise_levels: dict[Space, Levels]
    perceptual_sha256: Digest
    peaks: Scores
    digests: Annotated[list[Digest], Field(max_length=2_000_000)]


class FrameForm(_Saved):
    size_px: Size
    fit: Literal["letterbox", "stretch"]
    channels: Annotated[int, Field(ge=1, le=4096)]
    aspect: Annotated[float, Field(gt=0.0, le=1e6)]


class ImageConstants(MapConstants):
    """What a model of images holds beside its tensors."""

    frame: FrameForm
    grids: tuple[GridSide, GridSide]


class RetrievalImageConstants(Constants):
    """What a model of images by retrieval holds beside its tensors."""

    fusion: None = None
    frame: FrameForm
    grids: tuple[GridSide, GridSide]
    num_squares: Count
    foreground: Number | None = None
    perceptual_sha256: Digest
    peaks: Scores
    digests: Annotated[list[Digest], Field(max_length=2_000_000)]


class _AudioMap(_Saved):
    sample_rate: int
    clip_samples: int
    f_min: float
    f_max: float | None
    num_rows: int
    columns: int
    transform: str
    spacing: str
    wavelet: str
    width: float
    floor_db: Annotated[float, Field(ge=-1000.0, le=1000.0)]


class _RowScale(_Saved):
    mean_db: list[Number]
    deviation_db: list[Annotated[float, Field(ge=SMALLEST_DEVIATION_DB, le=1e6)]]
    reach: Positive


class AudioConstants(MapConstants):
    """What a model of sound holds beside its tensors."""

    audio_map: _AudioMap
    row_scale: _RowScale
    ratios: dict[ClipSpace, Usual]
    clip_weight: Weight
    usual: tuple[Usual, Usual, Usual]


_SCHEMAS: dict[str, tuple[type[Meta], type[Constants]]] = {
    "series": (SeriesMeta, SeriesConstants),
    "image": (ImageMeta, ImageConstants),
    "audio": (AudioMeta, AudioConstants),
}


def schemas_of(modality: str, config: DetectorConfig) -> tuple[type[Meta], type[Constants]]:
    """Return what meta.json and calibration.json of a modality's models may hold; a new one brings `schema.py`."""
    if modality == "image" and config.image.method == "retrieval":
        return ImageMeta, RetrievalImageConstants
    if modality in _SCHEMAS:
        return _SCHEMAS[modality]
    schema = room_of(modality, "schema")
    return schema.META, schema.CONSTANTS
