"""Maps of parts: brought to one size and smoothed, what is not monitored hidden, and the score that a map gives.

Legend: N parts, K noise levels, h x w places of a map, M side of the common map.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["MAP_SIZE", "common_map", "hidden", "top_mean"]

MAP_SIZE = 64
_SMOOTHING = 1.0  # standard deviation in places of the common map
_REACH = 4  # places, at each side: what lies further away counts for less than 1e-4


def common_map(maps: Float[Tensor, "*N h w"]) -> Float[Tensor, "*N M M"]:
    """Bring maps to M x M by linear interpolation between the middles of their places, and smooth them a little.

    Maps finer than M x M are averaged over blocks first.
    """
    *lead, height, width = maps.shape
    flat = maps.reshape(-1, 1, height, width).float()
    while min(flat.shape[2:]) >= 2 * MAP_SIZE:
        flat = F.avg_pool2d(flat, 2)
    if flat.shape[2:] != (MAP_SIZE, MAP_SIZE):
        flat = F.interpolate(flat, size=(MAP_SIZE, MAP_SIZE), mode="bilinear", align_corners=False)
    places = torch.arange(-_REACH, _REACH + 1, dtype=torch.float64, device=maps.device)
    kernel = torch.exp(-0.5 * (places / _SMOOTHING).square())
    kernel = (kernel / kernel.sum()).to(flat.dtype)
    flat = F.conv2d(F.pad(flat, (0, 0, _REACH, _REACH), mode="replicate"), kernel.view(1, 1, -1, 1))
    flat = F.conv2d(F.pad(flat, (_REACH, _REACH, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    return flat.reshape(*lead, MAP_SIZE, MAP_SIZE)


def hidden(maps: Float[Tensor, "N M M"], monitored: Bool[Tensor, "N M M"]) -> Float[Tensor, "N M M"]:
    """Return maps whose places that are not monitored hold the map's lowest value, so that they never count."""
    return torch.where(monitored, maps, maps.amin((-2, -1), keepdim=True))


def top_mean(maps: Float[Tensor, "N h w"], share: float) -> Float[Tensor, " N"]:
    """Return the mean of the highest `share` of each map's places (one place at least)."""
    flat = maps.flatten(1)
    count = max(1, round(share * flat.shape[1]))
    return flat.topk(count, dim=1).values.mean(1)
