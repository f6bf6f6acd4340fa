"""Which images show the same thing again: an image may only be compared with others than those.

A healthy image that calibrates is scored by what was learnt from the others. Where some of those are nearly the same
image (the next one of a video, the same part once more), it scores lower than any new image will. Such images are put
in one group, and a group is left out as a whole.

Two images are near-copies where they lie nearer to each other than half the distance to their tenth nearest image (of
few, their third): images that vary in one way only, such as by their rotation, lie evenly close and are none.

Legend: N images, D numbers that describe one.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

__all__ = ["near_copy_groups"]

_NEAR = 0.5
_RANKS, _IMAGES_PER_RANK = (3, 10), 30  # the neighbour whose distance is usual: the third of up to 100 images
_FEWEST = 8  # images to tell what is usual
_LARGEST_SHARE = 0.2  # of all images in a group: a chain of near-copies through all of them is cut, in their order


def near_copy_groups(vectors: Float[np.ndarray, "N D"]) -> Int[np.ndarray, " N"]:
    """Return the number of each image's group; most images are groups of their own."""
    num = len(vectors)
    if num < _FEWEST:
        return np.arange(num)
    squares = np.square(vectors).sum(1)
    distance = np.sqrt(np.maximum(squares[:, None] + squares - 2.0 * vectors @ vectors.T, 0.0))
    np.fill_diagonal(distance, np.inf)
    rank = int(np.clip(num // _IMAGES_PER_RANK, *_RANKS))
    usual = np.partition(distance, rank - 1, axis=1)[:, rank - 1]
    near = distance < _NEAR * np.minimum(usual[:, None], usual)
    _, groups = connected_components(csr_matrix(near), directed=False)
    most = max(2, round(_LARGEST_SHARE * num))
    found, count = np.empty(num, np.int64), 0
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        for part in np.array_split(members, -(-len(members) // most)):
            found[part], count = count, count + 1
    return found
