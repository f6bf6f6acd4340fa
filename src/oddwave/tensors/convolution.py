"""Windows as vectors of random convolutions: which shapes occur how often in them, and how strongly, wherever they lie.

    c_j = w_j * x  (kernels of 9 points, dilations 1 to 32)
    "convolution"   for each kernel and threshold, the share of points with c_j above the threshold
    "energy"        for each kernel, log(0.05 + standard deviation of c_j)

Instances whose shapes come early or late lie near each other in both spaces, which they do not point by point.
Thresholds are the quartiles of c_j over normals. Source: the shares are ROCKET's and MiniRocket's (Dempster et al.
2020, 2021); there a classifier reads them, here a nearest-neighbour distance does.

Legend: N windows, C channels, L points of a window, R dilations, J kernels, D dimensions.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from oddwave.tensors.spaces import CONVOLUTION_SPACES

__all__ = ["RandomConvolutions", "num_dimensions"]


_POINTS, _KERNELS, _DILATIONS, _SEED = 9, 100, (1, 2, 4, 8, 16, 32), 9
_SHARES = (0.25, 0.5, 0.75)
_ENERGY_FLOOR = 0.05
_BATCH_VALUES = 2**22
_MOST_SAMPLED = 5000


@dataclass(frozen=True, eq=False)
class RandomConvolutions:
    """The kernels, which follow from the number of channels, and the thresholds of each, which are learnt."""

    num_channels: int
    thresholds: Float[np.ndarray, "R 3 J"]

    @classmethod
    def fit(cls, windows: Float[np.ndarray, "N C L"]) -> "RandomConvolutions":
        """Learn the thresholds from normal windows."""
        kernels, x = _kernels(windows.shape[1]), torch.from_numpy(np.ascontiguousarray(windows, np.float32))
        x = x[torch.linspace(0, len(x) - 1, min(len(x), max(2, _BATCH_VALUES // (_KERNELS * x.shape[2])))).long()]
        thresholds = []
        for dilation in dilations_of(windows.shape[2]):
            found = _convolved(x, kernels, dilation).transpose(0, 1).flatten(1)
            sampled = found[:, :: max(1, found.shape[1] // _MOST_SAMPLED)]
            thresholds.append(torch.quantile(sampled, torch.tensor(_SHARES), dim=1))
        return cls(windows.shape[1], torch.stack(thresholds).numpy())

    def vectors(self, windows: Float[np.ndarray, "N C L"]) -> dict[str, Float[np.ndarray, "N D"]]:
        """Return the windows in both spaces."""
        step = max(1, _BATCH_VALUES // (_KERNELS * windows.shape[2]))
        parts: dict[str, list[Tensor]] = {name: [] for name in CONVOLUTION_SPACES}
        for first in range(0, len(windows), step):
            x = torch.from_numpy(np.ascontiguousarray(windows[first : first + step], np.float32))
            for name, own in self.of(x).items():
                parts[name].append(own)
        return {name: torch.cat(own).numpy() for name, own in parts.items()}

    def of(self, x: Float[Tensor, "N C L"]) -> dict[str, Float[Tensor, "N D"]]:
        """Return the windows in both spaces: operations of torch alone, as an exported graph has them."""
        kernels, thresholds = _kernels(self.num_channels), torch.from_numpy(self.thresholds)
        shares, energies = [], []
        for dilation, levels in zip(dilations_of(x.shape[2]), thresholds, strict=True):
            found = _convolved(x, kernels, dilation)
            shares += [(found > level[:, None]).float().mean(2) for level in levels]
            energies.append((found.std(2, correction=0) + _ENERGY_FLOOR).log())
        return {"convolution": torch.cat(shares, 1), "energy": torch.cat(energies, 1)}


def num_dimensions(length: int) -> tuple[int, int]:
    """Return the dimensions of the two spaces for windows of this length."""
    num = len(dilations_of(length)) * _KERNELS
    return num * len(_SHARES), num


def dilations_of(length: int) -> tuple[int, ...]:
    """Return the dilations whose kernels fit into windows of this length; one at least."""
    return tuple(d for d in _DILATIONS if (_POINTS - 1) * d < length) or (1,)


def _kernels(num_channels: int) -> Float[Tensor, "J C 9"]:
    """Draw kernels of mean zero; of several channels, each kernel looks at some of them."""
    rng = np.random.default_rng([_SEED, num_channels])
    kernels = rng.normal(size=(_KERNELS, num_channels, _POINTS))
    if num_channels > 1:
        looked_at = rng.uniform(size=(_KERNELS, num_channels)) < 1.5 / num_channels
        looked_at[np.arange(_KERNELS), rng.integers(num_channels, size=_KERNELS)] = True
        kernels *= looked_at[:, :, None]
    kernels -= kernels.mean(2, keepdims=True)
    return torch.from_numpy(kernels.astype(np.float32))


def _convolved(x: Float[Tensor, "N C L"], kernels: Float[Tensor, "J C 9"], dilation: int) -> Float[Tensor, "N J L"]:
    return F.conv1d(x, kernels, padding=dilation * (_POINTS // 2), dilation=dilation)
