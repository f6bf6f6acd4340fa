"""The scorer of one window size by retrieval: how far a window lies from normal ones, and which of its points do.

    window evidence   W = arsinh z(distance) + 0.4 (mean of the 8 largest log-odds of the prior) + 2 arsinh quietness
    point evidence    P = 0.5 arsinh z(residual) + 0.4 log-odds,                       the largest of the channels
    z(v)              (v - median of v over normals) / deviation of v over normals
    log-odds          less those that 5 % of the same channel's normals reach: no restless channel hides a quiet one

Quietness is by how many deviations more than 3 a window's swing, or its step from point to point, lies below what is
usual (both as logarithms): nothing is as near to all of the normal windows of a restless channel as one in which
nothing happens.

The distance to the five nearest remembered windows says that something is odd about here; the residual to the eight
nearest occasions, point by point, and the prior's log-odds say exactly where. Distances are unbounded and log-odds are
not: arsinh brings both to one size. The weights are one setting for all data, chosen on planted anomalies and,
for the prior's, with a look at real labels beside them (docs/lab_notebook.md).

Instances of a panel are compared in spaces of random convolutions instead (`tensors/convolution.py`): the prior and the
residual then explain, but do not count.

Legend: N windows, M remembered ones, C channels, L points of a window, D dimensions of a space.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from oddwave.scoring.prior import Prior, normal_windows
from oddwave.scoring.retrieval import Evidence, Retrieved, WindowMemory, evidence
from oddwave.scoring.scorer import NearestDistance, PartScores

__all__ = ["Basis", "RetrievalScorer", "Seen"]

_PRIOR_WEIGHT, _RESIDUAL_WEIGHT, _QUIET_WEIGHT = 0.4, 0.5, 2.0
_TOP_POINTS = 8
_QUIET = 3.0  # deviations below the usual liveliness that normal windows may lie
_LOW, _LOW_DEVIATIONS, _LIVELY_FLOOR = 0.05, 1.645, 0.1
_HIGH = 0.95  # of a channel's log-odds over normals: what others are counted from
_MOST_CHANNELS = 16  # that the prior looks at in one window: those that lack most
_LOWEST_ODDS = -8.0  # of a channel that it does not look at
_ROUNDING = 1e-5  # differences below it, in units of the stream's scale
_FLOOR = 1e-3  # smallest deviation of distances, in units of the stream's scale
_RELATIVE_FLOOR = 0.05  # and in units of the distances themselves


@dataclass(frozen=True)
class Basis:
    """Median and deviation over normals of distances (per space) and residuals (per channel); high log-odds."""

    distance: Mapping[str, tuple[float, float]]
    residual: tuple[tuple[float, float], ...]
    log_odds: tuple[float, ...]
    liveliness: tuple[tuple[tuple[float, float], ...], ...]  # per channel, of swing and steps

    @classmethod
    def fit(
        cls,
        distances: Mapping[str, Float[np.ndarray, " N"]],
        residuals: Float[np.ndarray, "N C L"],
        log_odds: Float[np.ndarray, "n C L"],
        liveliness: Float[np.ndarray, "N C 2"],
    ) -> "Basis":
        """Learn from normal windows."""
        channels = np.moveaxis(residuals, 1, 0).reshape(residuals.shape[1], -1)
        high = np.quantile(log_odds, _HIGH, axis=(0, 2))
        usual = {name: _usual(own) for name, own in distances.items()}
        low, median = np.quantile(liveliness, (_LOW, 0.5), axis=0)
        spread = np.maximum((median - low) / _LOW_DEVIATIONS, _LIVELY_FLOOR)
        lively = tuple(tuple(map(tuple, own)) for own in np.stack([median, spread], axis=2).tolist())
        return cls(usual, tuple(_usual(own) for own in channels), tuple(high.tolist()), lively)

    @classmethod
    def neutral(cls, spaces: Iterable[str], num_channels: int) -> "Basis":
        """Return what leaves all evidence as it is."""
        pair = (0.0, 1.0)
        lively = ((pair, pair),) * num_channels
        return cls(dict.fromkeys(spaces, pair), (pair,) * num_channels, (0.0,) * num_channels, lively)

    def to_dict(self) -> dict[str, Any]:
        """Return a form that JSON can hold."""
        return {
            "distance": {name: list(pair) for name, pair in self.distance.items()},
            "residual": [list(pair) for pair in self.residual],
            "log_odds": list(self.log_odds),
            "liveliness": [[list(pair) for pair in own] for own in self.liveliness],
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Basis":
        """Undo `to_dict`."""
        distance = {name: (float(a), float(b)) for name, (a, b) in saved["distance"].items()}
        residual = tuple((float(a), float(b)) for a, b in saved["residual"])
        lively = tuple(tuple((float(a), float(b)) for a, b in own) for own in saved["liveliness"])
        return cls(distance, residual, tuple(map(float, saved["log_odds"])), lively)


def _usual(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    centre = float(np.median(values))
    return centre, max(float(values.std()), _RELATIVE_FLOOR * centre, _FLOOR)


class Seen(NamedTuple):
    """What the memory says of windows, before the prior, which is to judge the `evidence` of the `chosen` channels."""

    x: Float[Tensor, "N C L"]
    distance: Float[Tensor, " N"]
    away: Float[Tensor, "N C L"]
    chosen: Int[Tensor, "N c"] | None
    evidence: Float[Tensor, "N c F L"] | None


class RetrievalScorer(nn.Module):
    """Windows of one size to window and point evidence: `PartScores(score = W, map = P, groups)`.

    `spaces` are memories of vectors; where there are any (panels), their distances take the place of the windows' own.
    """

    distances: Tensor
    residual_centre: Tensor
    residual_unit: Tensor
    usual: Tensor
    usual_odds: Tensor
    lively: Tensor
    resolution: Tensor

    def __init__(
        self,
        memory: WindowMemory,
        prior: Prior,
        basis: Basis,
        resolution: Float[Tensor, " C"],
        spaces: Mapping[str, NearestDistance] | None = None,
    ) -> None:
        super().__init__()
        self.memory, self.prior, self.spaces = memory, prior, nn.ModuleDict(spaces or {})
        centres, units = zip(*basis.residual, strict=True)
        self.names = tuple(basis.distance)
        self.register_buffer("distances", torch.tensor([basis.distance[name] for name in self.names]))
        self.register_buffer("residual_centre", torch.tensor(centres)[:, None])
        self.register_buffer("residual_unit", torch.tensor(units)[:, None])
        self.register_buffer("usual_odds", torch.tensor(basis.log_odds)[:, None])
        self.register_buffer("lively", torch.tensor(basis.liveliness))
        self.register_buffer("usual", memory.own.median(0).values)
        self.register_buffer("resolution", resolution)

    def forward(
        self,
        x: Float[Tensor, "N C L"],
        vectors: Mapping[str, Float[Tensor, "N D"]],
        groups: Int[Tensor, " N"],
        starts: Int[Tensor, " N"],
        exclusion: int = 0,
    ) -> PartScores:
        """Score windows; with `exclusion`, against others than those that begin near them in their group."""
        seen = self.seen(x, vectors, groups, starts, exclusion)
        return self.judged(seen, None if seen.evidence is None else self.prior(seen.evidence).log_odds)

    def seen(
        self,
        x: Float[Tensor, "N C L"],
        vectors: Mapping[str, Float[Tensor, "N D"]],
        groups: Int[Tensor, " N"],
        starts: Int[Tensor, " N"],
        exclusion: int = 0,
    ) -> Seen:
        """Return the first half of `forward`: the prior may judge the evidence of several scorers in one pass."""
        found = self.memory(x, groups, starts, exclusion)
        distance = self._standardised(self.distance(found, vectors, groups, starts, exclusion))
        if self.spaces:
            return Seen(x, distance, torch.zeros_like(x), None, None)
        chosen, own, _ = self._looked_at(x, found)
        return Seen(x, distance, self.residual(x, found), chosen, own.x)

    def judged(self, seen: Seen, odds: Float[Tensor, "N c L"] | None) -> PartScores:
        """Return the second half of `forward`, from the prior's log-odds of the evidence."""
        x, distance, away = seen.x, seen.distance, seen.away
        if odds is None:
            return PartScores(distance, torch.zeros_like(x[:, 0]), {"memory": distance})
        odds = _of_all_channels(x, seen.chosen, odds)
        same = away.amax((1, 2), keepdim=True) <= _ROUNDING  # as all of its neighbours: then no point stands out
        log_odds = (torch.where(same, odds.mean(2, keepdim=True), odds) - self.usual_odds).amax(1)
        residual = torch.asinh((away - self.residual_centre) / self.residual_unit).amax(1)
        window_odds = log_odds.topk(min(_TOP_POINTS, log_odds.shape[1]), dim=1).values.mean(1)
        points = _RESIDUAL_WEIGHT * residual + _PRIOR_WEIGHT * log_odds
        parts = {"memory": distance, "residual": residual.mean(1), "prior": window_odds}
        return PartScores(distance + _PRIOR_WEIGHT * window_odds + _QUIET_WEIGHT * self.quietness(x), points, parts)

    @staticmethod
    def liveliness(x: Float[Tensor, "N C L"]) -> Float[Tensor, "N C 2"]:
        """Return the logarithms of each channel's swing in a window, and of its mean step from point to point."""
        steps = (x[..., 1:] - x[..., :-1]).abs().mean(2)
        return (torch.stack([x.std(2, correction=0), steps], 2) + _FLOOR).log()

    def quietness(self, x: Float[Tensor, "N C L"]) -> Float[Tensor, " N"]:
        """Return how much quieter than usual the quietest channel is; 0 for what is as lively as normal windows are."""
        below = (self.lively[..., 0] - self.liveliness(x)) / self.lively[..., 1]
        return torch.asinh((below - _QUIET).clamp(min=0.0)).amax((1, 2))

    def distance(
        self,
        found: Retrieved,
        vectors: Mapping[str, Float[Tensor, "N D"]],
        groups: Int[Tensor, " N"],
        starts: Int[Tensor, " N"],
        exclusion: int = 0,
    ) -> dict[str, Float[Tensor, " N"]]:
        """Return the distance in each space; a window without any neighbour gets the largest of the others."""
        if self.spaces:
            return {name: space(vectors[name], groups, starts, exclusion) for name, space in self.spaces.items()}
        alone = torch.isinf(found.distance)
        largest = found.distance.masked_fill(alone, 0.0).amax() if len(alone) else found.distance.sum()
        return {"input": torch.where(alone, largest, found.distance)}

    def _standardised(self, distances: Mapping[str, Float[Tensor, " N"]]) -> Float[Tensor, " N"]:
        """Return the arsinh of distances in units of normals, averaged over the spaces."""
        own = [
            torch.asinh((distances[name] - centre) / unit)
            for name, (centre, unit) in zip(self.names, self.distances, strict=True)
        ]
        return torch.stack(own).mean(0)

    @staticmethod
    def residual(x: Float[Tensor, "N C L"], found: Retrieved) -> Float[Tensor, "N C L"]:
        """Return how far each point lies from the same point of the nearest occasions, on average."""
        seen = torch.isfinite(found.squared)[..., None, None]
        away: Tensor = torch.where(seen, (found.windows - x[:, None]).abs(), 0.0).sum(1)
        mean: Tensor = away / seen.sum(1).clamp(min=1)
        return mean

    def log_odds(self, x: Float[Tensor, "N C L"], found: Retrieved) -> Float[Tensor, "N C L"]:
        """Return the prior's log-odds that a point was changed, channel by channel."""
        chosen, own, _ = self._looked_at(x, found)
        return _of_all_channels(x, chosen, self.prior(own.x).log_odds)

    def normal(self, x: Float[Tensor, "N C L"], found: Retrieved) -> Float[Tensor, "N C L"]:
        """Return the normal version of windows; of channels that the prior passes over, the neighbours' mean."""
        chosen, own, whole = self._looked_at(x, found)
        normal: Tensor = normal_windows(self.prior(own.x), own)
        if chosen is None:
            return normal
        return whole.centre.scatter(1, chosen[..., None].expand_as(normal), normal)

    def _looked_at(self, x: Float[Tensor, "N C L"], found: Retrieved) -> tuple[Tensor | None, Evidence, Evidence]:
        """Return the evidence of the channels that lack most, and of all; None where those are the same."""
        whole = evidence(
            x,
            found,
            self.usual,
            num_remembered=len(self.memory.windows),
            window_size=self.memory.window_size,
            resolution=self.resolution,
        )
        if x.shape[1] <= _MOST_CHANNELS:
            return None, whole, whole
        chosen = whole.x[:, :, 0].abs().mean(2).topk(_MOST_CHANNELS, dim=1).indices
        picked = chosen[..., None, None].expand(-1, -1, *whole.x.shape[2:])
        rest = chosen[..., None]
        return (
            chosen,
            Evidence(
                whole.x.gather(1, picked),
                whole.centre.gather(1, rest.expand(-1, -1, x.shape[2])),
                whole.unit.gather(1, rest),
            ),
            whole,
        )


def _of_all_channels(
    x: Float[Tensor, "N C L"], chosen: Int[Tensor, "N c"] | None, odds: Float[Tensor, "N c L"]
) -> Float[Tensor, "N C L"]:
    """Return the log-odds of all channels: the lowest of those that the prior passed over."""
    if chosen is None:
        return odds
    return torch.full_like(x, _LOWEST_ODDS).scatter(1, chosen[..., None].expand_as(odds), odds)
