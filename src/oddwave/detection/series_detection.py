"""The engine for series: one denoiser, one scorer per window size, and how they are trained, weighed and combined.

Fit: windows of all sizes -> train the denoiser -> noise levels -> memories -> standardise -> weights -> calibrate.
Score: windows -> terms -> standardised groups -> fused window score -> points -> mean over window sizes.
Both ways of use (train on normals, then score others; or compare one stream with the rest of itself) run through the same
lines; they differ in `self_join` only. Read `window_scorer.py` for the terms and `detector.py` for the public door.

Legend: n points, C channels, N windows, L points per window.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from oddwave.config import DetectorConfig
from oddwave.detection.plan import WindowPlan
from oddwave.detection.streams import Stream, WindowSet, cut_streams, points_from_windows
from oddwave.detection.window_scorer import TermSet, WindowScorer
from oddwave.diffusion.schedule import NoiseSchedule, make_schedule
from oddwave.errors import DataError
from oddwave.modalities.representation import Representation
from oddwave.modalities.series import resample_windows
from oddwave.modalities.synthetic import make_synthetic_windows
from oddwave.nets.unet import UNet
from oddwave.scoring.aggregate import point_overlap_mean
from oddwave.scoring.fusion import GROUPS, Fusion, Standardiser
from oddwave.scoring.selection import WeightSelection, select_noise_levels, select_weights
from oddwave.training.draws import TensorSource
from oddwave.training.loop import train
from oddwave.training.progress import run_with_progress

__all__ = ["SeriesDetection", "StreamScore"]

_MIN_REFERENCE_WINDOWS = 50
_SELECTION_WINDOWS = 192
_VALIDATION_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class StreamScore:
    """One score per point (higher = more anomalous, NaN where no window looks), and the share of each group in it."""

    scores: Float[np.ndarray, " n"]
    parts: Mapping[str, Float[np.ndarray, " n"]]


@dataclass
class SeriesDetection:
    """A fitted (or being fitted) engine; `evidence` tells why every automatic choice fell as it did."""

    config: DetectorConfig
    plan: WindowPlan
    n_channels: int
    net: UNet
    schedule: NoiseSchedule
    scorers: list[WindowScorer]
    fusion: Fusion = field(default_factory=lambda: Fusion(0.5, 0.5))
    evidence: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def build(cls, config: DetectorConfig, plan: WindowPlan, n_channels: int) -> "SeriesDetection":
        """Make an untrained engine; the network's first weights follow from the seed."""
        kind = "window" if config.series.representation == "auto" else config.series.representation
        representations = [
            Representation(kind, size, n_channels, plan.tensor_length, config.series.scaling, plan.period)
            for size in plan.sizes
        ]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            first = representations[0]
            net = UNet(first.in_channels, grid_dims=first.grid_dims, **config.network.model_dump())
        schedule = make_schedule(config.diffusion.schedule, config.diffusion.num_train_timesteps)
        levels = tuple(config.scoring.noise_levels)
        scorers = [WindowScorer(representation, config, levels) for representation in representations]
        return cls(config, plan, n_channels, net.eval(), schedule, scorers)

    def fit(
        self,
        streams: Sequence[Stream],
        reference: Sequence[Stream] | None,
        *,
        show_progress: bool = False,
        checkpoint_dir: Path | None = None,
        resume: bool = False,
    ) -> list[StreamScore] | None:
        """Learn from normal streams; `reference` are held-out normals for standardising and selection.

        Without `reference` the streams are compared with the rest of themselves, and their own scores come back.

        Raises:
            DataError: no stream yields a window.
        """
        cuts = [cut_streams(streams, s.window_size, k) for s, k in zip(self.scorers, self.plan.strides, strict=True)]
        if not any(len(cut) for cut in cuts):
            raise DataError(f"no stretch of {min(self.plan.sizes)} points without a gap to learn from: give longer streams")
        self._train(cuts, show_progress, checkpoint_dir, resume)
        self._choose_noise_levels(cuts)
        self_terms = [self._fit_scorer(*pair, reference) for pair in zip(self.scorers, cuts, strict=True)]
        self._choose_weights(cuts, reference)
        if reference is not None:
            return None
        return self._combine(streams, cuts, self_terms)

    def score(self, streams: Sequence[Stream], *, show_progress: bool = False) -> list[StreamScore]:
        """Score each point of each stream; a stream's scores do not depend on the streams beside it."""
        strides = [max(1, size // 16) for size in self.plan.sizes]
        cuts = [cut_streams(streams, s.window_size, k) for s, k in zip(self.scorers, strides, strict=True)]
        terms = [scorer.terms_of(self.net, self.schedule, cut) for scorer, cut in zip(self.scorers, cuts, strict=True)]
        return self._combine(streams, cuts, terms)

    def _train(self, cuts: Sequence[WindowSet], show: bool, checkpoint_dir: Path | None, resume: bool) -> None:
        started = time.process_time()
        training, validation = [], []
        for scorer, cut in zip(self.scorers, cuts, strict=True):
            if len(cut):
                encoded = scorer.representation.encode(cut.windows)
                kept = max(1, round(len(encoded) * (1.0 - _VALIDATION_SHARE)))
                training.append(encoded[:kept])
                validation.append(encoded[kept:])
        held_out = torch.cat(validation)
        steps = train(
            self.net,
            TensorSource(torch.cat(training)),
            self.schedule,
            self.config.training_settings,
            validation=TensorSource(held_out) if len(held_out) else None,
            checkpoint_dir=checkpoint_dir,
            resume=resume,
        )
        last = run_with_progress(steps, "training the denoiser", show=show)
        self.net.eval()
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
        normal, odd = (scorer.denoise(self.net, self.schedule, c.windows).recon for c in (cut, synthetic))
        levels, evidence = select_noise_levels(scorer.noise_levels, normal, odd)
        self.evidence["noise_levels"] = {"chosen": list(levels), "synthetic_auroc": evidence}
        for each in self.scorers:
            each.noise_levels = levels

    def _fit_scorer(self, scorer: WindowScorer, cut: WindowSet, reference: Sequence[Stream] | None) -> TermSet:
        """Fit memory and standardiser of one window size; return the training windows' own terms.

        The standardiser rests on held-out windows where there are enough, else on the training windows themselves, each
        compared with those that do not overlap it.
        """
        denoised = scorer.denoise(self.net, self.schedule, cut.windows)
        spaces = self.config.memory_spaces(panel=self.plan.panel)
        scorer.fit_memory(cut, denoised, spaces)
        own = scorer.terms(cut, denoised, self_join=True)
        basis = own
        if reference is not None:
            held = cut_streams(reference, scorer.window_size, max(1, scorer.window_size // 16))
            if len(held) >= _MIN_REFERENCE_WINDOWS:
                basis = scorer.terms_of(self.net, self.schedule, held)
        scorer.fit_standardiser(basis)
        return own

    def _choose_weights(self, cuts: Sequence[WindowSet], reference: Sequence[Stream] | None) -> None:
        """Choose the fusion weights on synthetic anomalies, pooled over window sizes."""
        pooled: dict[str, list[Float[np.ndarray, " N"]]] = {f"{side}.{g}": [] for side in ("normal", "odd") for g in GROUPS}
        kinds: list[str] = []
        for index, (scorer, cut) in enumerate(zip(self.scorers, cuts, strict=True)):
            held = cut_streams(reference, scorer.window_size, max(1, scorer.window_size // 16)) if reference else None
            use_held = held is not None and len(held) >= _MIN_REFERENCE_WINDOWS
            sample = self._sample(held if use_held and held is not None else cut, index)
            synthetic, names = self._synthetic(sample, index)
            kinds += names
            for side, windows in (("normal", sample), ("odd", synthetic)):
                denoised = scorer.denoise(self.net, self.schedule, windows.windows)
                groups = scorer.groups(scorer.terms(windows, denoised, self_join=not use_held).terms)
                for name, values in groups.items():
                    pooled[f"{side}.{name}"].append(values)
        normal, odd = (
            {g: np.concatenate(pooled[f"{side}.{g}"]) for g in GROUPS if pooled[f"{side}.{g}"]} for side in ("normal", "odd")
        )
        scoring = self.config.scoring
        chosen: WeightSelection = select_weights(
            normal,
            odd,
            kinds,
            reconstruction_weight=None if scoring.reconstruction_weight == "auto" else scoring.reconstruction_weight,
            memory_weight=None if scoring.memory_weight == "auto" else scoring.memory_weight,
            num_memory_spaces=len(self.scorers[0].memories),
        )
        self.fusion = Fusion(chosen.reconstruction_weight, chosen.memory_weight)
        self.evidence["weights"] = chosen.to_dict()

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
        """Fuse each window size's terms, spread them over points, and average the window sizes."""
        layers: list[dict[str, list[Float[np.ndarray, " n"]]]] = []
        for scorer, cut, own in zip(self.scorers, cuts, terms, strict=True):
            if not len(cut):
                continue
            groups = scorer.groups(own.terms)
            named = {"score": self.fusion.score(groups), **groups}
            layer = {k: points_from_windows(v, cut, streams, scorer.window_size) for k, v in named.items()}
            if self.config.scoring.aggregate != "window":
                layer["score"] = self._with_point_errors(layer, scorer, cut, own, streams)
            layers.append(layer)
        return [_mean_over_sizes(layers, number, len(stream)) for number, stream in enumerate(streams)]

    def _with_point_errors(
        self,
        layer: Mapping[str, list[Float[np.ndarray, " n"]]],
        scorer: WindowScorer,
        cut: WindowSet,
        own: TermSet,
        streams: Sequence[Stream],
    ) -> list[Float[np.ndarray, " n"]]:
        """Replace the denoiser's window error by its error at each point ("point"), or take the mean of both ("blend")."""
        if own.error_map.ndim != 2 or len(streams[0].stretches()) != 1:
            raise DataError(
                f"scoring.aggregate '{self.config.scoring.aggregate}' needs representation 'window' and streams without "
                "long gaps: use scoring.aggregate=window"
            )
        mean, deviation = scorer.point_statistics
        errors = (resample_windows(own.error_map[:, None], scorer.window_size)[:, 0] - mean) / deviation
        weight = self.fusion.memory_weight
        result = []
        for number, stream in enumerate(streams):
            chosen = cut.stream == number
            point = point_overlap_mean(errors[chosen], cut.local_starts[chosen], len(stream))
            point = (1.0 - weight) * point + weight * layer["memory"][number]
            result.append(point if self.config.scoring.aggregate == "point" else 0.5 * (point + layer["score"][number]))
        return result


def _mean_over_sizes(
    layers: Sequence[Mapping[str, list[Float[np.ndarray, " n"]]]], number: int, n: int
) -> StreamScore:
    def mean(name: str) -> Float[np.ndarray, " n"]:
        values = np.stack([layer[name][number] for layer in layers if name in layer])
        seen = ~np.isnan(values)
        total = np.where(seen, values, 0.0).sum(0)
        return np.where(seen.any(0), total / np.maximum(seen.sum(0), 1), np.nan)

    if not layers:
        return StreamScore(np.full(n, np.nan), {})
    return StreamScore(mean("score"), {name: mean(name) for name in GROUPS if name in layers[0]})

