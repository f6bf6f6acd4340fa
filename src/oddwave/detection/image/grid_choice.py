"""`memory_grid="auto"` and `denoiser_grid="auto"`: short trials on the same normals, synthetic defects decide.

In each trial both terms look at one and the same grid, learn from some of the images with a small denoiser, and are
asked to tell held-back images from copies with a planted defect. The neutral side (32 for the memory, 16 for the
denoiser) stays unless another is better by more than a standard error. Read `detection/series/representation_choice.py`
for the same idea in series.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from oddwave.config import DetectorConfig
from oddwave.detection.image.learning import make_networks
from oddwave.detection.image.model import ImageModel
from oddwave.detection.image.terms import MapTerms
from oddwave.detection.job import FitJob
from oddwave.scoring.selection import auroc_error
from oddwave.sources.image.items import ImageItem
from oddwave.tensors.image_frame import ImageFrame

__all__ = ["choose_grids", "with_grids"]

_SIDES = (16, 32)
_TRIAL_IMAGES, _TRIAL_HELD = 64, 48
_TRIAL_STEPS, _TRIAL_CHANNELS, _TRIAL_MEMORY = 100, 16, 1000  # at most: a comparison of grids, not a model
_TERMS = {"memory_grid": "memory.patch", "denoiser_grid": "recon.feature"}


def choose_grids(
    config: DetectorConfig,
    frame: ImageFrame,
    roi: Bool[np.ndarray, "h w"] | None,
    train: Sequence[ImageItem],
    held: Sequence[ImageItem],
    new_terms: Callable[[DetectorConfig], MapTerms],
    show_progress: bool,
) -> tuple[DetectorConfig, dict[str, Any]]:
    """Return the config with both grids settled, and the evidence for it: AUROC on synthetic defects by side.

    Nothing is tried, and there is no evidence, where both sides were given, or no term looks at a grid.
    Raises: DataError for an image that cannot be read.
    """
    started = time.process_time()
    used = {"memory_grid": config.maps.patch_memory, "denoiser_grid": config.maps.space != "pixel"}
    open_ones = [name for name in _TERMS if used[name] and getattr(config.maps, name) == "auto"]
    if not open_ones:
        return config, {}
    values: dict[str, dict[str, float]] = {name: {} for name in open_ones}
    some, some_held = _evenly(train, _TRIAL_IMAGES), _evenly(held, _TRIAL_HELD)
    for side in _SIDES:
        trial = with_grids(_smaller(config), *(side if name in open_ones else None for name in _TERMS))
        terms = new_terms(trial)
        make_networks(terms, frame.channels, shows=False)
        model = ImageModel(trial, terms, frame, roi)
        model.fit(some, some_held, FitJob(show_progress))
        found = model.evidence["terms"]["synthetic_auroc"]
        for name in open_ones:
            values[name][str(side)] = found[_TERMS[name]]
    chosen = dict(zip(_TERMS, config.maps.grids, strict=True))
    for name, own in values.items():
        best = max(own, key=lambda side: own[side])
        error = auroc_error(own[best], len(some_held), 2 * len(some_held))
        if own[best] > own[str(chosen[name])] + error:
            chosen[name] = int(best)
    told = {f"{name} {side}": value for name, own in values.items() for side, value in own.items()}
    evidence = {"chosen": chosen, "synthetic_auroc": told, "cpu_s": round(time.process_time() - started, 2)}
    return with_grids(config, chosen["memory_grid"], chosen["denoiser_grid"]), {"grids": evidence}


def with_grids(config: DetectorConfig, memory: int | None, denoiser: int | None) -> DetectorConfig:
    """Return the config with these sides; None leaves one as it is."""
    sides = {name: side for name, side in zip(_TERMS, (memory, denoiser), strict=True) if side is not None}
    return config.model_copy(update={"maps": config.maps.model_copy(update=sides)})


def _smaller(config: DetectorConfig) -> DetectorConfig:
    most = {
        "training.num_steps": _TRIAL_STEPS,
        "network.base_channels": _TRIAL_CHANNELS,
        "scoring.memory_size": _TRIAL_MEMORY,
    }
    sections: dict[str, Any] = {}
    for name, value in most.items():
        section, _, key = name.partition(".")
        own = getattr(config, section)
        sections[section] = own.model_copy(update={key: min(value, getattr(own, key))})
    maps = config.maps.model_copy(update={"space": "feature"})  # grids are of features
    return config.model_copy(update={**sections, "maps": maps})


def _evenly(items: Sequence[ImageItem], most: int) -> list[ImageItem]:
    chosen = np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
    return [items[i] for i in np.unique(chosen)]
