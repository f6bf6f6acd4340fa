"""A saved joint model: one network, stored once, and what each modality's model holds beside it.

    meta.json                     package version; of each port its channels, and what its model calls the network
    network.safetensors           the weights of all ports and of what they share
    image.meta.json, image.model.safetensors, image.config.json, image.calibration.json
                                  an ordinary model of that modality without its denoiser; likewise audio, series

`part` makes of one of these the ordinary model again, which `store.py` reads as it reads any other. torch is imported
only where weights are looked at.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from oddwave.detection.model_json import digest_of, plain_json, validated
from oddwave.detection.saved import CORRECTION_FILES, MODEL_FILES, SEAL, SavedModel, checked, mismatch
from oddwave.errors import CheckpointError, OddwaveError
from oddwave.registry import MODALITIES

if TYPE_CHECKING:
    from oddwave.nets.unet import UNet

__all__ = ["JOINT", "Model", "is_joint", "joined", "network_of", "part", "parts_of", "saved_parts"]

JOINT = "joint"
_NETWORK = "network.safetensors"
_TENSORS = "model.safetensors"
_META = "meta.json"

Model = tuple[dict[str, Any], dict[str, bytes]]  # what `write_model` takes: meta.json, and the other files


class _Saved(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class _PortForm(_Saved):
    channels: Annotated[int, Field(ge=1, le=100_000)]
    network: Literal["net", "pixel_net"]


class _JointMeta(_Saved):
    facts_sha256: str
    modality: Literal["joint"]
    package_version: Annotated[str, Field(max_length=100)]
    ports: Annotated[dict[Annotated[str, Field(max_length=100)], _PortForm], Field(min_length=2, max_length=16)]


def is_joint(meta: Mapping[str, Any]) -> bool:
    """Return whether a model's meta.json is that of a joint one."""
    return meta.get("modality") == JOINT


def joined(net: "UNet", names: Mapping[str, str], models: Mapping[str, Model], version: str) -> Model:
    """Put ordinary models, whose networks are those of the ports of `net`, together as one.

    Raises: CheckpointError where a model's network is not that of its port.
    """
    from oddwave.detection.model_tensors import TensorFile, tensor_bytes

    files = {_NETWORK: tensor_bytes({f"network.{name}": own for name, own in net.state_dict().items()})}
    for modality, (meta, own) in models.items():
        tensors, prefix = TensorFile(own[_TENSORS], modality).every(), f"{names[modality]}."
        expected = {f"{prefix}{name}": value.cpu() for name, value in net.port_state(modality).items()}
        if not all(name in tensors and tensors[name].equal(value) for name, value in expected.items()):
            raise CheckpointError(
                f"the detector of {modality} was fitted again on its own: save it by itself, or fit all of them jointly"
            )
        rest = tensor_bytes({name: value for name, value in tensors.items() if name not in expected})
        parts = {**own, _TENSORS: rest, _META: (json.dumps(meta, ensure_ascii=False) + "\n").encode()}
        files |= {f"{modality}.{name}": content for name, content in parts.items()}
    ports = {name: {"channels": net.config.port_channels[name], "network": names[name]} for name in models}
    facts = {"modality": JOINT, "package_version": version, "ports": ports}
    return {**facts, SEAL: digest_of(facts)}, files


