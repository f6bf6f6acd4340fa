"""The one scorer: parts (windows, tiles, clips) to scores, maps and what each group of terms said, as a fixed graph.

    x -> terms -> standardised, averaged by group -> fused -> score, map                  (the formulas: `fusion.py`)

Every detector, whatever its modality, scores through `Scorer.forward`; so will whatever exports or serves a model.
Within it there are torch operations and buffers only: no file, no random draw (noise is a buffer), no numpy. What turns
an item into parts (decoding, resizing, wavelet transforms) stays outside. A modality writes `terms` alone.

Legend: N parts, K noise levels, *map the places of a term's map (none where a part has one value), D dimensions, M
remembered vectors, P places of a grid, G its side.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from oddwave.diffusion.noise import common_noise
from oddwave.scoring.fusion import GROUPS, Fusion, Standardiser
from oddwave.scoring.memory import Memory
from oddwave.scoring.position_gaussian import PositionGaussian

__all__ = [
    "CommonNoise",
    "GaussianDistance",
    "NearestDistance",
    "PartScores",
    "Scorer",
    "Standardise",
    "TensorTerms",
]

TensorTerms = Mapping[str, Float[Tensor, "N *K_map"]]

_BLOCK = 1024


class PartScores(NamedTuple):
    """Scores of parts (higher = more anomalous), their anomaly maps, and the standardised groups of terms."""

    score: Float[Tensor, " N"]
    map: Float[Tensor, "N *map"]
    groups: dict[str, Float[Tensor, " N"]]


class Standardise(nn.Module):
    """What `Standardiser.transform` does, in double precision: one standardised value per place and group."""

    def __init__(self, standardiser: Standardiser) -> None:
        super().__init__()
        self.names = tuple(standardiser.terms)
        self.group_names = tuple(name for name in GROUPS if name in standardiser.groups)
        for number, (mean, deviation) in enumerate(standardiser.terms.values()):
            self.register_buffer(f"mean_{number}", torch.tensor(mean, dtype=torch.float64))
            self.register_buffer(f"deviation_{number}", torch.tensor(deviation, dtype=torch.float64))
        for name, pair in standardiser.groups.items():
            self.register_buffer(f"group_{name}", torch.tensor(pair, dtype=torch.float64))

    def forward(self, terms: TensorTerms) -> dict[str, Float[Tensor, "N *map"]]:
        """Standardise each term (per noise level, where it has some), average by group, standardise the groups."""
        parts: dict[str, list[Tensor]] = {}
        for number, name in enumerate(self.names):
            mean, deviation = getattr(self, f"mean_{number}"), getattr(self, f"deviation_{number}")
            values = terms[name].double()
            if name.startswith(("recon", "feature")):  # these have noise levels
                shape = (1, -1, *([1] * (values.ndim - 2)))
                standardised = ((values - mean.view(shape)) / deviation.view(shape)).mean(1)
            else:
                standardised = (values - mean) / deviation
            parts.setdefault(name.partition(".")[0], []).append(standardised)
        result = {}
        for name in self.group_names:
            centre, unit = getattr(self, f"group_{name}")
            result[name] = (torch.stack(parts[name]).mean(0) - centre) / unit
        return result


class Scorer(nn.Module):
    """Standardising and fusing, which all scorers share; `terms` is what a modality writes."""

    weights: Tensor

    def __init__(self, standardiser: Standardiser, fusion: Fusion) -> None:
        super().__init__()
        self.standardise = Standardise(standardiser)
        weights = [fusion.reconstruction_weight, fusion.memory_weight]
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float64))

    def fuse(self, groups: Mapping[str, Float[Tensor, "N *map"]]) -> Float[Tensor, "N *map"]:
        """Apply the formula of `fusion.py`; groups that were not computed count as absent, not as zero."""
        reconstruction_weight, memory_weight = self.weights[0], self.weights[1]
        fused = groups["recon"] if "recon" in groups else groups["memory"]
        if "recon" in groups and "feature" in groups:
            fused = reconstruction_weight * fused + (1.0 - reconstruction_weight) * groups["feature"]
        if "recon" in groups and "memory" in groups:
            fused = (1.0 - memory_weight) * fused + memory_weight * groups["memory"]
        return fused


class CommonNoise(nn.Module):
    """Noise that all parts share, by seed: drawn once, and a buffer from then on."""

    def forward(self, shape: Sequence[int], seed: int) -> Float[Tensor, "*shape"]:
        """Return the noise of this shape and seed."""
        name = "_".join(map(str, ("noise", seed % 2**64, *shape)))
        if not hasattr(self, name):
            self.register_buffer(name, common_noise(shape, seed), persistent=False)
        noise: Tensor = getattr(self, name)
        return noise


class NearestDistance(nn.Module):
    """What `Memory.distance` does: the weighed mean distance to the nearest remembered vectors, over sqrt(D).

    The nearest have the greatest q v - |v|^2 / 2, one matrix product, which is quick but cancels in single precision
    where vectors lie near each other; the distances to those few are then taken by their differences.
    """

    search: Tensor
    center: Tensor
    scale: Tensor
    weights: Tensor
    groups: Tensor
    starts: Tensor

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.num_neighbors = min(memory.num_neighbors, len(memory.vectors))
        for name in ("center", "scale", "weights", "groups", "starts"):
            self.register_buffer(name, torch.from_numpy(getattr(memory, name)))
        vectors = torch.from_numpy(memory.vectors)
        self.register_buffer("search", torch.cat([vectors, -0.5 * vectors.square().sum(1, keepdim=True)], 1))

    def forward(
        self,
        x: Float[Tensor, "N D"],
        groups: Int[Tensor, " N"] | None = None,
        starts: Int[Tensor, " N"] | None = None,
        exclusion: int = 0,
    ) -> Float[Tensor, " N"]:
        """Return one distance per vector; with `exclusion`, of others than those that begin near it in its group.

        A query that is left with none gets the largest distance of the others; one that is no number has none (NaN).
        """
        found = []
        for first in range(0, len(x), _BLOCK):
            block = slice(first, first + _BLOCK)
            queries = (x[block].to(self.search.dtype) - self.center) / self.scale
            known = torch.isfinite(queries.square().sum(1))
            similar = F.pad(queries, (0, 1), value=1.0) @ self.search.T
            if groups is not None and starts is not None and exclusion > 0:
                near = (starts[block, None] - self.starts).abs() < exclusion
                similar = similar.masked_fill(near & (groups[block, None] == self.groups), -torch.inf)
            found.append(self._mean_of_nearest(queries, similar).masked_fill(~known, torch.nan))
        result = torch.cat(found) / x.shape[1] ** 0.5 if found else x.new_zeros(0).double()
        if exclusion > 0 and len(result):
            alone = torch.isneginf(result)
            result = torch.where(alone, result.masked_fill(alone, 0.0).nan_to_num().max().clamp(min=0.0), result)
        return result

    def _mean_of_nearest(self, queries: Float[Tensor, "n D"], similar: Float[Tensor, "n M"]) -> Float[Tensor, " n"]:
        most, index = _greatest(similar) if self.num_neighbors == 1 else similar.topk(self.num_neighbors, dim=1)
        allowed = torch.isfinite(most)
        away = queries[:, None] - self.search[index][..., :-1]
        distances = away.square().sum(2).sqrt().double() * self.weights[index]
        count = allowed.sum(1)
        mean = torch.where(allowed, distances, 0.0).sum(1) / count.clamp(min=1)
        return mean.masked_fill(count == 0, -torch.inf)


def _greatest(rows: Float[Tensor, "n M"]) -> tuple[Float[Tensor, "n 1"], Int[Tensor, "n 1"]]:
    """Return each row's greatest value and its place: torch's `max` takes one value after another, `amax` many."""
    parts = rows.unflatten(1, (math.gcd(rows.shape[1], 8), -1))  # type: ignore[no-untyped-call]
    most, column = parts.amax(1).max(1, keepdim=True)
    part = parts.gather(2, column[:, None].expand(-1, parts.shape[1], -1)).squeeze(2).argmax(1, keepdim=True)
    return most, part * parts.shape[2] + column


class GaussianDistance(nn.Module):
    """The Mahalanobis distance of each place from its `PositionGaussian`."""

    mean: Tensor
    whitening: Tensor

    def __init__(self, gaussian: PositionGaussian) -> None:
        super().__init__()
        self.register_buffer("mean", gaussian.mean)
        self.register_buffer("whitening", gaussian.whitening)

    def forward(self, grids: Float[Tensor, "N D G H"]) -> Float[Tensor, "N G H"]:
        """Return the distances, laid out as the grid is."""
        num, _, height, columns = grids.shape
        away = grids.flatten(2).permute(2, 0, 1).float() - self.mean[:, None]
        distance = (away @ self.whitening).square().sum(2).sqrt()
        return distance.T.reshape(num, height, columns)
