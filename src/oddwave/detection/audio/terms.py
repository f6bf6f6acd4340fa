"""What is known about normal sound, and what it says of clips: the map's terms, and the clip as a whole.

The map of a clip is scored as an image is (`detection/image/terms.py`). Beside it stands the clip as a whole: vectors
that say what it sounds like (`vectors.py`), each judged by how much nearer it is to everything else than to the normal
clips (`detection/density_ratio.py`). The map finds the click in the engine's noise, the vectors find the siren where an
engine should be.

Legend: B clips, n samples of a clip, R rows and T columns of its map, M side of a common map. Read `model.py`
next.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oddwave.config import AudioConfig
from oddwave.detection.audio.runs import NUM_BANDS, BandLevels
from oddwave.detection.audio.vectors import clip_vectors
from oddwave.detection.density_ratio import DensityRatio, RatioDistance
from oddwave.detection.image.terms import MapScorer, MapTerms
from oddwave.scoring.fusion import Fusion, Standardiser
from oddwave.scoring.maps import top_mean
from oddwave.scoring.scorer import PartScores
from oddwave.tensors.audio_map import AudioMap, RowScale

__all__ = ["AudioScorer", "AudioTerms", "audio_map_of"]

_BATCH = 16
_SMALLEST_BAND_DEVIATION_DB = 0.3
_UNKNOWN_BAND_DEVIATION_DB = 2.0  # where clips are not compared by their levels
_BROAD_SHARE = 0.25  # of a map: what changes everywhere a little


@lru_cache(4)
def audio_map_of(config: AudioConfig) -> AudioMap:
    """Return the map that the settings describe, built once; a clip is a whole number of columns long.

    Raises: ConfigError.
    """
    return AudioMap.of(config)


class AudioTerms(nn.Module):
    """The map, its scale, what is known of maps, and the ratios of whole clips with their usual value in normals."""

    def __init__(self, audio_map: AudioMap, maps: MapTerms) -> None:
        super().__init__()
        self.audio_map, self.maps = audio_map, maps
        self.scale: RowScale | None = None
        self.ratios: dict[str, DensityRatio] = {}
        self.usual: dict[str, tuple[float, float]] = {}
        self.distances = nn.ModuleDict()

    def learn(self, ratios: Mapping[str, DensityRatio]) -> None:
        """Take over the density ratios of whole clips, by space."""
        self.ratios = dict(ratios)
        self.distances = nn.ModuleDict({name: RatioDistance(own) for name, own in ratios.items()})
        self.distances.to(self.maps.device)

    def levels(self, samples: Float[np.ndarray, "B n"]) -> Float[Tensor, "B R T"]:
        """Return the levels in dB: what turns clips into parts, outside the scorer's graph."""
        clips = torch.from_numpy(np.ascontiguousarray(samples, np.float32))
        return self.audio_map.levels_db(clips.to(self.maps.device))

    def x0(self, levels_db: Float[Tensor, "B R T"]) -> Float[Tensor, "B 1 R T"]:
        """Return what the networks see."""
        assert self.scale is not None
        return self.scale.scale(levels_db)

    def forward(self, levels_db: Float[Tensor, "B R T"]) -> tuple[dict[str, Tensor], Float[Tensor, " B"]]:
        """Return the map's terms and the score of the clips as a whole, in deviations of normal clips."""
        x0 = self.x0(levels_db)
        features = self.maps.features(x0)
        return self.maps(x0, features), self.whole(clip_vectors(levels_db, features))

    def band_statistics(self) -> BandLevels:
        """Return the usual level of each band in normal clips, and by how much clips differ in it."""
        assert self.scale is not None
        if "levels" in self.ratios:
            ratio = self.ratios["levels"]
            bands = (ratio.normals * ratio.scale + ratio.centre)[:, :NUM_BANDS].astype(float)
            return BandLevels(bands.mean(0), np.maximum(bands.std(0), _SMALLEST_BAND_DEVIATION_DB))
        mean_db = self.scale.mean_db.reshape(NUM_BANDS, -1).mean(1)
        return BandLevels(mean_db, np.full(NUM_BANDS, _UNKNOWN_BAND_DEVIATION_DB))

    @torch.inference_mode()
    def vectors(self, levels_db: Float[Tensor, "B R T"]) -> dict[str, Float[np.ndarray, "B _"]]:
        """Describe clips as a whole, in the spaces that the settings name."""
        parts = list(self._vectors(levels_db))
        return {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}

    def _vectors(self, levels_db: Float[Tensor, "B R T"]) -> Iterator[dict[str, Float[Tensor, "b _"]]]:
        for block in torch.split(levels_db, _BATCH):
            found = clip_vectors(block.float(), self.maps.features(self.x0(block.float())))
            yield {name: found[name] for name in self.maps.config.audio.clip_spaces}

    def whole(self, vectors: Mapping[str, Float[Tensor, "B _"]]) -> Float[Tensor, " B"]:
        """Return the mean over spaces of the density ratios, in deviations of normal clips; 0 without any space."""
        if not self.ratios:
            return next(iter(vectors.values())).new_zeros(len(next(iter(vectors.values())))).double()
        scores = []
        for name, distance in self.distances.items():
            centre, deviation = self.usual.get(name, (0.0, 1.0))
            scores.append((distance(vectors[name]) - centre) / deviation)
        return torch.stack(scores).mean(0)


class AudioScorer(MapScorer):
    """The scorer of clips: the fused map's highest places and its upper quarter, and the clip as a whole (`model.py`).

    `usual` holds median and robust deviation of the three in normal clips.
    """

    usual: Tensor

    def __init__(
        self,
        terms: AudioTerms,
        standardiser: Standardiser,
        fusion: Fusion,
        top_share: float,
        clip_weight: float,
        usual: Sequence[tuple[float, float]],
    ) -> None:
        super().__init__(terms.maps, standardiser, fusion, top_share)
        self.audio, self.clip_weight = terms, clip_weight
        self.register_buffer("usual", torch.tensor(usual, dtype=torch.float64))

    def forward(self, x: Float[Tensor, "B R T"], monitored: Bool[Tensor, "B M M"] | None = None) -> PartScores:
        """Score the levels of clips, in dB; every place of their maps counts."""
        terms, whole = self.audio(x)
        found = self.of_terms(terms, monitored)
        score = self.weighed(self.of_map(found.map), whole)
        return PartScores(score, found.map, {**found.groups, **({"clip": whole} if self.audio.ratios else {})})

    def of_map(self, fused: Float[Tensor, "B M M"]) -> Float[Tensor, "2 B"]:
        """Return what a map says: the mean of its highest places, and of its upper quarter."""
        return torch.stack([top_mean(fused, self.top_share), top_mean(fused, _BROAD_SHARE)])

    def weighed(self, of_map: Float[Tensor, "2 B"], of_whole: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Weigh what the map and what the whole clip say, the arsinh of each in deviations of normal clips."""
        raw = (*of_map.double(), of_whole.double())
        top, broad, whole = (
            torch.asinh((values - usual[0]) / usual[1]) for values, usual in zip(raw, self.usual, strict=True)
        )
        together = (1 - self.clip_weight) * (top + broad) / 2 + self.clip_weight * whole
        return 2.0 * torch.sinh(together / 2.0)
