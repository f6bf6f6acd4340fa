"""A fitted detector as a directory: weights and memories as safetensors, everything else as readable JSON. No pickle.

    model.safetensors   network weights (EMA) and the memories
    config.json         every setting
    calibration.json    calibration scores, standardising constants, fusion weights, window plan, scale of the channels
    meta.json           format and package version, seed, data fingerprint, evidence of every automatic choice

`alpha` is not baked in: thresholds follow from the calibration scores when a verdict is asked for.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from oddwave.config import config_from_dict
from oddwave.detection.plan import WindowPlan
from oddwave.detection.series_detection import SeriesDetection
from oddwave.detection.window_scorer import WindowScorer
from oddwave.errors import CheckpointError, ConfigError, NotFittedError
from oddwave.modalities.series import SeriesScaler
from oddwave.scoring.calibration import Calibration
from oddwave.scoring.fusion import Fusion, Standardiser
from oddwave.scoring.memory import Memory
from oddwave.training.checkpoint import atomic_directory, load_tensors, read_json, save_tensors, write_json_atomic

if TYPE_CHECKING:
    from oddwave.detector import Detector

__all__ = ["FORMAT_VERSION", "MODEL_FILES", "load_detector", "read_model_facts", "save_detector"]

FORMAT_VERSION = 1
_ABOUT_THE_FILE = ("format", "format_version", "modality", "read_options")
MODEL_FILES = ("model.safetensors", "config.json", "calibration.json", "meta.json")


def save_detector(detector: "Detector", directory: Path) -> Path:
    """Write all four files, whole or not at all; an existing model is replaced only when the new one is complete.

    Raises:
        CheckpointError: the directory cannot be written.
    """
    engine, calibration, scaler = detector.engine, detector.calibration, detector.scaler
    if engine is None or calibration is None or scaler is None:
        raise NotFittedError("this detector has learnt nothing yet: call fit before save")
    tensors = {f"net.{name}": tensor for name, tensor in engine.net.state_dict().items()}
    for number, scorer in enumerate(engine.scorers):
        tensors |= scorer.to_arrays(f"memory.{number}")
    constants = {
        "scores": calibration.scores.tolist(),
        "blocks": calibration.blocks.tolist(),
        "block_size": calibration.block_size,
        "source": calibration.source,
        "fusion": {
            "reconstruction_weight": engine.fusion.reconstruction_weight,
            "memory_weight": engine.fusion.memory_weight,
        },
        "scale": scaler.to_dict(),
        "plan": {
            "sizes": list(engine.plan.sizes),
            "strides": list(engine.plan.strides),
            "tensor_length": engine.plan.tensor_length,
            "period": engine.plan.period,
            "panel": engine.plan.panel,
            "evidence": engine.plan.evidence,
        },
        "scorers": [_scorer_constants(scorer) for scorer in engine.scorers],
    }
    meta = {"format": "oddwave model", "format_version": FORMAT_VERSION, "modality": "series", **detector.meta}
    meta["read_options"] = detector.read_options
    with atomic_directory(directory, owns=MODEL_FILES) as folder:
        save_tensors(folder / "model.safetensors", tensors)
        write_json_atomic(folder / "config.json", detector.config.model_dump(mode="json"))
        write_json_atomic(folder / "calibration.json", _plain(constants))
        write_json_atomic(folder / "meta.json", _plain(meta))
    return directory


def load_detector(cls: type["Detector"], directory: Path) -> "Detector":
    """Read a model directory back.

    Raises:
        CheckpointError: a file is missing, damaged, of another format version or modality.
    """
    meta = read_model_facts(directory)
    if meta.get("modality") != "series":
        raise CheckpointError(f"{directory} holds a model for {meta.get('modality')!r}, one for 'series' was expected")
    constants = read_json(directory / "calibration.json")
    tensors = load_tensors(directory / "model.safetensors")
    try:
        config = config_from_dict(read_json(directory / "config.json"))
        plan = WindowPlan(
            tuple(constants["plan"]["sizes"]),
            tuple(constants["plan"]["strides"]),
            int(constants["plan"]["tensor_length"]),
            int(constants["plan"]["period"]),
            bool(constants["plan"]["panel"]),
            constants["plan"]["evidence"],
        )
        detector = cls(config, read_options=meta.get("read_options"))
        detector.meta = {k: v for k, v in meta.items() if k not in _ABOUT_THE_FILE}
        detector.kind, detector.channel_names = meta["kind"], tuple(meta["channel_names"])
        detector.scaler = SeriesScaler.from_dict(constants["scale"])
        detector.engine = _engine(detector, plan, constants, tensors)
        detector.calibration = Calibration(
            np.array(constants["scores"], float),
            np.array(constants["blocks"], float),
            int(constants["block_size"]),
            constants["source"],
        )
        detector.decision_scores_ = detector.calibration.scores
    except (KeyError, TypeError, ValueError, RuntimeError, ConfigError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{directory} does not fit together ({line}): copy or fit the model again") from None
    return detector


def read_model_facts(directory: Path) -> dict[str, Any]:
    """Read `meta.json` and check that this is a model of a known format.

    Raises:
        CheckpointError: it is not.
    """
    if not directory.is_dir():
        raise CheckpointError(f"model directory '{directory}' does not exist: give the folder that `oddwave fit` wrote")
    meta = read_json(directory / "meta.json")
    if meta.get("format") != "oddwave model":
        raise CheckpointError(f"{directory / 'meta.json'} does not describe an oddwave model")
    if meta.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{directory} has model format {meta.get('format_version')}, this oddwave reads {FORMAT_VERSION}: "
            f"use the version it was made with ({meta.get('package_version')}) or fit again"
        )
    return meta


def _scorer_constants(scorer: WindowScorer) -> dict[str, Any]:
    assert scorer.standardiser is not None
    return {
        "noise_levels": list(scorer.noise_levels),
        "standardiser": scorer.standardiser.to_dict(),
        "point_statistics": list(scorer.point_statistics),
        "num_neighbors": next(iter(scorer.memories.values())).num_neighbors if scorer.memories else 0,
    }


def _engine(
    detector: "Detector", plan: WindowPlan, constants: dict[str, Any], tensors: dict[str, torch.Tensor]
) -> SeriesDetection:
    engine = SeriesDetection.build(detector.config, plan, len(detector.channel_names))
    engine.net.load_state_dict({k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")})
    engine.net.eval()
    engine.fusion = Fusion(**constants["fusion"])
    engine.evidence = detector.meta.get("selection", {})
    for number, (scorer, saved) in enumerate(zip(engine.scorers, constants["scorers"], strict=True)):
        scorer.noise_levels = tuple(saved["noise_levels"])
        scorer.standardiser = Standardiser.from_dict(saved["standardiser"])
        scorer.point_statistics = (saved["point_statistics"][0], saved["point_statistics"][1])
        prefix = f"memory.{number}."
        parts: dict[str, dict[str, np.ndarray]] = {}
        for name, tensor in tensors.items():
            if name.startswith(prefix):
                space, part = name.removeprefix(prefix).split(".")
                parts.setdefault(space, {})[part] = tensor.numpy()
        order = detector.config.memory_spaces(panel=plan.panel)
        scorer.memories = {s: Memory(**parts[s], num_neighbors=saved["num_neighbors"]) for s in order if s in parts}
    return engine


def _plain(value: Any) -> Any:
    """Turn numpy numbers, tuples and integer keys into what JSON knows."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
