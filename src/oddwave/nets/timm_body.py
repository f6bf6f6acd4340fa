"""Any network of the library timm as the body of a perceptual network, where timm is installed and has its weights.

Read `perceptual.py` next. Legend: B batch, H, W height and width, K classes.
"""

import importlib
import re
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from oddwave.errors import CheckpointError, ConfigError, MissingExtraError

__all__ = ["TimmBody", "load_timm"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class TimmBody(nn.Module):
    """A timm network without its head, which is why it cannot classify."""

    strides = (4, 8, 16)
    num_classes = 0

    def __init__(self, features: nn.Module, widths: Sequence[int], mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.features = features
        self.widths = tuple(widths)
        # timm normalises p in [0, 1] as (p - mean) / std, and p is (x + 1) / 2
        self.gain = tuple(0.5 / s for s in std)
        self.offset = tuple((0.5 - m) / s for m, s in zip(mean, std, strict=True))

    def taps(self, x: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B _ _ _"], ...]:
        """Return the tapped maps."""
        return tuple(self.features(x))

    def classify(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B K"]:
        """Refuse: the head was not loaded.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("networks from timm give feature maps only; efficientnet_lite0 and mobilenet_v2 can classify")


def load_timm(model: str) -> TimmBody:
    """Build a timm network with its pretrained weights and taps at strides 4, 8 and 16.

    Raises:
        MissingExtraError: timm is not installed, or does not run with the installed torch.
        ConfigError: timm knows no such network, or it has no maps at these strides.
        CheckpointError: its weights do not exist, cannot be downloaded, or are damaged.
    """
    if not _NAME.fullmatch(model):  # timm would take "hf-hub:someone/something", and folders
        raise ConfigError(f"'timm:{model:.80}' is no name of timm's own: give one of timm.list_models()")
    try:
        timm = importlib.import_module("timm")
    except (ImportError, RuntimeError, OSError) as error:  # the latter two: a torchvision built for another torch
        raise MissingExtraError(f"the perceptual network 'timm:{model}' ({_line(error)})", "timm") from None
    try:
        reductions = timm.create_model(model, pretrained=False, features_only=True).feature_info.reduction()
    except Exception as error:  # timm names no common base for what an unknown or unfit network may raise
        raise ConfigError(
            f"timm cannot give feature maps of '{model}' ({_line(error)}); see timm.list_models()"
        ) from None
    if not set(TimmBody.strides) <= set(reductions):
        raise ConfigError(f"'timm:{model}' has maps at strides {list(reductions)}, but 4, 8 and 16 are needed")
    # of several maps at one stride the last, as in the built-in networks
    indices = tuple(max(i for i, r in enumerate(reductions) if r == stride) for stride in TimmBody.strides)
    try:
        features = timm.create_model(model, pretrained=True, features_only=True, out_indices=indices)
    except Exception as error:  # network, disk and format errors of several libraries
        raise CheckpointError(
            f"no weights for 'timm:{model}' ({_line(error)}); connect to the internet once, or take efficientnet_lite0"
        ) from None
    config = features.pretrained_cfg
    return TimmBody(features, features.feature_info.channels(), config["mean"], config["std"])


def _line(error: BaseException) -> str:
    """Return the first line of an error's message, or its kind where it has none."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
