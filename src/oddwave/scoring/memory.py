"""The memory term: distance to the nearest training items, in any vector space, bounded by a coreset.

This is the non-parametric form of diffusion-time estimation (Livernoche et al. 2023, DTE-NP: the posterior over
diffusion times of a point grows with its distance to the training data). Spaces here: the window itself, its wavelet
map, and the denoiser's own features. Distances can be scaled by how dense normal data are around each neighbour, so
that a quiet stretch and a restless one count alike:

    score(q) = 1/k sum_j d(q, m_j) w_j,    w_j = 2 r / (r_j + r)

with r_j the mean distance of the remembered item m_j to its own k nearest others, r their median. The median in the sum
keeps items with many twins from weighing without bound. Read `fusion.py` next: it weighs this term against the
denoiser's errors.

Source: the ratio of densities is the local outlier factor's idea (Breunig et al. 2000).
Legend: N queries, M remembered items, D dimensions of the space, k neighbours.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import DataError, ShapeError
from oddwave.scoring.neighbours import Apart, coreset, nearest

__all__ = ["Memory", "coreset", "local_weights"]


def local_weights(reach: Float[np.ndarray, " M"]) -> Float[np.ndarray, " M"]:
    """Return the module's w_j from the mean distance of each item to its own nearest others; infinite: unknown."""
    known = np.isfinite(reach)
    usual = float(np.median(reach[known])) if known.any() else 0.0
    if usual <= 0.0:  # most items have twins, or none has a neighbour: there is no scale to speak of
        return np.ones(len(reach), np.float32)
    weights: np.ndarray = (2.0 * usual / (np.where(known, reach, usual) + usual)).astype(np.float32)
    return weights


@dataclass(frozen=True)
class Memory:
    """Remembered vectors of one space, with where each came from so that a window never finds itself.

    `groups` and `starts` say which stream and at which point an item began; `scale` is what every dimension was divided
    by; `weights` are the module's w_j, 1 without local scaling.

    Raises:
        DataError: the vectors are not finite, or scale or weights not positive: such a memory finds wrong neighbours.
    """

    vectors: Float[np.ndarray, "M D"]
    groups: Int[np.ndarray, " M"]
    starts: Int[np.ndarray, " M"]
    center: Float[np.ndarray, " D"]
    scale: Float[np.ndarray, " D"]
    weights: Float[np.ndarray, " M"]
    num_neighbors: int

    def __post_init__(self) -> None:
        """Refuse what would pass for a neighbour and is none."""
        finite = all(np.isfinite(values).all() for values in (self.vectors, self.center, self.scale, self.weights))
        if not finite or min(self.scale.min(initial=1.0), self.weights.min(initial=1.0)) <= 0.0:
            raise DataError("a memory needs finite vectors, positive scales and positive weights: fit on other data")

    @classmethod
    def fit(
        cls,
        vectors: Float[np.ndarray, "N D"],
        groups: Int[np.ndarray, " N"],
        starts: Int[np.ndarray, " N"],
        *,
        size: int,
        num_neighbors: int,
        standardise: bool = False,
        local_exclusion: int = 0,
        seed: int = 0,
    ) -> "Memory":
        """Remember at most `size` items; `standardise` divides each dimension by its own deviation first.

        `local_exclusion` above 0 scales distances locally; items of one group that begin fewer points apart do not
        count as each other's neighbours.
        """
        vectors = np.asarray(vectors, np.float32)
        center, scale = np.zeros(vectors.shape[1], np.float32), np.ones(vectors.shape[1], np.float32)
        if standardise:
            center, deviation = vectors.mean(0), vectors.std(0)
            # a dimension that never moved in training says nothing about size: leave it in its own unit
            rounding = np.maximum(1e-6, 8 * np.finfo(np.float32).eps * np.abs(center))
            scale = np.where(deviation > rounding, deviation, 1.0).astype(np.float32)
        weights = np.ones(len(vectors), np.float32)
        memory = cls((vectors - center) / scale, groups, starts, center, scale, weights, num_neighbors)
        return memory._bounded(size, local_exclusion, seed)

    def joined(
        self,
        vectors: Float[np.ndarray, "N D"],
        groups: Int[np.ndarray, " N"],
        starts: Int[np.ndarray, " N"],
        *,
        size: int,
        local_exclusion: int = 0,
        seed: int = 0,
    ) -> "Memory":
        """Return a memory that holds these items too, in the units of the first ones; at most `size` items in all."""
        more = (np.asarray(vectors, np.float32) - self.center) / self.scale
        memory = replace(
            self,
            vectors=np.concatenate([self.vectors, more]),
            groups=np.concatenate([self.groups, groups]),
            starts=np.concatenate([self.starts, starts]),
        )
        return memory._bounded(size, local_exclusion, seed)

    def _bounded(self, size: int, local_exclusion: int, seed: int) -> "Memory":
        kept = coreset(self.vectors, size, seed=seed)
        memory = replace(
            self,
            vectors=self.vectors[kept],
            groups=self.groups[kept],
            starts=self.starts[kept],
            weights=np.ones(len(kept), np.float32),
        )
        if not local_exclusion:
            return memory
        reach = memory._mean_distances(memory.vectors, memory.groups, memory.starts, local_exclusion)
        return replace(memory, weights=local_weights(reach))

    def distance(
        self,
        vectors: Float[np.ndarray, "N D"],
        *,
        groups: Int[np.ndarray, " N"] | None = None,
        starts: Int[np.ndarray, " N"] | None = None,
        exclusion: int = 0,
    ) -> Float[np.ndarray, " N"]:
        """Return the mean distance to the nearest remembered items: Euclidean over sqrt(D), higher = more anomalous.

        With `groups`, `starts` and `exclusion`, items of the same group that begin fewer than `exclusion` points away
        are passed over: how a stream is compared with the rest of itself. A query that is left with none gets the
        largest distance of the others; one that is no number has no distance, and NaN says so.

        Raises:
            ShapeError: the vectors have another number of dimensions than the remembered ones.
        """
        if vectors.shape[1] != self.vectors.shape[1]:
            raise ShapeError(
                f"memory holds vectors of {self.vectors.shape[1]} dimensions, {vectors.shape[1]} were given"
            )
        queries = (np.asarray(vectors, np.float32) - self.center) / self.scale
        if groups is None or starts is None:
            exclusion = 0
        result = self._mean_distances(queries, groups, starts, exclusion)
        alone = np.isneginf(result)
        result[alone] = result[~alone].max(initial=0.0)
        return result

    def _mean_distances(
        self,
        queries: Float[np.ndarray, "N D"],
        groups: Int[np.ndarray, " N"] | None,
        starts: Int[np.ndarray, " N"] | None,
        exclusion: int,
    ) -> Float[np.ndarray, " N"]:
        """Average the weighed distances to the nearest items that may be compared; -inf where there is none."""
        near = None
        if groups is not None and starts is not None and exclusion > 0:
            near = Apart(starts, self.starts, exclusion, groups, self.groups)
        found = nearest(queries, self.vectors, self.num_neighbors, apart=near)
        mean = found.mean(found.distance * self.weights[found.place], nothing=-np.inf)
        result = np.where(np.isfinite(np.square(queries).sum(1)), mean, np.nan)
        per_dimension: np.ndarray = result / np.sqrt(self.vectors.shape[1])  # whatever the number of dimensions
        return per_dimension

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what a saved memory consists of."""
        return {
            "vectors": self.vectors,
            "groups": self.groups.astype(np.int64),
            "starts": self.starts.astype(np.int64),
            "center": self.center,
            "scale": self.scale,
            "weights": self.weights,
        }
