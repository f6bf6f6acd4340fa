"""Sound from data to verdicts: reads recordings, holds some of them back to calibrate, runs the engine, explains.

A recording is cut into overlapping clips, read as a stream, and every clip is judged: nothing but its score is kept, so
memory does not grow with the recording. The public door is `detector.py`. What happens inside the engine:
`model.py`; where a verdict comes from: `explain.py`.

Legend: N clips of a recording, R items of a source.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from oddwave.config import DetectorConfig, Modality
from oddwave.detection.audio.explain import explain_clips
from oddwave.detection.audio.model import AudioModel
from oddwave.detection.audio.split import hop_samples, split_clips
from oddwave.detection.audio.terms import AudioScorer, audio_map_of
from oddwave.detection.base import NO_SCORE, ModalityDetector, check_read_options
from oddwave.detection.image.detector import new_scorer
from oddwave.detection.image.learning import make_networks
from oddwave.detection.map_model import BATCH
from oddwave.detection.map_state import audio_state, restore_audio
from oddwave.detection.model_tensors import TensorFile
from oddwave.errors import DataError
from oddwave.progress import progress
from oddwave.results import AudioExcerpt, AudioResult, DetectionResult
from oddwave.scoring.calibration import Calibration
from oddwave.sources.audio.clips import AudioClip, ClipStream, cut_clips
from oddwave.sources.audio.items import AudioFailure, AudioItem, AudioSet
from oddwave.sources.audio.reader import read_audio

__all__ = ["AudioDetector"]

_MOST_EXPLAINED = 40
_LONGEST_WHOLE_S = 20.0  # recordings up to here are explained as a whole, longer ones around their oddest clip
_RATE_MARGIN = 0.98


@dataclass(frozen=True, eq=False)
class _Judged:
    """What is kept of a recording: its clips' scores."""

    item: AudioItem
    scores: Float[np.ndarray, " N"]
    starts_s: Float[np.ndarray, " N"]
    parts: dict[str, Float[np.ndarray, " N"]]
    notes: tuple[str, ...]


