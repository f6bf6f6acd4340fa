"""From recordings to the clips that are learnt from, and the folds in which each of them calibrates as well.

With ten recordings or more, a fold holds whole ones, at random. Of fewer it holds a stretch of each, and what is known
without it leaves out the clips beside it too: neighbours overlap, and share the room, the day and the machine's
temperature. Read `detection/left_out.py` for what folds are for.

Legend: n samples of a clip, N clips. Read `model.py` for what becomes of them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.config import DetectorConfig
from oddwave.detection.adding import held_back
from oddwave.detection.left_out import NUM_FOLDS, Folds
from oddwave.errors import DataError
from oddwave.progress import progress
from oddwave.sources.audio.clips import AudioClip, cut_clips
from oddwave.sources.audio.items import AudioItem
from oddwave.tensors.audio_map import AudioMap

__all__ = ["AudioSplit", "hop_samples", "shared_clips", "split_added", "split_clips"]

_FEWEST_RECORDINGS = 10
_FEWEST_CLIPS = 10
_FEWEST_KNOWN = 2  # clips, without a fold
_FLAG_NOTES = {
    "silent": "are silent",
    "clipped": "are clipped (recorded too loud)",
    "dc": "have an offset (DC), which was removed",
    "short": "are shorter than a clip and were filled up by mirroring",
}


@dataclass(frozen=True, eq=False)
class AudioSplit:
    """The clips in the order of their recordings, which recording and which fold each is of, and notes on them."""

    clips: Float[np.ndarray, "N n"]
    recording: Int[np.ndarray, " N"]
    folds: Folds
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
    """Cut recordings, each read once and as a stream; of more than `audio.max_clips` as many are kept, evenly spread.

    Raises: DataError when fewer than 10 clips come together, or a recording cannot be read and `stop_on_error` is set.
    """
    hop = hop_samples(audio_map, config)
    total, most = sum(_num_clips(item, audio_map, hop) for item in items), config.audio.max_clips
    wanted = None if total <= most else set(np.linspace(0, total - 1, most).round().astype(int).tolist())
    clips: list[Float[np.ndarray, " n"]] = []
    places: list[tuple[int, int]] = []
    flags: Counter[str] = Counter()
    notes: list[str] = []
    failures: list[str] = []
    used: list[AudioItem] = []
    first = 0
    for item in progress(items, "reading the recordings", show):
        try:
            stream = cut_clips(
                item, sample_rate=audio_map.sample_rate, clip_samples=audio_map.clip_samples, hop_samples=hop
            )
            own, own_flags = {}, Counter[str]()
            for place, clip in enumerate(stream):
                own_flags.update(clip.flags)
                if wanted is None or first + place in wanted:
                    own[place] = clip.samples
        except DataError as error:
            failure = item.failure(error)
            if stop_on_error:
                raise DataError(failure.message) from None
            failures.append(failure.message)
            continue
        finally:
            first += _num_clips(item, audio_map, hop)
        clips += own.values()
        places += [(len(used), place) for place in own]
        flags += own_flags
        used.append(item)
        notes += [f"{item.id}: {note}" for note in stream.notes]
    notes += [f"{message}; left out" for message in failures]
    if len(clips) < _FEWEST_CLIPS:
        raise DataError(
            f"the recordings give {len(clips)} clip(s) of {audio_map.clip_s:g} s: give at least "
            f"{_FEWEST_CLIPS}, ten short recordings or one of {_FEWEST_CLIPS * audio_map.clip_s:.0f} s, say"
            + (f"; left out: {failures[0]}" if failures else "")
        )
    if wanted is not None:
        notes.append(f"{len(clips)} of {total} clips were kept, evenly spread (audio.max_clips)")
    notes += [f"{count} of {total} clips {_FLAG_NOTES[flag]}" for flag, count in sorted(flags.items())]
    recording, place = np.array(places).T
    folds = _dealt(used, recording, place, shared_clips(audio_map, config), np.random.default_rng([config.seed, 1]))
    return AudioSplit(np.stack(clips), recording, folds, tuple(notes), tuple(used))


def _dealt(
    used: Sequence[AudioItem],
    recording: Int[np.ndarray, " N"],
    place: Int[np.ndarray, " N"],
    gap: int,
    rng: np.random.Generator,
) -> Folds:
    """Deal clips out to folds: whole recordings, copies of one another together; of few recordings, stretches of each.

    Without a stretch nothing is known of the clips within `gap` of it, which share samples with it.
    Raises: DataError where that leaves nothing.
    """
    digests = list(dict.fromkeys(item.digest for item in used))
    of_digest = dict(zip(digests, rng.permutation(len(digests)) % NUM_FOLDS, strict=True))
    longest = max(Counter(recording.tolist()).values())
    if len(digests) >= _FEWEST_RECORDINGS or (longest <= 2 * (gap + 1) and len(digests) > 1):
        of = np.array([of_digest[used[number].digest] for number in recording])
        return Folds(of, of == np.arange(NUM_FOLDS)[:, None])
    of, apart = np.zeros(len(place), np.int64), np.zeros((NUM_FOLDS, len(place)), bool)
    for digest in digests:
        own = np.flatnonzero([used[number].digest == digest for number in recording])
        length = int(place[own].max()) + 1
        of[own] = place[own] * NUM_FOLDS // length
        for fold in range(NUM_FOLDS):
            members = place[own][of[own] == fold]
            if len(members):
                apart[fold, own] = (place[own] >= members.min() - gap) & (place[own] <= members.max() + gap)
    if (~apart).sum(1).min() < _FEWEST_KNOWN:
        raise DataError(
            f"{len(place)} clips that overlap so much are one stretch of sound: nothing is left to judge a part of it "
            "by; give longer recordings or lower audio.overlap"
        )
    return Folds(of, apart)


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
