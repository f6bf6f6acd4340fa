"""Noise by seed: the same for every item of a batch (`common_noise`), or each item's own (`ItemNoise`).

Both are drawn on the CPU and the same on every device. Read `guidance.py` next.

Legend: B batch, C channels, ... the grid.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from operator import index
from typing import SupportsIndex

import numpy as np
import torch
from jaxtyping import Float, UInt64
from torch import Tensor

from oddwave.errors import ShapeError

__all__ = ["ItemNoise", "common_noise", "per_item_noise", "shared_noise"]


def common_noise(shape: Sequence[int], seed: int) -> Float[Tensor, "*shape"]:
    """Return standard normal noise of this shape, the same for equal seeds; `expand_as` gives it to every item.

    Items that see the same noise can be compared: a score then depends on the item and the seed alone.
    """
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed % 2**64))


def shared_noise(shape: Sequence[int], seed: int) -> Callable[[int], Float[Tensor, "B C ..."]]:
    """Return a source that gives all items of a batch the same noise, another one at each draw."""
    return lambda draw: common_noise(shape[1:], seed + draw).expand(tuple(shape))


@dataclass(frozen=True, eq=False)
class ItemNoise:
    """Standard normal noise for a batch of items, drawn as often as needed.

    Item i's draw number d depends on (`seed`, `ids[i]`, d) alone: not on the batch, its order, or the device. Ids are
    integers or strings; the integer 7 and the string "7" are the same id. `shape` is (B, C, *grid), B = len(ids).
    """

    shape: Sequence[int]
    ids: Sequence[SupportsIndex | str]
    seed: int = 0
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        if len(self.ids) != self.shape[0]:
            raise ShapeError(f"{len(self.ids)} item ids for a batch of shape {tuple(self.shape)}; give one id per item")

    def __call__(self, draw: int) -> Float[Tensor, "B C ..."]:
        """Return draw number `draw` as float32 on the device."""
        normals = _normals(_item_keys(self.ids, self.seed, draw), math.prod(self.shape[1:]))
        return torch.from_numpy(normals).reshape(tuple(self.shape)).to(self.device)

    def generators(self) -> list[torch.Generator]:
        """Return one seeded torch generator per item, for samplers that insist on drawing by themselves."""
        keys = _item_keys(self.ids, self.seed, draw=-1) >> np.uint64(1)  # torch takes signed 64-bit seeds
        return [torch.Generator(self.device).manual_seed(int(key)) for key in keys]


def per_item_noise(
    shape: Sequence[int],
    ids: Sequence[SupportsIndex | str],
    draw: int = 0,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> Float[Tensor, "B C ..."]:
    """Draw standard normal noise of `shape` (B, C, *grid) in which row i depends on (seed, ids[i], draw) alone.

    Raises:
        ShapeError: if there is not exactly one id per item.
    """
    return ItemNoise(shape, ids, seed, device)(draw)


def _item_keys(ids: Sequence[SupportsIndex | str], seed: int, draw: int) -> UInt64[np.ndarray, " B"]:
    # `index` turns NumPy and torch integers into plain ones, so an id hashes alike wherever it came from.
    names = [item if isinstance(item, str) else str(index(item)) for item in ids]
    salt = f"{index(seed)}/{index(draw)}/".encode()
    digests = b"".join(blake2b(salt + name.encode(), digest_size=8).digest() for name in names)
    keys: UInt64[np.ndarray, " B"] = np.frombuffer(digests, dtype="<u8").astype(np.uint64)
    return keys


def _normals(keys: UInt64[np.ndarray, " B"], size: int) -> Float[np.ndarray, "B size"]:
    """Box-Muller on a counter-based generator: number j of item i is a hash of (key_i, j), all items at once."""
    half = (size + 1) // 2
    radius = np.sqrt(-2.0 * np.log(_uniforms(keys, np.arange(half))))
    angle = (2.0 * math.pi) * _uniforms(keys, np.arange(half, 2 * half))
    normals = np.empty((len(keys), 2 * half), dtype=np.float32)
    np.multiply(radius, np.cos(angle), out=normals[:, :half], casting="same_kind")
    np.multiply(radius, np.sin(angle), out=normals[:, half:], casting="same_kind")
    return np.ascontiguousarray(normals[:, :size])


def _uniforms(keys: UInt64[np.ndarray, " B"], counters: np.ndarray) -> Float[np.ndarray, "B n"]:
    """Uniform numbers in (0, 1] by SplitMix64 (Steele, Lea and Flood 2014), whose state is key + counter * constant."""
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is the point
        z = keys[:, None] + (counters.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    uniforms: Float[np.ndarray, "B n"] = ((z >> np.uint64(11)).astype(np.float64) + 1.0) * 2.0**-53
    return uniforms
