"""What the JSON of a saved model must hold: names, types and bounds, and what the files must say alike.

One schema for all of it, used when a model is saved and when it is loaded: whatever a fit can give lies within, and
what lies outside would score silently wrong, or not at all. Tensors: `model_tensors.py`. Read `archive.py` next.
"""

from collections.abc import Sized
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from oddwave.config import DetectorConfig, Fraction, GridSide, Modality, Weight
from oddwave.registry import room_of
from oddwave.tensors.audio_settings import SMALLEST_DEVIATION_DB, AudioMapSettings

__all__ = [
    "AudioConstants",
    "AudioMeta",
    "Constants",
    "ImageConstants",
    "ImageMeta",
    "Meta",
    "SavedSettings",
    "SeriesConstants",
    "SeriesMeta",
    "check_agreement",
    "schemas_of",
]

_LARGEST_SCORE = 1e8  # robust deviations; the largest that compressed values over the smallest deviation can give
_LARGEST = 1e12
_MOST_SCORES, _MOST_ITEMS = 5_000_000, 10_000_000_000
_SAME = 1e-9
_DIGITS = 1e16  # of a float64: a difference below this share of a number is its rounding

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


class SeriesMeta(Meta):
    kind: Literal["stream", "panel"]
    channel_names: Annotated[list[Text], Field(min_length=1, max_length=100_000)]
    num_train_items: Count
    num_train_points: Count
    day_first: bool | None


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


class _Fusion(_Saved):
    reconstruction_weight: Weight
    memory_weight: Weight


class _Standardiser(_Saved):
    terms: Annotated[dict[Text, tuple[list[Number], list[Positive]]], Field(min_length=1, max_length=64)]
    groups: Annotated[dict[Group, Usual], Field(min_length=1)]
    score: Usual


class Constants(_Saved):
    scores: Scores
    blocks: Scores
    block_size: Annotated[int, Field(ge=1, le=1_000_000)]
    source: Text
    fusion: _Fusion


class _Plan(_Saved):
    sizes: Sizes
    strides: Sizes
    tensor_length: Annotated[int, Field(ge=1, le=65_536)]
    period: Annotated[int, Field(ge=0, le=1_000_000_000)]
    panel: bool


class _Scorer(_Saved):
    noise_levels: Levels
    standardiser: _Standardiser
    point_statistics: Usual
    num_neighbors: Annotated[int, Field(ge=0, le=10_000)]


class _Scale(_Saved):
    centre: Annotated[
        list[Annotated[float, Field(ge=-1e300, le=1e300)]], Field(min_length=1)
    ]  # in the data's own units
    scale: Annotated[list[Annotated[float, Field(ge=1e-300, le=1e300)]], Field(min_length=1)]
    spacing: list[Annotated[int, Field(ge=0, le=2**31)]]  # points from one value to the next, 0 without values


class SeriesConstants(Constants):
    """What a model of series holds beside its tensors."""

    plan: _Plan
    scorers: Annotated[list[_Scorer], Field(min_length=1, max_length=64)]
    ranges: Annotated[list[tuple[Number, Annotated[float, Field(ge=0.0, le=_LARGEST)]]], Field(max_length=64)]
    scale: _Scale


class MapConstants(Constants):
    """What models of images and of sound have in common."""

    standardiser: _Standardiser
    terms: Annotated[list[Text], Field(min_length=1, max_length=64)]
    top_share: Fraction
    noise_levels: dict[Space, Levels]
    perceptual_sha256: Digest
    peaks: Scores
    digests: Annotated[list[Digest], Field(max_length=2_000_000)]


class _Frame(_Saved):
    size_px: Size
    fit: Literal["letterbox", "stretch"]
    channels: Annotated[int, Field(ge=1, le=4096)]
    aspect: Annotated[float, Field(gt=0.0, le=1e6)]


class ImageConstants(MapConstants):
    """What a model of images holds beside its tensors."""

    frame: _Frame
    grids: tuple[GridSide, GridSide]


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


