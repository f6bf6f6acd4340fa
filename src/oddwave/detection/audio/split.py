"""From recordings to the clips that are learnt from, and those held back to calibrate and to choose by.

With ten recordings or more, whole ones are held back at random. Of fewer, the last part of each is, with a gap of one
clip, because neighbouring clips overlap and share the room, the day and the machine's temperature.

Legend: n samples of a clip, N clips. Read `model.py` for what becomes of them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from oddwave.config import DetectorConfig
from oddwave.detection.adding import held_back
from oddwave.errors import DataError
from oddwave.progress import progress
from oddwave.sources.audio.clips import AudioClip, cut_clips
from oddwave.sources.audio.items import AudioItem
from oddwave.tensors.audio_map import AudioMap

__all__ = ["AudioSplit", "hop_samples", "shared_clips", "split_added", "split_clips"]

_FEWEST_RECORDINGS = 10
_FEWEST_CLIPS = 10
_FLAG_NOTES = {
    "silent": "are silent",
    "clipped": "are clipped (recorded too loud)",
    "dc": "have an offset (DC), which was removed",
    "short": "are shorter than a clip and were filled up by mirroring",
}


@dataclass(frozen=True, eq=False)
class AudioSplit:
    """The clips to learn from and those held back, notes on both, and the recordings that both come from."""

    train: Float[np.ndarray, "N n"]
    held: Float[np.ndarray, "K n"]
    notes: tuple[str, ...]
    used: tuple[AudioItem, ...]


def hop_samples(audio_map: AudioMap, config: DetectorConfig) -> int:
    """Return how many samples apart clips begin: a whole number of columns."""
    columns = max(1, round(audio_map.columns * (1 - config.audio.overlap)))
    return columns * (audio_map.clip_samples // audio_map.columns)


def shared_clips(audio_map: AudioMap, config: DetectorConfig) -> int:
    """Return how many clips from one on hold samples of it: the gap between what is learnt and what calibrates."""
    return -(-audio_map.clip_samples // hop_samples(audio_map, config))


def split_clips(
    items: Sequence[AudioItem], audio_map: AudioMap, config: DetectorConfig, *, stop_on_error: bool, show: bool
) -> AudioSplit:
    """Cut recordings, each read once and as a stream; of more than `audio.max_clips` an even selection is kept.

    Raises: DataError when fewer than 10 clips come together, or a recording cannot be read and `stop_on_error` is set.
    """
    hop = hop_samples(audio_map, config)
    counts = [_num_clips(item, audio_map, hop) for item in items]
    every = max(1, -(-sum(counts) // config.audio.max_clips))
    whole = len(items) >= _FEWEST_RECORDINGS
    share, rng = config.calibration.calibration_share, np.random.default_rng([config.seed, 1])
    held_items = set(rng.permutation(len(items))[: max(2, round(share * len(items)))].tolist()) if whole else set()
    train: list[Float[np.ndarray, " n"]] = []
    held: list[Float[np.ndarray, " n"]] = []
    flags: Counter[str] = Counter()
    notes: list[str] = []
    failures: list[str] = []
    used: list[AudioItem] = []
    gap = shared_clips(audio_map, config)
    for number, item in enumerate(progress(items, "reading the recordings", show)):
        first_held = round((1 - share) * counts[number])
        try:
            clips = cut_clips(
                item, sample_rate=audio_map.sample_rate, clip_samples=audio_map.clip_samples, hop_samples=hop
            )
            own_train, own_held, own_flags = [], [], Counter[str]()
            for place, clip in enumerate(clips):
                own_flags.update(clip.flags)
                if place % every:
                    continue
                if number in held_items or (not whole and place >= first_held):
                    own_held.append(clip.samples)
                elif whole or place < first_held - gap:
                    own_train.append(clip.samples)
        except DataError as error:
            failure = item.failure(error)
            if stop_on_error:
                raise DataError(failure.message) from None
            failures.append(failure.message)
            continue
        train += own_train
        held += own_held
        flags += own_flags
        used.append(item)
        notes += [f"{item.id}: {note}" for note in clips.notes]
    notes += [f"{message}; left out" for message in failures]
    if len(train) + len(held) < _FEWEST_CLIPS or len(train) < 2 or len(held) < 2:
        raise DataError(
            f"the recordings give {len(train) + len(held)} clip(s) of {audio_map.clip_s:g} s: give at least "
            f"{_FEWEST_CLIPS}, ten short recordings or one of {_FEWEST_CLIPS * audio_map.clip_s:.0f} s, say"
            + (f"; left out: {failures[0]}" if failures else "")
        )
    if every > 1:
        notes.append(f"1 in {every} of {sum(counts)} clips was kept (audio.max_clips)")
    notes += [f"{count} of {sum(counts)} clips {_FLAG_NOTES[flag]}" for flag, count in sorted(flags.items())]
    return AudioSplit(np.stack(train), np.stack(held), tuple(notes), tuple(used))


def split_added(
    clips: Sequence[Iterable[AudioClip]],
    kept: Sequence[Bool[np.ndarray, " _"]],
    config: DetectorConfig,
    gap: int,
    rng: np.random.Generator,
) -> tuple[list[Float[np.ndarray, " n"]], list[Float[np.ndarray, " n"]]]:
    """Return the clips to remember and those that calibrate, of recordings that are added to a model; each read once.

    `kept` says which clips of each may be learnt from, `gap` how many clips share samples with the one before them. Of
    ten recordings or more, or of ones too short to be split, whole ones are held back.
    """
    share, counts = config.calibration.calibration_share, [len(own) for own in kept]
    whole = len(counts) >= _FEWEST_RECORDINGS or max(counts) <= 2 * (gap + 1)
    back = held_back(len(counts), share, rng) if whole else np.zeros(len(counts), bool)
    every = max(1, -(-sum(int(own.sum()) for own in kept) // config.audio.max_clips))
    train: list[Float[np.ndarray, " n"]] = []
    held: list[Float[np.ndarray, " n"]] = []
    for own, use, count, is_back in zip(clips, kept, counts, back, strict=True):
        split = not whole and count > 2 * (gap + 1)
        first = count - max(1, round(share * count)) if split else count
        number = 0
        for place, clip in enumerate(own):
            if not use[place]:
                continue
            number += 1
            if (number - 1) % every:
                continue
            if is_back or place >= first:
                held.append(clip.samples)
            elif not split or place < first - gap:
                train.append(clip.samples)
    return train, held


def _num_clips(item: AudioItem, audio_map: AudioMap, hop: int) -> int:
    num_samples = int(item.duration_s * audio_map.sample_rate)
    return 1 + max(0, -(-(num_samples - audio_map.clip_samples) // hop))
