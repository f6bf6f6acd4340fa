"""Label-free selection: weights and noise levels are chosen by telling normals from synthetic anomalies made from them.

Real anomaly labels are never seen here. Synthetic anomalies say little about how strong real ones are, so they only get
to overrule the neutral choice (every term one vote) where the evidence is clear: among the settings whose AUROC lies
within one standard error of the best, the one nearest to the neutral setting is taken (the one-standard-error rule of
Breiman et al. 1984, with the neutral setting in the place of the simplest model).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from oddwave.errors import DataError
from oddwave.scoring.fusion import fuse_groups

__all__ = ["WeightSelection", "auroc_error", "near_best", "select_weights", "separation"]

_GRID = (0.0, 0.25, 0.5, 0.75, 1.0)

Name = TypeVar("Name", str, float)
Groups = Mapping[str, Float[np.ndarray, "_ *map"]]


@dataclass(frozen=True)
class WeightSelection:
    """The chosen weights, and the evidence: AUROC on synthetic anomalies of the choice, of the best, of each term."""

    reconstruction_weight: float
    memory_weight: float
    auroc: float
    best_auroc: float
    standard_error: float
    term_auroc: Mapping[str, float]
    kind_auroc: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return a form that JSON can hold."""
        return asdict(self)


def separation(normal: Float[np.ndarray, " n"], anomalous: Float[np.ndarray, " m"]) -> float:
    """Return the AUROC of telling `anomalous` (higher scores) from `normal`, ties counting half.

    Raises:
        DataError: a score is no number: nothing can be chosen by it.
    """
    if np.isnan(normal).any() or np.isnan(anomalous).any():
        raise DataError("scores of normal data are not finite: check the data for extreme values, or train more gently")
    from scipy.stats import rankdata  # here: slow to import, and only a fit chooses

    ranks = rankdata(np.concatenate([normal, anomalous]))
    above = ranks[len(normal) :].sum() - len(anomalous) * (len(anomalous) + 1) / 2
    return float(above / (len(normal) * len(anomalous)))


def auroc_error(auroc: float, num_normal: int, num_anomalous: int) -> float:
    """Return the standard error of an AUROC (Hanley and McNeil 1982)."""
    q1, q2 = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    spread = (num_anomalous - 1) * (q1 - auroc**2) + (num_normal - 1) * (q2 - auroc**2)
    return float(np.sqrt((auroc * (1 - auroc) + spread) / (num_normal * num_anomalous)))


def select_weights(
    normal: Groups,
    synthetic: Groups,
    kinds: Sequence[str],
    *,
    reconstruction_weight: float | None = None,
    memory_weight: float | None = None,
    num_memory_spaces: int = 1,
    neutral_reconstruction_weight: float = 1.0,
    aggregate: Callable[[Float[np.ndarray, "N *map"]], Float[np.ndarray, " N"]] = np.asarray,
) -> WeightSelection:
    """Choose both weights on standardised groups of normal and of synthetic items; a given weight is kept as it is.

    `kinds` names the kind of each synthetic item. The neutral setting leaves the feature error out unless told
    otherwise, as the paper does for 1-D windows, and gives each memory space, and the denoiser, one vote. Where groups
    are maps, `aggregate` makes one value of each item's fused map.
    """
    neutral = (neutral_reconstruction_weight, num_memory_spaces / (num_memory_spaces + 1.0))
    choices = [
        [value] if value is not None else sorted({*_GRID, middle})
        for value, middle in zip((reconstruction_weight, memory_weight), neutral, strict=True)
    ]
    grid = list(product(*choices))
    values = [separation(aggregate(fuse_groups(normal, *w)), aggregate(fuse_groups(synthetic, *w))) for w in grid]
    best = max(values)
    error = auroc_error(best, len(normal["recon"]), len(kinds))
    close = [(w, v) for w, v in zip(grid, values, strict=True) if v >= best - error]
    weights, value = min(close, key=lambda c: (abs(c[0][0] - neutral[0]) + abs(c[0][1] - neutral[1]), -c[1]))
    fused, fused_normal = (aggregate(fuse_groups(groups, *weights)) for groups in (synthetic, normal))
    names = np.asarray(kinds)
    return WeightSelection(
        reconstruction_weight=weights[0],
        memory_weight=weights[1],
        auroc=value,
        best_auroc=best,
        standard_error=error,
        term_auroc={name: separation(aggregate(normal[name]), aggregate(synthetic[name])) for name in normal},
        kind_auroc={str(k): separation(fused_normal, fused[names == k]) for k in np.unique(names)},
    )


def near_best(values: Mapping[Name, float], tolerance: float = 0.1) -> list[Name]:
    """Keep the names whose AUROC on synthetic anomalies lies within `tolerance` of the best one's, in their order.

    The tolerance is wide on purpose: only what is clearly worse goes, the rest is averaged.
    """
    best = max(values.values())
    return [name for name, value in values.items() if value >= best - tolerance]