def schemas_of(modality: str) -> tuple[type[Meta], type[Constants]]:
    """Return what meta.json and calibration.json of a modality's models may hold; a new one brings `schema.py`."""
    if modality in _SCHEMAS:
        return _SCHEMAS[modality]
    schema = room_of(modality, "schema")
    return schema.META, schema.CONSTANTS


# What must agree between the files


def check_agreement(meta: Meta, config: SavedSettings, saved: Constants) -> None:
    """Check that facts which stand in several places, or follow from one another, agree.

    Raises:
        ValueError: in a few words, what does not.
    """
    _agree("the modality", meta.modality, config.modality)
    _agree("the seed", meta.seed, config.seed)
    _agree("the preset", meta.preset, config.preset)
    if max(saved.blocks) != max(saved.scores) or not set(saved.blocks) <= set(saved.scores):
        raise ValueError("the maxima of blocks are not those of the scores")
    if sum(own.num_calibration for own in meta.added) >= len(saved.scores):
        raise ValueError("more calibration scores were added than there are")
    if saved.block_size == 1:
        _agree("scores and blocks of one", saved.blocks, saved.scores)
    if isinstance(meta, SeriesMeta) and isinstance(saved, SeriesConstants):
        _check_series(meta, config, saved)
    elif isinstance(meta, ImageMeta) and isinstance(saved, ImageConstants):
        _check_maps(config, saved, meta.num_calibration_images)
        _check_images(meta, config, saved)
    elif isinstance(meta, AudioMeta) and isinstance(saved, AudioConstants):
        _check_maps(config, saved, meta.num_calibration_clips)
        _check_audio(config, saved)


def _check_weights(config: SavedSettings, saved: Constants) -> None:
    for name, weight in saved.fusion.model_dump().items():
        _as_chosen(name, weight, getattr(config.scoring, name), config.choices.get("weights"), name)


