"""False alarms of sound: marked clips join what is normal, by the places of their maps and as a whole.

Of a clip as a whole the vectors are remembered that `vectors.py` gives, in the units of the density ratios; they are
compared as those of places are. Read `detection/known_places.py` first.

Legend: B clips, R rows and T columns of a clip's levels, M side of its map, G side of the feature grid, D dimensions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor, nn

from oddwave.detection.audio.model import AudioModel
from oddwave.detection.audio.terms import AudioTerms
from oddwave.detection.audio.vectors import clip_vectors
from oddwave.detection.corrections import Correction, Corrections
from oddwave.detection.known_places import (
    Distance,
    KnownPlaces,
    Places,
    less_known,
    nearest_distance,
    remembered_places,
    tensors_of_places,
)
from oddwave.detection.model_tensors import Expected
from oddwave.errors import DataError
from oddwave.results import AudioEvent
from oddwave.scoring.scorer import PartScores

__all__ = ["ForgivingAudioScorer", "KnownClips", "clip_mask", "clip_scorer", "clip_tensors", "marked_clips"]

_MOST_CLIPS = 64  # of one mark
_PAIRS = (("places", "reach"), ("clips", "clip_reach"))
_HIGH = 0.5  # of a map's way from its median to its highest place: what is marked of it


@dataclass(frozen=True, eq=False)
class KnownClips:
    """What is remembered of marked clips: places of their maps, and the clips as a whole."""

    places: Places
    whole: Places


class ForgivingAudioScorer(nn.Module):
    """A scorer of clips that takes what is known from false alarms back to what is usual."""

    def __init__(self, model: AudioModel, known: Sequence[KnownClips]) -> None:
        super().__init__()
        self.audio, self.scorer = model.audio, model.scorer
        normals = _normals(model.audio)
        places, whole = (
            Places.joined(parts) for parts in zip(*((own.places, own.whole) for own in known), strict=True)
        )
        self.places = KnownPlaces(places, _distance(model)).to(model.terms.device)
        self.whole = KnownPlaces(whole, lambda clips: nearest_distance(clips, normals)).to(model.terms.device)

    def forward(self, levels_db: Float[Tensor, "B R T"]) -> PartScores:
        """Score the levels of clips, in dB."""
        found: PartScores = self.scorer(levels_db)
        features = self.audio.maps.features(self.audio.x0(levels_db))
        share = self.places(features, found.map)
        clips = _joined(clip_vectors(levels_db, features), self.audio)
        known = self.whole.share(clips)
        touched = (share > 0.0).flatten(1).any(1) | (known > 0.0)
        if not bool(touched.any()):
            return found
        maps, whole, usual = less_known(found.map, share), found.groups["clip"], self.scorer.usual[2, 0]
        less = whole - known * (whole - usual).clamp(min=0.0)
        score = self.scorer.weighed(self.scorer.of_map(maps), less)
        return PartScores(torch.where(touched, score, found.score), maps, found.groups)


@torch.inference_mode()
def marked_clips(model: AudioModel, samples: Sequence[Float[np.ndarray, " n"]]) -> dict[str, np.ndarray]:
    """Return what is remembered of clips. Raises: DataError for a model that compares no whole clips."""
    audio = model.audio
    if not audio.ratios:
        raise DataError(
            "this model compares no whole clips (audio.num_background=0), and cannot be corrected: fit one with the "
            "default, or add the recording as healthy (oddwave add ... --allow-flagged)"
        )
    chosen = np.unique(np.linspace(0, len(samples) - 1, min(len(samples), _MOST_CLIPS)).round().astype(int))
    levels_db = audio.levels(np.stack([samples[number] for number in chosen]))
    features = audio.maps.features(audio.x0(levels_db))
    maps = model.scorer(levels_db).map
    places = remembered_places(features, _high_places(maps, features.shape[2:]), _distance(model))
    clips = _joined(clip_vectors(levels_db, features), audio).float()
    reach = nearest_distance(clips, _normals(audio))
    return {**places.arrays(), "clips": clips.cpu().numpy(), "clip_reach": reach.cpu().numpy()}


def clip_scorer(model: AudioModel, corrections: Corrections) -> nn.Module:
    """Return what scores clips: the model's own scorer where no false alarm is known."""
    known = [
        KnownClips(*(Places(own.arrays[name], own.arrays[reach]) for name, reach in _PAIRS))
        for own in corrections.alarms
    ]
    return ForgivingAudioScorer(model, known) if known else model.scorer


def clip_mask(starts_s: Float[np.ndarray, " N"], clip_s: float, events: Sequence[AudioEvent]) -> Bool[np.ndarray, " N"]:
    """Return which clips have the middle of an event in them, or their own middle in an event; without any all."""
    middles = starts_s + clip_s / 2
    inside = np.full(len(starts_s), not events)
    for event in events:
        middle = (event.start_s + event.end_s) / 2
        inside |= (np.abs(middles - middle) <= clip_s / 2) | ((middles >= event.start_s) & (middles <= event.end_s))
    return inside if inside.any() else np.ones(len(starts_s), bool)


def clip_tensors(model: AudioModel, correction: Correction) -> dict[str, Expected]:
    """Return what a saved model holds of a false alarm."""
    number = correction.mark.id
    clips = f"clips of correction {number}"
    return {
        **tensors_of_places(f"places of correction {number}", model.terms.grid.width),
        "clips": Expected("F32", (clips, _clip_width(model.audio)), most=_MOST_CLIPS),
        "clip_reach": Expected("F32", (clips,), 0.0, most=_MOST_CLIPS),
    }


def _clip_width(audio: AudioTerms) -> int:
    """Return how many numbers describe a clip as a whole."""
    return sum(len(own.centre) for own in audio.ratios.values())


def _high_places(maps: Float[Tensor, "B M M"], grid: Sequence[int]) -> Bool[np.ndarray, "B G H"]:
    """Return which cells of the feature grid hold the upper half of what stands out of a map."""
    flat = maps.flatten(1)
    usual, highest = flat.median(1).values, flat.amax(1)
    high = maps >= (usual + _HIGH * (highest - usual))[:, None, None]
    cells = torch.nn.functional.adaptive_max_pool2d(high.float()[:, None], tuple(grid))[:, 0] > 0.0
    return np.stack([ndimage.binary_dilation(own, np.ones((3, 3), bool)) for own in cells.cpu().numpy()])


def _joined(vectors: Mapping[str, Float[Tensor, "B _"]], audio: AudioTerms) -> Float[Tensor, "B D"]:
    """Return the vectors of clips in all spaces as one, in which all spaces count alike."""
    parts = []
    for name, ratio in audio.ratios.items():
        centre, scale = (torch.from_numpy(own).to(vectors[name].device) for own in (ratio.centre, ratio.scale))
        parts.append((vectors[name] - centre) / scale * _balance(audio, len(centre)))
    return torch.cat(parts, 1)


def _balance(audio: AudioTerms, width: int) -> float:
    """Return the factor by which each space counts alike in the root mean square, however many dimensions it has."""
    return float((_clip_width(audio) / (width * len(audio.ratios))) ** 0.5)


def _normals(audio: AudioTerms) -> Float[Tensor, "N D"]:
    parts = [own.normals * _balance(audio, own.normals.shape[1]) for own in audio.ratios.values()]
    return torch.from_numpy(np.concatenate(parts, 1).astype(np.float32)).to(audio.maps.device)


def _distance(model: AudioModel) -> Distance | None:
    return dict(model.audio.maps.distances.items()).get("memory")
