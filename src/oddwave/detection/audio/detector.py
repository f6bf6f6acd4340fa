"""Audio from data to verdicts: reads recordings, holds some of them back to calibrate, fits the model, makes records.

A recording is cut into overlapping clips, read as a stream, and every clip is judged: nothing but its score is kept,
and the maps of the clips that an explanation would show, so memory does not grow with the recording. What happens
inside the model: `model.py`; where a verdict comes from: `explain.py`; where the skeleton's hooks are called from:
`detection/base.py`.

Legend: N clips of a recording, M side of a clip's anomaly map.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float

from oddwave.calibration.conformal import Calibration
from oddwave.config import DetectorConfig
from oddwave.detection.adding import Extension, Taken
from oddwave.detection.audio.explain import explain_clips, without_filling
from oddwave.detection.audio.model import AudioModel
from oddwave.detection.audio.split import hop_samples, shared_clips, split_added, split_clips
from oddwave.detection.audio.terms import AudioTerms, audio_map_of
from oddwave.detection.base import NO_SCORE, Scored, Unjudged, check_read_options
from oddwave.detection.image.learning import make_networks
from oddwave.detection.image.terms import new_terms
from oddwave.detection.job import FitJob
from oddwave.detection.map_detector import MapDetector
from oddwave.detection.map_model import BATCH
from oddwave.detection.map_state import audio_state, restore_audio
from oddwave.detection.model_tensors import TensorFile
from oddwave.errors import DataError
from oddwave.records import AnyResult, AudioResult
from oddwave.sources.audio.clips import AudioClip, ClipStream, cut_clips
from oddwave.sources.audio.items import AudioFailure, AudioItem, AudioSet
from oddwave.sources.audio.reader import read_audio

__all__ = ["AudioDetector", "ScoredRecording"]

_LONGEST_WHOLE_S = 20.0  # recordings up to here are explained as a whole, longer ones around their most abnormal clip
_RATE_MARGIN = 0.98


@dataclass(frozen=True, eq=False)
class ScoredRecording(Scored):
    """The scores of a recording's clips, and the maps of those clips that an explanation would show, by number."""

    item: AudioItem
    starts_s: Float[np.ndarray, " N"] = field(default_factory=lambda: np.zeros(1))
    maps: Mapping[int, Float[np.ndarray, "M M"]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class AudioDetector(MapDetector):
    """Files, folders and arrays of recordings."""

    modality: ClassVar[str] = "audio"
    noun: ClassVar[str] = "recordings"
    needs_normals: ClassVar[str] = "audio needs healthy recordings to learn from: fit on those, then score others"
    result_kind: Literal["recording"] = "recording"
    model: AudioModel | None

    def __init__(self, config: DetectorConfig, read_options: dict[str, Any]) -> None:
        super().__init__(config, read_options)
        check_read_options(read_options, read_audio)

    def _read(self, source: Any, *, learn: bool) -> AudioSet:
        """Read recordings; of a folder with a train and a test part, the one that is meant. Raises: DataError."""
        if isinstance(source, AudioSet):
            return source
        part = "train" if learn else "test"
        return read_audio(source, **{"part": part, "channels": self.config.audio.channels, **self.read_options})

    def _learn(self, data: AudioSet, job: FitJob) -> Calibration:
        """Learn from normal recordings; a share of them is held back to calibrate and to choose by.

        Raises: DataError when recordings cannot be read or give fewer than ten clips.
        """
        audio_map = audio_map_of(self.config.audio)
        split = split_clips(data.items, audio_map, self.config, stop_on_error=self._stops, show=job.show_progress)
        model = self._new_model()
        make_networks(model.terms, 1, shows=False)  # its normal version is a level, not a drawing
        scored = model.fit(split.train, split.held, job)
        source = f"{len(split.held)} clips held back, never trained on"
        calibration = self._settled(model, scored.scores.tolist(), scored.maps.max((1, 2)).tolist(), source)
        self.digests = frozenset(item.digest for item in split.used)
        self.meta = {
            "num_train_recordings": len(split.used),
            "train_duration_s": round(sum(item.duration_s for item in split.used), 1),
            "num_train_clips": len(split.train),
            "num_calibration_clips": len(split.held),
            "warnings": [
                *data.notes,
                *split.notes,
                *self._rate_notes(split.used),
                *(failure.message for failure in data.failures),
            ],
        }
        return calibration

    def _extend(self, taken: Sequence[Taken], rng: np.random.Generator) -> Extension:
        """Add clips to the memory of patches and to the normals of whole clips.

        What stays as it was learnt: the denoisers, the levels' scale, the Gaussians of each row (their sums are not
        kept), the background set, and what is usual for each part of a clip's score.
        """
        model, items = self._audio_model, [own.scored.item for own in taken]
        clips, gap = [self._clips(item) for item in items], shared_clips(model.audio.audio_map, self.config)
        train, held = split_added(clips, [own.kept for own in taken], self.config, gap, rng)
        if train:
            model.remember(np.stack(train))
        blocks = [held[first : first + BATCH] for first in range(0, len(held), BATCH)]
        found = [model.score(np.stack(block)) for block in blocks]
        self.peaks = np.concatenate([self.peaks, *(own.maps.max((1, 2)) for own in found)])
        self.digests |= {item.digest for item in items}
        num_clips, most = self.meta["num_train_clips"] + len(train), self.config.audio.max_clips
        facts = {
            "num_train_recordings": self.meta["num_train_recordings"] + len(items),
            "train_duration_s": round(self.meta["train_duration_s"] + sum(item.duration_s for item in items), 1),
            "num_train_clips": min(num_clips, max(most, self.meta["num_train_clips"])),
            "num_calibration_clips": self.meta["num_calibration_clips"] + len(held),
        }
        return Extension([own.scores for own in found], len(train), facts)

    def _parts(self, data: AudioSet, entries: Iterable[AudioItem | AudioFailure]) -> Iterator[Scored | Unjudged]:
        for entry in entries:
            own = entry if isinstance(entry, AudioFailure) else self._scored(entry)
            yield Unjudged(own.id, own.message) if isinstance(own, AudioFailure) else own

    def _scored(self, item: AudioItem) -> ScoredRecording | AudioFailure:
        """Score a recording clip by clip."""
        scores: list[float] = []
        starts, parts, flags = [], [], set[str]()
        maps: dict[int, Float[np.ndarray, "M M"]] = {}
        try:
            clips = self._clips(item)
            while block := list(islice(clips, BATCH)):
                found = self._audio_model.score(np.stack([clip.samples for clip in block]))
                maps |= dict(enumerate(found.maps, start=len(scores)))
                scores += found.scores.tolist()
                parts.append(found.parts)
                starts += [clip.start_s for clip in block]
                flags |= {flag for clip in block for flag in clip.flags}
                maps = {number: own for number, own in maps.items() if self._is_shown(item, number, scores)}
        except DataError as error:
            return item.failure(error)
        if not np.isfinite(scores).all():
            return item.failure(DataError(NO_SCORE))
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        flagged = [f"some of it is flagged: {', '.join(sorted(flags))}"] if flags else []
        notes = tuple(dict.fromkeys((*item.notes, *clips.notes, *flagged)))
        shown = {number: own for number, own in maps.items() if self._is_shown(item, number, scores, ended=True)}
        return ScoredRecording(item, np.array(scores), joined, starts_s=np.array(starts), maps=shown, notes=notes)

    def _is_shown(self, item: AudioItem, number: int, scores: Sequence[float], *, ended: bool = False) -> bool:
        """Return whether an explanation would show this clip: of a long recording the most abnormal one's neighbours.

        Before all clips are scored, the last one may still become a neighbour.
        """
        near = abs(number - int(np.argmax(scores))) <= 1
        return item.duration_s <= _LONGEST_WHOLE_S or near or (not ended and number == len(scores) - 1)

    def _join(self, scored: Scored, alpha: float) -> AudioResult:
        assert isinstance(scored, ScoredRecording)
        calibration, item = self.fitted_calibration(), scored.item
        flattered = ("this very recording was trained on: its score is flattered",) * (item.digest in self.digests)
        return AudioResult(
            id=item.id,
            scores=scored.scores,
            p_values=calibration.p_values(scored.scores),
            labels=calibration.labels(scored.scores, alpha),
            starts_s=scored.starts_s,
            clip_s=audio_map_of(self.config.audio).clip_s,
            duration_s=item.duration_s,
            sample_rate=item.sample_rate,
            recording=item,
            parts=scored.parts,
            notes=(*scored.notes, *flattered),
        )

    def _explain(self, scored: Scored, result: AnyResult, alpha: float) -> AudioResult:
        """Add an excerpt, what it would have sounded like, and of a flagged recording the events."""
        assert isinstance(scored, ScoredRecording)
        assert isinstance(result, AudioResult)
        last = max(scored.maps)
        clips: list[AudioClip] = []
        for number, clip in enumerate(self._clips(scored.item)):
            if number > last:
                break
            clips += [clip] * (number in scored.maps)
        maps = np.stack([scored.maps[number] for number in sorted(scored.maps)])
        threshold = self._peak_threshold(alpha)
        excerpt, events = explain_clips(self._audio_model, result.id, clips, maps, threshold, self.peaks)
        excerpt = without_filling(excerpt, result.duration_s)
        return replace(result, excerpt=excerpt, events=events if result.flagged else ())

    def _unjudged(self, failure: Unjudged) -> AudioResult:
        nothing = np.array([np.nan])
        return AudioResult(
            id=failure.id,
            scores=nothing,
            p_values=nothing,
            labels=np.full(1, -1),
            starts_s=np.zeros(1),
            clip_s=self.config.audio.clip_s,
            duration_s=0.0,
            sample_rate=0,
            error=failure.reason,
        )

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return the tensors and the constants that a saved model holds. Raises: NotFittedError."""
        return self._with_peaks(*audio_state(self._audio_model))

    def restore(self, tensors: TensorFile, constants: dict[str, Any]) -> None:
        """Take back what `state` gave; `meta`, `choices` and `calibration` are there already."""
        model = self._new_model()
        restore_audio(model, tensors, constants, self.meta["num_train_clips"])
        self._restored(model, constants)

    @property
    def _audio_model(self) -> AudioModel:
        model = self._fitted()
        assert isinstance(model, AudioModel)
        return model

    def _new_model(self) -> AudioModel:
        maps = new_terms(self.config)
        return AudioModel(self.config, maps, AudioTerms(audio_map_of(self.config.audio), maps))

    def _clips(self, item: AudioItem) -> ClipStream:
        audio_map = self._audio_model.audio.audio_map
        return cut_clips(
            item,
            sample_rate=audio_map.sample_rate,
            clip_samples=audio_map.clip_samples,
            hop_samples=hop_samples(audio_map, self.config),
        )

    def _warnings(self, data: AudioSet) -> list[str]:
        return [*self._rate_notes(data.items), *super()._warnings(data)]

    def _rate_notes(self, items: Sequence[AudioItem]) -> list[str]:
        """Return which recordings hold nothing where the model listens."""
        top = float(audio_map_of(self.config.audio).frequencies_hz[-2])
        dull = [item for item in items if _RATE_MARGIN * item.sample_rate / 2 < top]
        if not dull:
            return []
        return [
            f"{len(dull)} recording(s), such as '{dull[0].id}' at {dull[0].sample_rate} Hz, hold nothing above "
            f"{dull[0].sample_rate / 2:g} Hz, the model listens up to {top:.0f} Hz: set audio.sample_rate to the "
            "lowest rate of all recordings"
        ]

    def _model_facts(self) -> dict[str, Any]:
        model = self._audio_model
        audio_map = model.audio.audio_map
        return {
            **super()._model_facts(),
            "sample_rate": audio_map.sample_rate,
            "clip_s": audio_map.clip_s,
            "transform": audio_map.transform,
            "frequencies_hz": [float(audio_map.frequencies_hz[1]), float(audio_map.frequencies_hz[-2])],
            "clip_weight": model.clip_weight,
        }
