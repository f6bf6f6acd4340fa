"""The series model as tensors and constants, and back: what `model.safetensors` and `calibration.json` hold of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from oddwave.config import DetectorConfig
from oddwave.detection.model_tensors import Expected, TensorFile, expected_bank, expected_memory, expected_network
from oddwave.detection.series.denoiser_model import DenoiserModel
from oddwave.detection.series.missing_values import Bank
from oddwave.detection.series.models import SeriesModel
from oddwave.detection.series.plan import WindowPlan
from oddwave.detection.series.retrieval_model import RetrievalModel
from oddwave.detection.series.retrieval_state import restored_retrieval, retrieval_state
from oddwave.detection.series.terms import STANDARDISED, WindowScorer
from oddwave.scoring.fusion import Fusion, Standardiser
from oddwave.scoring.memory import Memory
from oddwave.tensors.representation import MAP_SPACES, map_width

__all__ = ["model_state", "restored_model"]


def model_state(model: SeriesModel) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return a model's tensors and its constants."""
    tensors, constants = retrieval_state(model) if isinstance(model, RetrievalModel) else _denoiser_state(model)
    plan = {name: getattr(model.plan, name) for name in ("tensor_length", "period", "panel")}
    sides = {"sizes": list(model.plan.sizes), "strides": list(model.plan.strides)}
    return tensors, {**constants, "plan": {**sides, **plan}, "ranges": [list(pair) for pair in model.ranges]}


def _denoiser_state(model: DenoiserModel) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    tensors = {f"net.{name}": tensor for name, tensor in model.net.state_dict().items()}
    for number, scorer in enumerate(model.scorers):
        tensors |= scorer.to_arrays(f"memory.{number}")
    return tensors, {
        "fusion": {
            "reconstruction_weight": model.fusion.reconstruction_weight,
            "memory_weight": model.fusion.memory_weight,
        },
        "scorers": [_scorer_constants(scorer) for scorer in model.scorers],
    }


def restored_model(config: DetectorConfig, n_channels: int, file: TensorFile, constants: dict[str, Any]) -> SeriesModel:
    """Build the model that `model_state` described, from constants that keep to the schema of `model_schema.py`.

    Raises:
        CheckpointError: the tensors are not those that settings and constants imply.
    """
    saved_plan = constants["plan"]
    plan = WindowPlan(
        tuple(saved_plan["sizes"]),
        tuple(saved_plan["strides"]),
        int(saved_plan["tensor_length"]),
        int(saved_plan["period"]),
        bool(saved_plan["panel"]),
        {},  # among the model's choices; scoring does not need it
    )
    if config.series.method == "retrieval":
        model: SeriesModel = restored_retrieval(config, plan, n_channels, file, constants)
    else:
        model = _restored_denoiser(config, plan, n_channels, file, constants)
    model.ranges = tuple((float(usual), float(reach)) for usual, reach in constants["ranges"])
    return model


def _restored_denoiser(
    config: DetectorConfig, plan: WindowPlan, n_channels: int, file: TensorFile, constants: dict[str, Any]
) -> DenoiserModel:
    outline = DenoiserModel.build(config, plan, n_channels, outline=True)
    num_levels = len(constants["scorers"][0]["noise_levels"])
    tensors = file.checked(_expected(config, outline, num_levels))
    model = DenoiserModel.build(config, plan, n_channels)
    model.net.load_state_dict({k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")})
    model.net.eval()
    model.fusion = Fusion(**constants["fusion"])
    for number, (scorer, saved) in enumerate(zip(model.scorers, constants["scorers"], strict=True)):
        scorer.noise_levels = tuple(saved["noise_levels"])
        scorer.standardiser = Standardiser.from_dict(saved["standardiser"])
        scorer.point_statistics = (saved["point_statistics"][0], saved["point_statistics"][1])
        prefix = f"memory.{number}."
        own = {name.removeprefix(prefix): part.numpy() for name, part in tensors.items() if name.startswith(prefix)}
        scorer.bank = Bank(**_parts(own, "bank"))
        for space in config.memory_spaces(panel=plan.panel):
            scorer.memories[space] = Memory(**_parts(own, space), num_neighbors=saved["num_neighbors"])
    return model


def _parts(arrays: Mapping[str, np.ndarray], space: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(f"{space}."): own for name, own in arrays.items() if name.startswith(f"{space}.")}


def _expected(config: DetectorConfig, outline: DenoiserModel, num_levels: int) -> dict[str, Expected]:
    """Return which tensors a model with these settings and this plan holds."""
    expected = expected_network("net", outline.net)
    for number, scorer in enumerate(outline.scorers):
        kind = scorer.representation
        channels, window_size, length = kind.n_channels, kind.window_size, kind.tensor_length
        widths = {
            "input": channels * min(window_size, length),
            "feature": outline.net.feature_width * num_levels,
            "statistics": 2 * channels,
        }
        expected |= expected_bank(f"memory.{number}.bank", channels, window_size)
        for space in config.memory_spaces(panel=outline.plan.panel):
            width = map_width(channels, window_size, space, length) if space in MAP_SPACES else widths[space]
            expected |= expected_memory(
                f"memory.{number}.{space}", width, config.scoring.memory_size, standardised=space in STANDARDISED
            )
    return expected


def _scorer_constants(scorer: WindowScorer) -> dict[str, Any]:
    assert scorer.standardiser is not None
    return {
        "noise_levels": list(scorer.noise_levels),
        "standardiser": scorer.standardiser.to_dict(),
        "point_statistics": list(scorer.point_statistics),
        "num_neighbors": next(iter(scorer.memories.values())).num_neighbors if scorer.memories else 0,
    }
