"""The model by retrieval as tensors and constants, and back. Read `state.py` for the other model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from oddwave.config import DetectorConfig
from oddwave.detection.model_tensors import Expected, TensorFile, expected_bank, expected_memory
from oddwave.detection.series.missing_values import Bank
from oddwave.detection.series.plan import WindowPlan
from oddwave.detection.series.retrieval_model import RetrievalModel
from oddwave.detection.series.retrieval_scorer import Basis
from oddwave.detection.series.size_memory import PANEL_NEIGHBORS, PRIOR_LENGTH, SizeMemory
from oddwave.scoring.memory import Memory
from oddwave.scoring.prior import prior_sha256
from oddwave.scoring.retrieval import WindowMemory
from oddwave.tensors.convolution import RandomConvolutions, num_dimensions
from oddwave.tensors.spaces import CONVOLUTION_SPACES

__all__ = ["restored_retrieval", "retrieval_state"]

_MOST_WINDOWS = 10_000_000


def retrieval_state(model: RetrievalModel) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return a model's tensors and its constants, without the plan."""
    tensors: dict[str, torch.Tensor] = {}
    for number, own in enumerate(model.sizes):
        held, prefix = own.memory, f"memory.{number}"
        parts = {"windows": held.windows, "groups": held.groups, "starts": held.starts, "own": held.own}
        tensors |= {f"{prefix}.{name}": part for name, part in {**parts, "resolution": own.resolution}.items()}
        arrays = {"bank": own.bank.arrays(), **{name: space.arrays() for name, space in own.spaces.items()}}
        if own.convolutions is not None:
            arrays["convolutions"] = {"thresholds": own.convolutions.thresholds}
        for space, kept in arrays.items():
            for part, array in kept.items():
                tensors[f"{prefix}.{space}.{part}"] = torch.from_numpy(np.ascontiguousarray(array))
    memories = [
        {"size": own.window_size, "channels": list(own.channels), "basis": own.basis.to_dict()}
        for own in model.sizes
        if own.basis is not None
    ]
    return tensors, {
        "memories": memories,
        "prior_sha256": prior_sha256(),
        "num_remembered": model.num_remembered,
        "rare_channels": list(model.rare_channels),
    }


def restored_retrieval(
    config: DetectorConfig, plan: WindowPlan, n_channels: int, file: TensorFile, constants: Mapping[str, Any]
) -> RetrievalModel:
    """Build the model that `retrieval_state` described.

    Raises:
        CheckpointError: the tensors are not those that settings and plan imply.
        ValueError: it was fitted with another prior than this version brings.
    """
    if constants["prior_sha256"] != prior_sha256():
        raise ValueError("it was fitted with another prior of series than this version of oddwave brings: fit it again")
    tensors = file.checked(_expected(plan, constants["memories"]))
    model = RetrievalModel.build(config, plan, n_channels)
    strides = dict(zip(plan.sizes, plan.strides, strict=True))
    for number, saved in enumerate(constants["memories"]):
        size, channels, prefix = saved["size"], tuple(saved["channels"]), f"memory.{number}."
        stride = strides[size]
        own = {name.removeprefix(prefix): part for name, part in tensors.items() if name.startswith(prefix)}
        memory = WindowMemory(
            own["windows"], own["groups"], own["starts"], window_size=size,
            reach=0 if plan.panel else max(1, size // (2 * stride)), own=own["own"],
        )  # fmt: skip
        restored = SizeMemory(size, stride, channels, memory, Bank(**_parts(own, "bank")), resolution=own["resolution"])
        restored.basis = Basis.from_dict(saved["basis"])
        if plan.panel:
            restored.convolutions = RandomConvolutions(n_channels, own["convolutions.thresholds"].numpy())
            restored.spaces = {
                space: Memory(**_parts(own, space), num_neighbors=PANEL_NEIGHBORS) for space in CONVOLUTION_SPACES
            }
        model.sizes.append(restored)
    if constants["num_remembered"] != model.num_remembered:
        raise ValueError("the numbers of remembered windows differ")
    model.rare_channels = tuple(constants["rare_channels"])
    return model


def _parts(tensors: Mapping[str, torch.Tensor], space: str) -> dict[str, Any]:
    return {n.removeprefix(f"{space}."): own.numpy() for n, own in tensors.items() if n.startswith(f"{space}.")}


def _expected(plan: WindowPlan, memories: Sequence[Mapping[str, Any]]) -> dict[str, Expected]:
    expected: dict[str, Expected] = {}
    for number, saved in enumerate(memories):
        size, n_channels, prefix = saved["size"], len(saved["channels"]), f"memory.{number}"
        rows = f"windows of {prefix}"
        parts = {
            "windows": Expected("F32", (rows, n_channels, PRIOR_LENGTH), most=_MOST_WINDOWS),
            "groups": Expected("I64", (rows,), 0, most=_MOST_WINDOWS),
            "starts": Expected("I64", (rows,), 0, most=_MOST_WINDOWS),
            "own": Expected("F32", (rows, n_channels), 0.0, most=_MOST_WINDOWS),
            "resolution": Expected("F32", (n_channels,), 0.0),
        }
        expected |= {f"{prefix}.{name}": own for name, own in parts.items()}
        expected |= expected_bank(f"{prefix}.bank", n_channels, size if plan.panel else PRIOR_LENGTH)
        if plan.panel:
            shapes, energies = num_dimensions(size)
            expected[f"{prefix}.convolutions.thresholds"] = Expected("F32", (energies // 100, 3, 100))
            for space, width in zip(CONVOLUTION_SPACES, (shapes, energies), strict=True):
                expected |= expected_memory(f"{prefix}.{space}", width, _MOST_WINDOWS, standardised=True)
    return expected