def parts_of(meta: dict[str, Any], files: Mapping[str, bytes], directory: Path) -> dict[str, Model]:
    """Return by modality what a joint model holds, each without its network.

    Raises: CheckpointError where it is damaged, or holds a modality that is not known here.
    """
    ports = _checked_meta(meta, directory).ports
    if unknown := sorted(ports.keys() - MODALITIES.keys()):
        raise CheckpointError(f"{directory} holds a model for {unknown[0]!r:.40}, expected {' or '.join(MODALITIES)}")
    expected = {_NETWORK, *(f"{modality}.{name}" for modality in ports for name in (_META, *MODEL_FILES))}
    corrections = {f"{modality}.{name}" for modality in ports for name in CORRECTION_FILES}
    for name in sorted((expected ^ files.keys()) - corrections):
        where = "is missing" if name in expected else f"belongs to no joint model of {' and '.join(ports)}"
        raise CheckpointError(f"{directory} is damaged: {name} {where}; copy or fit the model again")
    return {
        modality: (
            plain_json(files[f"{modality}.{_META}"], f"{directory}: {modality}.{_META}"),
            {
                name: files[f"{modality}.{name}"]
                for name in (*MODEL_FILES, *CORRECTION_FILES)
                if f"{modality}.{name}" in files
            },
        )
        for modality in ports
    }


def saved_parts(meta: dict[str, Any], files: Mapping[str, bytes], directory: Path) -> dict[str, SavedModel]:
    """Return what the JSON of each part says, checked; no weights are read. Raises: as `parts_of`."""
    models = parts_of(meta, files, directory)
    found = {modality: checked(*model, directory) for modality, model in models.items()}
    for modality, saved in found.items():
        if saved.config.modality != modality:
            raise CheckpointError(f"{directory} is damaged: its part {modality} is of {saved.config.modality}")
        if saved.config.network != next(iter(found.values())).config.network:
            raise CheckpointError(f"{directory} is damaged: its parts do not have one network")
    return found


def part(meta: dict[str, Any], files: Mapping[str, bytes], directory: Path, modality: str | None) -> Model:
    """Return one part of a joint model as an ordinary model. Raises: CheckpointError; for none, and one not there."""
    from oddwave.detection.model_tensors import TensorFile, tensor_bytes

    models = parts_of(meta, files, directory)
    if modality not in models:
        asked = "" if modality is None else f", not {modality!r:.40}"
        raise CheckpointError(
            f"{directory} is a joint model of {' and '.join(models)}{asked}: say which of them by modality="
            f"{next(iter(models))}, in Python also by JointDetector.load"
        )
    about, own = models[modality]
    name = _checked_meta(meta, directory).ports[modality].network
    state = network_of(meta, files, directory).port_state(modality)
    rest = TensorFile(own[_TENSORS], f"{directory}: {modality}.{_TENSORS}").every()
    return about, {**own, _TENSORS: tensor_bytes(rest | {f"{name}.{key}": value for key, value in state.items()})}


def network_of(meta: dict[str, Any], files: Mapping[str, bytes], directory: Path) -> "UNet":
    """Return the network, its weights checked. Raises: CheckpointError where they are not what the settings imply."""
    import torch

    from oddwave.detection.model_tensors import TensorFile, expected_network
    from oddwave.nets.unet import UNet

    parts = saved_parts(meta, files, directory)
    ports = {name: own.channels for name, own in _checked_meta(meta, directory).ports.items()}
    settings: dict[str, Any] = next(iter(parts.values())).config.network.model_dump()
    settings |= {"grid_dims": 2, "ports": ports}
    try:
        with torch.device("meta"):  # no memory before the file has been checked
            outline = UNet(next(iter(ports.values())), **settings)
    except OddwaveError as error:
        raise mismatch(directory, error) from None
    tensors = TensorFile(files[_NETWORK], f"{directory}: {_NETWORK}").checked(expected_network("network", outline))
    net = UNet(outline.config.in_channels, **settings)
    net.load_state_dict({name.removeprefix("network."): own for name, own in tensors.items()})
    return net.eval()


def _checked_meta(meta: dict[str, Any], directory: Path) -> _JointMeta:
    facts = {key: value for key, value in meta.items() if key != SEAL}
    if digest_of(facts) != meta.get(SEAL):
        raise CheckpointError(f"{directory / _META} is damaged: not what was saved; copy or fit the model again")
    return validated(_JointMeta, json.dumps(meta).encode(), f"{directory / _META}")
