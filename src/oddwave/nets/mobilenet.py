"""MobileNetV2 at full width (Sandler et al. 2018) from a file of folded weights: .npz or .safetensors.

The arrays are named as torchvision names the layers (`features.2.conv.0.0.weight`, `classifier.bias`), each convolution
with its batch norm folded in, so with a bias. Read `timm_body.py` next.
"""

from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from oddwave.errors import CheckpointError
from oddwave.nets.inverted_residual import InvertedResidualNet, Layout, Stage, with_weights

__all__ = ["MOBILENET_V2", "load_mobilenet_v2"]

MOBILENET_V2 = Layout(
    stages=(
        Stage(1, 3, 1, 1, 16),
        Stage(2, 3, 2, 6, 24),
        Stage(3, 3, 2, 6, 32),
        Stage(4, 3, 2, 6, 64),
        Stage(3, 3, 1, 6, 96),
        Stage(3, 3, 2, 6, 160),
        Stage(1, 3, 1, 6, 320),
    ),
    num_classes=1001,  # class 0 is "background": ImageNet's class k is k + 1 here
    gain=1.0,
    offset=0.0,
)

_NUM_BLOCKS = sum(stage.num_blocks for stage in MOBILENET_V2.stages)
_BLOCK_PARTS = {"0.0": "expand", "1.0": "depthwise", "2": "project"}
_FIRST_BLOCK_PARTS = {"0.0": "depthwise", "1": "project"}  # it does not expand


def load_mobilenet_v2(path: Path) -> InvertedResidualNet:
    """Build the network from a file of folded weights.

    Raises:
        CheckpointError: the file is missing, damaged, of another format, or of another network.
    """
    names = _our_names()
    weights = {names.get(name, name): tensor for name, tensor in _read(path).items()}
    return with_weights(MOBILENET_V2, weights, path)


def _our_names() -> dict[str, str]:
    """Return file name -> our name of each tensor."""
    layers = {"features.0.0": "stem", f"features.{_NUM_BLOCKS + 1}.0": "head", "classifier": "classifier"}
    for block in range(_NUM_BLOCKS):
        for theirs, ours in (_BLOCK_PARTS if block else _FIRST_BLOCK_PARTS).items():
            layers[f"features.{block + 1}.conv.{theirs}"] = f"blocks.{block}.{ours}"
    return {f"{theirs}.{kind}": f"{ours}.{kind}" for theirs, ours in layers.items() for kind in ("weight", "bias")}


def _read(path: Path) -> Mapping[str, Tensor]:
    """Read named tensors; the file's ending says how."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (OSError, ValueError, TypeError, EOFError, BadZipFile, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"{path} cannot be read as weights ({reason}); restore it, or name another file"
        ) from None
    raise CheckpointError(f"{path} is neither .npz nor .safetensors, the two formats that mobilenet_v2 is read from")
