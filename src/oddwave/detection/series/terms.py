"""The scorer of one window size: raw terms of windows, and what standardises them.

A term is a number per window (or per window and noise level) that grows with strangeness: `recon` and `feature` from
the denoiser, `memory.<space>` from nearest neighbours. `WindowScorer` is what is fitted; `SeriesScorer` is the graph
that it makes (`scoring/scorer.py`). Read `error_maps.py` and `scoring/memory.py` for the terms themselves, and
`denoiser_model.py` next for how scorers of several window sizes are trained and combined.

Legend: N windows, C channels, L points of a window, K noise levels, D dimensions of a memory's space.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from oddwave.config import DetectorConfig
from oddwave.detection.device import on_cpu
from oddwave.detection.series.error_maps import DenoiserTerms, denoiser_terms, estimate_terms
from oddwave.detection.series.missing_values import Bank
from oddwave.detection.series.streams import Stream, WindowSet
from oddwave.diffusion.samplers import reconstruct
from oddwave.diffusion.schedule import NoiseSchedule
from oddwave.errors import DataError
from oddwave.nets.unet import UNet
from oddwave.scoring.fusion import Fusion, Standardiser
from oddwave.scoring.memory import Memory
from oddwave.scoring.scorer import CommonNoise, NearestDistance, PartScores, Scorer
from oddwave.tensors.representation import Representation, map_vectors
from oddwave.tensors.series_windows import join_windows, resample_windows, window_statistics

__all__ = ["STANDARDISED", "SeriesScorer", "TermSet", "WindowScorer", "WindowTerms", "with_point_errors"]

STANDARDISED = ("feature", "statistics")  # the spaces whose dimensions have units of their own

Vectors = Mapping[str, Float[Tensor, "N D"]]


@dataclass(frozen=True, eq=False)
class TermSet:
    """Terms by name, and the per-point error map of the denoiser averaged over noise levels, (N, *grid)."""

    terms: Mapping[str, Float[np.ndarray, "N *K"]]
    error_map: Float[np.ndarray, "N *grid"]

    @classmethod
    def joined(cls, parts: Sequence["TermSet"]) -> "TermSet":
        """Return the terms of several blocks of windows as one."""
        terms = {name: np.concatenate([part.terms[name] for part in parts]) for name in parts[0].terms}
        return cls(terms, np.concatenate([part.error_map for part in parts]))

    def take(self, index: Int[np.ndarray, " n"]) -> "TermSet":
        """Return the terms of the windows at these positions."""
        return TermSet({name: values[index] for name, values in self.terms.items()}, self.error_map[index])


class WindowTerms(nn.Module):
    """The denoiser and the memories of one window size, and the terms that they give of windows."""

    def __init__(
        self, net: UNet, schedule: NoiseSchedule, config: DetectorConfig, noise_levels: Sequence[float]
    ) -> None:
        super().__init__()
        self.net, self.schedule, self.config, self.noise_levels = net, schedule, config, tuple(noise_levels)
        self.noise, self.memories = CommonNoise(), nn.ModuleDict()

    def denoised(self, x0: Float[Tensor, "N C *grid"]) -> DenoiserTerms:
        """Run the denoiser over windows that the representation has made tensors of."""
        if self.config.scoring.estimate == "reverse":
            return estimate_terms(x0, self._reconstructed(x0), self.net.feature_width)
        return denoiser_terms(
            self.net,
            x0,
            self.schedule,
            prediction_type=self.config.training.prediction_type,
            noise_levels=self.noise_levels,
            noise=self.noise((len(self.noise_levels), self.config.scoring.num_noise_draws, *x0.shape[1:]), self._seed),
        )

    def _reconstructed(self, x0: Float[Tensor, "N C *grid"]) -> Iterator[Float[Tensor, "N C *grid"]]:
        """Yield what the whole reverse process makes of windows, per noise level."""
        how, training = self.config.reconstruction, self.config.training
        for level in self.noise_levels:
            yield reconstruct(
                self.net,
                x0,
                self.schedule,
                sampler=how.sampler,
                noise_level=level,
                num_inference_steps=how.num_inference_steps,
                guidance_weight=how.guidance_weight,
                prediction_type=training.prediction_type,
                noise=lambda draw: self.noise(x0.shape[1:], self._seed + draw).expand_as(x0),
            )

    @property
    def _seed(self) -> int:
        return self.config.seed

    def forward(
        self,
        denoised: DenoiserTerms,
        vectors: Vectors,
        groups: Int[Tensor, " N"] | None = None,
        starts: Int[Tensor, " N"] | None = None,
        exclusion: int = 0,
    ) -> dict[str, Float[Tensor, "N *K"]]:
        """Return all raw terms; with `exclusion`, a window is not compared with those that begin near it."""
        terms = {"recon": denoised.recon, "feature": denoised.feature}
        for space, memory in self.memories.items():
            own = denoised.features if space == "feature" else vectors[space]
            terms[f"memory.{space}"] = memory(own, groups, starts, exclusion)
        return terms


class SeriesScorer(Scorer):
    """The scorer of one window size: windows as tensors, and as vectors in the memories' spaces, to fused scores."""

    def __init__(self, terms: WindowTerms, standardiser: Standardiser, fusion: Fusion) -> None:
        super().__init__(standardiser, fusion)
        self.terms = terms

    def forward(
        self,
        x: Float[Tensor, "N C *grid"],
        vectors: Vectors,
        groups: Int[Tensor, " N"] | None = None,
        starts: Int[Tensor, " N"] | None = None,
        exclusion: int = 0,
    ) -> PartScores:
        """Score windows; the map is the denoiser's error at each place, averaged over noise levels."""
        denoised = self.terms.denoised(x)
        return self.of_terms(self.terms(denoised, vectors, groups, starts, exclusion), denoised.recon_maps.mean(1))

    def of_terms(self, terms: Mapping[str, Float[Tensor, "N *K"]], error_map: Float[Tensor, "N *grid"]) -> PartScores:
        """Score windows whose terms are at hand."""
        groups = self.standardise(terms)
        return PartScores(self.fuse(groups), error_map, groups)


