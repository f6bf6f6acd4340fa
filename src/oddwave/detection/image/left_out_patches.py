"""The patch memory as it would be without a group of images, for every group, at the cost of one memory.

A memory whose patches of one image were only left out would have gaps just there, as they stood for those of other
images too. It is filled up again as the choice of the memory would have gone on (farthest first), until every patch of
the others lies as near to it as all patches lay to the whole memory. So a healthy image is compared with what the
others teach, just as a new image is compared with what all teach.

Source: Vovk 2015 (cross-conformal prediction); Barber et al. 2021 (jackknife+).
Legend: P patches, C chosen ones, D dimensions, G groups, R rows.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from oddwave.scoring.neighbours import projected

__all__ = ["rows_without"]

_BLOCK_VALUES = 2**22  # distances held at once


def rows_without(
    patches: Float[np.ndarray, "P D"], owner: Int[np.ndarray, " P"], chosen: Int[np.ndarray, " C"], seed: int
) -> Iterator[tuple[int, Int[np.ndarray, " R"]]]:
    """Yield each group with the rows of the memory that it had no part in, which are as many as `chosen` at most.

    `owner` is the group of each patch, and `chosen` what `coreset` chose with the same `seed`.
    """
    places = projected(patches, seed)
    near, apart, of = _two_nearest(places, owner, chosen)
    radius = near.max(initial=0.0)
    for group in np.unique(owner):
        own = owner[chosen] == group
        uncovered = np.flatnonzero((of == group) & (owner != group) & (apart > radius))
        more = _covering(places[uncovered], apart[uncovered], radius, int(own.sum()))
        yield int(group), np.concatenate([chosen[~own], uncovered[more]])


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
