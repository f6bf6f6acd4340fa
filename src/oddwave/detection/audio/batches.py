"""Recordings to scores, clip by clip, in batches of clips: of several recordings where these are short.

The networks take about the same time for three clips as for five, and recordings of a few seconds have no more than
three. Recordings come back in the order they were given, each as soon as all of its clips are scored; at most a batch
of clips is held. Read `detector.py` next: it says which recordings, and what becomes of their scores.

Legend: N clips of a recording, n samples of a clip.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Int
from torch import nn

from oddwave.detection.audio.model import AudioModel, ClipScores
from oddwave.detection.audio.scored import ScoredRecording
from oddwave.detection.audio.traits import clip_traits, mean_traits
from oddwave.detection.base import NO_SCORE
from oddwave.detection.map_model import BATCH
from oddwave.errors import DataError
from oddwave.sources.audio.clips import AudioClip, ClipStream
from oddwave.sources.audio.items import AudioFailure, AudioItem

__all__ = ["ClipBatches"]

Cut = Callable[[AudioItem], ClipStream]
FoldsOf = Callable[[AudioItem], Int[np.ndarray, " N"]]
_ANY_FOLD = -1


@dataclass(eq=False)
class _Recording:
    """What is known so far of a recording: its clips as they are cut, and the scores of those that were scored."""

    item: AudioItem
    starts_s: list[float] = field(default_factory=list)
    traits: list[dict[str, float]] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    notes: tuple[str, ...] = ()
    found: list[ClipScores] = field(default_factory=list)
    failure: AudioFailure | None = None
    is_cut: bool = False

    @property
    def is_done(self) -> bool:
        """Whether nothing of it is waited for."""
        return self.failure is not None or (self.is_cut and len(self.found) == len(self.starts_s))

    def take(self, clip: AudioClip, sample_rate: int) -> None:
        """Take a clip that is going to be scored."""
        self.starts_s.append(clip.start_s)
        self.traits.append(clip_traits(clip.samples, sample_rate))
        self.flags.update(clip.flags)

    def outcome(self) -> ScoredRecording | AudioFailure:
        """Return what was found of it."""
        if self.failure is not None:
            return self.failure
        scores = np.concatenate([own.scores for own in self.found])
        if not np.isfinite(scores).all():
            return self.item.failure(DataError(NO_SCORE))
        joined = {name: np.concatenate([own.parts[name] for own in self.found]) for name in self.found[0].parts}
        flagged = [f"some of it is flagged: {', '.join(sorted(self.flags))}"] if self.flags else []
        return ScoredRecording(
            self.item,
            scores,
            joined,
            traits=mean_traits(self.traits),
            starts_s=np.array(self.starts_s),
            bands_db=np.concatenate([own.bands_db for own in self.found]),
            notes=tuple(dict.fromkeys((*self.item.notes, *self.notes, *flagged))),
        )


class ClipBatches:
    """Scores recordings, cut into clips by `cut`; by what is known without the fold of each clip where there are folds.

    Clips of different folds are never scored together.
    """

    def __init__(self, model: AudioModel, scorer: nn.Module, cut: Cut, folds_of: FoldsOf | None = None) -> None:
        self.model, self.scorer, self.cut, self.folds_of = model, scorer, cut, folds_of
        self._batch: list[tuple[_Recording, AudioClip]] = []
        self._fold = _ANY_FOLD

    def scored(self, entries: Iterable[AudioItem | AudioFailure]) -> Iterator[ScoredRecording | AudioFailure]:
        """Yield what was found of each entry, in order; a recording that cannot be read to its end is a failure."""
        waiting: list[_Recording | AudioFailure] = []
        for entry in entries:
            own = entry if isinstance(entry, AudioFailure) else _Recording(entry)
            waiting.append(own)
            if isinstance(own, _Recording):
                self._read(own)
            while waiting and _is_done(waiting[0]):
                yield _outcome(waiting.pop(0))
        self._score()
        yield from map(_outcome, waiting)

    def _read(self, own: _Recording) -> None:
        """Cut a recording into clips, and score those that fill a batch."""
        rate = self.model.audio.audio_map.sample_rate
        folds = None if self.folds_of is None else self.folds_of(own.item)
        for number, clip in enumerate(self._clips(own)):
            fold = _ANY_FOLD if folds is None else int(folds[number])
            if len(self._batch) == BATCH or fold != self._fold:
                self._score()
            self._fold = fold
            own.take(clip, rate)
            self._batch.append((own, clip))
        if own.failure is not None:
            self._batch = [(other, clip) for other, clip in self._batch if other is not own]
        elif len(self._batch) == BATCH:
            self._score()

    def _clips(self, own: _Recording) -> Iterator[AudioClip]:
        """Yield the clips of a recording; where it cannot be read to its end, that is its failure."""
        try:
            clips = self.cut(own.item)
            yield from clips
        except DataError as error:
            own.failure = own.item.failure(error)
        else:
            own.is_cut, own.notes = True, clips.notes

    def _score(self) -> None:
        """Score the clips that are waiting; those of a recording that cannot be scored do not take others with them."""
        batch, self._batch = self._batch, []
        try:
            self._score_together(batch)
        except DataError:
            for own in dict.fromkeys(own for own, _ in batch):
                try:
                    self._score_together([pair for pair in batch if pair[0] is own])
                except DataError as error:
                    own.failure = own.item.failure(error)

    def _score_together(self, batch: Sequence[tuple[_Recording, AudioClip]]) -> None:
        if not batch:
            return
        with nullcontext() if self._fold == _ANY_FOLD else self.model.without(self._fold):
            scored = self.model.score(np.stack([clip.samples for _, clip in batch]), self.scorer)
        for place, (own, _) in enumerate(batch):
            own.found.append(_only(scored, slice(place, place + 1)))


def _only(scored: ClipScores, place: slice) -> ClipScores:
    """Return what was found of some clips, without their maps; nothing holds on to the rest of the batch."""
    parts = {name: own[place].copy() for name, own in scored.parts.items()}
    return replace(
        scored,
        scores=scored.scores[place].copy(),
        maps=scored.maps[:0].copy(),
        parts=parts,
        bands_db=scored.bands_db[place].copy(),
    )


def _is_done(own: _Recording | AudioFailure) -> bool:
    return isinstance(own, AudioFailure) or own.is_done


def _outcome(own: _Recording | AudioFailure) -> ScoredRecording | AudioFailure:
    return own if isinstance(own, AudioFailure) else own.outcome()
