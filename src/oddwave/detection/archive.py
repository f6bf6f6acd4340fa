"""A fitted model as a directory: weights and memories as safetensors, everything else as readable JSON. No pickle.

    meta.json                format and package version, seed, data fingerprint; which data belong to it
    data-.../
        model.safetensors    network weights (EMA) and the memories
        config.json          every setting, and under "choices" what was chosen automatically, with the evidence
        calibration.json     calibration scores, and the modality's constants: standardising, fusion weights, plan

`model_folder.py` writes and reads the folder; here stands what the files mean.

`alpha` is not baked in: thresholds follow from the calibration scores when a verdict is asked for.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from oddwave.config import config_from_dict
from oddwave.detection.model_folder import FORMAT_VERSION, read_model, write_model
from oddwave.detection.work import Work
from oddwave.errors import CheckpointError, ConfigError
from oddwave.scoring.calibration import Calibration
from oddwave.training.checkpoint import tensor_bytes, tensors_of

__all__ = ["FORMAT_VERSION", "MODEL_FILES", "load_work", "read_model_facts", "save_work"]

_ABOUT_THE_FILE = ("format", "format_version", "modality", "read_options")
MODEL_FILES = ("model.safetensors", "config.json", "calibration.json")


def save_work(work: Work, directory: Path) -> Path:
    """Write the model, whole or not at all; an existing model is replaced only when the new one is complete.

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
    settings = work.config.model_dump(mode="json")
    files = {
        "model.safetensors": tensor_bytes(tensors),
        "config.json": _json_bytes({**settings, "choices": _plain(work.choices)}),
        "calibration.json": _json_bytes(_plain(constants)),
    }
    write_model(directory, _plain({"modality": work.modality, **work.meta, "read_options": work.read_options}), files)
    return directory


def load_work(kinds: Mapping[str, type[Work]], directory: Path) -> Work:
    """Read a model directory back; `kinds` says which class serves which modality.

    Raises:
        CheckpointError: a file is missing, damaged, of another format version or an unknown modality.
    """
    meta, files = read_model(directory)
    modality = str(meta.get("modality"))
    if modality not in kinds:
        raise CheckpointError(f"{directory} holds a model for {modality!r}, expected one for {' or '.join(kinds)}")
    try:
        constants, settings = json.loads(files["calibration.json"]), json.loads(files["config.json"])
        tensors = tensors_of(files["model.safetensors"])
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
    return read_model(directory)[0]


def _json_bytes(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _plain(value: Any) -> Any:
    """Turn numpy numbers, tuples and integer keys into what JSON knows."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
