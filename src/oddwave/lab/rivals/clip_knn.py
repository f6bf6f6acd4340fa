"""Nearest neighbours on clips: the mean Euclidean distance to the k (5) nearest training clips.

    score(c) = 1/k * sum over the k nearest training clips r of ||d(c) - d(r)||

d is a description of a clip. `FrozenKNN`: what a network trained on photographs sees in the clip's wavelet map, its
taps at strides 4, 8 and 16 averaged over the whole grid and joined, as they come; `FrozenMelKNN` has a log-mel map of
the same size instead. Levels become pixels as (L + 65 dB) / 45 dB, clipped to [-1, 1]: -110 to -20 dB of full scale.
Source: the use of frozen image networks with nearest neighbours for machine sounds, as in Roth et al. 2022 for images
and in entries to DCASE Task 2 since 2020.

Departures: a training clip is never left out, and none are condensed: a data set has hundreds to thousands of them.
Read `log_mel_knn.py` for a description without a network.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float

from oddwave.errors import ConfigError
from oddwave.lab.rivals.clip_base import ClipBaseline
from oddwave.scoring.neighbours import nearest

if TYPE_CHECKING:
    from oddwave.nets.perceptual import PerceptualNetwork
    from oddwave.tensors.audio_map import AudioTransform

__all__ = ["ClipKNN", "FrozenKNN", "FrozenMelKNN"]

_MIDDLE_DB, _REACH_DB = -65.0, 45.0
_LEAST_DEVIATION = 1e-6


@dataclass(kw_only=True, eq=False)
class ClipKNN(ClipBaseline):
    """Mean distance to the `num_neighbors` nearest training clips, in the space of `_describe`.

    Where `is_standardised` says so, each number of a description is divided by its deviation over the training clips.
    """

    is_standardised: ClassVar[bool] = False
    fitted: ClassVar[tuple[str, ...]] = ("unit", "reference")
    num_neighbors: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_neighbors < 1:
            raise ConfigError(f"num_neighbors is {self.num_neighbors}: give 1 or more")
        self._unit = np.ones(0)
        self._reference = np.zeros((0, 0))

    def _fit(self, batches: Iterator[Float[np.ndarray, "b n"]]) -> None:
        known = np.concatenate([self._describe(batch) for batch in batches]).astype(np.float64)
        deviation = known.std(axis=0) if self.is_standardised else np.ones(known.shape[1])
        self._unit = np.where(deviation > _LEAST_DEVIATION, deviation, 1.0)
        self._reference = known / self._unit

    def _score_batch(self, batch: Float[np.ndarray, "b n"]) -> Float[np.ndarray, " b"]:
        found = nearest(self._describe(batch) / self._unit, self._reference, self.num_neighbors, exact=True)
        return found.mean(found.distance)

    @abstractmethod
    def _describe(self, batch: Float[np.ndarray, "b n"]) -> Float[np.ndarray, "b D"]:
        """Return the numbers by which clips are compared."""


@dataclass(kw_only=True, eq=False)
class FrozenKNN(ClipKNN):
    """Neighbours by the pooled features of a frozen network on the wavelet map.

    `perceptual` is a name that `load_perceptual` knows and finds the weights of by itself.
    """

    name: ClassVar[str] = "frozen_knn"
    transform: ClassVar["AudioTransform"] = "cwt"
    perceptual: str = "efficientnet_lite0"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._network: PerceptualNetwork | None = None

    def _describe(self, batch: Float[np.ndarray, "b n"]) -> Float[np.ndarray, "b D"]:
        import torch

        if self._network is None:
            from oddwave.nets.perceptual import load_perceptual

            self._network = load_perceptual(self.perceptual)
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = np.clip((self._levels_db(batch, self.transform) - _MIDDLE_DB) / _REACH_DB, -1.0, 1.0)
        with torch.inference_mode():
            x = torch.from_numpy(images)[:, None].contiguous(memory_format=torch.channels_last)
            pooled: np.ndarray = torch.cat([tap.mean((2, 3)) for tap in self._network(x)], 1).numpy()
        return pooled


@dataclass(kw_only=True, eq=False)
class FrozenMelKNN(FrozenKNN):
    """The same on a log-mel map: what the wavelet map is worth."""

    name: ClassVar[str] = "frozen_knn_mel"
    transform: ClassVar["AudioTransform"] = "stft-mel"
