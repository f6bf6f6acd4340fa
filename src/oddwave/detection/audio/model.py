"""The model of audio: what is learnt from normal clips, how it is weighed, and the score and map of a new clip.

Fit: clips -> levels -> floor, scale -> everything that is learnt of maps (`detection/image/learning.py`) and of clips
as a whole -> choices on held-out clips and synthetic anomalies made from them (`detection/map_model.py`). Score: clip
-> map -> terms -> fused map; then, with a(.) the arsinh of deviations of normal clips,

    score = (1 - clip_weight) (a(highest places of the map) + a(its upper quarter)) / 2 + clip_weight a(the whole clip)

arsinh is the identity for what is usual and a logarithm for what is far out: a map's highest places reach much further
out than any vector does, and would decide alone otherwise.

Legend: N clips, n samples of a clip, R rows and T columns of its map, M side of a common map.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.detection.audio.terms import AudioScorer, AudioTerms
from oddwave.detection.density_ratio import DensityRatio
from oddwave.detection.device import on_cpu
from oddwave.detection.image.learning import learn, learn_background, remember
from oddwave.detection.job import QUIET, FitJob
from oddwave.detection.map_model import BATCH, MapModel, Maps
from oddwave.planted.audio import AUDIO_ANOMALIES, make_synthetic_audio
from oddwave.planted.audio_background import make_background_audio
from oddwave.progress import progress
from oddwave.scoring.neighbours import coreset
from oddwave.scoring.selection import auroc_error, separation
from oddwave.tensors.audio_map import RowScale

__all__ = ["AudioModel", "ClipScores"]

_SELECTION_CLIPS = 64
_ANOMALIES_PER_CLIP = 2
_MOST_HELD = 200
_FLOOR_CLIPS = 200
_CLIP_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_NEUTRAL_CLIP_WEIGHT = 0.75
_NORMAL_IQR = 1.349  # width of the middle half of a normal distribution, in deviations
_SMALLEST_DEVIATION = 1e-3
FOREIGN = "another_audio"  # the kind of synthetic anomaly that replaces the whole clip

Samples = Float[np.ndarray, "N n"]


@dataclass(frozen=True, eq=False)
class ClipScores:
    """Scores and maps of clips (higher = more anomalous), with what each part of the score said."""

    scores: Float[np.ndarray, " N"]
    maps: Float[np.ndarray, "N M M"]
    parts: dict[str, Float[np.ndarray, " N"]]


@dataclass
class AudioModel(MapModel):
    """The model with the scorer of whole clips, and how the parts of the score lie in normal clips.

    `usual` holds median and robust deviation of the map's highest places, of its upper quarter, and of the whole.
    """

    audio: AudioTerms
    clip_weight: float = _NEUTRAL_CLIP_WEIGHT
    usual: tuple[tuple[float, float], ...] = ((0.0, 1.0),) * 3

    def fit(
        self,
        train: Float[np.ndarray, "_ n"],
        held: Float[np.ndarray, "_ n"],
        job: FitJob = QUIET,
    ) -> ClipScores:
        """Learn from normal clips, choose on held-out ones, and return the scores of those.

        Raises: DataError when all clips are silent.
        """
        audio, rng = self.audio, np.random.default_rng([self.config.seed, 4])
        some = train[np.sort(rng.choice(len(train), min(_FLOOR_CLIPS, len(train)), replace=False))]
        audio.audio_map = audio.audio_map.with_floor_of([torch.from_numpy(some)])
        levels = self._levels(train, "looking at the sound", job.show_progress)
        audio.scale = RowScale.fit(block.float() for block in torch.split(levels, BATCH))
        tensors = (audio.x0(level[None].float()).cpu().numpy() for level in levels)
        self.evidence["training"] = learn(self.terms, tensors, job)
        self._learn_background(levels, rng, job.show_progress)
        return self._choose(held[:_MOST_HELD], held, job.show_progress)

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
    def score(self, samples: Samples) -> ClipScores:
        """Score clips; a clip's score does not depend on those beside it."""
        scorer = self.scorer
        blocks = (samples[first : first + BATCH] for first in range(0, len(samples), BATCH))
        found = [on_cpu(scorer(self.audio.levels(block))) for block in blocks]
        return ClipScores(
            torch.cat([own.score for own in found]).numpy(),
            torch.cat([own.map for own in found]).numpy(),
            {name: torch.cat([own.groups[name] for own in found]).numpy() for name in found[0].groups},
        )

    def _levels(self, samples: Samples, title: str, show: bool) -> Float[Tensor, "N R T"]:
        """Return levels in half precision (steps of 0.06 dB): a thousand clips are held at once."""
        blocks = [samples[first : first + BATCH] for first in range(0, len(samples), BATCH)]
        return torch.cat([self.audio.levels(block).half() for block in progress(blocks, title, show)])

    def _learn_background(self, levels: Float[Tensor, "N R T"], rng: np.random.Generator, show: bool) -> None:
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

    def _choose(self, held: Float[np.ndarray, "_ n"], all_held: Float[np.ndarray, "_ n"], show: bool) -> ClipScores:
        """Plant anomalies in held-out clips and choose by them; return the scores of all held-out clips."""
        rng = np.random.default_rng([self.config.seed, 2])
        sample = np.sort(rng.choice(len(held), min(_SELECTION_CLIPS, len(held)), replace=False))
        planted, kinds = _planted(held[sample], self.audio.audio_map.sample_rate, rng)
        foreign = make_background_audio(len(sample), held.shape[1], self.audio.audio_map.sample_rate, rng)
        self._settle_usual_ratios(held)
        normal, normal_whole = self._all_terms(held, "scoring held-out clips", show)
        odd, odd_whole = self._all_terms(planted, "scoring synthetic anomalies", show)
        self.choose(normal, odd, kinds)  # another sound is for the whole to find: it says nothing about maps
        other, other_whole = self._all_terms(foreign, "scoring made-up sounds", show)
        of_maps = [self._of_map(terms) for terms in (normal, odd, other)]
        self._choose_clip_weight(of_maps, [normal_whole, odd_whole, other_whole], np.array(kinds))
        return self.score(all_held)

    @torch.inference_mode()
    def _settle_usual_ratios(self, held: Samples) -> None:
        """Bring each space's ratio to the median and robust deviation that it has on held-out normals."""
        if self.audio.ratios:
            vectors = self.audio.vectors(self.audio.levels(held))
            spaces = self.audio.distances.items()
            found = {name: own(torch.from_numpy(vectors[name]).to(self.terms.device)) for name, own in spaces}
            self.audio.usual = {name: _usual(values.cpu().numpy()) for name, values in found.items()}

    @torch.inference_mode()
    def _all_terms(self, samples: Samples, title: str, show: bool) -> tuple[Maps, Float[np.ndarray, " N"]]:
        blocks = [samples[first : first + BATCH] for first in range(0, len(samples), BATCH)]
        found = [self.audio(self.audio.levels(block)) for block in progress(blocks, title, show)]
        maps = {name: torch.cat([terms[name] for terms, _ in found]).cpu().numpy() for name in found[0][0]}
        return maps, torch.cat([whole for _, whole in found]).cpu().numpy()

    def _of_map(self, terms: Maps) -> Float[np.ndarray, "2 N"]:
        """Return what the fused map of each clip says, by its terms."""
        fused = self.fusion.score(self.groups(terms))
        return self.scorer.of_map(torch.from_numpy(fused)).numpy()

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
        """Choose how much the whole clip counts: as much as its map, unless another share is clearly better.

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
        best = max(mean.values())
        error = auroc_error(best, len(of_wholes[0]), len(kinds))
        close = [weight for weight in mean if mean[weight] >= best - error]
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


def _usual(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Return the median and the robust deviation."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return float(middle), max(float(high - low) / _NORMAL_IQR, _SMALLEST_DEVIATION)
