"""A model of images by retrieval as tensors and constants, and back: what a saved model's files hold of it.

The frozen network is not saved: it is loaded again by its name, and must then be the same to the last bit.
Legend: D channels of the feature grid, G side of the coarser grid, M side of a map.
"""

from typing import Any

import numpy as np
import torch

from oddwave.detection.image.foreground import Foreground
from oddwave.detection.image.normal_copies import COPY_PX, MOST_COPIES, NormalCopies
from oddwave.detection.image.retrieval_model import Learnt, RetrievalModel
from oddwave.detection.image.retrieval_scorer import NAMES, Usual, patch_channels
from oddwave.detection.map_state import LARGEST_ROI_PX, State, network_digest
from oddwave.detection.model_tensors import Expected, TensorFile, expected_memory
from oddwave.errors import CheckpointError
from oddwave.scoring.maps import MAP_SIZE
from oddwave.scoring.memory import Memory
from oddwave.scoring.position_gaussian import PositionGaussian

__all__ = ["restore_retrieval", "retrieval_state"]

_SMALLEST = 1e-30


def retrieval_state(model: RetrievalModel) -> State:
    """Return the model's tensors and its constants."""
    learnt = model.learnt
    assert learnt is not None
    tensors = {"features.centre": learnt.centre, "features.scale": learnt.scale, "copies": learnt.copies.copies}
    for key, value in learnt.memory.arrays().items():
        tensors[f"memory.{key}"] = torch.from_numpy(np.ascontiguousarray(value))
    tensors |= {f"gaussian.{key}": value for key, value in learnt.gaussian.arrays().items()}
    for name, own in learnt.usual.items():
        tensors[f"usual_{name}.centre"] = torch.from_numpy(own.centre.astype(np.float32))
        tensors[f"usual_{name}.unit"] = torch.from_numpy(own.unit.astype(np.float32))
    if model.roi is not None:
        tensors["roi"] = torch.from_numpy(model.roi.astype(np.uint8))
    if model.foreground is not None:
        tensors["foreground"] = model.foreground.weights.float()
    return tensors, {
        "foreground": None if model.foreground is None else model.foreground.threshold,
        "frame": model.frame.to_dict(),
        "grids": list(model.config.maps.grids),
        "num_squares": learnt.num_squares,
        "perceptual_sha256": network_digest(model.grid.network),
    }


def restore_retrieval(model: RetrievalModel, file: TensorFile, constants: dict[str, Any], *, monitored: bool) -> None:
    """Fill a model that has learnt nothing from what `retrieval_state` gave.

    `monitored` says whether the model knows a region of interest.
    Raises: CheckpointError for tensors that are not those that settings and constants imply.
    """
    if network_digest(model.grid.network) != constants["perceptual_sha256"]:
        raise CheckpointError(
            f"the weights of '{model.config.maps.perceptual:.80}' are not those that the model was fitted with: "
            "install the version of oddwave that it was made with, or fit it again"
        )
    part = constants.get("foreground")
    tensors = file.checked(_expected(model, monitored, part is not None))
    memory = {key: tensors[f"memory.{key}"].numpy() for key in ("vectors", "groups", "starts", "center", "scale")}
    memory["weights"] = tensors["memory.weights"].numpy()
    gaussian = {key: tensors[f"gaussian.{key}"] for key in ("mean", "whitening")}
    usual = {
        name: Usual(tensors[f"usual_{name}.centre"].double().numpy(), tensors[f"usual_{name}.unit"].double().numpy())
        for name in NAMES
    }
    model.learnt = Learnt(
        tensors["features.centre"],
        tensors["features.scale"],
        Memory(**memory, num_neighbors=1),
        PositionGaussian.from_arrays(gaussian),
        constants["num_squares"],
        usual,
        NormalCopies(tensors["copies"]),
    )
    if part is not None:
        model.foreground = Foreground(tensors["foreground"], float(part))
    if monitored:
        model.roi = tensors["roi"].numpy().astype(bool)


def _expected(model: RetrievalModel, monitored: bool, shows_part: bool) -> dict[str, Expected]:
    width, (_, side) = model.grid.width, model.config.maps.grids
    copy_px = min(COPY_PX, model.frame.size_px)
    expected = {
        "features.centre": Expected("F32", (width,)),
        "features.scale": Expected("F32", (width,), _SMALLEST),
        "copies": Expected("U8", ("copies", model.frame.channels, copy_px, copy_px), 0, 255, MOST_COPIES),
        "gaussian.mean": Expected("F32", (side**2, width)),
        "gaussian.whitening": Expected("F16", (side**2, width, width)),
        **expected_memory("memory", len(range(width)[patch_channels(model.grid)]), model.config.scoring.memory_size),
    }
    for name in NAMES:
        expected[f"usual_{name}.centre"] = Expected("F32", (MAP_SIZE, MAP_SIZE))
        expected[f"usual_{name}.unit"] = Expected("F32", (MAP_SIZE, MAP_SIZE), _SMALLEST)
    if shows_part:
        expected["foreground"] = Expected("F32", (width,))
    if monitored:
        expected["roi"] = Expected("U8", ("height", "width"), 0, 1, LARGEST_ROI_PX)
    return expected
