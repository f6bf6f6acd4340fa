"""The ablation: what each part is worth, as named sets of overrides of one of two stated grounds.

    paper   what the paper describes (`full`): its four additions, noise prediction, lambda 0.5, and of images both
            losses; the denoiser has everything to say and nothing is remembered. One noise level, so that no choice
            among levels differs between variants. Images at 64 px with 250 steps of 8, series with 300 steps.
    own     oddwave's balanced preset (`own`); of images with 32 channels, 200 steps and 2,000 remembered patches of
            200 images, on grids that are given, so that a cell takes about a minute on one core

Both are about the denoiser (`series.method=denoiser`, `image.method=denoiser`), whose parts these switches are.

A variant changes its ground by the fewest settings that make up the switch, and is compared with its ground's
reference. A variant called `name` runs as the method `ablation/name`, an ordinary cell of `runner.py`: resumable, with
a row for each error. What a modality does not have, `ABSENT` says with the reason. Read `ablation_sampled.py` next for
the variants called `sampled_*`, and `ablation_tables.py` for what becomes of the rows.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from oddwave.config import DetectorConfig, preset
from oddwave.errors import ConfigError, DataError
from oddwave.lab.bench.ablation_sampled import score_sampled_images, score_sampled_series
from oddwave.lab.bench.own_methods import PAPER_SETTING, score_task
from oddwave.lab.bench.protocol import AnyTask, ImageTask, Outcome, Task, load_tasks
from oddwave.lab.bench.quick import at_effort

__all__ = [
    "ABSENT",
    "GROUNDS",
    "REFERENCES",
    "VARIANTS",
    "AblationModality",
    "Ground",
    "Variant",
    "ablation_tasks",
    "ablation_work",
    "is_variant",
    "run_variant",
    "variant_applies",
    "variant_methods",
    "variant_of",
    "variant_settings",
]

AblationModality = Literal["image", "series"]
Ground = Literal["paper", "own"]

_PREFIX = "ablation/"
_BATCH = 8
_SERIES_ITEMS = ("nyc_taxi", "machine_temperature_system_failure", "ECG200", "Wafer")
_IMAGE_ITEMS = ("bottle", "cable", "hazelnut", "metal_nut", "pill", "tile", "screw", "magnetic_tile")

GROUNDS: Mapping[Ground, Mapping[AblationModality, tuple[str, ...]]] = {
    "paper": {
        "image": (
            "image.method=denoiser",
            *PAPER_SETTING,
            "training.num_steps=250",
            "training.batch_size=8",
            "scoring.reconstruction_weight=0.5",
            "scoring.noise_levels=[0.4]",
            "scoring.num_noise_draws=1",
            "maps.top_share=0.002",
            "maps.memory_grid=32",
            "maps.denoiser_grid=16",
            "image.max_images=200",
        ),
        "series": (
            "series.method=denoiser",
            "training.prediction_type=epsilon",
            "training.num_steps=300",
            "scoring.reconstruction_weight=0.5",
            "scoring.noise_levels=[0.4]",
            "scoring.memory_spaces=[]",
            "scoring.memory_weight=0",
        ),
    },
    "own": {
        "image": (
            "image.method=denoiser",
            "network.base_channels=32",
            "training.num_steps=200",
            "scoring.memory_size=2000",
            "maps.memory_grid=32",
            "maps.denoiser_grid=16",
            "image.max_images=200",
        ),
        "series": ("series.method=denoiser",),
    },
}
REFERENCES: Mapping[Ground, str] = {"paper": "full", "own": "own"}


@dataclass(frozen=True)
class Variant:
    """A switch: its ground, and what it changes in each modality that has it.

    `sampled` scores by a sampler's reconstruction; `streams_only` has no meaning for instances of a panel.
    """

    name: str
    ground: Ground
    changes: Mapping[AblationModality, tuple[str, ...]]
    sampled: bool = False
    streams_only: bool = False


def _both(name: str, ground: Ground, *changes: str, sampled: bool = False) -> Variant:
    return Variant(name, ground, {"image": changes, "series": changes}, sampled)


def _sampled(name: str, noise_level: float, num_inference_steps: int) -> Variant:
    level, steps = (
        f"reconstruction.noise_level={noise_level}",
        f"reconstruction.num_inference_steps={num_inference_steps}",
    )
    return _both(name, "paper", level, steps, sampled=True)


_ALL: tuple[Variant, ...] = (
    _both("full", "paper"),
    _both("no_wavelet_pyramid", "paper", "network.wavelet_pyramid=false"),
    _both("no_attention", "paper", "network.attention=false"),
    _both("no_shared_adapter", "paper", "network.shared_adapter=false"),
    _both("no_hybrid_embedding", "paper", "network.hybrid_embedding=false"),
    Variant("gamma_0", "paper", {"image": ("training.feature_loss_weight=0.0",)}),
    _both("lambda_0", "paper", "scoring.reconstruction_weight=0.0"),
    _both("lambda_1", "paper", "scoring.reconstruction_weight=1.0"),
    _sampled("sampled_1", 0.4, 1),
    _sampled("sampled_10", 0.4, 10),
    _sampled("sampled_50", 0.4, 50),
    _sampled("sampled_full_noise", 1.0, 50),
    _both("own", "own"),
    _both("noise_low", "own", "scoring.noise_levels=[0.1]"),
    _both("noise_mid", "own", "scoring.noise_levels=[0.4]"),
    _both("noise_high", "own", "scoring.noise_levels=[0.75]"),
    _both("noise_full", "own", "scoring.noise_levels=[1.0]"),
    Variant("inversion_4", "own", {"image": ("maps.error=inversion",)}),
    Variant("no_memory", "own", {"image": ("maps.patch_memory=false",), "series": ("scoring.memory_weight=0.0",)}),
    _both("memory_alone", "own", "scoring.memory_weight=1.0"),
    Variant("aggregate_mean", "own", {"image": ("maps.top_share=1.0",)}),
    Variant("aggregate_max", "own", {"image": (f"maps.top_share={1 / 4096}",)}),
    Variant("aggregate_point", "own", {"series": ("scoring.aggregate=point",)}, streams_only=True),
    Variant("aggregate_blend", "own", {"series": ("scoring.aggregate=blend",)}, streams_only=True),
    Variant("space_pixel", "own", {"image": ("maps.space=pixel",)}),
    Variant("space_scalogram", "own", {"series": ("series.representation=scalogram",)}),
    Variant("steps_quarter", "own", {"image": ("training.num_steps=50",), "series": ("training.num_steps=38",)}),
    Variant("steps_fourfold", "own", {"image": ("training.num_steps=800",), "series": ("training.num_steps=600",)}),
)
VARIANTS: Mapping[str, Variant] = {variant.name: variant for variant in _ALL}

ABSENT: Mapping[AblationModality, Mapping[str, str]] = {
    "image": {
        "aggregate_point": "an image has one score, whose making aggregate_mean and aggregate_max change",
        "aggregate_blend": "as aggregate_point",
        "space_scalogram": "images are 2-D already; their other space is space_pixel",
    },
    "series": {
        "gamma_0": "the frozen network knows images: windows are trained without L_feat, gamma is 0 always",
        "inversion_4": "series have no error by inversion",
        "aggregate_mean": "of series, aggregate_point and aggregate_blend",
        "aggregate_max": "as aggregate_mean",
        "space_pixel": "series have no feature space: the denoiser sees the window itself, or space_scalogram",
    },
}


def is_variant(method: str) -> bool:
    """Return whether a method of the benchmark is a variant of the ablation."""
    return method.startswith(_PREFIX)


def variant_of(method: str) -> Variant:
    """Return the variant that a method `ablation/name` runs. Raises: ConfigError for a name that is none."""
    name = method.removeprefix(_PREFIX)
    if name not in VARIANTS:
        raise ConfigError(f"variant '{name}' does not exist; choose from {', '.join(VARIANTS)}")
    return VARIANTS[name]


def variant_methods(modality: str, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the methods of the variants that a modality has, or of those named and of what they are compared with.

    Raises: ConfigError for a name that is none, or that this modality does not have.
    """
    own = [variant.name for variant in _ALL if modality in variant.changes]
    if names is None:
        return tuple(_PREFIX + name for name in own)
    grounds = {variant_of(name).ground for name in names}
    for name in names:
        if name not in own:
            reason = next((ABSENT[each][name] for each in ABSENT if each == modality), "no ablation is run there")
            raise ConfigError(f"there is no variant '{name}' for modality '{modality}': {reason}")
    return tuple(_PREFIX + name for name in own if name in names or name in {REFERENCES[ground] for ground in grounds})


