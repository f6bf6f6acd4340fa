"""A fitted model as a folder: weights and memories as safetensors, everything else as readable JSON. No pickle.

    meta.json           package version, seed, data fingerprint; the size and sha256 of each file in the folder of data
    model.safetensors   network weights (EMA) and the memories
    config.json         every setting, and under "choices" what was chosen automatically, with the evidence
    calibration.json    calibration scores, and the modality's constants: standardising, fusion weights, plan, scale
    corrections.*       where people gave feedback: what they said, and what is known of false alarms (`corrections.py`)

A joint model holds several of these around one network (`joint_parts.py`).

`alpha` is not baked in: thresholds follow from the calibration scores when a verdict is asked for.

A model comes from anywhere, so nothing in it is believed: the files must be those that were saved (`model_folder.py`),
the JSON must be what a fit can give (`model_schema.py`), the tensors what the settings imply (`model_tensors.py`), and
no network or file outside the model is opened unless the caller allows it. What a fit gives is held to the same when it
is saved.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from oddwave.calibration.conformal import Calibration
from oddwave.config import DetectorConfig, config_from_dict
from oddwave.detection.base import ModalityDetector
from oddwave.detection.corrections import Correction, Corrections, Mark
from oddwave.detection.device import chosen_device
from oddwave.detection.joint_fit import JointNetwork
from oddwave.detection.joint_parts import Model, is_joint, joined, network_of, part, parts_of
from oddwave.detection.model_folder import FORMAT_VERSION, read_model, write_model
from oddwave.detection.model_json import digest_of, plain_json
from oddwave.detection.model_tensors import TensorFile, tensor_bytes
from oddwave.detection.saved import MODEL_FILES, SEAL, checked, mismatch
from oddwave.errors import CheckpointError
from oddwave.registry import detector_class
from oddwave.version import __version__

__all__ = ["FORMAT_VERSION", "MODEL_FILES", "load_detector", "load_joint", "save_detector", "save_joint"]

_ABOUT_THE_FILE = (SEAL, "modality", "read_options")
_OWN_NETWORKS = ("efficientnet_lite0", "efficientnet_lite2")  # whose weights are installed as packages


def save_detector(detector: ModalityDetector, directory: Path) -> Path:
    """Write all files, whole or not at all; an existing model is replaced only when the new one is complete.

    Raises:
        NotFittedError: there is nothing to save yet.
        CheckpointError: the directory cannot be written, or a value lies beyond what a model may hold.
    """
    write_model(directory, *_model_of(detector, directory))
    return directory


def save_joint(network: JointNetwork, detectors: Mapping[str, ModalityDetector], directory: Path) -> Path:
    """Write several detectors and the one network that is theirs, as `save_detector` does.

    Raises: as `save_detector`, and CheckpointError where a detector has got another network since.
    """
    models = {modality: _model_of(detector, directory) for modality, detector in detectors.items()}
    write_model(directory, *joined(network.net, network.names, models, __version__))
    return directory


def _model_of(detector: ModalityDetector, directory: Path) -> Model:
    """Return what is saved of a detector. Raises: as `save_detector`."""
    calibration = detector.learnt_calibration()
    tensors, constants = detector.state()
    constants |= {
        "scores": calibration.scores.tolist(),
        "blocks": calibration.blocks.tolist(),
        "block_size": calibration.block_size,
        "source": calibration.source,
    }
    facts = _plain({"modality": detector.modality, **detector.meta, "read_options": detector.read_options})
    meta = {**facts, SEAL: digest_of(facts)}
    settings = detector.config.model_dump(mode="json")
    files = {
        "model.safetensors": tensor_bytes(tensors),
        "config.json": _json_bytes({**settings, "choices": detector.choices}),
        "calibration.json": _json_bytes(constants),
    }
    said = detector.corrections
    if said.next_id > 1:
        files["corrections.json"] = _json_bytes(said.form().model_dump(mode="json"))
        files["corrections.safetensors"] = tensor_bytes(
            {f"{own.mark.id}.{name}": torch.from_numpy(v) for own in said.alarms for name, v in own.arrays.items()}
        )
    try:
        checked(meta, files, directory)
    except CheckpointError as error:
        raise CheckpointError(f"this model would not load again, and is not saved: {error}") from None
    return meta, files


def load_detector(
    directory: Path, *, modality: str | None = None, device: str = "cpu", allow_external: bool = False
) -> ModalityDetector:
    """Read a model directory back, onto a device of the caller's choice: the saved one need not exist here.

    `modality` says which part of a joint model is meant.

    Raises:
        ConfigError: the device cannot be used here.
        CheckpointError: a file is missing, damaged, of another format version or an unknown modality, or the model asks
            for a network from elsewhere and `allow_external` was not given; it is not of `modality`, or a joint one and
            none was named.
    """
    meta, files = read_model(directory)
    if is_joint(meta):
        return _detector_of(part(meta, files, directory, modality), directory, device, allow_external)
    if modality not in (None, meta.get("modality")):
        raise CheckpointError(
            f"{directory} is a model for {meta.get('modality')!r:.40}, not for {modality!r:.40}: leave modality out, "
            "it is for joint models"
        )
    return _detector_of((meta, files), directory, device, allow_external)


def load_joint(
    directory: Path, *, device: str = "cpu", allow_external: bool = False
) -> tuple[JointNetwork, dict[str, ModalityDetector]]:
    """Read a joint model back: its network, and the detectors by modality. Raises: as `load_detector`."""
    meta, files = read_model(directory)
    if not is_joint(meta):
        raise CheckpointError(
            f"{directory} holds a model for {meta.get('modality')!r:.40}, expected a joint one: load it with "
            "oddwave.load, or make one with `oddwave fit joint`"
        )
    names = {modality: own["network"] for modality, own in meta["ports"].items()}
    detectors = {
        modality: _detector_of(part(meta, files, directory, modality), directory, device, allow_external)
        for modality in parts_of(meta, files, directory)
    }
    return JointNetwork(network_of(meta, files, directory), names), detectors


def _detector_of(model: Model, directory: Path, device: str, allow_external: bool) -> ModalityDetector:
    meta, files = model
    saved = checked(meta, files, directory)
    here = config_from_dict({"device": device}).device
    chosen_device(here)
    config, constants = saved.config.model_copy(update={"device": here}), saved.constants
    if not allow_external and meta["modality"] != "series":
        _refuse_external(config, directory)
    tensors = TensorFile(files["model.safetensors"], f"{directory}: model.safetensors")
    try:
        detector: ModalityDetector = detector_class(meta["modality"])(config, meta["read_options"])
        detector.choices = saved.choices
        detector.meta = {k: v for k, v in meta.items() if k not in _ABOUT_THE_FILE}
        detector.calibration = Calibration(
            np.array(constants["scores"], float),
            np.array(constants["blocks"], float),
            constants["block_size"],
            constants["source"],
        )
        detector.decision_scores_ = detector.calibration.scores
        detector.restore(tensors, constants)
        if "corrections.json" in files:
            detector.corrections = _corrections(detector, saved.corrections, files, directory)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # ours among them: ConfigError is a ValueError
        raise mismatch(directory, error) from None
    return detector


def _corrections(
    detector: ModalityDetector, marks: Sequence[Mark], files: Mapping[str, bytes], directory: Path
) -> Corrections:
    """Read what people said of the model's findings. Raises: CheckpointError."""
    form = plain_json(files["corrections.json"], "corrections.json")
    bare = Corrections(tuple(Correction(mark) for mark in marks), form["next_id"])
    expected = {
        f"{own.mark.id}.{name}": tensor
        for own in bare.alarms
        for name, tensor in detector.correction_tensors(own).items()
    }
    found = TensorFile(files["corrections.safetensors"], f"{directory}: corrections.safetensors").checked(expected)
    given = [
        Correction(
            mark, {name.partition(".")[2]: v.numpy() for name, v in found.items() if name.startswith(f"{mark.id}.")}
        )
        for mark in marks
    ]
    return replace(bare, given=tuple(given))


def _refuse_external(config: DetectorConfig, directory: Path) -> None:
    """A stranger's model must not make us fetch a network or open a file of theirs."""
    maps = config.maps
    if maps.perceptual in _OWN_NETWORKS and maps.perceptual_path is None:
        return
    wanted = f"the network '{maps.perceptual:.80}'"
    wanted += "" if maps.perceptual_path is None else f" with weights from '{maps.perceptual_path:.200}'"
    raise CheckpointError(
        f"{directory} asks for {wanted}, which does not come with oddwave: if you trust where the model comes from, "
        "allow it with --allow-external, in Python with load(directory, allow_external=True)"
    )


def _json_bytes(content: Mapping[str, Any]) -> bytes:
    try:
        return (json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"the model cannot be saved: {error}") from None


def _plain(value: Any) -> Any:
    """Turn numpy numbers, paths, tuples and integer keys into what JSON knows."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value
