"""Building blocks of the U-Net, written once for 1-D and 2-D grids: convolutions, norms, residual blocks, padding.

Legend: B batch, F features (channels of a stage), *grid = L or H, W; E width of the time embedding.
Read `unet.py` next: it puts the blocks together.
"""

import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

__all__ = [
    "Downsample",
    "ResidualBlock",
    "ResidualStack",
    "Upsample",
    "channels_last",
    "conv",
    "group_norm",
    "reflect_pad",
    "seeded_draws",
    "separate_draws",
    "zeroed",
]

_DRAWING = threading.RLock()  # torch's global generator is the process's, and so of all threads

M = TypeVar("M", bound=nn.Module)


def _as_grid(x: Float[Tensor, "B F *grid"]) -> Float[Tensor, "B F H W"]:
    return x.unsqueeze(2) if x.ndim == 3 else x


class _LineConv(nn.Conv1d):
    """A convolution over a line, computed as over a grid of one row: only of grids torch keeps channels last."""

    def forward(self, x: Float[Tensor, "B I L"]) -> Float[Tensor, "B O M"]:
        weight, stride, pad = self.weight.unsqueeze(2), self.stride[0], int(self.padding[0])
        return F.conv2d(_as_grid(x), weight, self.bias, stride=(1, stride), padding=(0, pad)).squeeze(2)


class _GroupNorm(nn.GroupNorm):
    """As torch's, but of a line computed as of a grid of one row."""

    def forward(self, x: Float[Tensor, "B F *grid"]) -> Float[Tensor, "B F *grid"]:
        return F.group_norm(_as_grid(x), self.num_groups, self.weight, self.bias, self.eps).view_as(x)


def channels_last(x: Float[Tensor, "B F *grid"]) -> Float[Tensor, "B F *grid"]:
    """Return a map whose features lie side by side in memory, as convolutions and attention read them."""
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


_CONV: dict[int, type[nn.Conv1d] | type[nn.Conv2d]] = {1: _LineConv, 2: nn.Conv2d}