@dataclass
class WindowScorer:
    """Everything needed to score windows of `representation.window_size` points with a given network."""

    representation: Representation
    config: DetectorConfig
    net: UNet
    schedule: NoiseSchedule
    noise_levels: tuple[float, ...]
    memories: dict[str, Memory] = field(default_factory=dict)
    bank: Bank | None = None
    standardiser: Standardiser | None = None
    point_statistics: tuple[float, float] = (0.0, 1.0)

    @property
    def window_size(self) -> int:
        """Points per window, L."""
        return self.representation.window_size

    def graph(self) -> WindowTerms:
        """Return the terms of this window size as a module."""
        terms = WindowTerms(self.net, self.schedule, self.config, self.noise_levels)
        terms.memories.update({space: NearestDistance(memory) for space, memory in self.memories.items()})
        return terms.to(self.device)

    @property
    def device(self) -> torch.device:
        """Where the network is, and the scorer computes."""
        return next(self.net.parameters()).device

    def scorer(self, fusion: Fusion) -> SeriesScorer:
        """Return the scorer of what has been learnt and chosen."""
        assert self.standardiser is not None
        return SeriesScorer(self.graph(), self.standardiser, fusion).to(self.device)

    @torch.inference_mode()
    def denoise(self, windows: Float[np.ndarray, "N C L"]) -> DenoiserTerms:
        """Run the denoiser over the windows; what it says is kept in the processor's memory."""
        return _moved(self.graph().denoised(self.representation.encode(windows).to(self.device)), torch.device("cpu"))

    @property
    def lenders(self) -> Bank:
        """What lends missing values, once windows have been learnt from."""
        assert self.bank is not None
        return self.bank

    def completed(self, cut: WindowSet, *, self_join: bool = False) -> WindowSet:
        """Return the windows with what they lack lent by remembered ones."""
        return cut if self.bank is None else self.bank.completed(cut, self_join=self_join)

    def fit_memory(self, cut: WindowSet, denoised: DenoiserTerms, spaces: Sequence[str]) -> None:
        """Remember the training windows in each space (see `_vectors`)."""
        self.memories = {
            space: Memory.fit(
                self._remembered(space, cut.windows, denoised),
                cut.groups,
                cut.starts,
                num_neighbors=self.config.scoring.num_neighbors,
                standardise=space in STANDARDISED,
                **self._memory_bounds(),
            )
            for space in spaces
        }

    def extend_memory(self, cut: WindowSet, denoised: DenoiserTerms) -> None:
        """Remember more windows in the same spaces; what is usual stays as it was learnt."""
        assert self.bank is not None
        self.bank = self.bank.joined(cut)
        self.memories = {
            space: memory.joined(
                self._remembered(space, cut.windows, denoised), cut.groups, cut.starts, **self._memory_bounds()
            )
            for space, memory in self.memories.items()
        }

    def _memory_bounds(self) -> dict[str, int]:
        scoring = self.config.scoring
        exclusion = self.window_size if scoring.local_scaling else 0
        return {"size": scoring.memory_size, "local_exclusion": exclusion, "seed": self.config.seed}

    def fit_standardiser(self, basis: TermSet) -> None:
        """Learn what is usual from the terms of normal windows."""
        self.standardiser = Standardiser.fit(basis.terms)
        deviation = float(basis.error_map.std())
        self.point_statistics = (float(basis.error_map.mean()), deviation if deviation > 1e-12 else 1.0)

    def fit_score(self, basis: TermSet, fusion: Fusion) -> None:
        """Learn what is usual for the fused score of normal windows, so that window sizes can be compared."""
        assert self.standardiser is not None
        self.standardiser = self.standardiser.with_score(self.part_scores(basis, fusion).score.numpy())

    def standardised_score(self, scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Bring fused scores (of windows, or their means) to robust deviations from what is usual."""
        assert self.standardiser is not None
        return self.standardiser.standardised_score(scores)

    @torch.inference_mode()
    def terms(self, cut: WindowSet, denoised: DenoiserTerms, *, self_join: bool) -> TermSet:
        """Compute all raw terms; `self_join` passes over remembered windows that overlap the query in its stream."""
        vectors = {
            space: self._tensor(self._vectors(space, cut.windows)) for space in self.memories if space != "feature"
        }
        places = [self._tensor(values) for values in (cut.groups, cut.starts)]
        here = _moved(denoised, self.device)
        terms = self.graph()(here, vectors, *places, exclusion=self.window_size if self_join else 0)
        found = {name: values.cpu().numpy() for name, values in terms.items()}
        return TermSet(found, denoised.recon_maps.mean(1).numpy())

    @torch.inference_mode()
    def part_scores(self, terms: TermSet, fusion: Fusion) -> PartScores:
        """Score windows by their terms."""
        tensors = {name: self._tensor(values) for name, values in terms.terms.items()}
        found = on_cpu(self.scorer(fusion).of_terms(tensors, self._tensor(terms.error_map)))
        if not torch.isfinite(found.score).all():  # left alone, it would pass for what nobody looked at
            raise DataError(
                "a score is not finite: the data hold values that cannot be computed with, or the model is damaged "
                "(see `oddwave verify`)"
            )
        return found

    def _tensor(self, values: Float[np.ndarray, "N *_"] | Int[np.ndarray, " N"]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def groups(self, terms: Mapping[str, Float[np.ndarray, "N *K"]]) -> dict[str, Float[np.ndarray, " N"]]:
        """Standardise the terms and average them by group."""
        assert self.standardiser is not None
        return self.standardiser.transform(terms)

    def _remembered(
        self, space: str, windows: Float[np.ndarray, "N C L"], denoised: DenoiserTerms
    ) -> Float[np.ndarray, "N D"]:
        return denoised.features.numpy() if space == "feature" else self._vectors(space, windows)

    def _vectors(self, space: str, windows: Float[np.ndarray, "N C L"]) -> Float[np.ndarray, "N D"]:
        """Describe windows in a memory space; the denoiser's features make a space of their own.

        `input`: the window's points (pooled when long); `complex`, `mexican_hat`, `log_magnitude`: wavelet maps;
        `statistics`: window mean and log deviation.
        """
        if space == "statistics":
            return window_statistics(windows).astype(np.float32)
        if space == "input":
            length = min(self.window_size, self.representation.tensor_length)
            return self.representation.scaled(resample_windows(windows, length)).reshape(len(windows), -1)
        return map_vectors(self.representation.scaled(windows), space, self.representation.tensor_length)

    def to_arrays(self, prefix: str) -> dict[str, torch.Tensor]:
        """Return the memories and the bank as tensors, named `prefix.space.part`; the bank's space is `bank`."""
        arrays = {space: memory.arrays() for space, memory in self.memories.items()}
        if self.bank is not None:
            arrays["bank"] = self.bank.arrays()
        return {
            f"{prefix}.{space}.{part}": torch.from_numpy(np.ascontiguousarray(array))
            for space, parts in arrays.items()
            for part, array in parts.items()
        }


def _moved(denoised: DenoiserTerms, device: torch.device) -> DenoiserTerms:
    return DenoiserTerms(*(own.to(device) for own in (denoised.recon_maps, denoised.feature, denoised.features)))


def with_point_errors(
    layer: Mapping[str, list[Float[np.ndarray, " _"]]],
    scorer: WindowScorer,
    cut: WindowSet,
    own: TermSet,
    streams: Sequence[Stream],
    memory_weight: float,
) -> list[Float[np.ndarray, " _"]]:
    """Replace the denoiser's window error by its error at each point ("point"), or take both's mean ("blend").

    Raises: DataError where the representation gives no error per point.
    """
    aggregate = scorer.config.scoring.aggregate
    if own.error_map.ndim != 2:
        raise DataError(
            f"scoring.aggregate '{aggregate}' needs one error per point, which representation "
            f"'{scorer.representation.kind}' does not give: use scoring.aggregate=window"
        )
    mean, deviation = scorer.point_statistics
    errors = (resample_windows(own.error_map[:, None], scorer.window_size)[:, 0] - mean) / deviation
    result = []
    for number, stream in enumerate(streams):
        chosen = cut.stream == number
        point = join_windows(errors[chosen, None], cut.local_starts[chosen], len(stream))[:, 0]
        if "memory" in layer:
            point = (1.0 - memory_weight) * point + memory_weight * layer["memory"][number]
        result.append(point if aggregate == "point" else 0.5 * (point + layer["score"][number]))
    return result
