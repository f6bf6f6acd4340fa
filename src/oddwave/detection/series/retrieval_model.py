"""The model of series by retrieval: remembered windows of several sizes, and a prior that was trained once for all.

Fit: windows of all sizes, dense enough that every phase is there -> memories -> what is usual for normals.
Score: windows -> neighbours -> window and point evidence (`retrieval_scorer.py`) -> points -> combined over sizes.

Nothing is trained on the user's data. A window is compared with those that do not overlap it, so that the same memory
serves to score others and to compare a stream with the rest of itself (`self_join`). Read `detector.py` for the public
door, `denoiser_model.py` for the other way: a denoiser trained on the data themselves.

Legend: n points, C channels, N windows, L points per window.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from oddwave.config import DetectorConfig
from oddwave.detection.device import chosen_device
from oddwave.detection.job import QUIET, FitJob
from oddwave.detection.series.plan import WindowPlan
from oddwave.detection.series.retrieval_scorer import Basis, RetrievalScorer
from oddwave.detection.series.size_memory import PRIOR_LENGTH, SizeMemory
from oddwave.detection.series.stream_scores import StreamScore, learnt_ranges, over_sizes, strongest
from oddwave.detection.series.streams import (
    Stream,
    WindowSet,
    cut_streams,
    num_windows,
    points_from_maps,
    points_from_windows,
    rare_channels,
)
from oddwave.detection.series.window_evidence import Found, Look, Tell, blocks, window_evidence
from oddwave.detection.threads import one_thread
from oddwave.errors import CheckpointError, DataError
from oddwave.progress import Report, stage
from oddwave.scoring.prior import Prior, load_prior
from oddwave.scoring.retrieval import Retrieved
from oddwave.scoring.scorer import NearestDistance
from oddwave.tensors.series_windows import join_windows, resample_windows
from oddwave.training.loop import STATE_FILE

__all__ = ["RetrievalModel", "seen_alone"]

Layer = Mapping[str, list[Float[np.ndarray, " _"]]]  # of each stream: scores of its points, and their parts

_MAX_MISSING_WINDOW, _MAX_MISSING_INSTANCE = 0.25, 0.5
_TEMPERATURE = 1.0
_MOST_ALONE = 16  # channels that are also looked at one by one
_MOST_BASIS = 2048  # windows that what is usual is learnt from
_MOST_ODDS = 128  # of them that the prior looks at


def seen_alone(streams: Sequence[Stream], channels: tuple[int, ...]) -> list[Stream]:
    """Return the streams with these channels alone."""
    if not streams or len(channels) == streams[0].values.shape[1]:
        return list(streams)
    chosen = list(channels)
    return [replace(s, values=s.values[:, chosen], known=s.known[:, chosen]) for s in streams]


def _untold(more: int) -> None:
    pass


def _telling(report: Report, total: int) -> Tell:
    """Return what counts windows, and reports how many of them are done."""
    done = 0

    def tell(more: int) -> None:
        nonlocal done
        done = min(done + more, total)
        report(done, total)

    return tell


@dataclass
class RetrievalModel:
    """A fitted (or being fitted) model; `evidence` tells what was chosen, `ranges` as in `DenoiserModel`."""

    config: DetectorConfig
    plan: WindowPlan
    n_channels: int
    prior: Prior
    sizes: list[SizeMemory] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    ranges: tuple[tuple[float, float], ...] = ()
    rare_channels: tuple[int, ...] = ()  # whose events are so rare that normal windows hold hardly any

    @classmethod
    def build(cls, config: DetectorConfig, plan: WindowPlan, n_channels: int) -> "RetrievalModel":
        """Return a model that remembers nothing yet."""
        return cls(config, plan, n_channels, load_prior())

    @one_thread()
    def fit(self, streams: Sequence[Stream], job: FitJob = QUIET) -> list[StreamScore]:
        """Remember normal streams; return their own scores, each stretch compared with the others.

        Raises:
            DataError: no stream yields a window.
            CheckpointError: a stopped training was to be resumed, which this model has none of.
        """
        if job.resume and job.checkpoint_dir is not None and (job.checkpoint_dir / STATE_FILE).exists():
            raise CheckpointError(
                f"{job.checkpoint_dir / STATE_FILE} is of another run: series.method 'retrieval' trains nothing; leave "
                "--resume out, or set series.method=denoiser to go on"
            )
        planned = list(zip(self.plan.sizes, self.plan.strides, strict=True))
        with stage("remembering windows", job.show_progress) as report:
            for number, (channels, (size, stride)) in enumerate(product(self._views(), planned)):
                report(number, len(planned) * len(self._views()))
                cut = self._learnable(seen_alone(streams, channels), size, stride)
                if len(cut):
                    own = SizeMemory.fit(cut, size, stride, channels, panel=self.plan.panel, most=self._most)
                    own.basis = self._basis(own, streams)
                    self.sizes.append(own)
        learnt = [pair for pair in planned if pair[0] in {own.window_size for own in self.sizes}]
        if all(len(own.channels) < self.n_channels for own in self.sizes):  # channels by themselves are not enough
            raise DataError(self._nothing_to_learn(streams))
        sizes, strides = zip(*learnt, strict=True)
        self.plan = replace(self.plan, sizes=sizes, strides=strides)
        largest = cut_streams(streams, max(sizes), max(sizes))  # as they are: a resampled one may lose a short event
        self.rare_channels = rare_channels(largest.windows)
        return self.score(streams, self_join=True, job=job)

    def _views(self) -> list[tuple[int, ...]]:
        """Return which channels are looked at together: all, and, where there are a few, each by itself.

        What links channels shows in all of them; what one does alone would drown in the noise of the others.
        """
        whole = tuple(range(self.n_channels))
        alone = 1 < self.n_channels <= _MOST_ALONE and not self.plan.panel
        return [whole, *((channel,) for channel in whole)] if alone else [whole]

    @one_thread()
    def score(self, streams: Sequence[Stream], *, self_join: bool = False, job: FitJob = QUIET) -> list[StreamScore]:
        """Score each point of each stream; a stream's scores do not depend on the streams beside it.

        `self_join` is for streams that the memory holds: they are compared with everything but themselves.
        """
        layers: dict[tuple[int, ...], list[Layer]] = {}
        total = sum(num_windows(streams, own.window_size, self.query_stride(own)) for own in self.sizes)
        with stage("comparing windows", job.show_progress) as report:
            looks = self._looks(streams, self_join=self_join)
            for look, found in self.window_evidence(looks, _telling(report, total)):
                seen = seen_alone(streams, look.own.channels)
                layers.setdefault(look.own.channels, []).append(self.on_points(look.own, found, look.cut, seen))
        return [self.over_views(layers, number, len(stream)) for number, stream in enumerate(streams)]

    def _looks(self, streams: Sequence[Stream], *, self_join: bool) -> Iterator[Look]:
        """Yield what each window size and view of the channels is to compare."""
        for own in self.sizes:
            cut = self._cut(own, seen_alone(streams, own.channels), self_join=self_join)
            if len(cut):
                yield Look(self.scorer(own), own, cut, self.left_out(own) if self_join else 0)

    @one_thread()
    def remember(self, streams: Sequence[Stream]) -> None:
        """Add normal streams to the memories: the newest data are worth knowing."""
        for number, own in enumerate(self.sizes):
            cut = self._learnable(seen_alone(streams, own.channels), own.window_size, own.stride)
            if len(cut):
                self.sizes[number] = own.extended(cut, self._most)

    @property
    def _most(self) -> int:
        """How many windows of one size are remembered at most."""
        return self.config.scoring.memory_size

    @property
    def next_group(self) -> int:
        """The number that the memory has for no stream yet."""
        return 1 + max(int(own.memory.groups.max()) for own in self.sizes)

    def ranged(self, scored: Sequence[StreamScore]) -> list[StreamScore]:
        """Learn from normal scores how they lie where only the shorter window sizes look; give them in one range."""
        self.ranges = learnt_ranges(scored, _TEMPERATURE)
        return [own.in_range(self.ranges) for own in scored]

    @one_thread()
    def normal_streams(self, streams: Sequence[Stream]) -> list[Float[np.ndarray, "_ C"]]:
        """Return what streams would be if they were normal, in scaled units; NaN where no window fits."""
        own = self.sizes[0]
        size = own.window_size
        cut = self._completed(own, cut_streams(streams, size, max(1, size // 2), length=self._length), self_join=False)
        scorer = self.scorer(own)
        with torch.inference_mode():
            normal = [
                scorer.normal(x, scorer.memory(x, groups, starts)).cpu().numpy()
                for x, _, groups, starts, _ in blocks(own, cut, self.device)
            ]
        if not normal:
            return [np.full_like(stream.values, np.nan) for stream in streams]
        windows = resample_windows(np.concatenate(normal), size)
        return [
            join_windows(windows[cut.stream == number], cut.local_starts[cut.stream == number], len(stream))
            for number, stream in enumerate(streams)
        ]

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """What was trained on the data: nothing."""
        return ()

    def facts(self) -> dict[str, Any]:
        """Return what a report tells of the model."""
        return {"method": "retrieval", "num_remembered": self.num_remembered}

    @property
    def num_remembered(self) -> list[int]:
        """How many windows of each size are remembered."""
        kept = [(own.window_size, len(own.memory.windows)) for own in self.sizes]
        return [max(num for size, num in kept if size == each) for each in self.plan.sizes]

    def left_out(self, own: SizeMemory) -> int:
        """Return how near a remembered window may not begin to one of the same stream that is compared with it."""
        return own.window_size if self.plan.panel else max(self.plan.sizes)

    def scorer(self, own: SizeMemory) -> RetrievalScorer:
        """Return the scorer of a window size, made once. Raises: AssertionError before what is usual was learnt."""
        assert own.basis is not None
        made_of = (own.memory, own.basis, own.resolution, own.spaces, self.prior, self.config.device)
        if own.made is None or any(one is not other for one, other in zip(own.made[0], made_of, strict=True)):
            own.made = (made_of, self._scorer(own, own.basis))
        return own.made[1]

    def _scorer(self, own: SizeMemory, basis: Basis) -> RetrievalScorer:
        spaces = {name: NearestDistance(memory) for name, memory in own.spaces.items()}
        return RetrievalScorer(own.memory, self.prior, basis, own.resolution, spaces).to(self.device)

    @property
    def device(self) -> torch.device:
        """Where windows are compared."""
        return chosen_device(self.config.device)

    def _cut(self, own: SizeMemory, streams: Sequence[Stream], *, self_join: bool) -> WindowSet:
        cut = cut_streams(streams, own.window_size, self.query_stride(own), length=self._length)
        return self._completed(own, cut, self_join=self_join)

    def query_stride(self, own: SizeMemory) -> int:
        """Return how many points after one window that is judged the next begins."""
        return self.config.series.query_stride(own.window_size)

    @property
    def _length(self) -> int | None:
        """What windows are resampled to when they are cut; the convolutions see instances as they are."""
        return None if self.plan.panel else PRIOR_LENGTH

    @staticmethod
    def _completed(own: SizeMemory, cut: WindowSet, *, self_join: bool) -> WindowSet:
        return own.bank.completed(cut, self_join=self_join, reach=own.window_size)

    def _learnable(self, streams: Sequence[Stream], size: int, stride: int) -> WindowSet:
        """Cut windows that lack little of any channel."""
        cut = cut_streams(streams, size, stride, length=self._length)
        if cut.known is None:
            return cut
        return cut.take(np.flatnonzero(cut.learnable(self._max_missing)))

    @property
    def _max_missing(self) -> float:
        """The share of a channel that a window to learn from may lack; instances are few, and of unequal lengths."""
        return _MAX_MISSING_INSTANCE if self.plan.panel else _MAX_MISSING_WINDOW

    def _nothing_to_learn(self, streams: Sequence[Stream]) -> str:
        size = min(self.plan.sizes)
        if any(len(cut_streams(streams, each, each)) for each in self.plan.sizes):
            return f"no stretch of {size} points in which every channel has values: leave out those with the fewest"
        return f"no stretch of {size} points without a gap to learn from: give longer streams"

    def _basis(self, own: SizeMemory, streams: Sequence[Stream]) -> Basis:
        """Learn what is usual of the evidence, from the windows themselves, each compared with the others."""
        cut = self._cut(own, seen_alone(streams, own.channels), self_join=True)
        kept = np.unique(np.linspace(0, len(cut) - 1, min(len(cut), _MOST_BASIS)).round().astype(int))
        scorer = self._scorer(own, Basis.neutral(own.spaces or ("input",), len(own.channels)))
        exclusion = self.left_out(own)
        distances: dict[str, list[Float[np.ndarray, " _"]]] = {}
        residuals, odds, lively = [], [], []
        every = max(1, -(-len(kept) // _MOST_ODDS))
        with torch.inference_mode():
            for x, vectors, groups, starts, rows in blocks(own, cut.take(kept), self.device):
                found = scorer.memory(x, groups, starts, exclusion)
                for name, values in scorer.distance(found, vectors, groups, starts, exclusion).items():
                    distances.setdefault(name, []).append(values.cpu().numpy())
                residuals.append(scorer.residual(x, found).cpu().numpy())
                lively.append(scorer.liveliness(x).cpu().numpy())
                few = slice(-rows.start % every, None, every)
                odds.append(scorer.log_odds(x[few], Retrieved(*(part[few] for part in found))).cpu().numpy())
        usual = {name: np.concatenate(v) for name, v in distances.items()}
        return Basis.fit(usual, *(np.concatenate(parts) for parts in (residuals, odds, lively)))

    def window_evidence(self, looks: Iterable[Look], tell: Tell = _untold) -> Iterator[tuple[Look, Found]]:
        """Yield the window and the point evidence of each look. Raises: DataError where it is not finite."""
        return window_evidence(looks, self.prior, self.device, tell)

    def on_points(
        self,
        own: SizeMemory,
        found: Found,
        cut: WindowSet,
        streams: Sequence[Stream],
    ) -> Layer:
        """Return, per stream, the scores of its points by one window size, and what each part of the evidence says."""
        windows, maps = found
        layer = {"window": points_from_windows(windows, cut, streams, own.window_size)}
        if self.plan.panel:
            return {**layer, "score": layer["window"]}
        layer["point"] = points_from_maps(maps, cut, streams, own.window_size)
        layer["score"] = [window + point for window, point in zip(layer["window"], layer["point"], strict=True)]
        return layer

    def over_views(self, layers: Mapping[tuple[int, ...], Sequence[Layer]], number: int, n: int) -> StreamScore:
        """Return the scores of one stream's n points over all window sizes and views of the channels."""
        count = len(self.plan.sizes)
        views = [over_sizes(own, number, n, count, _TEMPERATURE) for own in layers.values()]
        return strongest(views or [over_sizes((), number, n, count)]).in_range(self.ranges)