def conv(grid_dims: int, in_width: int, out_width: int, kernel_size: int = 3, stride: int = 1) -> nn.Module:
    """Return a convolution over a 1-D or 2-D grid that keeps (stride 1) or halves (stride 2) even sizes."""
    return _CONV[grid_dims](in_width, out_width, kernel_size, stride=stride, padding=kernel_size // 2)


def zeroed(module: M) -> M:
    """Set every weight of a layer to zero, so that what it feeds starts without it."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def group_norm(width: int, max_groups: int) -> nn.GroupNorm:
    """Return a GroupNorm of as many groups as divide `width`, at most `max_groups`, of two or more channels each.

    A group of one channel would wipe out a map of a single position, which small grids have at the bottleneck.
    """
    groups = max(g for g in range(1, max_groups + 1) if width % g == 0 and (g == 1 or width // g >= 2))
    return _GroupNorm(groups, width)


@contextmanager
def seeded_draws(seed: int | None) -> Iterator[None]:
    """Draw initial weights from the seed (None: from wherever the generator is), whatever other threads do meanwhile.

    torch's layers draw from the process's one generator. It is held for this thread alone, and afterwards left as it
    was found.
    """
    with _DRAWING, torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        yield


@contextmanager
def separate_draws(tag: str) -> Iterator[None]:
    """Draw the initial weights of a switchable part from a stream of its own.

    The global generator is left as it was found, so the plain network gets the same weights from the same seed whether
    the part is there or not. Weights are drawn on the CPU, as torch layers do by default.
    """
    with _DRAWING, torch.random.fork_rng(devices=[]):
        here = int(torch.randint(2**31, (), device="cpu"))
        torch.default_generator.manual_seed(here ^ zlib.crc32(tag.encode()))
        yield


def _reflected(size: int, before: int, after: int, device: torch.device) -> Tensor:
    """Positions of a signal mirrored at both ends as often as needed; a single point repeats."""
    period = max(2 * (size - 1), 1)
    position = torch.arange(-before, size + after, device=device) % period
    return torch.minimum(position, period - position)


def reflect_pad(x: Float[Tensor, "B F *grid"], pads: Sequence[tuple[int, int]]) -> Float[Tensor, "B F *padded"]:
    """Continue a map by its mirror image, (before, after) points per grid axis, as `numpy.pad(mode="reflect")` does.

    torch mirrors once only; where an axis is too short for that it is mirrored again and again.
    """
    if not any(before or after for before, after in pads):
        return x
    if all(max(pair) < size for pair, size in zip(pads, x.shape[2:], strict=True)):
        return F.pad(x, [points for pair in reversed(pads) for points in pair], mode="reflect")
    for axis, (before, after) in enumerate(pads, start=2):
        x = x.index_select(axis, _reflected(x.shape[axis], before, after, x.device))
    return x


class ResidualBlock(nn.Module):
    """Two convolutions with GroupNorm and SiLU; the time embedding scales and shifts between them.

    The second convolution starts at zero, so that a new block is the identity (or its 1x1 shortcut).
    """

    def __init__(
        self, in_width: int, out_width: int, *, grid_dims: int, time_width: int, norm_groups: int, dropout: float
    ) -> None:
        super().__init__()
        self.norm1 = group_norm(in_width, norm_groups)
        self.conv1 = conv(grid_dims, in_width, out_width)
        self.time = nn.Linear(time_width, 2 * out_width)
        self.norm2 = group_norm(out_width, norm_groups)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = zeroed(conv(grid_dims, out_width, out_width))
        self.shortcut = nn.Identity() if in_width == out_width else conv(grid_dims, in_width, out_width, kernel_size=1)
        self._time_shape = (-1, 2 * out_width, *(1,) * grid_dims)

    def forward(self, x: Float[Tensor, "B F *grid"], time: Float[Tensor, "B E"]) -> Float[Tensor, "B G *grid"]:
        """Return the shortcut plus the block's correction."""
        scale, shift = self.time(time).view(self._time_shape).chunk(2, dim=1)
        h = self.conv1(F.silu(self.norm1(x)))
        h = torch.addcmul(shift, self.norm2(h), scale + 1)
        out: Tensor = self.shortcut(x) + self.conv2(self.dropout(F.silu(h)))
        return out


class ResidualStack(nn.Module):
    """Residual blocks one after the other; the first may change the width."""

    def __init__(
        self,
        in_width: int,
        out_width: int,
        *,
        num_blocks: int,
        grid_dims: int,
        time_width: int,
        norm_groups: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ResidualBlock(
                in_width if index == 0 else out_width,
                out_width,
                grid_dims=grid_dims,
                time_width=time_width,
                norm_groups=norm_groups,
                dropout=dropout,
            )
            for index in range(num_blocks)
        )

    def forward(self, x: Float[Tensor, "B F *grid"], time: Float[Tensor, "B E"]) -> Float[Tensor, "B G *grid"]:
        """Run the blocks in order."""
        for block in self.blocks:
            x = block(x, time)
        return x


class Downsample(nn.Module):
    """Halve even sizes by a strided convolution."""

    def __init__(self, in_width: int, out_width: int, *, grid_dims: int) -> None:
        super().__init__()
        self.conv = conv(grid_dims, in_width, out_width, stride=2)

    def forward(self, x: Float[Tensor, "B F *grid"]) -> Float[Tensor, "B G *half"]:
        """Return the map at half the size."""
        out: Tensor = self.conv(x)
        return out


class Upsample(nn.Module):
    """Double sizes by repeating each point, then smooth by a convolution (no checkerboard, unlike a transposed one)."""

    def __init__(self, in_width: int, out_width: int, *, grid_dims: int) -> None:
        super().__init__()
        self.conv = conv(grid_dims, in_width, out_width)

    def forward(self, x: Float[Tensor, "B F *grid"]) -> Float[Tensor, "B G *double"]:
        """Return the map at twice the size."""
        factors = (1.0, 2.0) if x.ndim == 3 else (2.0, 2.0)
        doubled = F.interpolate(_as_grid(x), scale_factor=factors, mode="nearest")
        out: Tensor = self.conv(doubled.squeeze(2) if x.ndim == 3 else doubled)
        return out
