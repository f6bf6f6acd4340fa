"""Baselines of sound: items are clips of one length, (N, n) floats with 1 as full scale, all at `sample_rate`.

An array, or any iterable of clips (n,): it is read once, in batches, so that a generator that decodes recordings as it
goes costs the memory of one batch, besides what a method remembers. A clip gets one score, higher where it is more
anomalous, which does not depend on the clips beside it. A subclass writes `_fit` and `_score_batch`; what most of them
look at is `_levels_db`, the map of `tensors/audio_map.py`. Read `clip_knn.py` for the strongest one.

Legend: N clips, b of one batch, n samples, R rows and T columns of a map.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, final

import numpy as np
from jaxtyping import Float

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.lab.rivals.base import Baseline

if TYPE_CHECKING:
    from oddwave.tensors.audio_map import AudioMap, AudioTransform

__all__ = ["ClipBaseline", "ClipReader"]

_BATCH_SIZE = 16
_MIN_SAMPLES = 256


class ClipReader:
    """Clips in batches, each checked as it comes; only the first is looked at before they are asked for."""

    def __init__(self, items: Iterable[Any]) -> None:
        """Take the first clip. Raises: ShapeError for no clip, or one of another form; DataError as `batches`."""
        rest = iter(items)
        first = next(rest, None)
        if first is None:
            raise ShapeError("no clip was given: give one or more")
        self.shape: tuple[int, ...] = np.shape(first)
        if len(self.shape) != 1 or self.shape[0] < _MIN_SAMPLES:
            raise ShapeError(f"clips have shape {self.shape}: expected (samples,), {_MIN_SAMPLES} samples or more")
        self._clips = chain([first], rest)

    def batches(self) -> Iterator[Float[np.ndarray, "b n"]]:
        """Yield the clips, once.

        Raises: ShapeError for a clip of another length; DataError for values that are no floats, or not finite.
        """
        batch: list[np.ndarray] = []
        for index, clip in enumerate(self._clips):
            batch.append(self._usable(clip, index))
            if len(batch) == _BATCH_SIZE:
                yield np.stack(batch)
                batch = []
        if batch:
            yield np.stack(batch)

    def _usable(self, clip: Any, index: int) -> Float[np.ndarray, " n"]:
        values = np.asarray(clip)
        if values.shape != self.shape:
            raise ShapeError(f"clip {index} has shape {values.shape}, the first {self.shape}: give clips of one length")
        if values.dtype.kind != "f":
            raise DataError(f"clip {index} has dtype {values.dtype}: give floats, x / 32768 for 16-bit samples")
        if not np.isfinite(values).all():
            raise DataError(f"clip {index} has values that are NaN or infinite: leave it out")
        return values.astype(np.float32)


@dataclass(kw_only=True, eq=False)
class ClipBaseline(Baseline):
    """A scorer of clips of one length; its fitted state is what `fitted` names."""

    sample_rate: int = 16000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sample_rate < 1:
            raise ConfigError(f"sample_rate is {self.sample_rate}: give the clips' rate in Hz, such as 16000")

    @final
    def _checked(self, items: Any) -> ClipReader:
        if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
            raise DataError(f"items are of type {type(items).__name__}: give an array (N, n) or an iterable of clips")
        if isinstance(items, np.ndarray) and items.ndim != 2:
            raise ShapeError(f"items have shape {items.shape}: expected (clips, samples), x[None] for one clip")
        return ClipReader(items)

    @final
    def _shape_of(self, x: ClipReader) -> tuple[int, ...]:
        return x.shape

    @final
    def _learn(self, x: ClipReader) -> None:
        self._fit(x.batches())

    @final
    def _judge(self, x: ClipReader) -> Float[np.ndarray, " N"]:
        return np.concatenate([self._score_batch(batch) for batch in x.batches()])

    @final
    def _levels_db(
        self, batch: Float[np.ndarray, "b n"], transform: "AudioTransform" = "stft-mel"
    ) -> Float[np.ndarray, "b R T"]:
        """Return the clips' maps of 128 rows by 256 columns, in dB relative to full scale."""
        import torch

        levels = _audio_map(self.sample_rate, batch.shape[1], transform).levels_db(torch.from_numpy(batch))
        array: np.ndarray = levels.numpy()
        return array

    @abstractmethod
    def _fit(self, batches: Iterator[Float[np.ndarray, "b n"]]) -> None:
        """Learn from clips."""

    @abstractmethod
    def _score_batch(self, batch: Float[np.ndarray, "b n"]) -> Float[np.ndarray, " b"]:
        """Return the score of each clip of a batch."""


@lru_cache(maxsize=4)
def _audio_map(sample_rate: int, clip_samples: int, transform: "AudioTransform") -> "AudioMap":
    """Build a map once: its filters take longer than the map of a clip."""
    from oddwave.tensors.audio_map import AudioMap

    return AudioMap(sample_rate=sample_rate, clip_samples=clip_samples, transform=transform)
