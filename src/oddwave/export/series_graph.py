"""The graph of series: a piece of a scaled stream in, what its windows say of each of its points out.

A piece is `piece` points and as many more as the longest window reaches on. Which windows are looked at comes in as
where they begin, -1 for none: the graph takes them out of the piece (a gather), resamples each (a matrix), lets the
model's own scorers judge them, and lays what they say back onto the points (sums of products). Pieces add up:

    score of a point by a window size = window_sum / window_weight + point_sum / point_weight

What is left to whoever runs it: to add pieces up, and the log-mean-exp over window sizes (`combined_scores`).

The prior is called once for all window sizes and views: it is most of the graph, and of the time to make one.

Legend: n points of a piece with its reach, C channels, c of a view, B windows of all sizes, b of one size, K window
sizes, V views of the channels, S points of a window, N instances, L points of each.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from oddwave.detection.series.retrieval_model import RetrievalModel
from oddwave.detection.series.retrieval_scorer import RetrievalScorer, Seen
from oddwave.detection.series.size_memory import PRIOR_LENGTH
from oddwave.tensors.series_windows import resample_windows

__all__ = ["PanelGraph", "StreamGraph"]

_WINDOWS = (64, 32, 16, 8)  # of the shortest size in one piece: as many as the prior takes at once
_MOST_ROWS = 1024  # windows times channels
_MOST_CHANNELS = 16  # that the prior looks at in one window


class StreamGraph(nn.Module):
    """Points of streams: sums and weights of window and point evidence, per window size and view of the channels."""

    def __init__(self, model: RetrievalModel) -> None:
        super().__init__()
        self.sizes, self.num_channels = tuple(model.plan.sizes), model.n_channels
        strides = {own.window_size: model.query_stride(own) for own in model.sizes}
        self.strides = tuple(strides[size] for size in self.sizes)
        self.views = tuple(dict.fromkeys(own.channels for own in model.sizes))
        self.prior = model.prior
        self.piece, self.counts = self._piece()
        self.scorers = nn.ModuleDict()
        for own in model.sizes:
            self.scorers[_name(own.window_size, self.views.index(own.channels))] = model.scorer(own)
        for size in self.sizes:
            self.register_buffer(f"shrink_{size}", _matrix(size, PRIOR_LENGTH))
            self.register_buffer(f"grow_{size}", _matrix(PRIOR_LENGTH, size))
            kernel = np.bartlett(size + 2)[1:-1].astype(np.float32)
            self.register_buffer(f"kernel_{size}", torch.from_numpy(kernel))

    def _piece(self) -> tuple[int, tuple[int, ...]]:
        """Return how far a piece goes on, and the most windows of each size that begin in it."""
        looked_at = sum(min(len(view), _MOST_CHANNELS) for view in self.views)
        for num in _WINDOWS:
            piece = num * min(self.strides)
            counts = tuple(-(-piece // stride) + 1 for stride in self.strides)
            if sum(counts) * looked_at <= _MOST_ROWS:
                break
        return piece, counts

    @property
    def length(self) -> int:
        """How many points go in at once."""
        return self.piece + max(self.sizes)

    def forward(self, values: Float[Tensor, "n C"], starts: Int[Tensor, " B"]) -> Float[Tensor, "4 K V n"]:
        """Return window sums and weights, point sums and weights."""
        parts = starts.split(self.counts)  # type: ignore[no-untyped-call]
        seen = {
            (size, view): self._seen(size, view, values, own)
            for size, own in zip(self.sizes, parts, strict=True)
            for view in range(len(self.views))
            if _name(size, view) in self.scorers
        }
        rows = {key: self._rows(own) for key, own in seen.items()}
        odds = self.prior(torch.cat(list(rows.values()))).log_odds.split([len(own) for own in rows.values()])
        said = dict(zip(seen, odds, strict=True))
        nothing = torch.zeros(4, len(values))
        by_size = []
        for size, own in zip(self.sizes, parts, strict=True):
            views = [(size, view) for view in range(len(self.views))]
            found = [self._on_points(k, own, seen[k], said[k], nothing) if k in seen else nothing for k in views]
            by_size.append(torch.stack(found, 1))
        return torch.stack(by_size, 1)

    def _seen(self, size: int, view: int, values: Float[Tensor, "n C"], starts: Int[Tensor, " b"]) -> Seen:
        first = starts.clamp(min=0)
        x = values[first[:, None] + torch.arange(size)].transpose(1, 2)
        if len(self.views) > 1:
            x = x[:, list(self.views[view])]
        x = (x if size == PRIOR_LENGTH else x @ self.get_buffer(f"shrink_{size}")).contiguous()
        return self._scorer(size, view).seen(x, {}, torch.full_like(first, -1), torch.zeros_like(first))

    def _scorer(self, size: int, view: int) -> RetrievalScorer:
        scorer = self.scorers[_name(size, view)]
        assert isinstance(scorer, RetrievalScorer)
        return scorer

    @staticmethod
    def _rows(seen: Seen) -> Float[Tensor, "_ 1 _ 64"]:
        """Return what the prior is to see, each channel of each window by itself."""
        assert seen.evidence is not None
        return seen.evidence.flatten(0, 1)[:, None]

    def _on_points(
        self, key: tuple[int, int], starts: Int[Tensor, " b"], seen: Seen, odds: Tensor, nothing: Float[Tensor, "4 n"]
    ) -> Float[Tensor, "4 n"]:
        """Return what windows of one size and view say of the points of a piece."""
        size, x = key[0], seen.x
        odds = odds[:, 0].unflatten(0, (len(x), -1))  # type: ignore[no-untyped-call]
        judged = self._scorer(*key).judged(seen, odds)
        maps = judged.map if size == PRIOR_LENGTH else judged.map @ self.get_buffer(f"grow_{size}")
        offset = torch.arange(nothing.shape[1]) - starts.clamp(min=0)[:, None]
        inside = ((offset >= 0) & (offset < size) & (starts >= 0)[:, None]).to(x.dtype)
        offset = offset.clamp(0, size - 1)
        kernel = self.get_buffer(f"kernel_{size}")[offset] * inside
        sums = (judged.score[:, None] * kernel).sum(0), (maps.gather(1, offset) * inside).sum(0)
        return torch.stack([sums[0], kernel.sum(0), sums[1], inside.sum(0)])


class PanelGraph(nn.Module):
    """Instances of a panel, whole: one score each, and the points of the evidence (none of it counts)."""

    def __init__(self, model: RetrievalModel) -> None:
        super().__init__()
        (own,) = model.sizes
        assert own.convolutions is not None
        self.convolutions, self.num_channels, self.length = own.convolutions, model.n_channels, own.window_size
        self.scorer = model.scorer(own)
        self.register_buffer("shrink", _matrix(self.length, PRIOR_LENGTH))

    def forward(self, instances: Float[Tensor, "N C L"]) -> tuple[Float[Tensor, " N"], Float[Tensor, "N 64"]]:
        """Return scores and maps of scaled instances."""
        vectors: Mapping[str, Tensor] = self.convolutions.of(instances)
        shrink = self.get_buffer("shrink")
        x = instances if self.length == PRIOR_LENGTH else instances @ shrink
        place = torch.zeros(len(instances), dtype=torch.long)
        found = self.scorer(x, vectors, place - 1, place)
        return found.score, found.map


def _name(size: int, view: int) -> str:
    return f"size_{size}_view_{view}"


def _matrix(size: int, length: int) -> Float[Tensor, "S M"]:
    """Return what resamples windows of `size` points to `length`, as a matrix."""
    return torch.from_numpy(resample_windows(np.eye(size), length).astype(np.float32))
