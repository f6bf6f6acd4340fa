"""`AudioStream`: one channel or the mix of a recording at the model's sample rate, block by block.

Clipping is counted here, in the samples as they were recorded: resampling and mixing smooth it away. Samples that are
NaN or infinite become zero, with a note. What can be no sound is refused: floats at the scale of integers, and
recordings most of which is missing. Read `resample.py` next, and `clips.py` for who reads streams.
Legend: n samples, C channels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.errors import ConfigError, DataError
from oddwave.sources.audio.decode import AudioHeader
from oddwave.sources.audio.resample import AudioPart, resample_parts, resampling_ratio

__all__ = ["AudioBlock", "AudioStream", "loudest_if_cancelling"]

_RUN = 3  # samples at full scale in a row that count as clipped
_MOST_OF_FULL_SCALE = 8.0  # that floats may reach; loud masters reach 1.5
_LEAST_WHOLE = 2.0  # floats that reach it and are whole numbers throughout are integers
_MOST_MISSING = 0.5  # of all samples
_CANCELLED_POWER = 0.1  # of what the mix of channels without anything in common would have
_CANCELLED_SHARE = 0.1  # of the recording
_PART = 4096  # samples looked at together: about a tenth of a second


@dataclass(frozen=True, eq=False)
class AudioBlock:
    """Samples at the model's rate, 1 being full scale; each stands for so many clipped samples of the recording."""

    samples: Float[np.ndarray, " n"]
    num_clipped: Int[np.ndarray, " n"]


class AudioStream(Iterator[AudioBlock]):
    """Iterate once over the blocks of a recording; `notes` grow while it does.

    `channel` is None for the mean of all channels. Raises, here and while iterating: DataError whose text is a
    predicate; ConfigError for a rate or block that is not positive.
    """

    def __init__(
        self,
        chunks: Iterator[Float[np.ndarray, "n C"]],
        header: AudioHeader,
        *,
        channel: int | None,
        sample_rate: int,
        block_s: float,
        notes: list[str],
    ) -> None:
        if sample_rate < 1 or not block_s > 0:
            raise ConfigError(f"sample_rate is {sample_rate} Hz and block_s {block_s} s: both must be above 0")
        up, down = resampling_ratio(header.sample_rate, sample_rate)
        self._header, self._channel, self._found = header, channel, notes
        self._num_bad = self._num_samples = 0
        self._parts = resample_parts(self._recorded(chunks), up, down, max(1, round(block_s * sample_rate)))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found wrong up to the block that was given last."""
        bad = f"{self._num_bad} sample(s) are NaN or infinite: taken as 0"
        return (*self._found, *[bad] * (self._num_bad > 0))

    def __next__(self) -> AudioBlock:
        return AudioBlock(*next(self._parts))

    def _recorded(self, chunks: Iterator[Float[np.ndarray, "n C"]]) -> Iterator[AudioPart]:
        """Return one channel or the mix of all, at the recording's own rate."""
        past: Float[np.ndarray, "3 C"] | None = None
        for every in chunks:
            chunk = every if self._channel is None else every[:, self._channel : self._channel + 1]
            finite = np.isfinite(chunk)
            self._num_samples += chunk.size
            if not finite.all():
                self._num_bad += int((~finite).sum())
                chunk = np.where(finite, chunk, np.float32(0))
            if self._header.is_float:
                _check_scale(chunk)
            before = np.zeros((_RUN, chunk.shape[1]), np.float32) if past is None else past
            joined = np.concatenate([before, chunk])
            counts = _count_clipped(joined, self._header.full_scale, self._header.is_float)
            past = joined[-_RUN:]
            # A product, because a mean over so short an axis takes ten times as long.
            mixed = (
                chunk @ np.full(chunk.shape[1], 1 / chunk.shape[1], np.float32) if chunk.shape[1] > 1 else chunk[:, 0]
            )
            yield mixed, counts
        if self._num_bad > _MOST_MISSING * self._num_samples:
            raise DataError(
                f"has {self._num_bad} of {self._num_samples} samples that are NaN or infinite: record it again"
            )


def loudest_if_cancelling(chunks: Iterator[Float[np.ndarray, "n C"]]) -> int | None:
    """Return the loudest channel of a recording whose channels cancel each other in their mean; None where they do not.

    They do where the mean has less than a tenth of the power that unrelated channels would leave in it, over a tenth of
    the recording or more: one microphone wired the wrong way round, say. Raises: as the chunks do.
    """
    cancelled = length = 0
    power = np.zeros(1)
    for part in (chunk[first : first + _PART] for chunk in chunks for first in range(0, len(chunk), _PART)):
        moving = np.where(np.isfinite(part), part, np.float32(0)).astype(np.float64)
        moving -= moving.mean(axis=0)
        own = np.square(moving).mean(axis=0)
        mixed = np.square(moving.mean(axis=1)).mean()
        cancelled += len(part) * bool(mixed < _CANCELLED_POWER * own.mean() / len(own))
        length += len(part)
        power = power + own * len(part)
    return int(np.argmax(power)) if cancelled > _CANCELLED_SHARE * length else None


def _check_scale(chunk: Float[np.ndarray, "n C"]) -> None:
    """Refuse floats that are no sound with a full scale of 1. Raises: DataError."""
    peak = float(np.abs(chunk).max(initial=0.0))
    if peak > _MOST_OF_FULL_SCALE or (peak >= _LEAST_WHOLE and bool((chunk == np.rint(chunk)).all())):
        full = next((2**bits for bits in (7, 15, 23, 31) if peak <= 2**bits), None)
        cure = f"divide by {full}" if full else "divide by the value of full scale"
        raise DataError(
            f"has floats up to {peak:.4g}, far beyond full scale, which is 1: {cure}, or save it as integers"
        )


def _count_clipped(joined: Float[np.ndarray, "n_3 C"], full_scale: float, must_repeat: bool) -> Int[np.ndarray, " n"]:
    """Count the samples in runs at full scale, in the channel that has most; `joined` opens with three samples before.

    A run's third sample stands for its first three, each further one for itself, so that no run need be known whole.
    """
    if max(joined.max(), -joined.min()) < full_scale:
        return np.zeros(len(joined) - _RUN, np.int64)
    at_limit: Bool[np.ndarray, "n_3 C"] = np.abs(joined) >= full_scale
    if must_repeat:
        same = np.zeros_like(at_limit)
        same[1:] = joined[1:] == joined[:-1]
        same[:-1] |= same[1:]
        at_limit &= same
    in_run = at_limit[_RUN:] & at_limit[_RUN - 1 : -1] & at_limit[_RUN - 2 : -2]
    counts: np.ndarray = np.where(in_run, np.where(at_limit[:-_RUN], 1, _RUN), 0).max(axis=1).astype(np.int64)
    return counts
