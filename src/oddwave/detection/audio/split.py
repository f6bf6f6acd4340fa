"""From recordings to the clips that are learnt from, and the folds in which each of them calibrates as well.

With ten recordings or more, a fold holds whole ones, at random. Of fewer it holds a stretch of each, and what is known
without it leaves out the clips beside it too: neighbours overlap, and share the room, the day and the machine's
temperature. Where recordings are to judge each other, three of them have folds of whole ones, up to ten. Read
`detection/left_out.py` for what folds are for.

Legend: n samples of a clip, N clips. Read `model.py` for what becomes of them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.config import DetectorConfig
from oddwave.detection.adding import held_back
from oddwave.detection.audio.kept_clips import clip_outline, kept_clips
from oddwave.detection.left_out import NUM_FOLDS, Folds
from oddwave.errors import DataError
from oddwave.progress import progress
from oddwave.sources.audio.clips import AudioClip, cut_clips
from oddwave.sources.audio.items import AudioItem
from oddwave.tensors.audio_map import AudioMap

__all__ = ["AudioSplit", "hop_samples", "shared_clips", "split_added", "split_clips"]

_FEWEST_RECORDINGS = 10
_FEWEST_AMONG, _MOST_FOLDS = 3, 10  # recordings that judge each other
_FEWEST_CLIPS = 10
_FEWEST_KNOWN = 2  # clips, without a fold
_FLAG_NOTES = {
    "silent": "are silent",
    "clipped": "are clipped (recorded too loud)",
    "dc": "have an offset (DC), which was removed",
    "short": "are shorter than a clip and were filled up by mirroring",
}

Clip = Float[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class AudioSplit:
    """The clips in the order of their recordings, which recording and which fold each is of, and notes on them.

    `even` says which were not chosen for being unusual: those calibrate. `whole` says that folds hold whole recordings,
    `counts` how many clips each recording has, kept or not.
    """

    clips: Float[np.ndarray, "N n"]
    recording: Int[np.ndarray, " N"]
    folds: Folds
    even: Bool[np.ndarray, " N"]
    notes: tuple[str, ...]
    used: tuple[AudioItem, ...]
    whole: bool
    counts: tuple[int, ...]

    def folds_of(self, number: int) -> Int[np.ndarray, " _"]:
        """Return the fold of every clip of a recording, those that were not kept included."""
        count = self.counts[number]
        if self.whole:
            return np.full(count, self.folds.of[self.recording == number][0])
        return _stretches(count, self.folds.num)


def hop_samples(audio_map: AudioMap, config: DetectorConfig) -> int:
    """Return how many samples apart clips begin: a whole number of columns."""
    columns = max(1, round(audio_map.columns * (1 - config.audio.overlap)))
    return columns * (audio_map.clip_samples // audio_map.columns)


def shared_clips(audio_map: AudioMap, config: DetectorConfig) -> int:
    """Return how many clips from one on hold samples of it: the gap between what is learnt and what calibrates."""
    return -(-audio_map.clip_samples // hop_samples(audio_map, config))


def split_clips(
    items: Sequence[AudioItem],
    audio_map: AudioMap,
    config: DetectorConfig,
    *,
    stop_on_error: bool,
    show: bool,
    among: bool = False,
) -> AudioSplit:
    """Cut recordings, each as a stream; of more clips than `audio.max_clips` as many are kept (`kept_clips.py`).

    `among` says that the recordings are to be judged by each other.
    Raises: DataError when fewer than 10 clips come together, or a recording cannot be read and `stop_on_error` is set.
    """
    read = _Reading(audio_map, hop_samples(audio_map, config), stop_on_error)
    crowded = sum(_num_clips(item, audio_map, read.hop) for item in items) > config.audio.max_clips
    shown = progress(items, "reading the recordings", show)
    every = list(read.clips(shown, lambda _, clip: clip_outline(clip) if crowded else clip))
    if len(every) < _FEWEST_CLIPS:
        raise DataError(
            f"the recordings give {len(every)} clip(s) of {audio_map.clip_s:g} s: give at least "
            f"{_FEWEST_CLIPS}, ten short recordings or one of {_FEWEST_CLIPS * audio_map.clip_s:.0f} s, say"
            + (f"; left out: {read.failures[0]}" if read.failures else "")
        )
    notes = [*read.notes, *(f"{message}; left out" for message in read.failures)]
    recording, place = np.array(read.places).T
    chosen, even = np.arange(len(every)), np.ones(len(every), bool)
    if crowded:
        chosen, even = kept_clips(np.stack(every), config.audio.max_clips, config.seed)
        again, wanted = _Reading(audio_map, read.hop, True), set(chosen.tolist())
        shown = progress(read.used, "reading the chosen clips", show)
        clips = np.stack(list(again.clips(shown, lambda number, clip: clip if number in wanted else None)))
        notes.append(
            f"{len(chosen)} of {len(every)} clips were kept (audio.max_clips): half evenly spread, half to cover all"
        )
    else:
        clips = np.stack(every)
    notes += [f"{count} of {len(every)} clips {_FLAG_NOTES[flag]}" for flag, count in sorted(read.flags.items())]
    counts = tuple(np.bincount(recording, minlength=len(read.used)).tolist())
    recording, place = recording[chosen], place[chosen]
    gap, rng = shared_clips(audio_map, config), np.random.default_rng([config.seed, 1])
    folds, whole = _dealt(read.used, recording, place, counts, gap, rng, among=among)
    return AudioSplit(clips, recording, folds, even, tuple(notes), tuple(read.used), whole, counts)


class _Reading:
    """Reads recordings one after another, and holds what it noted on the way."""

    def __init__(self, audio_map: AudioMap, hop: int, stop_on_error: bool) -> None:
        self.audio_map, self.hop, self.stop_on_error = audio_map, hop, stop_on_error
        self.places: list[tuple[int, int]] = []
        self.flags: Counter[str] = Counter()
        self.notes: list[str] = []
        self.failures: list[str] = []
        self.used: list[AudioItem] = []

    def clips(self, items: Iterable[AudioItem], kept: Callable[[int, Clip], Clip | None]) -> Iterator[Clip]:
        """Yield what `kept` makes of each clip and its number, of all recordings that can be read to their ends.

        Raises: DataError for one that cannot, with `stop_on_error`.
        """
        settings = {"sample_rate": self.audio_map.sample_rate, "clip_samples": self.audio_map.clip_samples}
        for item in items:
            own, flags, first = list[Clip | None](), Counter[str](), len(self.places)
            try:
                stream = cut_clips(item, **settings, hop_samples=self.hop)
                for clip in stream:
                    own.append(kept(first + len(own), clip.samples))
                    flags.update(clip.flags)
            except DataError as error:
                failure = item.failure(error)
                if self.stop_on_error:
                    raise DataError(failure.message) from None
                self.failures.append(failure.message)
                continue
            self.places += [(len(self.used), place) for place in range(len(own))]
            self.flags += flags
            self.used.append(item)
            self.notes += [f"{item.id}: {note}" for note in stream.notes]
            yield from (clip for clip in own if clip is not None)


def _stretches(count: int, num: int) -> Int[np.ndarray, " _"]:
    """Return which of `num` stretches each of `count` clips in a row lies in."""
    return np.arange(count) * num // count


def _dealt(
    used: Sequence[AudioItem],
    recording: Int[np.ndarray, " N"],
    place: Int[np.ndarray, " N"],
    counts: Sequence[int],
    gap: int,
    rng: np.random.Generator,
    *,
    among: bool,
) -> tuple[Folds, bool]:
    """Deal clips out to folds: whole recordings, copies of one another together; of few recordings, stretches of each.

    Without a stretch nothing is known of the clips within `gap` of it, which share samples with it. Returns whether
    folds hold whole recordings, too.
    Raises: DataError where that leaves nothing.
    """
    digests = list(dict.fromkeys(item.digest for item in used))
    num = min(len(digests), _MOST_FOLDS) if among else NUM_FOLDS
    fewest = _FEWEST_AMONG if among else _FEWEST_RECORDINGS
    if len(digests) >= fewest or (max(counts) <= 2 * (gap + 1) and len(digests) > 1):
        of_digest = dict(zip(digests, rng.permutation(len(digests)) % num, strict=True))
        of = np.array([of_digest[used[number].digest] for number in recording])
        return Folds(of, of == np.arange(num)[:, None]), True
    of, apart = np.zeros(len(place), np.int64), np.zeros((NUM_FOLDS, len(place)), bool)
    for digest in digests:
        own = np.flatnonzero([used[number].digest == digest for number in recording])
        stretch = _stretches(counts[recording[own[0]]], NUM_FOLDS)
        of[own] = stretch[place[own]]
        for fold in range(NUM_FOLDS):
            if len(members := np.flatnonzero(stretch == fold)):
                apart[fold, own] = (place[own] >= members[0] - gap) & (place[own] <= members[-1] + gap)
    if (~apart).sum(1).min() < _FEWEST_KNOWN:
        raise DataError(
            f"{len(place)} clips that overlap so much are one stretch of sound: nothing is left to judge a part of it "
            "by; give longer recordings or lower audio.overlap"
        )
    return Folds(of, apart), False


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
