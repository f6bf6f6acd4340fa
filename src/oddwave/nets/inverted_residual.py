"""The convolutional body that EfficientNet-Lite0 and MobileNetV2 share: inverted residual blocks with ReLU6, no more.

Built for inference with fixed weights: batch norm is folded into the convolutions, so each has a bias and there are no
norms. Both networks come from TensorFlow, which pads an even side that stride 2 halves by one more at its end than at
its start. Sources: Sandler et al. 2018 (MobileNetV2), Tan & Le 2019 (EfficientNet).
Legend: B batch, H, W height and width, I, O channels in and out, K classes. Read `efficientnet.py` next.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.errors import CheckpointError

__all__ = ["InvertedResidualNet", "Layout", "Stage", "with_weights"]


class Stage(NamedTuple):
    """A run of blocks of one width; `stride` and the change of width belong to its first block."""

    num_blocks: int
    kernel_size: int
    stride: int
    expansion: int
    width: int


@dataclass(frozen=True)
class Layout:
    """What sets one network of the family apart from another."""

    stages: tuple[Stage, ...]
    num_classes: int
    gain: float  # gain * x + offset, x in [-1, 1], is what the network was trained on
    offset: float
    stem_width: int = 32
    head_width: int = 1280


class SameConv(nn.Conv2d):
    """A convolution to ceil(side / stride) positions, padded as TensorFlow pads, then ReLU6 where `activated`.

    It is born without weights ("meta"): no time goes into random ones, and none can stay unnoticed.
    """

    def __init__(
        self, in_width: int, out_width: int, kernel_size: int = 1, *, stride: int = 1, groups: int = 1, activated: bool
    ) -> None:
        super().__init__(in_width, out_width, kernel_size, stride, kernel_size // 2, groups=groups, device="meta")
        self.activated = activated

    def forward(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O h w"]:
        """Convolve; at stride 2 an even side is padded by one less at its start than at its end."""
        # One more on both sides and the first output dropped gives the same positions as TensorFlow's padding, and
        # spares the copy of the padded input: half of the layer's time.
        extra_h, extra_w = (self.stride[0] > 1 and side % 2 == 0 for side in x.shape[-2:])
        half = self.kernel_size[0] // 2
        pads = (half + extra_h, half + extra_w)
        x = F.conv2d(x, self.weight, self.bias, self.stride, pads, groups=self.groups)
        if self.activated:
            x = F.relu6(x, inplace=True)  # fresh memory for a map this large costs more than the arithmetic
        return x[..., extra_h:, extra_w:]


class InvertedResidual(nn.Module):
    """Widen by a 1x1, filter each channel, narrow by a 1x1 without activation; add the input where shapes allow."""

    def __init__(self, in_width: int, out_width: int, kernel_size: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = in_width * expansion
        self.expand = SameConv(in_width, width, activated=True) if expansion > 1 else nn.Identity()
        self.depthwise = SameConv(width, width, kernel_size, stride=stride, groups=width, activated=True)
        self.project = SameConv(width, out_width, activated=False)
        self.adds_input = stride == 1 and in_width == out_width

    def forward(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O h w"]:
        """Apply the block."""
        out: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + out if self.adds_input else out


class InvertedResidualNet(nn.Module):
    """Stem, blocks and classifying head; the taps are the last blocks at strides 4, 8 and 16."""

    strides = (4, 8, 16)

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.gain, self.offset = (layout.gain,) * 3, (layout.offset,) * 3
        self.num_classes = layout.num_classes
        self.stem = SameConv(3, layout.stem_width, 3, stride=2, activated=True)
        self.blocks = nn.ModuleList()
        width, stride = layout.stem_width, 2
        last_at: dict[int, tuple[int, int]] = {}  # stride -> blocks up to there, width
        for stage in layout.stages:
            for index in range(stage.num_blocks):
                step = stage.stride if index == 0 else 1
                self.blocks.append(InvertedResidual(width, stage.width, stage.kernel_size, step, stage.expansion))
                width, stride = stage.width, stride * step
                last_at[stride] = (len(self.blocks), width)
        self.head = SameConv(width, layout.head_width, activated=True)
        self.classifier = nn.Linear(layout.head_width, layout.num_classes, device="meta")
        self._ends = tuple(last_at[tapped][0] for tapped in self.strides)
        self.widths = tuple(last_at[tapped][1] for tapped in self.strides)

    def taps(self, x: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B _ _ _"], ...]:
        """Return the tapped maps; nothing behind the last one is computed."""
        x = self.stem(x)
        found = []
        for first, end in pairwise((0, *self._ends)):
            x = self._run(x, first, end)
            found.append(x)
        return tuple(found)

    def classify(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B K"]:
        """Return one logit per class."""
        x = self._run(self.stem(x), 0, len(self.blocks))
        logits: Tensor = self.classifier(self.head(x).mean((2, 3)))
        return logits

    def _run(self, x: Tensor, first: int, end: int) -> Tensor:
        """Apply the blocks from `first` to before `end`."""
        for block in self.blocks[first:end]:
            x = block(x)
        return x


def with_weights(layout: Layout, weights: Mapping[str, Tensor], path: Path) -> InvertedResidualNet:
    """Build the network around exactly these float tensors, which came from `path`.

    Raises:
        CheckpointError: a tensor is missing, too many, of another shape, or holds NaN or infinity.
    """
    net = InvertedResidualNet(layout)
    wanted = net.state_dict()
    for name in sorted({*wanted, *weights}):
        if name not in weights:
            fault = f"'{name}' is missing"
        elif name not in wanted:
            fault = f"'{name}' has no place in this network"
        elif weights[name].shape != wanted[name].shape:
            fault = f"'{name}' has the shape {tuple(weights[name].shape)} instead of {tuple(wanted[name].shape)}"
        elif not weights[name].isfinite().all():
            fault = f"'{name}' holds NaN or infinity"
        else:
            continue
        raise CheckpointError(f"{path} does not hold the weights that were expected: {fault}; is it another file?")
    net.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, assign=True)
    return net
