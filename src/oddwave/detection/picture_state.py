"""The picture engine as tensors and constants, and back: what `model.safetensors` and `calibration.json` hold of it.

The frozen perceptual network is not saved: it is loaded again by its name.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oddwave.detection.picture_detection import PictureDetection
from oddwave.detection.picture_scorer import PictureScorer
from oddwave.scoring.fusion import Fusion, Standardiser
from oddwave.scoring.memory import Memory
from oddwave.scoring.position_gaussian import PositionGaussian

__all__ = ["picture_state", "restored_pictures"]

_NETWORKS = ("feature_net", "pixel_net", "decoder")


def picture_state(engine: PictureDetection) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Give an engine's tensors and its constants."""
    scorer = engine.scorer
    assert engine.standardiser is not None
    tensors: dict[str, Tensor] = {"features.centre": scorer.centre, "features.scale": scorer.scale}
    for name in _NETWORKS:
        net: nn.Module | None = getattr(scorer, name)
        if net is not None:
            tensors |= {f"{name}.{key}": value.contiguous() for key, value in net.state_dict().items()}
    if scorer.memory is not None:
        tensors |= {
            f"memory.{key}": torch.from_numpy(np.ascontiguousarray(v)) for key, v in scorer.memory.arrays().items()
        }
    if scorer.statistics is not None:
        tensors |= {f"statistics.{key}": value for key, value in scorer.statistics.arrays().items()}
    for level in scorer.noise_levels.get("feature", ()):
        arrays = scorer.residuals[level].arrays()
        tensors |= {f"residuals_{level:g}.{key}": value for key, value in arrays.items()}
    if engine.roi is not None:
        tensors["roi"] = torch.from_numpy(engine.roi.astype(np.uint8))
    return tensors, {
        "frame": engine.frame.to_dict(),
        "fusion": {
            "reconstruction_weight": engine.fusion.reconstruction_weight,
            "memory_weight": engine.fusion.memory_weight,
        },
        "standardiser": engine.standardiser.to_dict(),
        "terms": list(engine.terms),
        "top_share": engine.top_share,
        "noise_levels": {space: list(levels) for space, levels in scorer.noise_levels.items()},
    }


def restored_pictures(
    engine: PictureDetection, tensors: dict[str, Tensor], constants: dict[str, Any]
) -> PictureDetection:
    """Fill an engine with new networks from what `picture_state` gave. Raises: KeyError, ValueError, RuntimeError."""
    scorer = engine.scorer
    scorer.centre, scorer.scale = tensors["features.centre"], tensors["features.scale"]
    for name in _NETWORKS:
        net: nn.Module | None = getattr(scorer, name)
        if net is not None:
            net.load_state_dict(_part(tensors, name))
            net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    scorer.memory, scorer.statistics = _restored_memories(scorer, tensors)
    scorer.noise_levels = {space: tuple(levels) for space, levels in constants["noise_levels"].items()}
    scorer.residuals = {
        level: PositionGaussian.from_arrays(_part(tensors, f"residuals_{level:g}"))
        for level in scorer.noise_levels.get("feature", ())
    }
    if "roi" in tensors:
        engine.roi = tensors["roi"].numpy().astype(bool)
    engine.fusion = Fusion(**constants["fusion"])
    engine.standardiser = Standardiser.from_dict(constants["standardiser"])
    engine.terms, engine.top_share = tuple(constants["terms"]), float(constants["top_share"])
    return engine


def _restored_memories(
    scorer: PictureScorer, tensors: dict[str, Tensor]
) -> tuple[Memory | None, PositionGaussian | None]:
    patches, places = _part(tensors, "memory"), _part(tensors, "statistics")
    memory = Memory(**{key: value.numpy() for key, value in patches.items()}, num_neighbors=1) if patches else None
    return memory, PositionGaussian.from_arrays(places) if places else None


def _part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
