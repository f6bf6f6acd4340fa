"""Any network of the library timm as the body of a perceptual network, where timm is installed and has its weights.

Convolutional and hierarchical networks are tapped at strides 4, 8 and 16. Plain vision transformers have one stride,
that of their patches: they are tapped behind a third, a half and two thirds of their blocks, the tokens laid out as a
grid. An image is brought to the nearest multiple of the patch; positions are interpolated to any size.
Read `perceptual.py` next. Legend: B batch, H, W height and width, K classes.
"""

import importlib
import re
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.errors import CheckpointError, ConfigError, MissingExtraError

__all__ = ["TimmBody", "load_timm"]

_STRIDES = (4, 8, 16)
_LARGEST_PATCH = 16  # of transformers: larger ones tell too little of where
_FEWEST_BLOCKS = 6
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class TimmBody(nn.Module):
    """A timm network without its head, which is why it cannot classify."""

    num_classes = 0

    def __init__(
        self,
        features: nn.Module,
        widths: Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        strides: Sequence[int] = _STRIDES,
    ) -> None:
        super().__init__()
        self.features = features
        self.widths, self.strides = tuple(widths), tuple(strides)
        layout = getattr(features, "output_fmt", "")
        self.channels_last = getattr(layout, "value", layout) == "NHWC"
        self.patch = self.strides[0] if len(set(self.strides)) == 1 else 0  # of transformers, else 0
        # timm normalises p in [0, 1] as (p - mean) / std, and p is (x + 1) / 2
        self.gain = tuple(0.5 / s for s in std)
        self.offset = tuple((0.5 - m) / s for m, s in zip(mean, std, strict=True))

    def taps(self, x: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B _ _ _"], ...]:
        """Return the tapped maps."""
        if self.patch:
            height, width = (max(1, round(side / self.patch)) * self.patch for side in x.shape[2:])
            if (height, width) != tuple(x.shape[2:]):
                x = F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
        found = self.features(x)
        return tuple(tap.permute(0, 3, 1, 2) if self.channels_last else tap for tap in found)

    def classify(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B K"]:
        """Refuse: the head was not loaded.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("networks from timm give feature maps only; efficientnet_lite0 and mobilenet_v2 can classify")


def load_timm(model: str) -> TimmBody:
    """Build a timm network with its pretrained weights and taps at strides 4, 8 and 16, or of tokens.

    Raises:
        MissingExtraError: timm is not installed, or does not run with the installed torch.
        ConfigError: timm knows no such network, or it has no maps that can be used.
        CheckpointError: its weights do not exist, cannot be downloaded, or are damaged.
    """
    if not _NAME.fullmatch(model):  # timm would take "hf-hub:someone/something", and folders
        raise ConfigError(f"'timm:{model:.80}' is no name of timm's own: give one of timm.list_models()")
    try:
        timm = importlib.import_module("timm")
    except (ImportError, RuntimeError, OSError) as error:  # the latter two: a torchvision built for another torch
        raise MissingExtraError(f"the perceptual network 'timm:{model}' ({_line(error)})", "timm") from None
    plain = _create(timm, model, {})
    # transformers would insist on images of the size that they learnt from
    fixed = getattr(plain, "pretrained_cfg", {}).get("fixed_input_size", False)
    options = {"dynamic_img_size": True} if fixed else {}
    reductions, num_maps = list(plain.feature_info.reduction()), len(getattr(plain.feature_info, "info", ()))
    indices = _tapped(model, reductions, num_maps)
    if fixed:
        _create(timm, model, options)  # one that cannot be told so is refused before its weights are fetched
    try:
        features = timm.create_model(model, pretrained=True, features_only=True, out_indices=indices, **options)
    except Exception as error:  # network, disk and format errors of several libraries
        raise CheckpointError(
            f"no weights for 'timm:{model}' ({_line(error)}); connect to the internet once, or take efficientnet_lite0"
        ) from None
    config = features.pretrained_cfg
    strides = list(features.feature_info.reduction())
    return TimmBody(features, features.feature_info.channels(), config["mean"], config["std"], strides)


def _create(timm: Any, model: str, options: dict[str, bool]) -> Any:
    """Build a network without its weights, to see what it is."""
    try:
        return timm.create_model(model, pretrained=False, features_only=True, **options)
    except Exception as error:  # timm names no common base for what an unknown or unfit network may raise
        what = "sees images of one size only" if options else "cannot give feature maps"
        raise ConfigError(f"timm's '{model}' {what} ({_line(error)}); see timm.list_models()") from None


def _tapped(model: str, reductions: Sequence[int], num_maps: int) -> tuple[int, ...]:
    """Return which of a network's maps are tapped. Raises: ConfigError where none can be."""
    if set(_STRIDES) <= set(reductions):
        # of several maps at one stride the last, as in the built-in networks
        return tuple(max(i for i, r in enumerate(reductions) if r == stride) for stride in _STRIDES)
    if len(set(reductions)) == 1 and reductions[0] <= _LARGEST_PATCH and num_maps >= _FEWEST_BLOCKS:
        return num_maps // 3 - 1, num_maps // 2 - 1, 2 * num_maps // 3 - 1
    raise ConfigError(
        f"'timm:{model}' has maps at strides {list(reductions)}: 4, 8 and 16 are needed, or a transformer with patches "
        f"of at most {_LARGEST_PATCH} px"
    )


def _line(error: BaseException) -> str:
    """Return the first line of an error's message, or its kind where it has none."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
