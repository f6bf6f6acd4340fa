"""Maps over images: brought to one size and smoothed, and the one score that a map gives its image.

Legend: N images, K noise levels, h x w places of a map, M side of the common map.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter, zoom

__all__ = ["MAP_SIZE", "common_map", "hidden", "top_mean"]

MAP_SIZE = 64
_SMOOTHING = 1.0  # standard deviation in places of the common map


def common_map(maps: Float[np.ndarray, "*N h w"]) -> Float[np.ndarray, "*N M M"]:
    """Bring maps to M x M by linear interpolation between the middles of their places, and smooth them a little.

    Maps finer than M x M are averaged over blocks first.
    """
    *lead, height, width = maps.shape
    flat = maps.reshape(-1, height, width).astype(np.float32)
    while min(flat.shape[1:]) >= 2 * MAP_SIZE:
        even = flat[:, : flat.shape[1] // 2 * 2, : flat.shape[2] // 2 * 2]
        flat = even.reshape(len(even), even.shape[1] // 2, 2, even.shape[2] // 2, 2).mean((2, 4))
    factors = (1.0, MAP_SIZE / flat.shape[1], MAP_SIZE / flat.shape[2])
    if factors != (1.0, 1.0, 1.0):
        flat = zoom(flat, factors, order=1, mode="nearest", grid_mode=True)
    smooth = gaussian_filter(flat, (0.0, _SMOOTHING, _SMOOTHING), mode="nearest")
    result: np.ndarray = smooth.reshape(*lead, MAP_SIZE, MAP_SIZE)
    return result


def hidden(maps: Float[np.ndarray, "*N M M"], monitored: Bool[np.ndarray, "M M"]) -> Float[np.ndarray, "*N M M"]:
    """Give maps whose places that are not monitored hold the map's lowest value, so that they never count."""
    if monitored.all():
        return maps
    lowest = maps.min((-2, -1), keepdims=True)
    return np.where(monitored, maps, lowest)


def top_mean(maps: Float[np.ndarray, "*N h w"], share: float) -> Float[np.ndarray, "*N"]:
    """Give the mean of the highest `share` of each map's places (one place at least)."""
    flat = maps.reshape(*maps.shape[:-2], -1)
    count = max(1, round(share * flat.shape[-1]))
    top: np.ndarray = np.partition(flat, flat.shape[-1] - count, axis=-1)[..., -count:]
    return np.asarray(top.mean(-1))
