"""From many terms to one score: standardise each on normals, then weigh.

    E      = reconstruction_weight * E_recon + (1 - reconstruction_weight) * E_feat      (the paper's lambda)
    score  = (1 - memory_weight) * E + memory_weight * E_memory

Every term is first standardised with the mean and deviation it has on reference normals, per noise level and per memory
space, because only then do weights in [0, 1] mean anything. The score itself is then brought to the median and robust
deviation it has on the normals, so that scores of several window sizes can be combined (`combined_scores`). Read
`selection.py` next: it finds the weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.errors import DataError

__all__ = ["GROUPS", "TEMPERATURE", "Fusion", "Standardiser", "Terms", "combined_scores", "fuse_groups"]

GROUPS = ("recon", "feature", "memory")

_SMALLEST_DEVIATION = 1e-3
_ROUNDING = 1e-4  # of a term's own size: deviations below it are rounding
_NORMAL_IQR = 1.349  # width of the middle half of a normal distribution, in deviations
TEMPERATURE = 4.0  # robust deviations: scores that differ by less are averaged, by more, the larger one counts

# term name -> (N,) or (N, K) raw values; the part before the dot is its group: "memory.input" belongs to "memory"
Terms = Mapping[str, Float[np.ndarray, "N *K"]]


@dataclass(frozen=True)
class Standardiser:
    """Means and deviations on reference normals: of each term (per level), of each group's average, of the score.

    The score's are its median and robust deviation, because in data without labels the normals hold the anomalies too.
    """

    terms: Mapping[str, tuple[list[float], list[float]]]
    groups: Mapping[str, tuple[float, float]]
    score: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        """Refuse what would turn scores around, or hide them. Raises: DataError."""
        pairs = [*self.terms.values(), *(([m], [s]) for m, s in (*self.groups.values(), self.score))]
        for means, deviations in pairs:
            usable = len(means) == len(deviations) and np.isfinite([*means, *deviations]).all()
            if not usable or min(deviations, default=1.0) <= 0.0:
                raise DataError("a standardiser needs finite means and positive deviations: fit the model again")

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
            mean, deviation = columns.mean(0), _safe(columns.std(0))
            statistics[name] = (mean.tolist(), np.maximum(deviation, _ROUNDING * np.abs(mean)).tolist())
        averages = _group_means(terms, statistics)
        return cls(statistics, {name: (float(v.mean()), _unit(float(v.std()))) for name, v in averages.items()})

    def transform(self, terms: Terms) -> dict[str, Float[np.ndarray, " N"]]:
        """Return one standardised value per item and group.

        Raises:
            DataError: a value is not finite; left alone, it would be passed over on the way to the score.
        """
        averages = _group_means(terms, self.terms)
        result = {name: (values - self.groups[name][0]) / self.groups[name][1] for name, values in averages.items()}
        for name, values in result.items():
            if not np.isfinite(values).all():
                raise DataError(
                    f"score term '{name}' is not finite: the data hold values that cannot be computed with, or the "
                    "model is damaged (see `oddwave verify`)"
                )
        return result

    def with_score(self, scores: Float[np.ndarray, " N"]) -> "Standardiser":
        """Learn from the fused scores of reference normals what is usual for them."""
        low, centre, high = (float(q) for q in np.quantile(scores, (0.25, 0.5, 0.75)))
        deviation = (high - low) / _NORMAL_IQR
        if deviation < _SMALLEST_DEVIATION:  # half of the normals score alike
            deviation = _unit(float(scores.std()))
        return replace(self, score=(centre, deviation))

    def standardised_score(self, scores: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return scores in robust deviations from what is usual; NaN stays NaN."""
        centre, deviation = self.score
        standardised: np.ndarray = (scores - centre) / deviation
        return standardised

    def to_dict(self) -> dict[str, object]:
        """Return a form that JSON can hold."""
        return {
            "terms": {k: [list(m), list(s)] for k, (m, s) in self.terms.items()},
            "groups": {k: [m, s] for k, (m, s) in self.groups.items()},
            "score": list(self.score),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Standardiser":
        """Undo `to_dict`."""
        terms = {k: (v[0], v[1]) for k, v in data["terms"].items()}
        groups = {k: (float(v[0]), float(v[1])) for k, v in data["groups"].items()}
        return cls(terms, groups, (float(data["score"][0]), float(data["score"][1])))


@dataclass(frozen=True)
class Fusion:
    """The two weights, each in [0, 1]. Raises: DataError for others."""

    reconstruction_weight: float
    memory_weight: float

    def __post_init__(self) -> None:
        """Refuse weights that would turn a score around."""
        for weight in (self.reconstruction_weight, self.memory_weight):
            if not 0.0 <= weight <= 1.0:
                raise DataError(f"a fusion weight is {weight}: expected a number from 0 to 1")

    def score(self, groups: Mapping[str, Float[np.ndarray, "N *map"]]) -> Float[np.ndarray, "N *map"]:
        """Fuse standardised groups (see the module's formula); higher = more anomalous."""
        return fuse_groups(groups, self.reconstruction_weight, self.memory_weight)


def fuse_groups(
    groups: Mapping[str, Float[np.ndarray, "N *map"]], reconstruction_weight: float, memory_weight: float
) -> Float[np.ndarray, "N *map"]:
    """Apply the module's formula; groups that were not computed count as absent, not as zero."""
    denoiser = groups["recon"]
    if "feature" in groups:
        denoiser = reconstruction_weight * denoiser + (1.0 - reconstruction_weight) * groups["feature"]
    if "memory" not in groups:
        return denoiser
    return (1.0 - memory_weight) * denoiser + memory_weight * groups["memory"]


def combined_scores(
    scores: Float[np.ndarray, "K n"], temperature: float = TEMPERATURE
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "K n"]]:
    """Combine K standardised scores per point, and give each one's share in it (shares sum to 1).

        score = T log(1/K sum_k exp(score_k / T))         share_k = exp(score_k / T) / sum_j exp(score_j / T)

    As for a mixture of K explanations of which one holds: where the scores agree this is their mean, where one stands
    out it is that one, less T log K. NaN scores are left out; a point without any gets NaN, and shares of 0.
    """
    seen = np.isfinite(scores)
    filled = np.where(seen, scores, -np.inf)
    top = np.where(seen.any(0), filled.max(0), 0.0)
    weights = np.exp((filled - top) / temperature)
    total = np.where(seen.any(0), weights.sum(0), 1.0)
    combined = top + temperature * np.log(total / np.maximum(seen.sum(0), 1))
    return np.where(seen.any(0), combined, np.nan), weights / total


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


def _unit(deviation: float) -> float:
    """Keep the deviation of standardised values, about 1; where they hardly move they are in their own unit already."""
    return deviation if deviation >= _SMALLEST_DEVIATION else 1.0
