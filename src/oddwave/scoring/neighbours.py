"""Nearest neighbours: the one search behind memories, density ratios and the neighbour methods of the laboratory.

    |q - m|^2 = |q|^2 - 2 q.m + |m|^2          one matrix product for a block of queries

The squares of near vectors cancel in this sum, so that a distance far below the length of the vectors holds rounding
alone; `exact` takes the distances of the neighbours found once more from their differences. Read `memory.py` next.

Legend: Q queries, q of a block, M items, D dimensions, K neighbours.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["Apart", "Neighbours", "coreset", "nearest", "projected"]

_BLOCK_ROWS, _BLOCK_VALUES = 1024, 2**23  # queries and distances held at once
_PROJECTED = 32
_CANDIDATES, _NEAR_VALUES = 2048, 2**19  # rows that a round looks at, distances held at once


@dataclass(frozen=True, eq=False)
class Apart:
    """Which items may not be a query's neighbours: those of its group that begin fewer than `reach` points from it."""

    query_starts: Int[np.ndarray, " Q"]
    item_starts: Int[np.ndarray, " M"]
    reach: int
    query_groups: Int[np.ndarray, " Q"] | None = None
    item_groups: Int[np.ndarray, " M"] | None = None

    def excluded(self, block: slice) -> Bool[np.ndarray, "q M"]:
        """Return what is left out for a block of queries."""
        near: np.ndarray = np.abs(self.query_starts[block, None] - self.item_starts) < self.reach
        if self.query_groups is not None and self.item_groups is not None:
            near &= self.query_groups[block, None] == self.item_groups
        return near


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest items of each query, in no order; the distance is infinite where too few were allowed."""

    place: Int[np.ndarray, "Q K"]
    distance: Float[np.ndarray, "Q K"]

    def mean(self, values: Float[np.ndarray, "Q K"], nothing: float = 0.0) -> Float[np.ndarray, " Q"]:
        """Average over the neighbours that are allowed; `nothing` where there are none."""
        allowed = np.isfinite(self.distance)
        count = allowed.sum(1)
        total: np.ndarray = np.where(allowed, values, 0.0).sum(1, dtype=values.dtype)
        return np.where(count > 0, total / np.maximum(count, 1), nothing)


def nearest(
    queries: Float[np.ndarray, "Q D"],
    items: Float[np.ndarray, "M D"],
    num_neighbors: int,
    *,
    apart: Apart | None = None,
    exact: bool = False,
) -> Neighbours:
    """Find the `num_neighbors` nearest items of each query (all, where there are fewer) by Euclidean distance.

    Queries must be finite: others have neighbours without meaning. Memory is bounded, whatever Q is.
    """
    k = min(num_neighbors, len(items))
    squares, doubled = np.square(items).sum(1), -2.0 * items.T
    place = np.empty((len(queries), k), np.int64)
    distance = np.empty((len(queries), k), np.result_type(queries, items))
    size = max(1, min(_BLOCK_ROWS, _BLOCK_VALUES // max(1, len(items))))
    for first in range(0, len(queries), size):
        block = slice(first, first + size)
        squared = queries[block] @ doubled
        squared += squares
        if not exact:  # where it is, what is the same for all items of a query does not matter
            squared += np.square(queries[block]).sum(1)[:, None]
        if apart is not None and apart.reach > 0:
            squared[apart.excluded(block)] = np.inf
        place[block] = found = _smallest(squared, k)
        chosen = np.take_along_axis(squared, found, 1)
        if exact:
            away = np.stack([np.linalg.norm(queries[block] - items[column], axis=1) for column in found.T], 1)
            distance[block] = np.where(np.isfinite(chosen), away, np.inf)
        else:
            distance[block] = np.sqrt(np.maximum(chosen, 0.0))
    return Neighbours(place, distance)


def _smallest(values: Float[np.ndarray, "q M"], k: int) -> Int[np.ndarray, "q k"]:  # of one, argmin is far quicker
    return np.asarray(values.argmin(1, keepdims=True) if k == 1 else np.argpartition(values, k - 1, axis=1)[:, :k])


def coreset(
    vectors: Float[np.ndarray, "N D"], size: int, *, seed: int = 0, first: Int[np.ndarray, " F"] | None = None
) -> Int[np.ndarray, " M"]:
    """Choose at most `size` rows that cover all rows: greedy k-centre (farthest point first).

    The rows `first` are chosen already, and stay.

    Distances are taken in a random projection to 32 dimensions (Johnson-Lindenstrauss), which makes it O(N size) cheap.
    All rows are looked at in rounds: until the farthest of them are nearer than all others were, only those need be.
    Source: Sener and Savarese 2018 (greedy k-centre), as used for memories by PatchCore (Roth et al. 2022).
    """
    num = len(vectors)
    if num <= size:
        return np.arange(num)
    rng = np.random.default_rng(seed)
    vectors = _projected(vectors, rng)
    given = (np.array([rng.integers(num)]) if first is None or not len(first) else first)[:size]
    farthest = np.full(num, np.inf, np.float32)
    if len(given) > 1:
        farthest = np.square(nearest(vectors, vectors[given[:-1]], 1).distance[:, 0])
        farthest[given] = -np.inf
    chosen, latest = list(given), given[-1:]
    squares, turned = np.square(vectors).sum(1), np.ascontiguousarray(vectors.T)
    while len(chosen) < size:
        _approach(farthest, turned, squares, latest)
        some = np.sort(np.argpartition(farthest, max(0, num - _CANDIDATES))[-_CANDIDATES:])
        latest = some[_farthest_of(vectors[some], farthest[some], size - len(chosen))]
        chosen.extend(latest)
    return np.sort(np.array(chosen, np.int64))


def _approach(
    farthest: Float[np.ndarray, " N"],
    turned: Float[np.ndarray, "D N"],
    squares: Float[np.ndarray, " N"],
    rows: np.ndarray,
) -> None:
    """Take these rows into account in all squared distances to the nearest chosen row; they are never chosen again."""
    doubled, own = -2.0 * turned[:, rows].T, squares[rows, None]
    step = max(1, _NEAR_VALUES // len(rows))
    for first in range(0, len(farthest), step):
        block = slice(first, first + step)
        squared = doubled @ turned[:, block]
        squared += own
        np.minimum(farthest[block], squared.min(0) + squares[block], out=farthest[block])
    farthest[rows] = -np.inf


def _farthest_of(
    vectors: Float[np.ndarray, "n D"], farthest: Float[np.ndarray, " n"], most: int
) -> Int[np.ndarray, " m"]:
    """Choose of some rows the farthest, one after the other, while no row outside of them can be farther."""
    found: list[int] = []
    limit, squares = farthest.min(), np.square(vectors).sum(1)
    while len(found) < min(most, len(vectors)):
        last = int(farthest.argmax())
        if found and farthest[last] < limit:
            break
        found.append(last)
        farthest = np.minimum(farthest, squares - 2.0 * (vectors @ vectors[last]) + squares[last])
        farthest[last] = -np.inf
    return np.array(found, np.int64)


def projected(vectors: Float[np.ndarray, "N D"], seed: int = 0) -> Float[np.ndarray, "N d"]:
    """Return what `coreset` takes distances of."""
    return _projected(vectors, np.random.default_rng(seed))


def _projected(vectors: Float[np.ndarray, "N D"], rng: np.random.Generator) -> Float[np.ndarray, "N d"]:
    if vectors.shape[1] <= _PROJECTED:
        return vectors
    projection: np.ndarray = vectors @ rng.standard_normal((vectors.shape[1], _PROJECTED), dtype=np.float32)
    return projection
