"""`read_audio`: any source of sound to an `AudioSet`; nothing decoded, nothing lost, every decision noted.

Sources: a folder (flat, nested, or in MVTec layout), one file, a glob, arrays or tensors with their sample rate, and
lists or mappings of these and of paths, mixed as they come: each entry keeps its place, readable or not.
Read `sources/files.py` for which files count and what they are called, `items.py` for what comes out, and
`decode.py` for what a recording may be. Legend: n samples, C channels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Shaped

from oddwave.errors import DataError
from oddwave.sources.arrays import is_list_of_things, plain_array
from oddwave.sources.audio.decode import HIGHEST_RATE, LOWEST_RATE, RECORDINGS
from oddwave.sources.audio.items import AudioFailure, AudioItem, AudioSet
from oddwave.sources.base import (
    Candidate,
    candidates_in,
    candidates_of,
    check_option,
    copies_note,
    nothing_read,
    read_entries,
)
from oddwave.sources.files import OnError, Part, find_files, is_path
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
    for entry in read_entries(candidates, on_error):
        entries += entry.each_channel() if channels == "each" and isinstance(entry, AudioItem) else (entry,)
    found = AudioSet(tuple(entries))
    if not found.items:
        raise nothing_read(found.failures, "recording")
    return replace(found, notes=tuple(map(visible, (*notes, *_notes_on_all(found.items)))))


_Found = tuple[Sequence[Candidate[AudioItem]], Sequence[str]]  # what was found, and notes


def _find(source: Any, part: Part, recursive: bool) -> _Found:
    """Look into the source, whatever it is, without reading any recording."""
    if is_path(source):
        found = find_files(source, RECORDINGS, part, recursive)
        return candidates_in(found, AudioItem.from_file), found.notes
    if isinstance(source, Mapping):
        return _named(list(source.values()), [str(key) for key in source]), ()
    array = hasattr(source, "__array__") and not is_list_of_things(source)
    if array or isinstance(source, bytes | bytearray) or not isinstance(source, Iterable):
        raise DataError(
            f"cannot read sound from {type(source).__name__}: give a folder, file, glob, list of paths, or {_PAIR}"
        )
    return _named([source] if _is_pair(source) else list(source), None), ()


def _named(entries: Sequence[Any], names: Sequence[str] | None) -> Sequence[Candidate[AudioItem]]:
    return candidates_of(entries, names, "recording", AudioItem.from_file, _from_memory)


def _is_pair(source: Any) -> bool:
    return isinstance(source, tuple) and len(source) == 2 and any(_is_rate(part) for part in source)


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _from_memory(identifier: str, audio: Any) -> AudioItem:
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
    return [*notes, *copies_note(items, "recording")]


def _check_options(channels: Any, part: Any, on_error: Any, recursive: Any) -> None:
    check_option("channels", channels, "mix", "each")
    check_option("part", part, "all", "train", "test")
    check_option("on_error", on_error, "skip", "stop")
    check_option("recursive", recursive, True, False)