def variant_applies(method: str, task: AnyTask) -> bool:
    """Return whether a variant means something for this task: errors of single points do not for whole instances."""
    return not (variant_of(method).streams_only and isinstance(task, Task) and task.is_panel)


def variant_settings(name: str, modality: AblationModality, seed: int) -> DetectorConfig:
    """Return all settings of a variant: the balanced preset, its ground, its own changes."""
    variant = variant_of(name)
    ground = preset("balanced", modality=modality, seed=seed).with_overrides(GROUNDS[variant.ground][modality])
    return ground.with_overrides(variant.changes[modality])


def ablation_tasks(root: Path, modality: AblationModality, only: Collection[str] | None = None) -> list[AnyTask]:
    """Load what the ablation runs on: the items named, else a small default set of what is there.

    Of NAB each file is a stream without labels (`unsupervised`), unless "nab/semi" is named.
    Raises: as `load_tasks`.
    """
    tasks = load_tasks(root, only, modality)
    if only is None:
        default = _IMAGE_ITEMS if modality == "image" else _SERIES_ITEMS
        tasks = [task for task in tasks if task.item.rpartition("/")[2] in default] or tasks
    wanted = only or ()
    return [task for task in tasks if (task.dataset, task.protocol) != ("nab", "semi") or "nab/semi" in wanted]