class AudioDetector(ModalityDetector):
    """Files, folders and arrays of sound."""

    modality: ClassVar[Modality] = "audio"

    def __init__(self, config: DetectorConfig, read_options: dict[str, Any]) -> None:
        super().__init__(config, read_options)
        check_read_options(read_options, read_audio)
        self.engine: AudioModel | None = None
        self.peaks: Float[np.ndarray, " n"] = np.zeros(0)
        self.digests: frozenset[str] = frozenset()

    def read(self, source: Any) -> AudioSet:
        """Read recordings to be scored; of a folder with a train and a test part, the latter. Raises: DataError."""
        return self._read(source, "test")

    def fit(
        self, source: Any, *, show_progress: bool = False, checkpoint_dir: Path | None = None, resume: bool = False
    ) -> None:
        """Learn from normal recordings; a share of them is held back to calibrate and to choose by.

        Raises: DataError when recordings cannot be read or give fewer than ten clips.
        """
        data = self._read(source, "train")
        audio_map = audio_map_of(self.config.audio)
        split = split_clips(
            data.items,
            audio_map,
            self.config,
            stop_on_error=self.read_options.get("on_error") == "stop",
            show=show_progress,
        )
        engine = self._new_engine()
        make_networks(engine.scorer, 1, shows=False)  # its normal version is a level, not a drawing
        scored = engine.fit(
            split.train, split.held, show_progress=show_progress, checkpoint_dir=checkpoint_dir, resume=resume
        )
        source_text = f"{len(split.held)} clips held back, never trained on"
        self.calibration = Calibration.fit([scored.scores], 1, source_text)
        self.decision_scores_ = self.calibration.scores
        self.peaks = scored.maps.max((1, 2)).astype(float)
        self.engine = engine
        self.digests = frozenset(item.digest for item in split.used)
        self.choices = engine.evidence
        self.meta = {
            **self.common_meta(data.fingerprint),
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

    def detect(
        self,
        source: Any,
        *,
        alpha: float | None = None,
        show_progress: bool = False,
        checkpoint_dir: Path | None = None,
        resume: bool = False,
    ) -> DetectionResult:
        """Refuse: sound is judged against healthy recordings. Raises: DataError."""
        raise DataError("sound needs healthy recordings to learn from: fit on those, then score others")

    def score(self, source: Any, *, alpha: float | None = None, show_progress: bool = False) -> DetectionResult:
        """Score recordings, and explain the most abnormal of them. Raises: NotFittedError, DataError, ConfigError."""
        _, calibration = self._fitted()
        alpha = calibration.checked_alpha(alpha, self.config.calibration.alpha)
        data = self.read(source)
        judged = self._judged(data, show_progress)
        threshold = Calibration(self.peaks, self.peaks, 1, "").threshold(max(alpha, 1 / (len(self.peaks) + 1)))
        results = [self._result(own, alpha) for own in judged]
        items = tuple(self._explained(judged, results, threshold, show_progress))
        known = len(data.known_in(self.digests))
        notes = (f"{known} of the recordings were trained on: their scores are flattered",) if known else ()
        return DetectionResult(
            "audio",
            "recording",
            items,
            calibration.summary(alpha, threshold),
            tuple(f"{item.id}: {item.error}" for item in items if item.error),
            {
                **self._model_facts(),
                "warnings": [
                    *self.meta.get("warnings", []),
                    *data.notes,
                    *self._rate_notes(data.items),
                    *notes,
                ],
            },
        )

    def decision_function(self, source: Any) -> Float[np.ndarray, " R"]:
        """Give one score per recording, that of its most abnormal clip, in the order given; NaN where it has none."""
        self._fitted()
        judged = self._judged(self.read(source))
        return np.array([np.nan if isinstance(own, AudioFailure) else float(own.scores.max()) for own in judged])

    def predict(self, source: Any, *, alpha: float | None = None) -> Int[np.ndarray, " R"]:
        """Give 0 (normal), 1 (anomalous: p <= alpha in a clip) or -1 (not judged) per recording, in their order."""
        _, calibration = self._fitted()
        alpha = calibration.checked_alpha(alpha, self.config.calibration.alpha)
        return calibration.labels(calibration.p_values(self.decision_function(source)), alpha)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Give the tensors and the constants that a saved model holds. Raises: NotFittedError."""
        engine, _ = self._fitted()
        tensors, constants = audio_state(engine)
        return tensors, {**constants, "peaks": self.peaks.tolist(), "digests": sorted(self.digests)}

    def restore(self, tensors: TensorFile, constants: dict[str, Any]) -> None:
        """Take back what `state` gave; `meta`, `choices` and `calibration` are there already."""
        self.engine = self._new_engine()
        restore_audio(self.engine, tensors, constants, self.meta["num_train_clips"])
        self.engine.evidence = self.choices
        self.peaks = np.array(constants["peaks"], float)
        self.digests = frozenset(constants["digests"])

    def networks(self) -> tuple[nn.Module, ...]:
        """Give the denoisers and the decoder, where there is one. Raises: NotFittedError."""
        return self._fitted()[0].scorer.networks

    def facts(self) -> dict[str, str]:
        """Say in a few words what the model was trained on and how, for `oddwave info`. Raises: NotFittedError."""
        engine, _ = self._fitted()
        audio_map, fusion = engine.audio.audio_map, engine.fusion
        seconds = self.meta["train_duration_s"]
        return {
            "trained on": f"{self.meta['num_train_recordings']} recordings, {seconds / 60:.1f} minutes",
            "heard as": f"clips of {audio_map.clip_s:g} s at {audio_map.sample_rate} Hz, {audio_map.transform}",
            "terms": ", ".join(engine.terms),
            "weights": f"reconstruction {fusion.reconstruction_weight:.3g}, memory {fusion.memory_weight:.3g}, "
            f"whole clip {engine.clip_weight:.3g}",
        }

    # From a source to clips

    def _new_engine(self) -> AudioModel:
        maps = new_scorer(self.config)
        return AudioModel(self.config, maps, AudioScorer(audio_map_of(self.config.audio), maps))

    def _read(self, source: Any, part: str) -> AudioSet:
        if isinstance(source, AudioSet):
            return source
        options = {"part": part, "channels": self.config.audio.channels, **self.read_options}
        return read_audio(source, **options)

    def _rate_notes(self, items: Sequence[AudioItem]) -> list[str]:
        """Say which recordings hold nothing where the model listens."""
        top = float(audio_map_of(self.config.audio).frequencies_hz[-2])
        dull = [item for item in items if _RATE_MARGIN * item.sample_rate / 2 < top]
        if not dull:
            return []
        return [
            f"{len(dull)} recording(s), such as '{dull[0].id}' at {dull[0].sample_rate} Hz, hold nothing above "
            f"{dull[0].sample_rate / 2:g} Hz, the model listens up to {top:.0f} Hz: set audio.sample_rate to the "
            "lowest rate of all recordings"
        ]

    def _clips(self, item: AudioItem) -> ClipStream:
        engine, _ = self._fitted()
        audio_map = engine.audio.audio_map
        return cut_clips(
            item,
            sample_rate=audio_map.sample_rate,
            clip_samples=audio_map.clip_samples,
            hop_samples=hop_samples(audio_map, self.config),
        )

    # From scores to results

    def _fitted(self) -> tuple[AudioModel, Calibration]:
        calibration = self.fitted_calibration()
        assert self.engine is not None
        return self.engine, calibration

    def _judged(self, data: AudioSet, show_progress: bool = False) -> list[_Judged | AudioFailure]:
        """Score all recordings, clip by clip, each in its place.

        Raises: DataError when none can be judged, or one cannot and `on_error` says to stop.
        """
        judged: list[_Judged | AudioFailure] = []
        for entry in progress(data.entries, "scoring", show_progress):
            judged.append(entry if isinstance(entry, AudioFailure) else self._judge(entry))
            if isinstance(judged[-1], AudioFailure) and self.read_options.get("on_error") == "stop":
                raise DataError(judged[-1].message)
        failures = [own for own in judged if isinstance(own, AudioFailure)]
        if len(failures) == len(judged):
            raise DataError(f"none of the recordings can be judged, the first: {failures[0].message}")
        return judged

    def _judge(self, item: AudioItem) -> _Judged | AudioFailure:
        engine, _ = self._fitted()
        scores, starts, parts, flags = [], [], [], set[str]()
        try:
            clips = self._clips(item)
            while block := list(islice(clips, BATCH)):
                found = engine.score(np.stack([clip.samples for clip in block]))
                scores.append(found.scores)
                parts.append(found.parts)
                starts += [clip.start_s for clip in block]
                flags |= {flag for clip in block for flag in clip.flags}
        except DataError as error:
            return item.failure(error)
        if not all(np.isfinite(own).all() for own in scores):
            return item.failure(DataError(NO_SCORE))
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        flagged = [f"some of it is flagged: {', '.join(sorted(flags))}"] if flags else []
        notes = (*item.notes, *clips.notes, *flagged)
        return _Judged(item, np.concatenate(scores), np.array(starts), joined, tuple(dict.fromkeys(notes)))

    def _result(self, own: _Judged | AudioFailure, alpha: float) -> AudioResult:
        _, calibration = self._fitted()
        if isinstance(own, AudioFailure):
            return _unread(own, self.config)
        p_values = calibration.p_values(own.scores)
        known = own.item.digest in self.digests
        notes = ("this very recording was trained on: its score is flattered",) if known else ()
        return AudioResult(
            id=own.item.id,
            scores=own.scores,
            p_values=p_values,
            labels=calibration.labels(p_values, alpha),
            starts_s=own.starts_s,
            clip_s=audio_map_of(self.config.audio).clip_s,
            duration_s=own.item.duration_s,
            sample_rate=own.item.sample_rate,
            recording=own.item,
            parts=own.parts,
            notes=(*own.notes, *notes),
        )

    def _explained(
        self, judged: Sequence[_Judged | AudioFailure], results: Sequence[AudioResult], threshold: float, show: bool
    ) -> list[AudioResult]:
        """Add an excerpt to the most abnormal recordings, and events to those of them that are abnormal."""
        explained = list(results)
        scored = [(number, own) for number, own in enumerate(judged) if isinstance(own, _Judged)]
        chosen = sorted(scored, key=lambda pair: -pair[1].scores.max())[:_MOST_EXPLAINED]
        for number, own in progress(chosen, "explaining", show):
            explained[number] = self._with_excerpt(own, results[number], threshold)
        return explained

    def _with_excerpt(self, own: _Judged, result: AudioResult, threshold: float) -> AudioResult:
        engine, _ = self._fitted()
        clips = list(self._around_the_oddest(own, result))
        excerpt, events = explain_clips(engine, own.item.id, clips, threshold, self.peaks)
        excerpt = _without_filling(excerpt, own.item.duration_s)
        return replace(result, excerpt=excerpt, events=events if (result.labels == 1).any() else ())

    def _around_the_oddest(self, own: _Judged, result: AudioResult) -> Iterator[AudioClip]:
        """Yield the clips of a short recording; of a long one, the oddest clip and its neighbours."""
        oddest = int(np.argmax(own.scores))
        for number, clip in enumerate(self._clips(own.item)):
            if own.item.duration_s > _LONGEST_WHOLE_S and number > oddest + 1:
                return
            if own.item.duration_s <= _LONGEST_WHOLE_S or number >= oddest - 1:
                yield clip

    def _model_facts(self) -> dict[str, Any]:
        engine, _ = self._fitted()
        hidden = ("data_fingerprint", "warnings")
        audio_map = engine.audio.audio_map
        return {
            **{key: value for key, value in self.meta.items() if key not in hidden},
            "space": self.config.image.space,
            "perceptual": self.config.image.perceptual,
            "sample_rate": audio_map.sample_rate,
            "clip_s": audio_map.clip_s,
            "transform": audio_map.transform,
            "frequencies_hz": [float(audio_map.frequencies_hz[1]), float(audio_map.frequencies_hz[-2])],
            "reconstruction_weight": engine.fusion.reconstruction_weight,
            "memory_weight": engine.fusion.memory_weight,
            "clip_weight": engine.clip_weight,
            "top_percent": f"{100 * engine.top_share:.2g} %",
            "choices": self.choices,
        }


def _without_filling(excerpt: AudioExcerpt, duration_s: float) -> AudioExcerpt:
    """Cut off what a recording shorter than a clip was filled up with."""
    share = (duration_s - excerpt.start_s) / (excerpt.end_s - excerpt.start_s)
    if share >= 1.0:
        return excerpt
    length, columns = (max(1, round(share * size)) for size in (len(excerpt.samples), excerpt.levels_db.shape[1]))
    return replace(
        excerpt,
        samples=excerpt.samples[:length],
        normal=excerpt.normal[:length],
        levels_db=excerpt.levels_db[:, :columns],
        normal_levels_db=excerpt.normal_levels_db[:, :columns],
        anomaly_map=excerpt.anomaly_map[:, :columns],
    )


def _unread(failure: AudioFailure, config: DetectorConfig) -> AudioResult:
    nothing = np.array([np.nan])
    return AudioResult(
        id=failure.id,
        scores=nothing,
        p_values=nothing,
        labels=np.full(1, -1),
        starts_s=np.zeros(1),
        clip_s=config.audio.clip_s,
        duration_s=0.0,
        sample_rate=0,
        error=failure.message,
    )
