"""`read_audio`: any source of sound to an `AudioSet`; nothing decoded, nothing lost, every decision noted.

Sources: a folder (flat, nested, or in MVTec layout), one file, a glob, arrays or tensors with their sample rate, and
lists or mappings of these and of paths, mixed as they come: each entry keeps its place, readable or not.
Read `sources/files.py` for which files count and what they are called, `items.py` for what comes out, and
`decode.py` for what a recording may be. Legend: n samples, C channels.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Shaped

from oddwave.errors import ConfigError, DataError
from oddwave.sources.arrays import is_list_of_things, plain_array
from oddwave.sources.audio.decode import HIGHEST_RATE, LOWEST_RATE, RECORDINGS
from oddwave.sources.audio.items import AudioFailure, AudioItem, AudioSet
from oddwave.sources.files import OnError, Part, find_files, find_listed, is_path
from oddwave.visible import visible

__all__ = ["Channels", "read_audio"]

Channels = Literal["mix", "each"]
_MOST_CHANNELS_FIRST = 32  # in an array (C, n); more is taken for samples
_PAIR = "(samples, sample_rate in Hz), with samples of shape (n,) or (n, channels)"


def read_audio(
    source: Any,
    *,
    channels: Channels = "mix",
    part: Part = "all",
    on_error: OnError = "skip",
    recursive: bool = True,
) -> AudioSet:
    """Read where recordings are, their rate, length, and a hash of each; their samples are decoded when asked for.

    Arrays come as (samples, sample_rate), a list of such pairs, or a mapping from ids to them: samples (n,) or (n, C)
    of 8, 16 or 32 bit, or floats in [-1, 1]. `channels` mixes all to one, or makes an item of each. `part` applies to
    folders in MVTec layout: "train" takes train/good, "test" takes all of test. `on_error` skips what cannot be read
    (see `AudioSet.failures`) or stops at the first.
    Raises: DataError where nothing can be read, in one line that says why; ConfigError for an option.
    """
    _check_options(channels, part, on_error, recursive)
    candidates, notes = _find(source, part, recursive)
    entries: list[AudioItem | AudioFailure] = []
    for candidate in candidates:
        outcome = candidate.read()
        if isinstance(outcome, AudioFailure):
            if on_error == "stop":
                raise DataError(outcome.message)
            entries.append(outcome)
        else:
            entries += outcome.each_channel() if channels == "each" else (outcome,)
    found = AudioSet(tuple(entries))
    if not found.items:
        first = f", the first: {found.failures[0].message}" if entries else ": give one or more"
        raise DataError(f"the source holds no recording that can be read{first}")
    return replace(found, notes=tuple(map(visible, (*notes, *_notes_on_all(found.items)))))


@dataclass(frozen=True)
class _Candidate:
    """A recording that was found but not looked at yet."""

    id: str
    path: Path | None
    make: Callable[[], AudioItem]

    def read(self) -> AudioItem | AudioFailure:
        try:
            return self.make()
        except DataError as error:
            return AudioFailure(self.id, self.path, str(error))


_Found = tuple[Sequence[_Candidate], Sequence[str]]  # what was found, and notes


def _find(source: Any, part: Part, recursive: bool) -> _Found:
    """Look into the source, whatever it is, without reading any recording."""
    if is_path(source):
        found = find_files(source, RECORDINGS, part, recursive)
        return [_Candidate(*entry[:2], partial(_from_file, *entry)) for entry in found.entries], found.notes
    if isinstance(source, Mapping):
        return _mixed(list(source.values()), [str(key) for key in source]), ()
    array = hasattr(source, "__array__") and not is_list_of_things(source)
    if array or isinstance(source, bytes | bytearray) or not isinstance(source, Iterable):
        raise DataError(
            f"cannot read sound from {type(source).__name__}: give a folder, file, glob, list of paths, or {_PAIR}"
        )
    return _mixed([source] if _is_pair(source) else list(source), None), ()


def _mixed(entries: Sequence[Any], names: Sequence[str] | None) -> Sequence[_Candidate]:
    """Take paths and arrays in their order, under the names of a mapping or under names of their own."""
    listed = iter(find_listed([entry for entry in entries if is_path(entry)]).files)
    candidates = []
    for number, entry in enumerate(entries):
        if is_path(entry):
            identifier, path = next(listed)
            name = names[number] if names else identifier
            candidates.append(_Candidate(name, path, partial(_from_file, name, path, "")))
        else:
            name = names[number] if names else f"recording_{number:04d}"
            candidates.append(_Candidate(name, None, partial(_item_in_memory, name, entry)))
    return candidates


def _from_file(identifier: str, path: Path, reason: str) -> AudioItem:
    if reason:
        raise DataError(reason)
    return AudioItem.from_file(identifier, path)


def _is_pair(source: Any) -> bool:
    return isinstance(source, tuple) and len(source) == 2 and any(_is_rate(part) for part in source)


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _item_in_memory(identifier: str, audio: Any) -> AudioItem:
    if not _is_pair(audio) or not hasattr(audio[0], "__array__") or not _is_rate(audio[1]):
        form = f"({', '.join(type(part).__name__ for part in audio)})" if isinstance(audio, tuple) else ""
        raise DataError(f"is of type {type(audio).__name__}{form}: expected {_PAIR}, or a path")
    rate = float(audio[1])
    if not (rate >= LOWEST_RATE and rate.is_integer()):
        raise DataError(f"has a sample rate of {audio[1]} Hz: expected a whole number, {LOWEST_RATE} or more")
    if rate > HIGHEST_RATE:
        raise DataError(f"has a sample rate of {audio[1]} Hz: expected {HIGHEST_RATE} or less")
    values, notes = _as_channels_last(plain_array(audio[0]))
    return AudioItem.from_values(identifier, values, int(rate), notes)


def _as_channels_last(values: np.ndarray) -> tuple[Shaped[np.ndarray, "n C"], tuple[str, ...]]:
    """Bring (n,), (n, C) or (C, n) to (n, C), with a note where channels were taken to come first."""
    if values.ndim not in (1, 2) or not values.size:
        raise DataError(f"has samples of shape {values.shape}: expected (n,) or (n, channels), with n above 0")
    if values.ndim == 1:
        return values[:, None], ()
    if values.shape[0] < values.shape[1] and values.shape[0] <= _MOST_CHANNELS_FIRST:
        return values.T, (f"shape {values.shape} read as (channels, samples)",)
    return values, ()


def _notes_on_all(items: Sequence[AudioItem]) -> list[str]:
    """Repeat what was noted about each recording, and say which have the same contents."""
    notes = [f"'{item.id}' {note}" for item in items if not item.channel for note in item.notes]
    first: dict[tuple[str, int | None], str] = {}
    pairs = [(item.id, first.setdefault((item.digest, item.channel), item.id)) for item in items]
    copies = [(identifier, other) for identifier, other in pairs if identifier != other]
    if copies:
        notes.append(f"{len(copies)} recording(s) are copies of others, such as '{copies[0][0]}' of '{copies[0][1]}'")
    return notes


def _check_options(channels: Any, part: Any, on_error: Any, recursive: Any) -> None:
    if channels not in ("mix", "each"):
        raise ConfigError(f"channels is {channels!r}: give 'mix' or 'each'")
    if part not in ("all", "train", "test"):
        raise ConfigError(f"part is {part!r}: give 'all', 'train' or 'test'")
    if on_error not in ("skip", "stop"):
        raise ConfigError(f"on_error is {on_error!r}: give 'skip' or 'stop'")
    if not isinstance(recursive, bool):
        raise ConfigError(f"recursive is {recursive!r}: give True or False")
