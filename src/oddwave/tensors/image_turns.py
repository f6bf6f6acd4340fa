"""Turned and mirrored copies of squares: as normal as the squares themselves, for parts that may lie in any direction.

    turn      by 90, 180 and 270 degrees
    rotate    by every 22.5 degrees; what comes from beyond the border is mirrored there
    mirror    left and right exchanged, of each of these

Legend: T squares, C channels, S their side.
"""

from collections.abc import Iterator, Sequence
from math import cos, radians, sin

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["turned_copies"]

_STEPS = 16  # of a whole turn


def turned_copies(x: Float[Tensor, "T C S S"], augment: Sequence[str]) -> Iterator[Float[Tensor, "T C S S"]]:
    """Yield the squares, then the copies of them that `augment` names."""
    steps = range(_STEPS) if "rotate" in augment else range(0, _STEPS, 4) if "turn" in augment else range(1)
    for step in steps:
        turned = _rotated(x, step)
        yield turned
        if "mirror" in augment:
            yield turned.flip(3)


def _rotated(x: Float[Tensor, "T C S S"], step: int) -> Float[Tensor, "T C S S"]:
    quarters, rest = divmod(step, _STEPS // 4)
    x = torch.rot90(x, quarters, (2, 3))
    if not rest:
        return x
    angle = radians(360.0 * rest / _STEPS)
    turn = torch.tensor([[cos(angle), -sin(angle), 0.0], [sin(angle), cos(angle), 0.0]], dtype=x.dtype)
    places = F.affine_grid(turn.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, places, mode="bilinear", padding_mode="reflection", align_corners=False)