def _check_series(meta: SeriesMeta, config: SavedSettings, saved: SeriesConstants) -> None:
    plan, num_channels = saved.plan, len(meta.channel_names)
    _agree("kind and plan", meta.kind == "panel", plan.panel)
    scales = [saved.scale.centre, saved.scale.scale, saved.scale.spacing or saved.scale.scale]
    _agree("the numbers of channels", [len(side) for side in scales], [num_channels] * 3)
    if any(abs(centre) > _DIGITS * scale for centre, scale in zip(saved.scale.centre, saved.scale.scale, strict=True)):
        raise ValueError("a scale is smaller than the rounding of its centre")
    sides: list[Sized] = [plan.strides, saved.scorers, saved.ranges or plan.sizes]
    _agree("the numbers of window sizes", [len(side) for side in sides], [len(plan.sizes)] * 3)
    if sorted(set(plan.sizes)) != plan.sizes or (plan.panel and len(plan.sizes) > 1):
        raise ValueError("the window sizes do not rise")
    _agree("the block size", saved.block_size, 1 if plan.panel else plan.sizes[len(plan.sizes) // 2])
    length = min(max(-(-plan.sizes[0] // 4) * 4, 16), 128) if plan.panel else config.series.tensor_length
    _agree("the tensor length", plan.tensor_length, length)
    windows = config.choices.get("windows")
    if isinstance(windows, dict) and isinstance(windows.get("sizes"), list):
        _within("the window sizes", plan.sizes, windows["sizes"])
    if config.series.representation == "folded" and not 2 <= plan.period <= plan.sizes[0]:
        raise ValueError("folded windows need a period")
    _check_weights(config, saved)
    spaces = dict.fromkeys(config.memory_spaces(panel=plan.panel))
    for scorer in saved.scorers:
        _agree("the noise levels", scorer.noise_levels, _chosen(config, "noise_levels", config.scoring.noise_levels))
        _agree("the neighbours", scorer.num_neighbors, config.scoring.num_neighbors if spaces else 0)
        levels = len(scorer.noise_levels)
        widths = {"recon": levels, "feature": levels, **{f"memory.{space}": 1 for space in spaces}}
        _check_standardiser(scorer.standardiser, widths)


def _check_maps(config: SavedSettings, saved: MapConstants, num_calibration: int) -> None:
    maps, levels = config.maps, saved.noise_levels
    _agree("scores and peaks", [len(saved.scores), len(saved.peaks)], [num_calibration] * 2)
    spaces = ("feature", "pixel") if maps.space == "both" else (maps.space,)
    _agree("the spaces", set(levels), set(spaces))
    for space, own in levels.items():
        _within("the noise levels", own, config.scoring.noise_levels)
        _agree("the noise levels", own, _chosen(config, f"noise_levels_{space}", own))
    widths = {f"recon.{space}": len(own) for space, own in levels.items()}
    widths |= {"feature.pixel": len(levels["pixel"])} if "pixel" in levels else {}
    widths |= {"memory.patch": 1} if maps.patch_memory else {}
    widths |= {"memory.position": 1} if maps.statistics else {}
    if len(set(saved.terms)) != len(saved.terms) or not set(saved.terms) <= set(widths):
        raise ValueError(f"the terms are not among {', '.join(widths)}")
    _agree("the terms", saved.terms, _chosen(config, "terms", saved.terms))
    _check_standardiser(saved.standardiser, {name: widths[name] for name in saved.terms})
    if any(name.startswith("recon.") for name in saved.terms):  # else the memory has everything to say
        _check_weights(config, saved)
    _as_chosen("top_share", saved.top_share, maps.top_share, config.choices.get("top_share"))


def _check_images(meta: ImageMeta, config: SavedSettings, saved: ImageConstants) -> None:
    image, frame = config.image, saved.frame
    _agree("the channels", frame.channels, meta.num_channels)
    _agree("the size", frame.size_px, image.size_px)
    if image.fit != "auto":
        _agree("the way of fitting", frame.fit, image.fit)
    for name, side in zip(("memory_grid", "denoiser_grid"), saved.grids, strict=True):
        _as_chosen(name, side, getattr(config.maps, name), _chosen(config, "grids", {}), name)


def _check_audio(config: SavedSettings, saved: AudioConstants) -> None:
    audio = config.audio
    expected = AudioMapSettings.of(audio).to_dict() | {"floor_db": saved.audio_map.floor_db}
    _agree("the map of sounds", saved.audio_map.model_dump(), expected)
    rows = saved.row_scale
    _agree("the rows", [len(rows.mean_db), len(rows.deviation_db)], [audio.num_rows] * 2)
    _agree("the spaces of clips", set(saved.ratios), set(audio.clip_spaces) if audio.num_background else set())
    wanted = audio.clip_weight if saved.ratios else 0.0
    _as_chosen("clip_weight", saved.clip_weight, wanted, config.choices.get("clip_weight"))


def _check_standardiser(standardiser: _Standardiser, widths: dict[str, int]) -> None:
    _agree("the standardised terms", set(standardiser.terms), set(widths))
    _agree("the groups", set(standardiser.groups), {name.partition(".")[0] for name in widths})
    for name, (means, deviations) in standardiser.terms.items():
        _agree(f"the values of '{name}'", [len(means), len(deviations)], [widths[name]] * 2)


def _chosen(config: SavedSettings, name: str, otherwise: Any) -> Any:
    """Return what the evidence says was chosen, where there is evidence."""
    evidence = config.choices.get(name)
    chosen = evidence.get("chosen", otherwise) if isinstance(evidence, dict) else otherwise
    return list(chosen) if isinstance(chosen, tuple) else chosen


def _as_chosen(name: str, value: float, wanted: Any, evidence: Any, key: str = "chosen") -> None:
    """A setting is what was asked for; where nothing was, what the evidence says was chosen."""
    if wanted != "auto":
        chosen = wanted
    elif isinstance(evidence, dict):
        chosen = evidence.get(key, value)
    else:
        return
    if not isinstance(chosen, int | float) or abs(chosen - value) > _SAME:
        raise ValueError(f"{name} is {value:g}, the settings say {chosen!r:.40}")


def _agree(what: str, value: Any, expected: Any) -> None:
    if value != expected:
        raise ValueError(f"{what} do not agree: {value!r:.60} and {expected!r:.60}")


def _within(what: str, values: Any, known: Any) -> None:
    if len(set(values)) != len(values) or not set(values) <= set(known):
        raise ValueError(f"{what} are {values!r:.60}, the settings say {known!r:.60}")
