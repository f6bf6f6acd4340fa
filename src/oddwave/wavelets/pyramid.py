"""Discrete wavelet transform and its exact inverse on 1-D and 2-D grids, batched and differentiable.

Every channel is filtered on its own by one strided convolution whose taps are PyWavelets'; borders are periodic
("periodization"), so sizes halve exactly and the transform is orthogonal: its inverse is its transpose.
Legend: L, H, W grid sizes; p = filter length / 2 - 1 points that a filter reaches beyond a pair of samples.
`oddwave.nets.pyramid` shows how the network uses the same filters without the periodic border.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import pywt
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from oddwave.errors import ConfigError, DataError, ShapeError

__all__ = [
    "WAVELETS",
    "WaveletCoefficients",
    "border_reach",
    "check_wavelet",
    "dwt",
    "filter_and_halve",
    "filter_bank",
    "idwt",
    "max_level",
    "wavedec",
    "waverec",
]

WAVELETS = ("haar", "db2", "db4")

_CONV = {1: F.conv1d, 2: F.conv2d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d}


class WaveletCoefficients(NamedTuple):
    """A multi-level transform: the coarsest approximation and the detail bands of every level.

    `details[l - 1]` holds level l (1 = finest): (detail,) on a 1-D grid, (LH, HL, HH) on a 2-D grid.
    """

    approx: Float[Tensor, "..."]
    details: tuple[tuple[Float[Tensor, "..."], ...], ...]


def check_wavelet(wavelet: str, grid_dims: int) -> None:
    """Refuse an unknown wavelet or grid.

    Raises:
        ConfigError: `wavelet` is none of `WAVELETS`, or `grid_dims` is neither 1 nor 2.
    """
    if wavelet not in WAVELETS:
        raise ConfigError(f"wavelet is {wavelet!r}, expected one of {', '.join(WAVELETS)}; choose one of these")
    if grid_dims not in _CONV:
        raise ConfigError(f"grid_dims is {grid_dims!r}, expected 1 (series) or 2 (images, scalograms); set one of them")


@lru_cache
def _taps(wavelet: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Low-pass and high-pass taps, reversed because torch's convolution is a correlation."""
    filters = pywt.Wavelet(wavelet)
    return tuple(reversed(filters.dec_lo)), tuple(reversed(filters.dec_hi))


def border_reach(wavelet: str) -> int:
    """Return p, how many points a filter reaches beyond the two samples that it merges (haar 0, db2 1, db4 3)."""
    return len(_taps(wavelet)[0]) // 2 - 1


def filter_bank(
    wavelet: str, grid_dims: int, *, dtype: torch.dtype = torch.float64, device: torch.device | None = None
) -> Float[Tensor, "bands 1 *taps"]:
    """Return the 2^grid_dims analysis filters in the order of `dwt`, as a convolution weight."""
    check_wavelet(wavelet, grid_dims)
    pair = torch.tensor(_taps(wavelet), dtype=torch.float64)
    if grid_dims == 2:
        # First letter of a band = filter along the width, second = along the height (LH holds horizontal edges).
        pair = torch.einsum("aw,bh->abhw", pair, pair).flatten(0, 1)
    return pair.unsqueeze(1).to(device=device, dtype=dtype)


def filter_and_halve(
    padded: Float[Tensor, "items 1 *grid"], bank: Float[Tensor, "bands 1 *taps"]
) -> Float[Tensor, "items bands *half"]:
    """Filter a signal that already carries p extra points at each end and keep every second point."""
    bands: Tensor = _CONV[bank.ndim - 2](padded, bank, stride=2)
    return bands


def _wrap(x: Float[Tensor, "items bands *grid"], width: int) -> Float[Tensor, "items bands *wrapped"]:
    """Continue a signal periodically by `width` points at each end of each axis, however short it is."""
    if width == 0:
        return x
    for axis in range(2, x.ndim):
        size = x.shape[axis]
        x = x.index_select(axis, torch.arange(-width, size + width, device=x.device) % size)
    return x


def _split_shape(x: Tensor, grid_dims: int) -> tuple[torch.Size, torch.Size]:
    if not x.is_floating_point():
        raise DataError(f"got a tensor of {x.dtype}, expected floating point; convert it with .float()")
    if x.ndim < grid_dims:
        raise ShapeError(f"got shape {tuple(x.shape)}, expected at least {grid_dims} axes; add the missing axes")
    return x.shape[: x.ndim - grid_dims], x.shape[x.ndim - grid_dims :]


