"""Audio from data to verdicts: reads recordings, holds some of them back to calibrate, fits the model, makes records.

A recording is cut into overlapping clips, read as a stream, and every clip is judged: its score is kept and the levels
of its bands, and what an explanation shows is read once more, so memory does not grow with the recording. What happens
inside the model: `model.py`; which clips are an event: `runs.py`; what is told of them: `excerpts.py`; where the
skeleton's hooks are called from: `detection/base.py`.

Legend: N clips of a recording, S parts of a clip, B bands of levels.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Int

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.calibration.trimming import below_fence
from oddwave.config import DetectorConfig
from oddwave.detection.adding import Extension, Taken
from oddwave.detection.audio.batches import ClipBatches
from oddwave.detection.audio.excerpts import events_of_runs, explained
from oddwave.detection.audio.hearing import hearing_of
from oddwave.detection.audio.itself import calibrated_itself
from oddwave.detection.audio.known_alarms import clip_mask, clip_scorer, clip_tensors, marked_clips
from oddwave.detection.audio.model import AudioModel, Calibrating
from oddwave.detection.audio.runs import Run, find_runs, lowest_event_score, run_labels
from oddwave.detection.audio.scored import ScoredRecording
from oddwave.detection.audio.sides import channel_name, with_sides
from oddwave.detection.audio.split import AudioSplit, hop_samples, shared_clips, split_added, split_clips
from oddwave.detection.audio.terms import AudioTerms, audio_map_of
from oddwave.detection.audio.traits import clip_traits
from oddwave.detection.base import Scored, Unjudged
from oddwave.detection.corrected import Alarm
from oddwave.detection.corrections import Correction
from oddwave.detection.drift import usual_traits
from oddwave.detection.image.learning import make_networks
from oddwave.detection.image.terms import new_terms
from oddwave.detection.job import FitJob
from oddwave.detection.map_detector import MapDetector
from oddwave.detection.map_model import BATCH
from oddwave.detection.map_state import audio_state, restore_audio
from oddwave.detection.model_tensors import Expected, TensorFile
from oddwave.detection.read_options import check_read_options
from oddwave.errors import DataError
from oddwave.progress import progress
from oddwave.records import AnyResult, AudioResult
from oddwave.sources.audio.clips import ClipStream, cut_clips
from oddwave.sources.audio.items import AudioFailure, AudioItem, AudioSet
from oddwave.sources.audio.reader import read_audio

__all__ = ["AudioDetector"]

_RATE_MARGIN = 0.98
_NEEDS_NORMALS = "a denoiser in pixel space needs healthy recordings to learn from: fit on those, then score others"


class AudioDetector(MapDetector):
    """Files, folders and arrays of recordings."""

    modality: ClassVar[str] = "audio"
    noun: ClassVar[str] = "recordings"
    result_kind: Literal["recording"] = "recording"
    model: AudioModel | None

    def __init__(self, config: DetectorConfig, read_options: dict[str, Any]) -> None:
        super().__init__(config, read_options)
        check_read_options(read_options, read_audio)
        self._given, self._chooses_rate = config, config.audio.sample_rate == "auto"
        self._thresholds: tuple[Calibration | None, dict[tuple[int, int, Rule], float]] = (None, {})

    def _read(self, source: Any, *, learn: bool) -> AudioSet:
        """Read recordings; of a folder with a train and a test part, the one that is meant. Raises: DataError."""
        if isinstance(source, AudioSet):
            return source
        part = "train" if learn else "test"
        return read_audio(source, **{"part": part, "channels": self.config.audio.channels, **self.read_options})

    def _learn(self, data: AudioSet, job: FitJob) -> Calibration:
        """Learn from normal recordings; all of them calibrate as well, each judged without its fold.

        Raises: DataError when recordings cannot be read or give fewer than ten clips.
        """
        split, found = self._fitted_on(data, job, among=False)
        self._audio_model.left_out = None
        even, recording = split.even[found.numbers], split.recording[found.numbers]
        scores = [found.scores[even & (recording == number)] for number in range(len(split.used))]
        num = int(even.sum())
        self.peaks, self.meta["num_calibration_clips"] = found.peaks[even], num
        return Calibration.fit(scores, 1, f"{num} clips, each judged by what is known without it and those beside it")

    def _learn_itself(self, data: AudioSet, job: FitJob) -> list[Scored]:
        """Fit and score the same recordings, each compared with the others; the clips of one or two with the rest.

        What scores far beyond the others' quartiles does not calibrate. Raises: as `_learn`, and for a denoiser in
        pixel space.
        """
        if self.config.maps.space != "feature":
            raise DataError(_NEEDS_NORMALS)
        split, found = self._fitted_on(data, job, among=True)
        numbers = {id(item): number for number, item in enumerate(split.used)}
        scored: list[Scored] = []
        model = self._audio_model
        batches = ClipBatches(model, model.scorer, self._clips, lambda item: split.folds_of(numbers[id(item)]))
        for own in batches.scored(progress(split.used, "scoring the recordings", job.show_progress)):
            if isinstance(own, AudioFailure):
                raise DataError(own.message)
            scored.append(own)
        self._audio_model.left_out = None
        self.peaks = found.peaks[np.isfinite(below_fence(found.scores))]
        self.calibration, scored = calibrated_itself(scored, whole=split.whole)
        self.meta["num_calibration_clips"] = len(self.calibration.scores)
        self._apart = data
        judged = {id(own.item): own for own in scored}
        return [judged.get(id(entry)) or _unread(entry) for entry in data.entries]

    def _fitted_on(self, data: AudioSet, job: FitJob, *, among: bool) -> tuple[AudioSplit, Calibrating]:
        """Fit the model, take it over, and return the clips and how each scores without its fold."""
        hearing = self._heard(data.items)
        audio_map, show = audio_map_of(self.config.audio), job.show_progress
        split = split_clips(data.items, audio_map, self.config, stop_on_error=self._stops, show=show, among=among)
        model = self._new_model()
        make_networks(model.terms, 1, shows=False)  # its normal version is a level, not a drawing
        found = model.fit(split.clips, split.folds, job)
        self.model, self.choices = model, {**hearing, **model.evidence}
        self.digests = frozenset(item.digest for item in split.used)
        self.meta = {
            "num_train_recordings": len(split.used),
            "train_duration_s": round(sum(item.duration_s for item in split.used), 1),
            "num_train_clips": len(split.clips),
            "traits": usual_traits([clip_traits(own, model.audio.audio_map.sample_rate) for own in split.clips]),
            "warnings": [
                *data.notes,
                *split.notes,
                *self._rate_notes(split.used),
                *(failure.message for failure in data.failures),
            ],
        }
        return split, found

    def _heard(self, items: Sequence[AudioItem]) -> dict[str, Any]:
        """Settle the sample rate by the recordings, where it is not given; return the choice."""
        if not self._chooses_rate:
            return {}
        hearing = hearing_of(items, self._given.audio)
        self.config = self._given.with_overrides(hearing.overrides)
        return {"sample_rate": {"chosen": f"{hearing.sample_rate} Hz", "why": hearing.why}}

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
        batches = ClipBatches(self._audio_model, clip_scorer(self._audio_model, self.corrections), self._clips)
        for own in batches.scored(entries):
            yield Unjudged(own.id, own.message) if isinstance(own, AudioFailure) else own

    def _flags(self, scored: Scored, rule: Rule) -> Bool[np.ndarray, " N"]:
        """Return which clips lie in events."""
        return np.asarray(run_labels(self._runs(scored, rule), len(scored.scores)) == 1)

    def _labels(self, scored: Scored, rule: Rule) -> Int[np.ndarray, " R"]:
        """Return 1 for a recording with an event, 0 for one without."""
        return np.array([int(bool(self._runs(scored, rule)))])

    def _marked(self, scored: Scored, events: tuple[Any, ...]) -> Bool[np.ndarray, " N"]:
        assert isinstance(scored, ScoredRecording)
        return clip_mask(scored.starts_s, audio_map_of(self.config.audio).clip_s, events)

    def _stretch(self, scored: Scored, events: tuple[Any, ...]) -> str:
        return ", ".join(f"{own.start_s:.2f} to {own.end_s:.2f} s" for own in events) or "all of it"

    def _alarm(self, scored: Scored, result: AnyResult, events: tuple[Any, ...]) -> Alarm:
        clips = zip(self._clips(scored.item), self._marked(scored, events), strict=True)
        return marked_clips(self._audio_model, [clip.samples for clip, marked in clips if marked])

    def correction_tensors(self, correction: Correction) -> dict[str, Expected]:
        """Return what a saved model holds of a false alarm."""
        return clip_tensors(self._audio_model, correction)

    def _runs(self, scored: Scored, rule: Rule) -> tuple[Run, ...]:
        return () if scored.fault else find_runs(scored.scores, self._threshold(scored, rule))

    def _threshold(self, scored: Scored, rule: Rule) -> float:
        """Return the score from which on a clip is an event in this recording, which its length decides."""
        calibration = self.fitted_calibration()
        if self._thresholds[0] is not calibration:  # healthy data were added
            self._thresholds = calibration, {}
        own = scored.known_as.start if isinstance(scored, ScoredRecording) and scored.known_as else -1
        known, key = self._thresholds[1], (own, len(scored.scores), rule)
        if key not in known:
            known[key] = lowest_event_score(scored.judge(calibration), rule, len(scored.scores))
        return known[key]

    def _join(self, scored: Scored, rule: Rule) -> AudioResult:
        assert isinstance(scored, ScoredRecording)
        if scored.fault:
            return self._unjudged(Unjudged(scored.item.id, scored.fault))
        calibration, item, num = scored.judge(self.fitted_calibration()), scored.item, len(scored.scores)
        flattered = item.digest in self.digests and not scored.apart
        notes = ("this very recording was trained on: its score is flattered",) * flattered
        runs = self._runs(scored, rule)
        result = AudioResult(
            id=item.id,
            scores=scored.scores,
            p_values=calibration.p_values(scored.scores),
            labels=run_labels(runs, num),
            starts_s=scored.starts_s,
            clip_s=audio_map_of(self.config.audio).clip_s,
            duration_s=item.duration_s,
            sample_rate=item.sample_rate,
            recording=item,
            parts=scored.parts,
            notes=(*scored.notes, *notes),
            peak_p_value=calibration.event_p_value(float(scored.scores.max()), num),
            threshold=self._threshold(scored, rule),
            channel=channel_name(item.channel, item.num_channels),
            recorded_at=item.recorded_at,
        )
        events = events_of_runs(self._audio_model, result, runs, scored.bands_db, calibration.event_p_value)
        return self._rated(scored, replace(result, events=events))

    def _rated(self, scored: Scored, result: AudioResult) -> AudioResult:
        """Return a recording whose events say how far beyond as long stretches of normal sound they lie."""
        calibration, num = scored.judge(self.fitted_calibration()), len(result.scores)
        rated = (
            replace(event, strength=calibration.strength(event.score, num), channel=event.channel or result.channel)
            for event in result.events
        )
        return replace(result, events=tuple(rated))

    def _num_blocks(self, scored: Scored) -> int:
        return len(scored.scores)

    def _explain(self, scored: Scored, result: AnyResult, rule: Rule) -> AudioResult:
        """Add excerpts, what they would have sounded like, and where in them the events lie."""
        assert isinstance(scored, ScoredRecording)
        assert isinstance(result, AudioResult)
        clips = self._clips(scored.item)
        runs, threshold = self._runs(scored, rule), self._peak_threshold(rule)
        evidence = scored.judge(self.fitted_calibration()).event_p_value
        found = explained(self._audio_model, result, runs, scored.bands_db, clips, threshold, evidence)
        rate = self._audio_model.audio.audio_map.sample_rate
        return self._rated(scored, replace(found, events=with_sides(found.events, scored.item, rate)))

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
        model = self._fitted() if self.model is None else self.model
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

    def _not_monitored(self, data: AudioSet, items: Sequence[AnyResult]) -> tuple[str, ...]:
        """Return what could not be judged, and the sound of recordings that lies above what the model hears."""
        rate = self.config.audio.rate_hz
        above = [item for item in data.items if _RATE_MARGIN * item.sample_rate > rate]
        lines = [
            f"{len(own)} recording(s) at {higher} Hz, such as '{own[0].id}': sound between {rate / 2:g} and "
            f"{higher / 2:g} Hz; the model hears recordings at {rate} Hz (audio.sample_rate)"
            for higher in sorted({item.sample_rate for item in above})
            for own in [[item for item in above if item.sample_rate == higher]]
        ]
        return (*super()._not_monitored(data, items), *lines)

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


def _unread(entry: AudioItem | AudioFailure) -> ScoredRecording:
    """Return the place of a recording that could not be read: it has no score."""
    nothing = np.array([np.nan])
    if isinstance(entry, AudioFailure):
        item = AudioItem(entry.id, entry.path, 1, 0, None, 1, "")
        return ScoredRecording(item, nothing, fault=entry.message)
    return ScoredRecording(entry, nothing, fault="cannot be decoded")
