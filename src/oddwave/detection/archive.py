"""A fitted model as a directory: weights and memories as safetensors, everything else as readable JSON. No pickle.

    model.safetensors   network weights (EMA) and the memories
    config.json         every setting, and under "choices" what was chosen automatically, with the evidence
    calibration.json    calibration scores, and the modality's constants: standardising, fusion weights, plan, scale
    meta.json           format and package version, seed, data fingerprint

`alpha` is not baked in: thresholds follow from the calibration scores when a verdict is asked for.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from oddwave.config import config_from_dict
from oddwave.detection.work import Work
from oddwave.errors import CheckpointError, ConfigError
from oddwave.scoring.calibration import Calibration
from oddwave.training.checkpoint import atomic_directory, load_tensors, read_json, save_tensors, write_json_atomic

__all__ = ["FORMAT_VERSION", "MODEL_FILES", "load_work", "read_model_facts", "save_work"]

FORMAT_VERSION = 3
_ABOUT_THE_FILE = ("format", "format_version", "modality", "read_options")
MODEL_FILES = ("model.safetensors", "config.json", "calibration.json", "meta.json")


def save_work(work: Work, directory: Path) -> Path:
    """Write all four files, whole or not at all; an existing model is replaced only when the new one is complete.

    Raises:
        NotFittedError: there is nothing to save yet.
        CheckpointError: the directory cannot be written.
    """
    calibration = work.fitted_calibration()
    tensors, constants = work.state()
    constants |= {
        "scores": calibration.scores.tolist(),
        "blocks": calibration.blocks.tolist(),
        "block_size": calibration.block_size,
        "source": calibration.source,
    }
    meta = {"format": "oddwave model", "format_version": FORMAT_VERSION, "modality": work.modality, **work.meta}
    meta["read_options"] = work.read_options
    with atomic_directory(directory, owns=MODEL_FILES) as folder:
        save_tensors(folder / "model.safetensors", tensors)
        settings = work.config.model_dump(mode="json")
        write_json_atomic(folder / "config.json", {**settings, "choices": _plain(work.choices)})
        write_json_atomic(folder / "calibration.json", _plain(constants))
        write_json_atomic(folder / "meta.json", _plain(meta))
    return directory


def load_work(kinds: Mapping[str, type[Work]], directory: Path) -> Work:
    """Read a model directory back; `kinds` says which class serves which modality.

    Raises:
        CheckpointError: a file is missing, damaged, of another format version or an unknown modality.
    """
    meta = read_model_facts(directory)
    modality = str(meta.get("modality"))
    if modality not in kinds:
        raise CheckpointError(f"{directory} holds a model for {modality!r}, expected one for {' or '.join(kinds)}")
    constants = read_json(directory / "calibration.json")
    tensors = load_tensors(directory / "model.safetensors")
    settings = read_json(directory / "config.json")
    try:
        choices = settings.pop("choices")
        work = kinds[modality](config_from_dict(settings), meta.get("read_options") or {})
        work.choices = choices
        work.meta = {k: v for k, v in meta.items() if k not in _ABOUT_THE_FILE}
        work.calibration = Calibration(
            np.array(constants["scores"], float),
            np.array(constants["blocks"], float),
            int(constants["block_size"]),
            constants["source"],
        )
        work.decision_scores_ = work.calibration.scores
        work.restore(tensors, constants)
    except (KeyError, TypeError, ValueError, RuntimeError, ConfigError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{directory} does not fit together ({line}): copy or fit the model again") from None
    return work


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


def _plain(value: Any) -> Any:
    """Turn numpy numbers, tuples and integer keys into what JSON knows."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