def dwt(x: Float[Tensor, "..."], wavelet: str = "db2", *, grid_dims: int) -> tuple[Float[Tensor, "..."], ...]:
    """Split a signal into its wavelet bands at half the size, one level, with periodic borders.

    Args:
        x: (..., L) or (..., H, W), any leading axes; L, H, W even.
        wavelet: "haar", "db2" or "db4".
        grid_dims: how many trailing axes are the grid, 1 or 2.

    Returns:
        1-D: (approx, detail), each (..., L/2). 2-D: (LL, LH, HL, HH), each (..., H/2, W/2), where the first letter is
        the filter along the width: LH holds horizontal, HL vertical and HH diagonal detail (PyWavelets' cH, cV, cD).

    Raises:
        ConfigError: unknown wavelet or `grid_dims`.
        DataError: `x` is not floating point.
        ShapeError: a grid axis is empty or odd.

    Source: Mallat 1989; border rule as PyWavelets' mode "periodization".
    """
    check_wavelet(wavelet, grid_dims)
    lead, grid = _split_shape(x, grid_dims)
    if any(size == 0 or size % 2 for size in grid):
        raise ShapeError(
            f"dwt got a grid of {tuple(grid)}, expected even sizes above 0; pad each odd axis by one point"
        )
    bank = filter_bank(wavelet, grid_dims, dtype=x.dtype, device=x.device)
    folded = x.reshape(math.prod(lead), 1, *grid)
    bands = filter_and_halve(_wrap(folded, border_reach(wavelet)), bank)
    return tuple(band.reshape(*lead, *bands.shape[2:]) for band in bands.unbind(1))


def idwt(bands: Sequence[Float[Tensor, "..."]], wavelet: str = "db2", *, grid_dims: int) -> Float[Tensor, "..."]:
    """Put the bands of `dwt` together again; `idwt(dwt(x)) == x` up to rounding.

    Args:
        bands: (approx, detail) or (LL, LH, HL, HH), all of one shape.
        wavelet: the one given to `dwt`.
        grid_dims: how many trailing axes are the grid, 1 or 2.

    Raises:
        ConfigError: unknown wavelet or `grid_dims`.
        DataError: the bands are not floating point.
        ShapeError: a wrong number of bands, or bands of different or empty shapes.
    """
    check_wavelet(wavelet, grid_dims)
    shapes = [tuple(band.shape) for band in bands]
    if len(shapes) != 2**grid_dims or len(set(shapes)) != 1:
        raise ShapeError(
            f"idwt got bands of shapes {shapes}, expected {2**grid_dims} of one shape; pass what dwt returned"
        )
    lead, half = _split_shape(bands[0], grid_dims)
    if 0 in half:
        raise ShapeError(
            f"idwt got bands with an empty grid {tuple(half)}, expected at least one point per axis; check them"
        )
    bank = filter_bank(wavelet, grid_dims, dtype=bands[0].dtype, device=bands[0].device)
    folded = torch.stack([band.reshape(math.prod(lead), *half) for band in bands], dim=1)
    reach = border_reach(wavelet)
    extra = (reach + 1) // 2  # coefficients from beyond the border that reach into the signal
    x: Tensor = _CONV_TRANSPOSE[grid_dims](_wrap(folded, extra), bank, stride=2)
    for axis, size in enumerate(half, start=2):
        x = x.narrow(axis, reach + 2 * extra, 2 * size)
    return x.reshape(*lead, *x.shape[2:])


def max_level(grid: Sequence[int]) -> int:
    """Return how many times every grid axis can be halved exactly."""
    return min((size & -size).bit_length() - 1 if size else 0 for size in grid)


def wavedec(x: Float[Tensor, "..."], num_levels: int, wavelet: str = "db2", *, grid_dims: int) -> WaveletCoefficients:
    """Split a signal over several levels: the approximation of each level is split again.

    Args:
        x: (..., L) or (..., H, W), every grid size a multiple of 2^num_levels.
        num_levels: 0 or more; 0 returns the signal as its own approximation.
        wavelet: "haar", "db2" or "db4".
        grid_dims: how many trailing axes are the grid, 1 or 2.

    Raises:
        ConfigError: `num_levels` is negative, unknown wavelet or `grid_dims`.
        ShapeError: a grid size cannot be halved that often.
    """
    check_wavelet(wavelet, grid_dims)
    if num_levels < 0:
        raise ConfigError(f"num_levels is {num_levels}, expected 0 or more; ask for at least 0 levels")
    grid = _split_shape(x, grid_dims)[1]
    if max_level(grid) < num_levels:
        raise ShapeError(
            f"wavedec got a grid of {tuple(grid)} for {num_levels} levels, expected multiples of {2**num_levels}; "
            "pad the grid or ask for fewer levels"
        )
    details = []
    for _ in range(num_levels):
        x, *level = dwt(x, wavelet, grid_dims=grid_dims)
        details.append(tuple(level))
    return WaveletCoefficients(x, tuple(details))


def waverec(coefficients: WaveletCoefficients, wavelet: str = "db2", *, grid_dims: int) -> Float[Tensor, "..."]:
    """Put all levels of `wavedec` together again; the exact inverse up to rounding.

    Raises:
        ConfigError: unknown wavelet or `grid_dims`.
        ShapeError: bands that do not fit together.
    """
    x = coefficients.approx
    for level in reversed(coefficients.details):
        x = idwt((x, *level), wavelet, grid_dims=grid_dims)
    return x
