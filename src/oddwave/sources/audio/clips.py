"""Recordings to the equally long clips that a model sees: overlapping windows over a stream, with flags.

Memory is bounded by the clip, never by the recording. Read `stream.py` for where the samples come from.
Legend: n samples of a clip, at the model's rate; 1 is full scale.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import ConfigError
from oddwave.sources.audio.items import AudioItem

__all__ = ["AudioClip", "AudioFlag", "ClipStream", "cut_clips"]

AudioFlag = Literal["silent", "clipped", "dc", "short"]

_SILENT_RMS = 1e-4  # -80 dB below full scale
_CLIPPED_SHARE = 1e-3
_DC_LEVEL = 0.05  # of full scale
_DC_SHARE = 0.5  # of the RMS


@dataclass(frozen=True, eq=False)
class AudioClip:
    """One window of a recording, its mean taken away; `flags` say what was unusual about it before that.

    "silent": RMS without the mean below -80 dB of full scale. "clipped": at least 0.1 % of the recorded samples at full
    scale in runs of three or more, in any channel. "dc": mean above 5 % of full scale, or above half of the RMS and
    silence. "short": the recording was shorter than a clip, and was filled up by mirroring it as often as needed.
    """

    start_s: float
    samples: Float[np.ndarray, " n"]
    flags: tuple[AudioFlag, ...] = ()


class ClipStream(Iterator[AudioClip]):
    """Iterate once over the clips of a recording; `notes` say what was found wrong with it so far."""

    def __init__(self, item: AudioItem, *, sample_rate: int, clip_samples: int, hop_samples: int) -> None:
        if not 1 <= hop_samples <= clip_samples:
            raise ConfigError(
                f"hop_samples is {hop_samples} and clip_samples {clip_samples}: the hop must be 1 or more, and a clip "
                "at least as long"
            )
        self._stream = item.stream(sample_rate, clip_samples / sample_rate)
        self._sample_rate, self._length, self._hop = sample_rate, clip_samples, hop_samples
        self._clipped_needed = _CLIPPED_SHARE * item.sample_rate / sample_rate  # per sample of a clip
        self._clips = self._cut()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found wrong with the recording up to the clip that was given last."""
        return self._stream.notes

    def __next__(self) -> AudioClip:
        return next(self._clips)

    def _cut(self) -> Iterator[AudioClip]:
        samples, counts = np.empty(0, np.float32), np.empty(0, np.int64)
        start = due = 0  # where the samples at hand and the next clip begin
        for block in self._stream:
            samples = np.concatenate([samples, block.samples])
            counts = np.concatenate([counts, block.num_clipped])
            while start + len(samples) >= due + self._length:
                at = slice(due - start, due - start + self._length)
                yield self._clip(due, samples[at], counts[at])
                due += self._hop
            # The last clip ends where the recording does, so a clip's length is kept as long as more may come.
            passed = max(0, min(due - start, len(samples) - self._length))
            samples, counts, start = samples[passed:], counts[passed:], start + passed
        end = start + len(samples)
        if end < self._length or due - self._hop + self._length < end:
            yield self._clip(max(0, end - self._length), samples[-self._length :], counts[-self._length :])

    def _clip(self, start: int, samples: Float[np.ndarray, " n"], counts: Int[np.ndarray, " n"]) -> AudioClip:
        mean = float(samples.mean(dtype=np.float64))
        centred = samples - np.float32(mean)
        power = float(centred @ centred) / len(centred)
        rms, missing = math.hypot(math.sqrt(power), mean), self._length - len(samples)
        raised: dict[AudioFlag, bool] = {
            "silent": power < _SILENT_RMS**2,
            "clipped": int(counts.sum()) >= max(1.0, self._clipped_needed * len(samples)),
            "dc": abs(mean) > _DC_LEVEL or abs(mean) > max(_DC_SHARE * rms, _SILENT_RMS),
            "short": missing > 0,
        }
        flags = tuple(flag for flag, is_raised in raised.items() if is_raised)
        filled = np.pad(centred, (0, missing), mode="symmetric") if missing else centred
        return AudioClip(start / self._sample_rate, filled, flags)


def cut_clips(item: AudioItem, *, sample_rate: int, clip_samples: int, hop_samples: int) -> ClipStream:
    """Cut a recording into clips that begin every `hop_samples`; the last one ends where the recording ends.

    Raises: DataError whose text is a predicate, here and while iterating, where nothing can be decoded (any more);
    ConfigError for a hop that is longer than a clip.
    """
    return ClipStream(item, sample_rate=sample_rate, clip_samples=clip_samples, hop_samples=hop_samples)
