"""The model of audio: what is learnt from normal clips, how it is weighed, and the score and map of a new clip.

Fit: clips -> levels -> floor, scale -> everything that is learnt of maps (`detection/image/learning.py`) and of clips
as a whole -> choices on clips judged without their fold (`detection/left_out.py`) and on synthetic anomalies made from
them (`detection/map_model.py`). Score: clip -> map -> terms -> fused map; then, with a(.) the arsinh of deviations of
normal clips,

    w = (1 - clip_weight) (a(highest places of the map) + a(its upper quarter)) / 2 + clip_weight a(the whole clip)
    score = 2 sinh(w / 2)

Planted anomalies are short, and for the map to find; how far sounds of another kind lie they do not tell, as all of
those are found anyhow. So the whole clip counts for three quarters unless another share is better by 0.1 of AUROC.

arsinh is the identity for what is usual and a logarithm for what is far out: a map's highest places reach much further
out than any vector does, and would decide alone otherwise. The score grows as the root of the deviations: as a
logarithm, all that is far out would look alike; as they are, normal ones would have too long a tail to extrapolate.

Legend: N clips, n samples of a clip, R rows and T columns of its map, M side of a common map, S parts of a clip, B
bands of levels.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from oddwave.detection.audio.runs import band_levels
from oddwave.detection.audio.terms import AudioScorer, AudioTerms
from oddwave.detection.density_ratio import DensityRatio, RatioDistance
from oddwave.detection.device import on_cpu
from oddwave.detection.image.learning import learn, learn_background, remember
from oddwave.detection.job import QUIET, FitJob
from oddwave.detection.left_out import Folds, LeftOut
from oddwave.detection.map_model import BATCH, MapModel, Maps
from oddwave.planted.audio import AUDIO_ANOMALIES, make_synthetic_audio
from oddwave.planted.audio_background import make_background_audio
from oddwave.progress import progress
from oddwave.scoring.neighbours import coreset
from oddwave.scoring.selection import near_best, separation
from oddwave.tensors.audio_map import RowScale

__all__ = ["AudioModel", "Calibrating", "ClipScores"]

_SELECTION_CLIPS = 64
_ANOMALIES_PER_CLIP = 2
_MOST_COMPARED = 200  # normal clips, with those that anomalies are planted in
_FLOOR_CLIPS = 200
_CLIP_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_NEUTRAL_CLIP_WEIGHT = 0.75
_NORMAL_IQR = 1.349  # width of the middle half of a normal distribution, in deviations
_SMALLEST_DEVIATION = 1e-3
FOREIGN = "another_audio"  # the kind of synthetic anomaly that replaces the whole clip

Samples = Float[np.ndarray, "N n"]


@dataclass(frozen=True, eq=False)
class ClipScores:
    """Scores and maps of clips (higher = more anomalous), what each part of the score said, and the levels of bands."""

    scores: Float[np.ndarray, " N"]
    maps: Float[np.ndarray, "N M M"]
    parts: dict[str, Float[np.ndarray, " N"]]
    bands_db: Float[np.ndarray, "N S B"]


@dataclass(frozen=True, eq=False)
class Calibrating:
    """Scores of normal clips by their numbers, each without its fold, and the highest values of their maps."""

    numbers: Int[np.ndarray, " N"]
    scores: Float[np.ndarray, " N"]
    peaks: Float[np.ndarray, " N"]


@dataclass
class AudioModel(MapModel):
    """The model with the scorer of whole clips, and how the parts of the score lie in normal clips.

    `usual` holds median and robust deviation of the map's highest places, of its upper quarter, and of the whole;
    `left_out`, until it is set to None, what is known without each fold.
    """

    audio: AudioTerms
    clip_weight: float = _NEUTRAL_CLIP_WEIGHT
    usual: tuple[tuple[float, float], ...] = ((0.0, 1.0),) * 3
    left_out: tuple[LeftOut, LeftOut] | None = None

    def fit(self, clips: Samples, folds: Folds, job: FitJob = QUIET) -> Calibrating:
        """Learn from normal clips, choose by them, and return how those that calibrate score without their fold.

        Raises: DataError when all clips are silent.
        """
        audio, rng = self.audio, np.random.default_rng([self.config.seed, 4])
        some = clips[np.sort(rng.choice(len(clips), min(_FLOOR_CLIPS, len(clips)), replace=False))]
        audio.audio_map = audio.audio_map.with_floor_of([torch.from_numpy(some)])
        levels = self._levels(clips, "looking at the sound", job.show_progress)
        audio.scale = RowScale.fit(block.float() for block in torch.split(levels, BATCH))
        tensors = (audio.x0(level[None].float()).cpu().numpy() for level in levels)
        left_out = LeftOut(self.terms, folds), LeftOut(audio, folds)
        self.evidence["training"] = learn(self.terms, tensors, job, left_out[0])
        self._learn_background(levels, rng, job.show_progress, left_out[1])
        self.left_out = left_out
        return self._choose(clips, levels, folds.of, job.show_progress)

    @contextmanager
    def without(self, fold: int) -> Iterator[None]:
        """Let the model know nothing of a fold of the clips that it was fitted on."""
        assert self.left_out is not None
        with self.left_out[0].without(fold), self.left_out[1].without(fold):
            yield

    def remember(self, samples: Samples) -> None:
        """Add normal clips to the memory of patches and to the normals that whole clips are compared with.

        Of more than `audio.max_clips` whole clips, those are kept that cover all of them best.
        """
        levels = self._levels(samples, "", False)
        remember(self.terms, (self.audio.x0(level[None].float()).cpu().numpy() for level in levels))
        if self.audio.ratios:
            more, most, seed = self.audio.vectors(levels), self.config.audio.max_clips, self.config.seed
            ratios = self.audio.ratios.items()
            self.audio.learn({name: _with_normals(ratio, more[name], most, seed) for name, ratio in ratios})

    @property
    def scorer(self) -> AudioScorer:
        """The scorer of what has been learnt and chosen."""
        assert self.standardiser is not None
        chosen = (self.standardiser, self.fusion, self.top_share, self.clip_weight, self.usual)
        return AudioScorer(self.audio, *chosen).to(self.terms.device)

    @torch.inference_mode()
    def score(self, samples: Samples, scorer: nn.Module | None = None) -> ClipScores:
        """Score clips; a clip's score does not depend on those beside it. Another `scorer` may know false alarms."""
        scorer = self.scorer if scorer is None else scorer
        blocks = (samples[first : first + BATCH] for first in range(0, len(samples), BATCH))
        levels = [self.audio.levels(block) for block in blocks]
        found = [on_cpu(scorer(block)) for block in levels]
        return ClipScores(
            torch.cat([own.score for own in found]).numpy(),
            torch.cat([own.map for own in found]).numpy(),
            {name: torch.cat([own.groups[name] for own in found]).numpy() for name in found[0].groups},
            torch.cat([band_levels(block) for block in levels]).cpu().numpy(),
        )

    def _levels(self, samples: Samples, title: str, show: bool) -> Float[Tensor, "N R T"]:
        """Return levels in half precision (steps of 0.06 dB): a thousand clips are held at once."""
        blocks = [samples[first : first + BATCH] for first in range(0, len(samples), BATCH)]
        return torch.cat([self.audio.levels(block).half() for block in progress(blocks, title, show)])

    def _learn_background(
        self, levels: Float[Tensor, "N R T"], rng: np.random.Generator, show: bool, left_out: LeftOut
    ) -> None:
        """Synthesise a background set, and learn what maps and whole clips of it are like."""
        config, audio = self.config.audio, self.audio
        if not config.num_background:
            return
        audio_map = audio.audio_map
        made = make_background_audio(config.num_background, audio_map.clip_samples, audio_map.sample_rate, rng)
        background = self._levels(made, "making up other sounds", show)
        learn_background(
            self.terms, (audio.x0(block.float()).cpu().numpy() for block in torch.split(background, BATCH))
        )
        normal, other = audio.vectors(levels), audio.vectors(background)
        audio.learn({name: DensityRatio.fit(normal[name], other[name]) for name in normal})
        left_out.learn(lambda kept: {name: RatioDistance(own.only(kept.numpy())) for name, own in audio.ratios.items()})
        self._settle_usual_ratios(normal, left_out)

    @torch.inference_mode()
    def _settle_usual_ratios(self, vectors: dict[str, Float[np.ndarray, "N _"]], left_out: LeftOut) -> None:
        """Bring each space's ratio to the median and robust deviation that it has on normals, each without its fold."""
        found: dict[str, list[np.ndarray]] = {name: [] for name in vectors}
        for fold, members in left_out.folds.members():
            with left_out.without(fold):
                for name, own in self.audio.distances.items():
                    known = torch.from_numpy(vectors[name][members]).to(self.terms.device)
                    found[name].append(own(known).cpu().numpy())
        self.audio.usual = {name: _usual(np.concatenate(values)) for name, values in found.items()}

    def _choose(
        self, clips: Samples, levels: Float[Tensor, "N R T"], every_fold: Int[np.ndarray, " N"], show: bool
    ) -> Calibrating:
        """Plant anomalies in normal clips and choose by them; return the scores of all that calibrate.

        A clip, planted in or not, is judged without its fold. With a network in pixel space the first fold is all
        that was never trained on.
        """
        rng, folds = np.random.default_rng([self.config.seed, 2]), every_fold
        used = np.flatnonzero(folds == 0) if self.terms.pixel_net is not None else np.arange(len(folds))
        clips, levels, folds = clips[used], levels[torch.from_numpy(used)], folds[used]
        every, whole = self._all_terms(levels, folds, "scoring the clips", show)
        some, sample = (
            np.sort(rng.choice(len(used), min(most, len(used)), replace=False))
            for most in (_MOST_COMPARED, _SELECTION_CLIPS)
        )
        planted, kinds = _planted(clips[sample], self.audio.audio_map.sample_rate, rng)
        foreign = make_background_audio(len(sample), clips.shape[1], self.audio.audio_map.sample_rate, rng)
        odd, odd_whole = self._all_terms(
            self._levels(planted, "", False), np.tile(folds[sample], _ANOMALIES_PER_CLIP), "planting", show
        )
        noise_levels = dict(self.terms.noise_levels)
        normal = {name: own[some] for name, own in every.items()}
        self.choose(normal, odd, kinds)  # another sound is for the whole to find: it says nothing about maps
        other, other_whole = self._all_terms(
            self._levels(foreign, "", False), folds[sample], "scoring made-up sounds", show
        )
        every = self._with_chosen_levels(every, noise_levels)
        fused = np.concatenate([self._fused(every, slice(n, n + 64)) for n in range(0, len(clips), 64)])
        of_map = self.scorer.of_map(torch.from_numpy(fused)).numpy()
        of_others = [self._of_map(terms) for terms in (odd, other)]
        self._choose_clip_weight([of_map, *of_others], [whole, odd_whole, other_whole], np.array(kinds))
        return Calibrating(used, self._weighed(of_map, whole, self.clip_weight), fused.max((1, 2)))

    @torch.inference_mode()
    def _all_terms(
        self,
        levels: Float[Tensor, "N R T"],
        folds: Int[np.ndarray, " N"],
        title: str,
        show: bool,
    ) -> tuple[Maps, Float[np.ndarray, " N"]]:
        """Return the terms of clips, and of each as a whole, by what is known without the fold of each."""
        order = np.argsort(folds, kind="stable")
        blocks = [block for own in np.split(order, np.flatnonzero(np.diff(folds[order])) + 1) for block in _cut(own)]
        found = []
        for block in progress(blocks, title, show):
            fold = int(folds[block[0]])
            with self.without(fold):
                found.append(self.audio(levels[torch.from_numpy(block)].float().to(self.terms.device)))
        back = np.argsort(np.concatenate(blocks))
        maps = {name: torch.cat([terms[name] for terms, _ in found]).cpu().numpy()[back] for name in found[0][0]}
        return maps, torch.cat([whole for _, whole in found]).cpu().numpy()[back]

    def _with_chosen_levels(self, terms: Maps, levels: dict[str, tuple[float, ...]]) -> Maps:
        """Return terms of the noise levels that were chosen out of `levels`, one after another."""
        kept = {space: [own.index(level) for level in self.terms.noise_levels[space]] for space, own in levels.items()}
        has_levels = ("recon.", "feature.")
        return {
            name: own[:, kept[name.partition(".")[2]]] if name.startswith(has_levels) else own
            for name, own in terms.items()
        }

    def _fused(self, terms: Maps, block: slice = slice(None)) -> Float[np.ndarray, "n M M"]:
        return self.fusion.score(self.groups({name: own[block] for name, own in terms.items()}))

    def _of_map(self, terms: Maps) -> Float[np.ndarray, "2 N"]:
        """Return what the fused map of each clip says, by its terms."""
        return self.scorer.of_map(torch.from_numpy(self._fused(terms))).numpy()

    def _weighed(
        self, of_map: Float[np.ndarray, "2 N"], whole: Float[np.ndarray, " N"], clip_weight: float
    ) -> Float[np.ndarray, " N"]:
        self.clip_weight = clip_weight
        both = (torch.from_numpy(values).to(self.terms.device) for values in (of_map, whole))
        return self.scorer.weighed(*both).cpu().numpy()

    def _choose_clip_weight(
        self,
        of_maps: Sequence[Float[np.ndarray, "2 _"]],
        of_wholes: Sequence[Float[np.ndarray, " _"]],
        kinds: np.ndarray,
    ) -> None:
        """Choose how much the whole clip counts: three quarters, unless another share is clearly better.

        All three sequences hold normal clips, clips with planted anomalies, and other sounds altogether.
        """
        self.usual = (*(_usual(values) for values in of_maps[0]), _usual(of_wholes[0]))
        wanted = self.config.audio.clip_weight
        if not self.audio.ratios:
            self.clip_weight = 0.0
            return
        if wanted != "auto":
            self.clip_weight = wanted
            return
        values = {}
        for weight in _CLIP_WEIGHTS:
            normal, odd, other = (self._weighed(a, b, weight) for a, b in zip(of_maps, of_wholes, strict=True))
            by_kind = {str(kind): separation(normal, odd[kinds == kind]) for kind in np.unique(kinds)}
            values[weight] = {**by_kind, FOREIGN: separation(normal, other)}
        mean = {weight: float(np.mean(list(own.values()))) for weight, own in values.items()}
        close = near_best(mean)
        self.clip_weight = min(close, key=lambda weight: abs(weight - _NEUTRAL_CLIP_WEIGHT))
        self.evidence["clip_weight"] = {
            "chosen": self.clip_weight,
            "synthetic_auroc": {f"{weight:g}": value for weight, value in mean.items()},
            "by_kind": values[self.clip_weight],
        }


def _planted(clips: Samples, sample_rate: int, rng: np.random.Generator) -> tuple[Samples, list[str]]:
    """Plant anomalies in the clips, several times over."""
    made = [make_synthetic_audio(clips, sample_rate, rng, list(AUDIO_ANOMALIES)) for _ in range(_ANOMALIES_PER_CLIP)]
    return np.concatenate([part.clips for part in made]), [kind for part in made for kind in part.kinds]


def _with_normals(ratio: DensityRatio, vectors: Float[np.ndarray, "N D"], most: int, seed: int) -> DensityRatio:
    """Return a density ratio that knows these normals as well, in the units that it has."""
    more = ((vectors - ratio.centre) / ratio.scale).astype(np.float32)
    both = np.concatenate([ratio.normals, more])
    return replace(ratio, normals=both[coreset(both, max(most, len(ratio.normals)), seed=seed)])


def _cut(numbers: Int[np.ndarray, " n"]) -> list[Int[np.ndarray, " _"]]:
    return [numbers[first : first + BATCH] for first in range(0, len(numbers), BATCH)]


def _usual(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Return the median and the robust deviation."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return float(middle), max(float(high - low) / _NORMAL_IQR, _SMALLEST_DEVIATION)