def ablation_work(
    root: Path, modality: str | None, only: Collection[str] | None = None, names: Sequence[str] | None = None
) -> list[tuple[AblationModality, list[AnyTask], tuple[str, ...]]]:
    """Return (modality, tasks, methods) of one modality, or of each that has data and one of the named variants.

    Raises: ConfigError for a modality or variant that does not exist; as `load_tasks`.
    """
    for name in names or ():
        variant_of(name)
    if modality is not None:
        chosen = next((each for each in ABSENT if each == modality), None)
        if chosen is None:
            raise ConfigError(f"--modality '{modality}' has no ablation: give image or series")
        return [(chosen, ablation_tasks(root, chosen, only), variant_methods(chosen, names))]
    work, refused = [], []
    for each in ABSENT:
        own = None if names is None else [name for name in names if each in VARIANTS[name].changes]
        if own == []:
            continue
        try:
            work.append((each, ablation_tasks(root, each, only), variant_methods(each, own)))
        except (ConfigError, DataError) as error:
            refused.append(error)
    if not work:
        raise refused[-1]
    return work


def run_variant(method: str, task: AnyTask, seed: int) -> Outcome:
    """Run a variant on one task. Raises: ConfigError for a modality that does not have it."""
    variant_methods(task.modality, [method.removeprefix(_PREFIX)])
    settings = at_effort(variant_settings(method, "image" if isinstance(task, ImageTask) else "series", seed), task)
    if variant_of(method).sampled and isinstance(task, ImageTask):
        return score_sampled_images(settings, task)
    if variant_of(method).sampled and isinstance(task, Task):
        return score_sampled_series(settings, task)
    return score_task(settings, task)
