"""What a source of sound is read into: `AudioItem`, `AudioSet`, and `AudioFailure` for what could not be read.

An item knows its recording's rate, length and contents' hash, but holds no samples of a file: `blocks` decodes and
resamples them anew each time, so that neither many recordings nor long ones cost memory. Read `reader.py` next
for where items come from, and `clips.py` for the clips that they are cut into. Legend: n samples, C channels.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from oddwave.errors import DataError
from oddwave.sources.audio.decode import array_chunks, array_header, file_chunks, file_digest, file_header
from oddwave.sources.audio.stream import AudioStream, loudest_if_cancelling
from oddwave.sources.audio.when import recorded_at
from oddwave.sources.base import Failure, ItemSet

__all__ = ["AudioFailure", "AudioItem", "AudioSet"]

AudioFailure = Failure

_WHOLE_S = 60.0  # block of those who want all samples anyway


@dataclass(frozen=True, eq=False)
class AudioItem:
    """One recording, or one channel of it: where it is, how long, and a hash of its contents.

    `id` is the path below the source ("good/001.wav"), or "recording_0003" for arrays; a channel on its own has
    "/channel_1" and so on behind it. `sample_rate` (Hz) and `num_samples` are the recording's own, the latter as its
    header has it: what turns out wrong while it is decoded is noted by the stream. `channel` counts from 0; None is the
    mean of all, or the loudest where that would lose the sound. `digest` is a BLAKE2b hash of the file's bytes, or
    of an array's rate, type and values; `recorded` is the date that a file has in itself.
    """

    id: str
    path: Path | None
    sample_rate: int
    num_samples: int
    channel: int | None
    num_channels: int
    digest: str
    notes: tuple[str, ...] = ()
    values: Shaped[np.ndarray, "n C"] | None = field(default=None, repr=False)
    recorded: str = ""

    @property
    def recorded_at(self) -> datetime | None:
        """When it was recorded, by its name or else by what its file says; None where neither tells."""
        return recorded_at(self.id, self.recorded)

    @classmethod
    def from_file(cls, identifier: str, path: Path) -> "AudioItem":
        """Read a file's header and hash, not its samples. Raises: DataError whose text is a predicate."""
        header, digest = file_header(path), file_digest(path)
        length = header.num_samples or sum(len(chunk) for chunk in file_chunks(path, []))  # open: it must be counted
        form = (header.sample_rate, length, None, header.num_channels)
        return cls(identifier, path, *form, digest, header.notes, recorded=header.recorded)

    @classmethod
    def from_values(
        cls, identifier: str, values: Shaped[np.ndarray, "n C"], sample_rate: int, notes: tuple[str, ...] = ()
    ) -> "AudioItem":
        """Take samples as they are, without a copy. Raises: DataError whose text is a predicate."""
        header = array_header(values, sample_rate)
        content = hashlib.blake2b(f"{values.dtype.str}{values.shape}{sample_rate}".encode(), digest_size=16)
        content.update(np.ascontiguousarray(values).tobytes())
        digest = content.hexdigest()
        notes = (*notes, *_depth_notes(values))
        return cls(identifier, None, sample_rate, len(values), None, header.num_channels, digest, notes, values)

    @property
    def identity(self) -> tuple[object, ...]:
        """Id, rate, length, channels and contents."""
        return self.id, self.sample_rate, self.num_samples, self.num_channels, self.channel, self.digest

    @property
    def duration_s(self) -> float:
        """How long the recording is."""
        return self.num_samples / self.sample_rate

    def each_channel(self) -> "tuple[AudioItem, ...]":
        """Return one item per channel; a recording with one channel stays as it is."""
        if self.num_channels == 1:
            return (self,)
        return tuple(replace(self, id=f"{self.id}/channel_{c + 1}", channel=c) for c in range(self.num_channels))

    def stream(self, sample_rate: int, block_s: float) -> AudioStream:
        """Decode and resample block by block, with notes on what was wrong: see `AudioStream`.

        Raises: DataError whose text is a predicate, here and while iterating, where nothing can be decoded (any more);
        ConfigError for a rate or block that is not positive.
        """
        if self.values is not None:
            header = array_header(self.values, self.sample_rate)
        else:
            assert self.path is not None  # a recording without values has a file
            header = file_header(self.path)
        form = (header.sample_rate, header.num_channels, header.num_samples or self.num_samples)
        if form != (self.sample_rate, self.num_channels, self.num_samples):
            raise DataError("has changed since it was read: read the source again once nobody writes to it")
        channel, notes = self.channel, list[str]()
        if self._loudest is not None:
            channel = self._loudest
            notes.append(
                f"its {self.num_channels} channels cancel each other when mixed: channel {channel + 1}, the loudest, "
                "stands for all"
            )
        chunks = self._chunks(notes)
        return AudioStream(chunks, header, channel=channel, sample_rate=sample_rate, block_s=block_s, notes=notes)

    @cached_property
    def _loudest(self) -> int | None:
        """The channel to be heard where the mix would lose the sound: a pass of its own, once per recording."""
        mixes = self.channel is None and self.num_channels > 1
        return loudest_if_cancelling(self._chunks([])) if mixes else None

    def _chunks(self, notes: list[str]) -> Iterator[Float[np.ndarray, "n C"]]:
        if self.values is not None:
            return array_chunks(self.values)
        assert self.path is not None
        return file_chunks(self.path, notes)

    def blocks(self, sample_rate: int, block_s: float) -> Iterator[Float[np.ndarray, " n"]]:
        """Yield the recording at `sample_rate` in float32, in blocks of `block_s`, the last one shorter.

        Joined they equal resampling the whole at once; memory is bounded by the block. Raises: as `stream`, where notes
        on the recording's faults can be had too.
        """
        for block in self.stream(sample_rate, block_s):
            yield block.samples

    def samples(self, sample_rate: int) -> Float[np.ndarray, " n"]:
        """Return the whole recording at `sample_rate`, float32: for short ones.

        Raises: DataError, in one line, where the file is damaged, has vanished, or is no longer the one that was read.
        """
        samples = self.try_samples(sample_rate)
        if isinstance(samples, AudioFailure):
            raise DataError(samples.message)
        return samples

    def try_samples(self, sample_rate: int) -> Float[np.ndarray, " n"] | AudioFailure:
        """Return the whole recording, or say why not: for those who skip and report what cannot be read."""
        try:
            return np.concatenate(list(self.blocks(sample_rate, _WHOLE_S)))
        except DataError as error:
            return self.failure(error)

    def failure(self, error: DataError) -> AudioFailure:
        """Return what is put down for this recording where its stream raised an error."""
        return AudioFailure(self.id, self.path, str(error))


@dataclass(frozen=True, eq=False)
class AudioSet(ItemSet[AudioItem]):
    """The recordings of a source; see `ItemSet`."""


def _depth_notes(values: Shaped[np.ndarray, "n C"]) -> tuple[str, ...]:
    """Return where 32-bit integers use so little of their range that they seem to hold fewer bits."""
    if values.dtype.kind != "i" or values.dtype.itemsize != 4:
        return ()
    peak = max(int(values.max()), -int(values.min()))
    bits = next((bits for bits in (16, 24) if 0 < peak <= 1 << bits - 1), None)
    if bits is None:
        return ()
    return (f"uses no more than {bits} of its 32 bits, and is heard so quietly: multiply by 2**{32 - bits} to mend it",)
