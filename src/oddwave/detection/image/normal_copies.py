"""A normal version without a network: the remembered image that resembles an image most outside of what is odd.

Of some normal squares small copies are kept. Where an image is odd, it is shown as the kept one that is nearest to it
everywhere else, as bright as the image is there. It is for people's eyes: no score passes through it.

Legend: T squares, K copies, C channels, S side of a square, s of a copy, M of a mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

__all__ = ["COPY_PX", "MOST_COPIES", "NormalCopies", "small_copy"]

COPY_PX = 128
MOST_COPIES = 256
_BLOCK = 64
_LEAST_OUTSIDE = 0.02  # of a square: with less of it left to compare, all of it is compared
_LEVELS = 127.5


def small_copy(x: Float[Tensor, "T C S S"]) -> UInt8[Tensor, "T C s s"]:
    """Return squares (values in [-1, 1]) as small copies in bytes."""
    size = min(COPY_PX, x.shape[-1])
    return ((F.interpolate(x, size=(size, size), mode="area") + 1) * _LEVELS).round().clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True, eq=False)
class NormalCopies:
    """The small copies."""

    copies: UInt8[Tensor, "K C s s"]

    @classmethod
    def of(cls, blocks: Sequence[UInt8[Tensor, "T C s s"]]) -> "NormalCopies":
        """Keep an even selection."""
        whole = torch.cat(list(blocks))
        return cls(whole[np.linspace(0, len(whole) - 1, min(MOST_COPIES, len(whole))).round().astype(int)])

    @property
    def side_px(self) -> int:
        """The side of a copy."""
        return int(self.copies.shape[-1])

    def changes(self, x: Float[Tensor, "T C S S"], masks: Float[Tensor, "T M M"]) -> Float[np.ndarray, "T C s s"]:
        """Return what has to be added to small squares to make them normal, by the share that the masks allow."""
        own = F.interpolate(x, size=self.copies.shape[2:], mode="area")
        soft = F.interpolate(masks[:, None], size=own.shape[2:], mode="bilinear", align_corners=False)
        return torch.stack([self._change(*each) for each in zip(own, soft, strict=True)]).numpy()

    def _change(self, own: Float[Tensor, "C s s"], soft: Float[Tensor, "1 s s"]) -> Float[Tensor, "C s s"]:
        outside = 1.0 - (soft > 0).float()
        if outside.mean() < _LEAST_OUTSIDE:
            outside = torch.ones_like(outside)
        weight = outside / outside.sum()
        distances = []
        for block in torch.split(self.copies, _BLOCK):
            away = own - (block.float() / _LEVELS - 1)
            level = (away * weight).sum((2, 3), keepdim=True)
            distances.append(((away - level).square() * weight).sum((1, 2, 3)))
        away = self.copies[int(torch.cat(distances).argmin())].float() / _LEVELS - 1 - own
        level = (away * weight).sum((1, 2), keepdim=True)
        return soft * ((own + away - level).clamp(-1, 1) - own)
