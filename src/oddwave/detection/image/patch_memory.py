"""The patch memory of images: of all images, and as it would be without each group of them.

A memory whose patches of one image were only left out would have gaps just there, as they stood for those of other
images too. It is filled up again as the choice of the memory would have gone on (farthest first), until every patch of
the others lies as near to it as all patches lay to the whole memory. So a healthy image is compared with what the
others teach, just as a new image is compared with what all teach, at the cost of one memory.

A distance counts for less where normal patches lie far apart: it is weighed by how near the remembered patch's own
nearest are in other images (the formula: `scoring/memory.py`).

Source: Vovk 2015 (cross-conformal prediction); Barber et al. 2021 (jackknife+).
Legend: P patches, D dimensions, C chosen patches, G groups, R rows of a memory, F of them filled in, K nearest.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from oddwave.scoring.memory import Memory, local_weights
from oddwave.scoring.neighbours import Apart, Neighbours, nearest, projected

__all__ = ["LeftOutMemories", "Pool", "patch_memory"]

_BLOCK_VALUES = 2**22  # distances held at once
_NUM_NEAREST, _NUM_KEPT = 5, 16  # nearest patches whose mean distance tells the density, and how many of them are known
_ANY_PLACE = 2**40  # places apart: an image's own patches are no neighbours wherever they lie


class Pool(NamedTuple):
    """Patches, with the group of images and the place that each is of."""

    patches: Float[np.ndarray, "P D"]
    owner: Int[np.ndarray, " P"]
    place: Int[np.ndarray, " P"]

    @classmethod
    def of(cls, memory: Memory) -> "Pool":
        """Return the patches that a memory holds."""
        return cls(memory.vectors, memory.groups, memory.starts)

    def joined(self, other: "Pool") -> "Pool":
        """Return the patches of both."""
        return Pool(*(np.concatenate(both) for both in zip(self, other, strict=True)))

    def memory(self, rows: Int[np.ndarray, " R"], weights: Float[np.ndarray, " R"]) -> Memory:
        """Return the memory of some patches."""
        width = self.patches.shape[1]
        units = np.zeros(width, np.float32), np.ones(width, np.float32)
        return Memory(self.patches[rows], self.owner[rows], self.place[rows], *units, weights, num_neighbors=1)


def patch_memory(pool: Pool, chosen: Int[np.ndarray, " C"]) -> Memory:
    """Return the memory of the patches that were chosen."""
    near = _nearest_others(pool, chosen, _NUM_NEAREST)
    return pool.memory(chosen, local_weights(_mean_of_nearest(near.distance)))


class LeftOutMemories:
    """What the memory of the patches that `coreset` chose with this `seed` would be without each group of images."""

    def __init__(self, pool: Pool, chosen: Int[np.ndarray, " C"], seed: int) -> None:
        self.pool, self.chosen = pool, chosen
        self._projected = projected(pool.patches, seed)
        self._squared, self._apart, self._of = _two_nearest(self._projected, pool.owner, chosen)
        self._near = _nearest_others(pool, chosen, _NUM_KEPT)

    def rows(self, group: int) -> Int[np.ndarray, " R"]:
        """Return the patches of the memory without a group: what is left of the chosen ones, then what fills up."""
        owner, radius = self.pool.owner, self._squared.max(initial=0.0)
        own = owner[self.chosen] == group
        uncovered = np.flatnonzero((self._of == group) & (owner != group) & (self._apart > radius))
        more = _covering(self._projected[uncovered], self._apart[uncovered], radius, int(own.sum()))
        return np.concatenate([self.chosen[~own], uncovered[more]])

    def without(self, group: int) -> Memory:
        """Return the memory that a group had no part in, of as many patches as were chosen at most."""
        rows, owner = self.rows(group), self.pool.owner[self.chosen]
        kept = owner != group
        known = np.where(owner[self._near.place[kept]] == group, np.inf, self._near.distance[kept])
        return self.pool.memory(rows, local_weights(self._reach(rows, known)))

    def _reach(self, rows: Int[np.ndarray, " R"], known: Float[np.ndarray, "k K"]) -> Float[np.ndarray, " R"]:
        """Return mean distances to the nearest of other images; the first k rows have `known` ones to one another."""
        if len(rows) == len(known):
            return _mean_of_nearest(known)
        patches, owner = self.pool.patches[rows], self.pool.owner[rows]
        more = patches[len(known) :]
        squared = np.square(patches).sum(1)[:, None] - 2.0 * patches @ more.T + np.square(more).sum(1)
        distance = np.sqrt(np.maximum(squared, 0.0))
        distance[owner[:, None] == owner[len(known) :]] = np.inf
        old = _mean_of_nearest(np.concatenate([known, distance[: len(known)]], 1))
        return np.concatenate([old, _mean_of_nearest(np.ascontiguousarray(distance.T))])


def _nearest_others(pool: Pool, chosen: Int[np.ndarray, " C"], num: int) -> Neighbours:
    """Find the nearest of the chosen patches to each of them, in other images."""
    patches, owner, place = (part[chosen] for part in pool)
    return nearest(patches, patches, num, apart=Apart(place, place, _ANY_PLACE, owner, owner))


def _mean_of_nearest(distance: Float[np.ndarray, "R K"]) -> Float[np.ndarray, " R"]:
    """Average over the nearest that there are; infinite where there are none."""
    num = min(_NUM_NEAREST, distance.shape[1])
    least = np.partition(distance, num - 1, axis=1)[:, :num] if num else distance
    there = np.isfinite(least)
    count = there.sum(1)
    mean: np.ndarray = np.where(there, least, 0.0).sum(1) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.inf)


def _two_nearest(
    places: Float[np.ndarray, "P d"], owner: Int[np.ndarray, " P"], chosen: Int[np.ndarray, " C"]
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """Return squared distances to the nearest chosen patch and to the nearest of another group; and the first's."""
    items, item_owner = places[chosen], owner[chosen]
    squares, doubled = np.square(items).sum(1), -2.0 * items.T
    near, apart, of = np.empty(len(places), np.float32), np.empty(len(places), np.float32), np.empty_like(owner)
    size = max(1, _BLOCK_VALUES // max(1, len(chosen)))
    for first in range(0, len(places), size):
        block = slice(first, first + size)
        squared = places[block] @ doubled
        squared += squares
        found = squared.argmin(1)
        rows, own = np.arange(len(found)), np.square(places[block]).sum(1)
        near[block], of[block] = squared[rows, found] + own, item_owner[found]
        squared[of[block, None] == item_owner] = np.inf
        apart[block] = squared.min(1, initial=np.inf) + own
    return near, apart, of


def _covering(
    places: Float[np.ndarray, "R d"], squared: Float[np.ndarray, " R"], radius: float, most: int
) -> Int[np.ndarray, " r"]:
    """Choose rows, farthest first, until none is farther than the radius (squared) from what is known."""
    left, chosen = squared.copy(), list[int]()
    while len(chosen) < most and len(left) and left.max() > radius:
        last = int(left.argmax())
        np.minimum(left, np.square(places - places[last]).sum(1), out=left)
        left[last] = -np.inf
        chosen.append(last)
    return np.array(chosen, np.int64)
