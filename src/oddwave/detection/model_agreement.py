"""What the files of a saved model must say alike: facts that stand in several places, or follow from one another.

Used when a model is saved and when it is loaded. Read `model_schema.py` for what each file may hold by itself.
"""

from collections.abc import Sized
from typing import Any

from oddwave.detection.model_schema import (
    AudioConstants,
    AudioMeta,
    Constants,
    FrameForm,
    Fusion,
    ImageConstants,
    ImageMeta,
    MapConstants,
    Meta,
    RetrievalImageConstants,
    SavedSettings,
    SeriesConstants,
    SeriesMeta,
    StandardiserForm,
)
from oddwave.tensors.audio_settings import AudioMapSettings
from oddwave.tensors.spaces import CONVOLUTION_SPACES

__all__ = ["check_agreement"]

_SAME = 1e-9
_DIGITS = 1e16  # of a float64: a difference below this share of a number is its rounding


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
    elif isinstance(meta, ImageMeta) and isinstance(saved, RetrievalImageConstants):
        _agree("scores and peaks", [len(saved.scores), len(saved.peaks)], [meta.num_calibration_images] * 2)
        _check_frame(meta, config, saved.frame)
        _agree("the grids", list(saved.grids), list(config.maps.grids))
    elif isinstance(meta, AudioMeta) and isinstance(saved, AudioConstants):
        _check_maps(config, saved, meta.num_calibration_clips)
        _check_audio(config, saved)


def _check_weights(config: SavedSettings, fusion: Fusion) -> None:
    for name, weight in fusion.model_dump().items():
        _as_chosen(name, weight, getattr(config.scoring, name), config.choices.get("weights"), name)


def _check_series(meta: SeriesMeta, config: SavedSettings, saved: SeriesConstants) -> None:
    plan, num_channels = saved.plan, len(meta.channel_names)
    _agree("kind and plan", meta.kind == "panel", plan.panel)
    scales = [saved.scale.centre, saved.scale.scale, saved.scale.spacing or saved.scale.scale]
    _agree("the numbers of channels", [len(side) for side in scales], [num_channels] * 3)
    if any(abs(centre) > _DIGITS * scale for centre, scale in zip(saved.scale.centre, saved.scale.scale, strict=True)):
        raise ValueError("a scale is smaller than the rounding of its centre")
    by_retrieval = config.series.method == "retrieval"
    sides: list[Sized] = [plan.strides, plan.sizes if by_retrieval else saved.scorers, saved.ranges or plan.sizes]
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
    if by_retrieval or saved.fusion is None:
        _check_retrieval(saved, num_channels)
        return
    _check_weights(config, saved.fusion)
    spaces = dict.fromkeys(config.memory_spaces(panel=plan.panel))
    for scorer in saved.scorers:
        _agree("the noise levels", scorer.noise_levels, _chosen(config, "noise_levels", config.scoring.noise_levels))
        _agree("the neighbours", scorer.num_neighbors, config.scoring.num_neighbors if spaces else 0)
        levels = len(scorer.noise_levels)
        widths = {"recon": levels, "feature": levels, **{f"memory.{space}": 1 for space in spaces}}
        _check_standardiser(scorer.standardiser, widths)


def _check_retrieval(saved: SeriesConstants, num_channels: int) -> None:
    _agree(
        "the parts of a model by retrieval", [saved.fusion, saved.scorers, bool(saved.prior_sha256)], [None, [], True]
    )
    _agree("the numbers of windows", len(saved.num_remembered), len(saved.plan.sizes))
    spaces = set(CONVOLUTION_SPACES) if saved.plan.panel else {"input"}
    views = {tuple(range(num_channels)), *((channel,) for channel in range(num_channels))}
    for memory in saved.memories:
        basis, num = memory.basis, len(memory.channels)
        _agree("the spaces", set(basis.distance), spaces)
        _agree("the numbers of channels", [len(basis.residual), len(basis.log_odds), len(basis.liveliness)], [num] * 3)
        if tuple(memory.channels) not in views:
            raise ValueError(f"no memory looks at the channels {memory.channels!r:.60} together")
    _agree("the window sizes", {memory.size for memory in saved.memories}, set(saved.plan.sizes))


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
        _check_weights(config, saved.fusion)
    _as_chosen("top_share", saved.top_share, maps.top_share, config.choices.get("top_share"))


def _check_images(meta: ImageMeta, config: SavedSettings, saved: ImageConstants) -> None:
    _check_frame(meta, config, saved.frame)
    for name, side in zip(("memory_grid", "denoiser_grid"), saved.grids, strict=True):
        _as_chosen(name, side, getattr(config.maps, name), _chosen(config, "grids", {}), name)


def _check_frame(meta: ImageMeta, config: SavedSettings, frame: FrameForm) -> None:
    image = config.image
    _agree("the channels", frame.channels, meta.num_channels)
    _agree("the size", frame.size_px, image.size_px)
    if image.fit != "auto":
        _agree("the way of fitting", frame.fit, image.fit)


def _check_audio(config: SavedSettings, saved: AudioConstants) -> None:
    audio = config.audio
    expected = AudioMapSettings.of(audio).to_dict() | {"floor_db": saved.audio_map.floor_db}
    _agree("the map of sounds", saved.audio_map.model_dump(), expected)
    rows = saved.row_scale
    _agree("the rows", [len(rows.mean_db), len(rows.deviation_db)], [audio.num_rows] * 2)
    _agree("the spaces of clips", set(saved.ratios), set(audio.clip_spaces) if audio.num_background else set())
    wanted = audio.clip_weight if saved.ratios else 0.0
    _as_chosen("clip_weight", saved.clip_weight, wanted, config.choices.get("clip_weight"))


def _check_standardiser(standardiser: StandardiserForm, widths: dict[str, int]) -> None:
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
