"""What is known about normal sound, and what it says of clips: the map's terms, and the clip as a whole.

The map of a clip is scored as an image is (`detection/image/terms.py`). Beside it stands the clip as a whole: vectors
that say what it sounds like (`vectors.py`), each judged by how much nearer it is to everything else than to the normal
clips (`scoring/density_ratio.py`). The map finds the click in the engine's noise, the vectors find the siren where an
engine should be.

Legend: B clips, n samples of a clip, R rows and T columns of its map, M side of a common map. Read `model.py`
next.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.config import AudioConfig
from oddwave.detection.audio.vectors import clip_vectors
from oddwave.detection.image.terms import ImageScorer, MapTerms
from oddwave.scoring.density_ratio import DensityRatio
from oddwave.tensors.audio_map import AudioMap, RowScale

__all__ = ["AudioScorer", "audio_map_of"]

_BATCH = 16


def audio_map_of(config: AudioConfig) -> AudioMap:
    """Build the map that the settings describe; a clip is a whole number of columns long. Raises: ConfigError."""
    return AudioMap.of(config)


@dataclass
class AudioScorer:
    """The map, its scale, what is known of maps, and the ratios of whole clips with their usual value in normals."""

    audio_map: AudioMap
    maps: ImageScorer
    scale: RowScale | None = None
    ratios: dict[str, DensityRatio] = field(default_factory=dict)
    usual: dict[str, tuple[float, float]] = field(default_factory=dict)

    def levels(self, samples: Float[np.ndarray, "B n"]) -> Float[Tensor, "B R T"]:
        """Give the levels in dB."""
        return self.audio_map.levels_db(torch.from_numpy(np.ascontiguousarray(samples, np.float32)))

    def x0(self, levels_db: Float[Tensor, "B R T"]) -> Float[Tensor, "B 1 R T"]:
        """Give what the networks see."""
        assert self.scale is not None
        return self.scale.scale(levels_db)

    def terms(self, levels_db: Float[Tensor, "B R T"]) -> tuple[MapTerms, Float[np.ndarray, " B"]]:
        """Give the map's terms and the score of the clips as a whole, in deviations of normal clips."""
        x0 = self.x0(levels_db)
        features = self.maps.features(x0)
        return self.maps.terms(x0, features), self.whole(clip_vectors(levels_db, features))

    def vectors(self, levels_db: Float[Tensor, "B R T"]) -> dict[str, Float[np.ndarray, "B _"]]:
        """Describe clips as a whole, in the spaces that the settings name."""
        parts = list(self._vectors(levels_db))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _vectors(self, levels_db: Float[Tensor, "B R T"]) -> Iterator[dict[str, Float[np.ndarray, "b _"]]]:
        for block in torch.split(levels_db, _BATCH):
            found = clip_vectors(block.float(), self.maps.features(self.x0(block.float())))
            yield {name: found[name] for name in self.maps.config.audio.clip_spaces}

    def whole(self, vectors: dict[str, Float[np.ndarray, "B _"]]) -> Float[np.ndarray, " B"]:
        """Give the mean over spaces of the density ratios, each in deviations of normal clips; 0 without any space."""
        if not self.ratios:
            return np.zeros(len(next(iter(vectors.values()))))
        scores = []
        for name, ratio in self.ratios.items():
            centre, deviation = self.usual.get(name, (0.0, 1.0))
            scores.append((ratio.score(vectors[name]) - centre) / deviation)
        mean: np.ndarray = np.mean(scores, axis=0)
        return mean
