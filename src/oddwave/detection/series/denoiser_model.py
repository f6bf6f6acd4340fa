"""The model of series by a denoiser: one network, one scorer per window size; how they are trained, weighed, combined.

Fit: windows of all sizes -> train the denoiser -> noise levels -> memories -> standardise -> weights -> remember
what was held out -> calibrate by it, each window compared with all that do not overlap it.
Score: windows -> terms -> standardised groups -> fused window score -> points -> combined over window sizes.
Both ways of use (train on normals, then score others; or compare one stream with the rest of itself) run through the
same lines; they differ in `self_join` only. Read `terms.py` for the terms and `detector.py` for the public door.

Legend: n points, C channels, N windows, L points per window.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from oddwave.config import DetectorConfig
from oddwave.detection.choose import choose_fusion, choose_noise_levels
from oddwave.detection.denoiser import train_denoiser
from oddwave.detection.device import chosen_device
from oddwave.detection.job import QUIET, FitJob
from oddwave.detection.series.error_maps import DenoiserTerms
from oddwave.detection.series.missing_values import Bank
from oddwave.detection.series.plan import WindowPlan
from oddwave.detection.series.reconstruct import reconstruct_streams
from oddwave.detection.series.stream_scores import StreamScore, learnt_ranges, over_sizes
from oddwave.detection.series.streams import Stream, WindowSet, cut_streams, points_from_windows, rare_channels
from oddwave.detection.series.terms import TermSet, WindowScorer, with_point_errors
from oddwave.detection.threads import one_thread
from oddwave.diffusion.schedule import NoiseSchedule, make_schedule
from oddwave.errors import DataError
from oddwave.nets.blocks import seeded_draws
from oddwave.nets.unet import UNet
from oddwave.planted.series_windows import make_synthetic_windows
from oddwave.scoring.fusion import Fusion
from oddwave.tensors.representation import Representation
from oddwave.training.draws import TensorSource
from oddwave.training.ports import PortData

__all__ = ["DenoiserModel"]

_MIN_REFERENCE_WINDOWS = 30
_SELECTION_WINDOWS = 128
_VALIDATION_SHARE = 0.1
_TERM_BLOCK = 2048
_MAX_MISSING_WINDOW, _MAX_MISSING_INSTANCE = 0.25, 0.5


@dataclass(frozen=True, eq=False)
class Normals:
    """Windows known to be normal; `self_join` where the memory holds them."""

    cut: WindowSet
    self_join: bool


@dataclass
class DenoiserModel:
    """A fitted (or being fitted) model; `evidence` tells why every automatic choice fell as it did.

    `ranges` are the usual score and its distance to a high one where only the shortest, the two shortest, ... window
    sizes look: what makes scores of short stretches comparable with the others.
    """

    config: DetectorConfig
    plan: WindowPlan
    n_channels: int
    net: UNet
    schedule: NoiseSchedule
    scorers: list[WindowScorer]
    fusion: Fusion = field(default_factory=lambda: Fusion(0.5, 0.5))
    evidence: dict[str, Any] = field(default_factory=dict)
    ranges: tuple[tuple[float, float], ...] = ()

    @classmethod
    def build(
        cls, config: DetectorConfig, plan: WindowPlan, n_channels: int, *, outline: bool = False
    ) -> "DenoiserModel":
        """Make an untrained model; the network's first weights follow from the seed.

        An `outline` has a network without memory for its weights: it only tells their names and shapes.
        """
        kind = "window" if config.series.representation == "auto" else config.series.representation
        representations = [
            Representation(kind, size, n_channels, plan.tensor_length, config.series.scaling, plan.period)
            for size in plan.sizes
        ]
        with seeded_draws(config.seed), torch.device("meta" if outline else "cpu"):
            first = representations[0]
            net = UNet(first.in_channels, grid_dims=first.grid_dims, **config.network.model_dump())
        net = net if outline else net.to(chosen_device(config.device))
        schedule = make_schedule(config.diffusion.schedule, config.diffusion.num_train_timesteps)
        levels = tuple(config.scoring.noise_levels)
        net.eval()
        scorers = [WindowScorer(each, config, net, schedule, levels) for each in representations]
        return cls(config, plan, n_channels, net, schedule, scorers)

    @one_thread()
    def fit(
        self,
        streams: Sequence[Stream],
        reference: Sequence[Stream] | None,
        job: FitJob = QUIET,
        *,
        remember_reference: bool = False,
    ) -> list[StreamScore] | None:
        """Learn from normal streams; `reference` are held-out normals for standardising and selection.

        Without `reference` the streams are compared with the rest of themselves, and their own scores come back. With
        `remember_reference` the network never sees the held-out normals but the memory holds them as well, and each is
        compared with the others only (leave-one-out): few instances of a panel are too precious to be left out.

        Raises:
            DataError: no stream yields a window.
        """
        cuts, others = self._training_cuts(streams)
        self._train(cuts, job)
        self._choose_noise_levels(cuts)
        denoised = self._fit_memories(cuts, reference if remember_reference else None)
        normals = self._normals(cuts, reference, remember_reference)
        own = [
            self._terms(scorer, normal, known if normal.cut is cut and not remember_reference else None)
            for scorer, normal, cut, known in zip(self.scorers, normals, cuts, denoised, strict=True)
        ]
        self._choose_weights(normals, own)
        if reference is not None:
            return None
        for index, (scorer, other) in enumerate(zip(self.scorers, others, strict=True)):
            if len(other):
                both = cuts[index].joined(other)
                order = np.lexsort((both.local_starts, both.stream))
                own[index] = TermSet.joined([own[index], self._terms(scorer, Normals(other, True))]).take(order)
                cuts[index] = both.take(order)
        return self._combine(streams, cuts, own)

    @one_thread()
    def score(self, streams: Sequence[Stream], *, self_join: bool = False) -> list[StreamScore]:
        """Score each point of each stream; a stream's scores do not depend on the streams beside it.

        `self_join` is for streams that the memory holds: they are compared with everything but themselves.
        """
        cuts = [
            scorer.completed(cut_streams(streams, scorer.window_size, self._stride(scorer)), self_join=self_join)
            for scorer in self.scorers
        ]
        terms = [self._terms(scorer, Normals(cut, self_join)) for scorer, cut in zip(self.scorers, cuts, strict=True)]
        return self._combine(streams, cuts, terms)

    @one_thread()
    def normal_streams(self, streams: Sequence[Stream]) -> list[Float[np.ndarray, "_ C"]]:
        """Return what streams would be if they were normal, in scaled units; NaN where no window fits."""
        return reconstruct_streams(self.scorers[0], streams)

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """What was trained."""
        return (self.net,)

    def facts(self) -> dict[str, Any]:
        """Return what a report tells of the model."""
        return {
            "method": "denoiser",
            "representation": self.scorers[0].representation.kind,
            "reconstruction_weight": self.fusion.reconstruction_weight,
            "memory_weight": self.fusion.memory_weight,
            "memory_spaces": list(self.scorers[0].memories),
            "noise_levels": list(self.scorers[0].noise_levels),
        }

    @property
    def rare_channels(self) -> tuple[int, ...]:
        """The channels whose events are so rare that normal windows hold hardly any."""
        return rare_channels(self.scorers[-1].lenders.windows)

    @one_thread()
    def remember(self, streams: Sequence[Stream]) -> None:
        """Add normal streams to the memories: the newest data are worth knowing.

        Scores fall where the memory grows, so what calibrates is scored afterwards, with `self_join`.
        """
        for scorer, stride in zip(self.scorers, self.plan.strides, strict=True):
            cut = self._learnable(scorer, streams, stride, self_join=False)
            if len(cut):
                scorer.extend_memory(cut, scorer.denoise(cut.windows))

    @property
    def next_group(self) -> int:
        """The first number that no remembered stream has."""
        remembered = [own for scorer in self.scorers for own in (scorer.bank, *scorer.memories.values()) if own]
        return 1 + max((int(own.groups.max(initial=-1)) for own in remembered), default=-1)

    def _training_cuts(self, streams: Sequence[Stream]) -> tuple[list[WindowSet], list[WindowSet]]:
        """Cut the training windows, and those that lack too much to learn from, missing values lent.

        Sizes that no stretch between two gaps has room for are given up.
        """
        cuts = [cut_streams(streams, s.window_size, k) for s, k in zip(self.scorers, self.plan.strides, strict=True)]
        enough = [cut.learnable(self._max_missing) for cut in cuts]
        kept = [number for number, own in enumerate(enough) if own.any()]
        if not kept:
            raise DataError(self._nothing_to_learn(cuts))
        sizes, strides = ([of[number] for number in kept] for of in (self.plan.sizes, self.plan.strides))
        self.plan = replace(self.plan, sizes=tuple(sizes), strides=tuple(strides))
        self.scorers = [self.scorers[number] for number in kept]
        learnt, others = [], []
        for scorer, number in zip(self.scorers, kept, strict=True):
            cut, own = cuts[number], enough[number]
            part = cut if own.all() else cut.take(np.flatnonzero(own))
            scorer.bank = Bank.fit(part)
            learnt.append(scorer.completed(part, self_join=True))
            others.append(scorer.completed(cut.take(np.flatnonzero(~own)), self_join=True))
        return learnt, others

    @property
    def _max_missing(self) -> float:
        """The share of a channel that a window to learn from may lack; instances are few, and of unequal lengths."""
        return _MAX_MISSING_INSTANCE if self.plan.panel else _MAX_MISSING_WINDOW

    def _nothing_to_learn(self, cuts: Sequence[WindowSet]) -> str:
        size = min(self.plan.sizes)
        if any(len(cut) for cut in cuts):
            return f"no stretch of {size} points in which every channel has values: leave out those with the fewest"
        return f"no stretch of {size} points without a gap to learn from: give longer streams"

    def _stride(self, scorer: WindowScorer) -> int:
        return self.config.series.query_stride(scorer.window_size)

    def _learnable(self, scorer: WindowScorer, streams: Sequence[Stream], stride: int, *, self_join: bool) -> WindowSet:
        """Cut windows that lack little of any channel, missing values lent."""
        cut = cut_streams(streams, scorer.window_size, stride)
        if cut.known is None:
            return cut
        return scorer.completed(cut.take(np.flatnonzero(cut.learnable(self._max_missing))), self_join=self_join)

    def _train(self, cuts: Sequence[WindowSet], job: FitJob) -> None:
        started = time.process_time()
        training, validation = [], []
        for scorer, cut in zip(self.scorers, cuts, strict=True):
            encoded = scorer.representation.encode(cut.windows)
            kept = max(1, round(len(encoded) * (1.0 - _VALIDATION_SHARE)))
            training.append(encoded[:kept])
            validation.append(encoded[kept:])
        held_out = torch.cat(validation)
        data = PortData(TensorSource(torch.cat(training)), TensorSource(held_out) if len(held_out) else None)
        title, settings = "training the denoiser", self.config.training_settings
        last = train_denoiser(self.net, data, self.schedule, settings, job, name="net", title=title)
        self.evidence["training"] = {
            "num_steps": last.step,
            "loss": last.loss,
            "val_loss": last.val_loss,
            "num_windows": sum(len(part) for part in training),
            "num_validation_windows": len(held_out),
            "cpu_s": round(time.process_time() - started, 2),
        }

    def _choose_noise_levels(self, cuts: Sequence[WindowSet]) -> None:
        """Keep the noise levels that tell synthetic anomalies from normal windows, judged at the middle window size."""
        if len(self.config.scoring.noise_levels) == 1:
            return
        index = len(cuts) // 2
        scorer, cut = self.scorers[index], self._sample(cuts[index], index)
        synthetic, _ = self._synthetic(cut, index)
        normal, odd = (scorer.denoise(c.windows).recon.numpy() for c in (cut, synthetic))
        kept, self.evidence["noise_levels"] = choose_noise_levels(scorer.noise_levels, normal, odd)
        levels = tuple(scorer.noise_levels[k] for k in kept)
        for each in self.scorers:
            each.noise_levels = levels

    def _fit_memories(self, cuts: Sequence[WindowSet], more: Sequence[Stream] | None) -> list[DenoiserTerms]:
        """Fill the memories; return what the denoiser said of the remembered windows, to be used again."""
        spaces = self.config.memory_spaces(panel=self.plan.panel)
        result = []
        for scorer, cut in zip(self.scorers, cuts, strict=True):
            if more is not None:
                cut = cut.joined(self._learnable(scorer, more, self._stride(scorer), self_join=False))
            result.append(scorer.denoise(cut.windows))
            scorer.fit_memory(cut, result[-1], spaces)
        return result

    def _normals(
        self, cuts: Sequence[WindowSet], reference: Sequence[Stream] | None, remembered: bool
    ) -> list[Normals]:
        """Return the normal windows that everything is measured by, per window size.

        Held-out windows where there are enough, else the training windows themselves, each compared with those that do
        not overlap it.
        """
        result = []
        for scorer, cut in zip(self.scorers, cuts, strict=True):
            held = (
                None
                if reference is None
                else self._learnable(scorer, reference, max(1, scorer.window_size // 16), self_join=remembered)
            )
            enough = held is not None and len(held) >= _MIN_REFERENCE_WINDOWS
            result.append(Normals(held, remembered) if enough and held is not None else Normals(cut, True))
        return result

    def _terms(self, scorer: WindowScorer, normals: Normals, denoised: DenoiserTerms | None = None) -> TermSet:
        """Compute all raw terms, block by block: maps of all windows at once would fill the memory."""
        if not len(normals.cut):
            return TermSet({}, np.zeros(0))
        blocks = []
        for first in range(0, len(normals.cut), _TERM_BLOCK):
            index = np.arange(first, min(first + _TERM_BLOCK, len(normals.cut)))
            part = normals.cut.take(index)
            known = scorer.denoise(part.windows) if denoised is None else denoised.take(index)
            blocks.append(scorer.terms(part, known, self_join=normals.self_join))
        return TermSet.joined(blocks)

    def _choose_weights(self, normals: Sequence[Normals], own: Sequence[TermSet]) -> None:
        """Standardise on normals, and choose the fusion weights on synthetic anomalies, pooled over window sizes."""
        pairs, kinds = [], []
        for index, (scorer, normal) in enumerate(zip(self.scorers, normals, strict=True)):
            sample = self._sample(normal.cut, index)
            synthetic, names = self._synthetic(sample, index)
            kinds += names
            pairs.append([self._terms(scorer, Normals(c, normal.self_join)).terms for c in (sample, synthetic)])
        pooled: list[dict[str, list[Float[np.ndarray, " N"]]]] = [{}, {}]
        for scorer, basis, pair in zip(self.scorers, own, pairs, strict=True):
            scorer.fit_standardiser(basis)
            for side, terms in zip(pooled, pair, strict=True):
                for name, values in scorer.groups(terms).items():
                    side.setdefault(name, []).append(values)
        normal_groups, odd_groups = ({name: np.concatenate(v) for name, v in side.items()} for side in pooled)
        self.fusion, self.evidence["weights"] = choose_fusion(
            self.config.scoring, normal_groups, odd_groups, kinds, num_memory_spaces=len(self.scorers[0].memories)
        )
        for scorer, basis in zip(self.scorers, own, strict=True):
            scorer.fit_score(basis, self.fusion)

    def _sample(self, cut: WindowSet, salt: int) -> WindowSet:
        rng = np.random.default_rng([self.config.seed, salt])
        size = min(_SELECTION_WINDOWS, len(cut))
        return cut.take(np.sort(rng.choice(len(cut), size, replace=False)))

    def _synthetic(self, cut: WindowSet, salt: int) -> tuple[WindowSet, list[str]]:
        rng = np.random.default_rng([self.config.seed, salt, 1])
        windows, kinds = make_synthetic_windows(cut.windows, rng)
        return cut.with_windows(windows.astype(np.float32)), kinds

    def _combine(
        self, streams: Sequence[Stream], cuts: Sequence[WindowSet], terms: Sequence[TermSet]
    ) -> list[StreamScore]:
        """Fuse each window size's terms, spread them over points, and combine the window sizes."""
        layers: list[dict[str, list[Float[np.ndarray, " _"]]]] = []
        for scorer, cut, own in zip(self.scorers, cuts, terms, strict=True):
            if not len(cut):
                continue
            found = scorer.part_scores(own, self.fusion)
            named = {"score": found.score.numpy(), **{name: values.numpy() for name, values in found.groups.items()}}
            layer = {k: points_from_windows(v, cut, streams, scorer.window_size) for k, v in named.items()}
            if self.config.scoring.aggregate != "window" and not self.plan.panel:  # an instance has one score
                layer["score"] = with_point_errors(layer, scorer, cut, own, streams, self.fusion.memory_weight)
            layer["score"] = [scorer.standardised_score(points) for points in layer["score"]]
            layers.append(layer)
        count = len(self.scorers)
        return [
            over_sizes(layers, number, len(stream), count).in_range(self.ranges)
            for number, stream in enumerate(streams)
        ]

    def ranged(self, scored: Sequence[StreamScore]) -> list[StreamScore]:
        """Learn from normal scores how they lie where only the shorter window sizes look; give them in one range."""
        self.ranges = learnt_ranges(scored)
        return [own.in_range(self.ranges) for own in scored]
