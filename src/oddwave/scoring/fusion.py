"""From many terms to one score: standardise each on normals, then weigh.

    E      = reconstruction_weight * E_recon + (1 - reconstruction_weight) * E_feat      (the paper's lambda)
    score  = (1 - memory_weight) * E + memory_weight * E_memory

Every term is first standardised with the mean and deviation it has on reference normals, per noise level and per memory
space, because only then do weights in [0, 1] mean anything. Read `selection.py` next: it finds the weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from oddwave.errors import DataError

__all__ = ["GROUPS", "Fusion", "Standardiser", "Terms", "fuse_groups"]

GROUPS = ("recon", "feature", "memory")

_SMALLEST_DEVIATION = 1e-3

# term name -> (N,) or (N, K) raw values; the part before the dot is its group: "memory.input" belongs to "memory"
Terms = Mapping[str, Float[np.ndarray, "N *K"]]


@dataclass(frozen=True)
class Standardiser:
    """Means and deviations on reference normals: of each term (per level), then of each group's average."""

    terms: Mapping[str, tuple[list[float], list[float]]]
    groups: Mapping[str, tuple[float, float]]

    @classmethod
    def fit(cls, terms: Terms) -> "Standardiser":
        """Learn from the terms of reference normals.

        Raises:
            DataError: a term is not finite.
        """
        statistics = {}
        for name, values in terms.items():
            columns = values.reshape(len(values), -1)
            if not np.isfinite(columns).all():
                raise DataError(f"score term '{name}' is not finite on normal data; check the data for extreme values")
            statistics[name] = (columns.mean(0).tolist(), _safe(columns.std(0)).tolist())
        averages = _group_means(terms, statistics)
        return cls(
            statistics, {name: (float(v.mean()), float(_safe(v.std(keepdims=True))[0])) for name, v in averages.items()}
        )

    def transform(self, terms: Terms) -> dict[str, Float[np.ndarray, " N"]]:
        """Give one standardised value per item and group."""
        averages = _group_means(terms, self.terms)
        return {name: (values - self.groups[name][0]) / self.groups[name][1] for name, values in averages.items()}

    def to_dict(self) -> dict[str, object]:
        """Give a form that JSON can hold."""
        return {
            "terms": {k: [list(m), list(s)] for k, (m, s) in self.terms.items()},
            "groups": {k: [m, s] for k, (m, s) in self.groups.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Mapping[str, list[list[float]]]]) -> "Standardiser":
        """Undo `to_dict`."""
        terms = {k: (v[0], v[1]) for k, v in data["terms"].items()}
        groups = {k: (float(v[0]), float(v[1])) for k, v in data["groups"].items()}  # type: ignore[arg-type]
        return cls(terms, groups)


@dataclass(frozen=True)
class Fusion:
    """The two weights, each in [0, 1]."""

    reconstruction_weight: float
    memory_weight: float

    def score(self, groups: Mapping[str, Float[np.ndarray, " N"]]) -> Float[np.ndarray, " N"]:
        """Fuse standardised groups (see the module's formula); higher = more anomalous."""
        return fuse_groups(groups, self.reconstruction_weight, self.memory_weight)


def fuse_groups(
    groups: Mapping[str, Float[np.ndarray, " N"]], reconstruction_weight: float, memory_weight: float
) -> Float[np.ndarray, " N"]:
    """Apply the module's formula; groups that were not computed count as absent, not as zero."""
    denoiser = groups["recon"]
    if "feature" in groups:
        denoiser = reconstruction_weight * denoiser + (1.0 - reconstruction_weight) * groups["feature"]
    if "memory" not in groups:
        return denoiser
    return (1.0 - memory_weight) * denoiser + memory_weight * groups["memory"]


def _group_means(
    terms: Terms, statistics: Mapping[str, tuple[list[float], list[float]]]
) -> dict[str, Float[np.ndarray, " N"]]:
    parts: dict[str, list[Float[np.ndarray, " N"]]] = {}
    for name, values in terms.items():
        mean, deviation = (np.asarray(s) for s in statistics[name])
        standardised = (values.reshape(len(values), -1) - mean) / deviation
        parts.setdefault(name.partition(".")[0], []).append(standardised.mean(1))
    return {group: np.mean(values, axis=0) for group, values in parts.items()}


def _safe(deviation: Float[np.ndarray, " *K"]) -> Float[np.ndarray, " *K"]:
    """Keep deviations above a thousandth of the [-1, 1] scale: what hardly moved must not blow up a score."""
    kept: np.ndarray = np.maximum(deviation, _SMALLEST_DEVIATION)
    return kept
