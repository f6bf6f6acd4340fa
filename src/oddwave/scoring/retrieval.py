"""What normal data look like beside a window: its nearest remembered windows, and what the window lacks of them.

    squared(q, m) = 1/(C L) sum (q - m)^2        nearest: K windows, of a stream at most one per half window, so that
                                                 they are K occasions and not one occasion K times

`WindowMemory` holds the windows and finds the neighbours; `evidence` turns them into the channels that the prior
(`prior.py`) sees: per point, in units of how far such neighbours normally lie from their own neighbours. Both are fixed
graphs of torch operations.

Legend: N queries, M remembered windows, K neighbours, C channels, L points of a window, F channels of evidence.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

__all__ = ["NUM_EVIDENCE", "NUM_NEIGHBORS", "Evidence", "Retrieved", "WindowMemory", "evidence"]

NUM_NEIGHBORS = 8
RANKS = (8, 32, 128)  # of the distance profile: how many remembered windows lie how near
NUM_EVIDENCE = NUM_NEIGHBORS + 14
_NEAREST = 5
_FLOOR = 1e-3  # smallest scale, in units of the stream's own
_FAR = 1e2  # stands for a distance where there is no neighbour
_BLOCK, _BLOCK_VALUES = 512, 2**23


class Retrieved(NamedTuple):
    """The nearest windows of each query; `near` is how far each lies per channel, `own` how far they lie from theirs.

    `squared` is `near` averaged over channels, infinite where there are fewer than K; `profile` are the squared
    distances at the ranks of the distance profile; `distance` is the mean root of the five smallest.
    """

    distance: Float[Tensor, " N"]
    windows: Float[Tensor, "N K C L"]
    squared: Float[Tensor, "N K"]
    near: Float[Tensor, "N K C"]
    own: Float[Tensor, "N K C"]
    profile: Float[Tensor, "N R"]


class Evidence(NamedTuple):
    """Per point: what the prior sees, and the centre and unit in which it says what the point should have been."""

    x: Float[Tensor, "N C F L"]
    centre: Float[Tensor, "N C L"]
    unit: Float[Tensor, "N C 1"]


class WindowMemory(nn.Module):
    """Remembered windows, where each begins (`groups`, `starts`, in rising order), and their own neighbours' distances.

    `reach` is how many windows before and after one begin within half a window of it; 0 for instances.
    """

    windows: Tensor
    groups: Tensor
    starts: Tensor
    squares: Tensor
    own: Tensor

    def __init__(
        self,
        windows: Float[Tensor, "M C L"],
        groups: Int[Tensor, " M"],
        starts: Int[Tensor, " M"],
        *,
        window_size: int,
        reach: int,
        own: Float[Tensor, "M C"] | None = None,
    ) -> None:
        super().__init__()
        self.window_size, self.reach = window_size, reach
        self.register_buffer("windows", windows)
        self.register_buffer("groups", groups)
        self.register_buffer("starts", starts)
        self.register_buffer("squares", windows.flatten(1).square().sum(1))
        self.register_buffer("own", windows.new_zeros(windows.shape[:2]) if own is None else own)
        if own is None:
            self.own.copy_(self._own_distances())

    def _own_distances(self) -> Float[Tensor, "M C"]:
        found = self(self.windows, self.groups, self.starts, self.window_size)
        seen = torch.isfinite(found.squared)[..., None]
        count = seen.sum(1).clamp(min=1)
        own = torch.where(seen, found.near, 0.0).sum(1) / count
        alone = ~seen.any(1)[:, 0]
        if alone.any() and not alone.all():
            own[alone] = own[~alone].median(0).values
        return own

    def forward(
        self, x: Float[Tensor, "N C L"], groups: Int[Tensor, " N"], starts: Int[Tensor, " N"], exclusion: int = 0
    ) -> Retrieved:
        """Return the neighbours; with `exclusion`, of others than those that begin near the query in its group."""
        step = max(16, min(_BLOCK, _BLOCK_VALUES // (NUM_NEIGHBORS * self.windows[0].numel())) // 16 * 16)
        blocks = [
            self._block(x[i : i + step], groups[i : i + step], starts[i : i + step], exclusion)
            for i in range(0, len(x), step)
        ]
        return Retrieved(*(torch.cat(parts) for parts in zip(*blocks, strict=True)))

    def _block(
        self, x: Float[Tensor, "n C L"], groups: Int[Tensor, " n"], starts: Int[Tensor, " n"], exclusion: int
    ) -> Retrieved:
        num, flat = len(self.windows), x.flatten(1)
        squared = torch.addmm(self.squares, flat, self.windows.flatten(1).T, alpha=-2.0)
        squared.add_(flat.square().sum(1, keepdim=True)).clamp_(min=0.0).div_(flat.shape[1])
        if exclusion > 0:
            close = (starts[:, None] - self.starts).abs() < exclusion
            squared.masked_fill_(close & (groups[:, None] == self.groups), torch.inf)
        ranks = [max(1, min(rank, num // 4)) for rank in RANKS]
        least, first = squared.topk(max(*ranks, min(_NEAREST, num)), dim=1, largest=False)
        distance = self._mean_distance(x, least[:, :_NEAREST], first[:, :_NEAREST])
        profile = torch.stack([least[:, rank - 1] for rank in ranks], 1)
        if self.reach > 0:  # only the nearest of each occasion
            nearness = squared.neg_()
            highest = F.max_pool1d(nearness[:, None], 2 * self.reach + 1, 1, self.reach)[:, 0]
            squared = nearness.masked_fill_(nearness < highest, -torch.inf).neg_()
        k = min(NUM_NEIGHBORS, num)
        chosen, index = squared.topk(k, dim=1, largest=False)
        windows = self.windows[index]
        near = (windows - x[:, None]).square().mean(3)
        exact = torch.where(torch.isfinite(chosen), near.mean(2), torch.inf)
        own = self.own[index]
        if k < NUM_NEIGHBORS:
            windows, near, own = (_repeated(v, NUM_NEIGHBORS) for v in (windows, near, own))
            exact = F.pad(exact, (0, NUM_NEIGHBORS - k), value=torch.inf)
        return Retrieved(distance, windows, exact, near, own, profile)

    def _mean_distance(
        self, x: Float[Tensor, "n C L"], least: Float[Tensor, "n k"], index: Int[Tensor, "n k"]
    ) -> Float[Tensor, " n"]:
        """Return the mean root of squared distances, by differences, for squares cancel; infinite without any."""
        seen = torch.isfinite(least)
        exact = (self.windows[index] - x[:, None]).square().mean((2, 3)).sqrt()
        count = seen.sum(1)
        mean = torch.where(seen, exact, 0.0).sum(1) / count.clamp(min=1)
        return mean.masked_fill(count == 0, torch.inf)


def _repeated(values: Float[Tensor, "n k *rest"], num: int) -> Float[Tensor, "n num *rest"]:
    return torch.cat([values, values[:, :1].expand(-1, num - values.shape[1], *values.shape[2:])], 1)


def evidence(
    x: Float[Tensor, "N C L"],
    found: Retrieved,
    usual: Float[Tensor, " C"],
    *,
    num_remembered: int,
    window_size: int,
    resolution: Float[Tensor, " C"] | None = None,
) -> Evidence:
    """Return what the prior sees of windows and their neighbours; `usual` is the median of the memory's own distances.

    Per point: the window less the neighbours' weighed mean, the neighbours less it (all through arsinh, in units of how
    far such neighbours normally lie apart), both levels, and what the other channels lack; per window the logarithms of
    unit, distance and distance profile, and how much is remembered.
    """
    seen = torch.isfinite(found.squared)
    near = torch.where(seen[..., None], found.near, _FAR)
    own = torch.where(seen[..., None], found.own, torch.nan).nanmedian(1).values.nan_to_num(_FAR)
    unit = (own + (_FLOOR**2 if resolution is None else resolution.square().clamp(min=_FLOOR**2))).sqrt()
    weights = torch.where(seen[..., None], 1.0 / (near + 0.1 * unit[:, None].square()), 1e-12)
    weights = weights / weights.sum(1, keepdim=True)
    centre = (found.windows * weights[..., None]).sum(1)
    scale = unit[..., None]
    residual = torch.asinh((x - centre) / scale)
    around = torch.asinh((found.windows - centre[:, None]) / scale[:, None]) * seen[:, :, None, None]
    log_unit = unit.log()
    joint_unit = unit.square().mean(1, keepdim=True).log() / 2
    nearest = torch.where(seen, found.squared, _FAR).mean(1, keepdim=True)
    per_window = [
        log_unit,
        _log(near.mean(1)) - log_unit,
        _log(usual).expand_as(unit) - log_unit,
        *(
            (_log(found.profile.nan_to_num(posinf=_FAR)) - joint_unit)[:, None, i].expand_as(unit)
            for i in range(len(RANKS))
        ),
        (_log(nearest) - joint_unit).expand_as(unit),
        torch.full_like(unit, num_remembered).log() / 5,
        torch.full_like(unit, window_size / x.shape[2]).log(),
    ]
    others_mean, others_max = _of_others(residual.abs())
    per_point = [residual, torch.asinh(centre), torch.asinh(x), others_mean, others_max]
    stacked = torch.stack([*per_point, *(v[..., None].expand_as(x) for v in per_window)], 2)
    return Evidence(torch.cat([stacked, around.transpose(1, 2)], 2), centre, scale)


def _log(squared: Tensor) -> Tensor:
    return (squared + 1e-6).log() / 2


def _of_others(away: Float[Tensor, "N C L"]) -> tuple[Float[Tensor, "N C L"], Float[Tensor, "N C L"]]:
    """Return the mean and the largest of the other channels; 0 where there is one alone."""
    num = away.shape[1]
    if num == 1:
        return torch.zeros_like(away), torch.zeros_like(away)
    mean = (away.sum(1, keepdim=True) - away) / (num - 1)
    two = away.topk(2, dim=1).values
    largest = torch.where(away >= two[:, :1], two[:, 1:], two[:, :1])
    return mean, largest
