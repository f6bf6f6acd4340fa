"""Series from data to verdicts: reads and scales streams, plans windows, fits the model, makes records of scores.

What happens inside the model: `retrieval_model.py`; how all of it is stored: `state.py`; where the skeleton's hooks are
called from: `detection/base.py`.

Legend: n points, C channels, R rows of the source.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from oddwave.calibration.budget import Verdict
from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rolling import rolling_calibrations
from oddwave.calibration.rule import Rule
from oddwave.calibration.trimming import below_fence, without_odd_blocks
from oddwave.config import DetectorConfig
from oddwave.detection.adding import Extension, Taken, fingerprints
from oddwave.detection.base import FitJob, ModalityDetector, Scored, Unjudged
from oddwave.detection.model_tensors import TensorFile
from oddwave.detection.read_options import check_read_options
from oddwave.detection.series.adding import extended
from oddwave.detection.series.coverage import length_fault, not_monitored, size_notes, too_short
from oddwave.detection.series.denoiser_model import DenoiserModel
from oddwave.detection.series.drift import block_statistics, streams_drift
from oddwave.detection.series.events import find_events, labels_of_events
from oddwave.detection.series.explain import normal_version, with_bands
from oddwave.detection.series.known_alarms import FORGIVEN, CorrectedSeries, forgiven
from oddwave.detection.series.memory_need import check_memory, tell_cost
from oddwave.detection.series.models import SeriesModel, build_model
from oddwave.detection.series.plan import WindowPlan, plan_windows, split_instances, split_streams
from oddwave.detection.series.points import (
    ScoredSeries,
    calibrating,
    entries_together,
    fitted_scaler,
    lacks_channels,
    scaled_streams,
    scored_items,
    ties_lifted,
)
from oddwave.detection.series.representation_choice import choose_representation
from oddwave.detection.series.retrieval_model import RetrievalModel
from oddwave.detection.series.state import model_state, restored_model
from oddwave.detection.series.stream_scores import StreamScore
from oddwave.detection.series.streams import Stream, at_rest
from oddwave.detection.series.trimming import trimmed
from oddwave.errors import DataError
from oddwave.records import AnyResult, Drift, SeriesEvent, SeriesResult
from oddwave.sources.series.items import SeriesFailure, SeriesItem, SeriesSet, match_channels
from oddwave.sources.series.reader import read_series
from oddwave.tensors.series_scale import SeriesScaler

__all__ = ["SeriesDetector"]

_FLATTERED = "these are the very data the model was fitted on: their scores are flattered; use detect instead"

_NOT_TOLD = ("added", "block_statistics")

Kind = Literal["stream", "panel"]


class SeriesDetector(CorrectedSeries, ModalityDetector):
    """Streams and panels; `kind` says which of them the model was fitted on."""

    modality: ClassVar[str] = "series"
    noun: ClassVar[str] = "series"

    def __init__(self, config: DetectorConfig, read_options: dict[str, Any]) -> None:
        super().__init__(config, read_options)
        check_read_options(read_options, read_series, without=("like",))
        self.model: SeriesModel | None = None
        self.scaler: SeriesScaler | None = None
        self.kind: Kind = "stream"
        self.channel_names: tuple[str, ...] = ()

    @property
    def result_kind(self) -> Kind:
        """Streams or the instances of a panel, whichever the model was fitted on."""
        return self.kind

    def _read(self, source: Any, *, learn: bool) -> SeriesSet:
        """Read streams or a panel; to be scored, the model's own channels, by name, whatever else there is.

        Of several series to be scored, those that cannot be read keep their places as failures. Raises: DataError.
        """
        if learn:
            return source if isinstance(source, SeriesSet) else read_series(source, **self.read_options)
        data: SeriesSet = source
        if not isinstance(source, SeriesSet):
            options = {"on_error": "skip", "day_first": self.meta.get("day_first"), **self.read_options}
            history = options.pop("history", None)
            data = read_series(source, **options, like=self.channel_names)
            if history is not None:
                data = replace(data, history=read_series(history, **options, like=self.channel_names).items[-1])
        if self.model is not None and data.kind != self.kind:
            raise DataError(f"the model was fitted on a {self.kind}, a {data.kind} was given: set kind='{self.kind}'")
        return data

    def _learn(self, data: SeriesSet, job: FitJob) -> Calibration:
        """Learn from normal data alone; the last part in time (of a panel: random instances) is held back to calibrate.

        The network never trains on that part. The memory holds it, and compares it with all but itself to calibrate.
        Where nothing changes in it, as in a machine at rest, or a channel is missing, all of each stream calibrates.

        Raises:
            DataError: the data are too few to learn and calibrate from.
        """
        if self.config.series.method == "retrieval":
            return self._remembered(data, job)
        share = self.config.calibration.calibration_share
        scaler, streams, plan = self._prepare(data, held_back=share)
        if plan.panel:
            train, held = split_instances(streams, share, self.config.seed)
        else:
            train, held = split_streams(streams, share, gap=max(plan.sizes))
        resting = not plan.panel and at_rest(held) and not at_rest(train)
        model = self._build(plan, train, data.n_channels, job.show_progress)
        assert isinstance(model, DenoiserModel)
        model.fit(train, None if resting else held, job, remember_reference=plan.panel)
        if not plan.panel:  # a panel's memory holds them already
            model.remember([stream.part(len(known), len(stream)) for stream, known in zip(streams, train, strict=True)])
        whole = resting or (not plan.panel and lacks_channels(held))
        basis = streams if whole else held
        judged = model.ranged(model.score(basis, self_join=True))
        part = f"{len(held)} instances held back" if plan.panel else f"the last {share:.0%} of each stream"
        why = "at rest" if resting else "without values of some channel"
        source = f"all of each stream, {why} in its last part" if whole else f"{part}, never trained on"
        return self._settled(data, scaler, model, calibrating(judged, basis, data.kind), source, train)

    def _remembered(self, data: SeriesSet, job: FitJob) -> Calibration:
        """Remember all of the data, and calibrate by all: nothing is trained, so a stretch is judged by the others."""
        scaler, streams, plan = self._prepare(data, held_back=0.0)
        model = self._build(plan, streams, data.n_channels, job.show_progress)
        scored = self._own_scores(model, streams, job)
        if self.config.calibration.trim and (kept := trimmed(model, streams, scored, data.kind)):
            streams, model = kept, self._build(plan, kept, data.n_channels, job.show_progress)
            scored = self._own_scores(model, streams, job)
        each = "instance" if plan.panel else "stretch"
        source = f"all of the data, each {each} compared with the others"
        return self._settled(
            data, scaler, model, calibrating(model.ranged(scored), streams, data.kind), source, streams
        )

    @staticmethod
    def _own_scores(model: SeriesModel, streams: Sequence[Stream], job: FitJob) -> list[StreamScore]:
        scored = model.fit(streams, job) if isinstance(model, RetrievalModel) else model.fit(streams, None, job)
        assert scored is not None
        return scored

    def _learn_itself(self, data: SeriesSet, job: FitJob) -> list[Scored]:
        """Fit and score the same streams: each stretch is compared with all the others."""
        scaler, streams, plan = self._prepare(data, held_back=0.0)
        model = self._build(plan, streams, data.n_channels, job.show_progress)
        scored = model.ranged(self._own_scores(model, streams, job))
        own = calibrating(scored, streams, data.kind)
        own = [below_fence(s) for s in ([np.concatenate(own)] if plan.panel else own)]
        own = own if plan.panel else without_odd_blocks(own, model.plan.block_size)
        source = "the data themselves, without their outliers"
        known = self._settled(data, scaler, model, own, source, streams)
        self.calibration = replace(known, judges_itself=plan.panel)
        return self._on_items(data.items, streams, scored)

    def plan(self, source: Any, *, held_back: float = 0.0) -> WindowPlan:
        """Return which window sizes a fit would use on this data, without fitting. Raises: DataError."""
        return self._prepare(self._read(source, learn=True), held_back)[2]

    # From data to a fitted model

    def _prepare(self, data: SeriesSet, held_back: float) -> tuple[SeriesScaler, list[Stream], WindowPlan]:
        """Scale the streams by what they are (a fit's held-back part is left out of the scale) and plan the windows."""
        scaler = fitted_scaler(data, held_back)
        streams = scaled_streams(data, scaler)
        return scaler, streams, plan_windows(streams, self.config, panel=data.kind == "panel", held_back=held_back)

    def _build(self, plan: WindowPlan, streams: Sequence[Stream], n_channels: int, show_progress: bool) -> SeriesModel:
        started = time.process_time()
        config, evidence = self.config, None
        if config.series.method == "denoiser" and config.series.representation == "auto":
            config, plan, evidence = choose_representation(config, plan, streams, n_channels, show_progress)
        model = build_model(config, plan, n_channels)
        if isinstance(model, DenoiserModel):
            check_memory(plan, streams, n_channels, config, model.net.feature_width)
        else:
            tell_cost(plan, streams, n_channels, config)
        model.evidence["windows"] = {"sizes": list(plan.sizes), "strides": list(plan.strides), **plan.evidence}
        if evidence is not None:
            model.evidence["representation"] = {**evidence, "cpu_s": round(time.process_time() - started, 2)}
        return model

    def _settled(
        self,
        data: SeriesSet,
        scaler: SeriesScaler,
        model: SeriesModel,
        scores: list[Float[np.ndarray, " _"]],
        source: str,
        learnt_from: Sequence[Stream],
    ) -> Calibration:
        """Take over a fitted model, and return the calibration by these scores."""
        calibration = Calibration.fit(ties_lifted(scores), model.plan.block_size, source)
        self.kind, self.channel_names, self.scaler = data.kind, data.channel_names, scaler
        self.model, self.config, self.choices = model, model.config, model.evidence
        self.meta = {
            "kind": self.kind,
            "channel_names": list(self.channel_names),
            "num_train_items": len(learnt_from),
            "num_train_points": int(sum(len(stream) for stream in learnt_from)),
            "day_first": next((item.day_first for item in data.items if item.day_first is not None), None),
        }
        if self.kind == "stream":
            self.meta["block_statistics"] = block_statistics(data.items, scaler, calibration)
        return calibration

    def _fitted(self) -> tuple[SeriesModel, SeriesScaler]:
        self.fitted_calibration()
        assert self.model is not None
        assert self.scaler is not None
        return self.model, self.scaler

    # From data to scores

    def _parts(self, data: SeriesSet, entries: Iterable[SeriesItem | SeriesFailure]) -> Iterator[Scored | Unjudged]:
        flattered = (_FLATTERED,) if data.fingerprint in fingerprints(self.meta) else ()
        for block in entries_together(entries):
            scored = self._scored(data, [entry for entry in block if isinstance(entry, SeriesItem)], flattered)
            for entry in block:
                yield Unjudged(entry.id, entry.reason) if isinstance(entry, SeriesFailure) else next(scored)

    def _scored(
        self, data: SeriesSet, items: Sequence[SeriesItem], notes: tuple[str, ...]
    ) -> Iterator[Scored | Unjudged]:
        """Score items together; a panel's instances of another length than the model's have no score."""
        model, scaler = self._fitted()
        block = replace(data, items=tuple(match_channels(item, self.channel_names) for item in items), failures=())
        streams = self._with_history(scaled_streams(block, scaler), data)
        faults = [length_fault(stream, model.plan) for stream in streams]
        fitting = [number for number, fault in enumerate(faults) if not (fault and model.plan.panel)]
        kept, own_items = [streams[n] for n in fitting], [block.items[n] for n in fitting]
        judged, known = forgiven(model, kept, model.score(kept), self.corrections) if kept else ([], [])
        scored, forgave = iter(self._on_items(own_items, kept, judged)), iter(known)
        for stream, fault in zip(streams, faults, strict=True):
            if fault and model.plan.panel:
                yield Unjudged(stream.id, fault)
                continue
            own, less = next(scored), (FORGIVEN,) * next(forgave)
            told = (*own.item.notes, *size_notes(stream, model), *notes, *less)
            yield replace(own, item=replace(own.item, notes=told), fault=fault)

    def _with_history(self, streams: list[Stream], data: SeriesSet) -> list[Stream]:
        """Put what came before a source in front of its streams, as much of it as the longest windows reach back."""
        if data.history is None or self.kind == "panel":
            return streams
        model, scaler = self._fitted()
        past = replace(data, items=(match_channels(data.history, self.channel_names),), failures=())
        (whole,) = scaled_streams(past, scaler)
        tail = whole.part(max(0, len(whole) - 2 * max(model.plan.sizes)), len(whole))
        return [stream.after(tail) for stream in streams]

    def _on_items(
        self, items: Sequence[SeriesItem], streams: Sequence[Stream], scored: Sequence[StreamScore]
    ) -> list[Scored]:
        """Bring the scores of streams to the points of their items."""
        return [*scored_items(items, streams, scored, self._fitted()[1], self.kind)]

    # Adding healthy data

    def _read_more(self, source: Any) -> SeriesSet:
        return self._read(source, learn=False)

    def _covers(self, data: SeriesSet | None) -> Verdict:
        """Return what one verdict covers: an instance, or a block of a stream, for how long where times are known."""
        if self.kind == "panel":
            return Verdict("instance")
        size = self.fitted_calibration().block_size
        periods = [item.sample_period_s for item in (data.items if data else ()) if item.sample_period_s]
        return Verdict("point", size, size * float(np.median(periods)) if periods else None)

    def _peaks(self, scored: Scored) -> list[float]:
        """Return the score of an instance, or the peaks of a stream that lie above what is usual for a block."""
        if self.kind == "panel":
            return super()._peaks(scored)
        usual = float(np.median(self.fitted_calibration().blocks))
        return [event.score for event in self._join(scored, Rule(0.5, usual)).events]

    def _labels(self, scored: Scored, rule: Rule) -> Int[np.ndarray, " R"]:
        """Return 1 for rows within events, 0 for others, -1 for those that were not judged."""
        labels = self._join(scored, rule).labels
        if self.kind == "panel":
            return labels
        rows = scored.item.per_row(np.where(labels < 0, np.nan, labels))
        return np.where(np.isnan(rows), -1, rows).astype(np.int64)

    def _extend(self, taken: Sequence[Taken], rng: np.random.Generator) -> Extension:
        """Add windows to the memories; the denoiser, scales and standardisers stay as they were learnt."""
        scored = [own.scored for own in taken if isinstance(own.scored, ScoredSeries)]
        streams = [own.stream for own in scored if own.stream is not None]
        done = extended(self._fitted()[0], streams, [own.kept for own in taken], self._calibration_share, rng)
        return replace(done, facts={name: self.meta[name] + number for name, number in done.facts.items()})

    # From scores to records

    def _join(self, scored: Scored, rule: Rule) -> SeriesResult:
        assert isinstance(scored, ScoredSeries)
        assert scored.stream is not None
        model, _ = self._fitted()
        calibration, item = self.fitted_calibration(), scored.item
        labels = calibration.labels(scored.scores, Rule(rule.alpha) if self.kind == "stream" else rule)
        gap = min(model.plan.sizes) // 2  # events closer than half the smallest window are one
        events: tuple[SeriesEvent, ...] = ()
        if self.kind == "stream":
            sharp, rolls = scored.parts.get("point"), self.config.calibration.adaptive == "rolling"
            own = rolling_calibrations(scored.scores, calibration) if rolls else ()
            told = (item.id, scored.scores, labels, calibration, rule)
            events = find_events(*told, max_gap=gap, points=sharp, of_blocks=own)
            labels = labels_of_events(scored.scores, events)
        return SeriesResult(
            id=item.id,
            scores=scored.scores,
            p_values=calibration.p_values(scored.scores),
            labels=labels,
            values=item.values,
            observed=item.observed,
            channel_names=item.channel_names,
            timestamps=item.timestamps,
            parts=scored.parts,
            events=events,
            notes=item.notes,
            sample_period_s=item.sample_period_s,
            row_index=item.row_index,
            row_timestamps=item.row_timestamps,
            timezone=item.timezone,
            error=too_short(scored.stream, model),
        )

    def _explain(self, scored: Scored, result: AnyResult, rule: Rule) -> SeriesResult:
        """Add the normal version, in the data's own units, and to each event its channel and its wavelet bands."""
        assert isinstance(scored, ScoredSeries)
        assert isinstance(result, SeriesResult)
        assert scored.stream is not None
        model, scaler = self._fitted()
        normal = normal_version(model, scaler, scored.item, scored.stream)
        return replace(result, reconstruction=normal, events=with_bands(result.events, scored.item, normal, scaler))

    def _unjudged(self, failure: Unjudged) -> SeriesResult:
        return SeriesResult.unread(failure.id, failure.reason, self.channel_names)

    def _nothing_judged(self, first: str) -> str:
        return first

    def _not_monitored(self, data: SeriesSet, items: Sequence[AnyResult]) -> tuple[str, ...]:
        model, scaler = self._fitted()
        return not_monitored([item for item in items if isinstance(item, SeriesResult)], scaler, model)

    def _drift(self, data: SeriesSet, judged: Sequence[Scored | Unjudged]) -> tuple[Drift, ...]:
        if self.kind == "panel" or data.fingerprint in fingerprints(self.meta):
            return super()._drift(data, judged)
        usual = self.meta.get("block_statistics")
        return streams_drift(judged, self.fitted_calibration(), self._fitted()[1], usual)

    # What is saved, and what is told

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return the tensors and the constants that a saved model holds. Raises: NotFittedError."""
        model, scaler = self._fitted()
        tensors, constants = model_state(model)
        return tensors, {**constants, "scale": scaler.to_dict()}

    def restore(self, tensors: TensorFile, constants: dict[str, Any]) -> None:
        """Take back what `state` gave; `meta`, `choices` and `calibration` are there already."""
        self.kind, self.channel_names = self.meta["kind"], tuple(self.meta["channel_names"])
        self.scaler = SeriesScaler.from_dict(constants["scale"])
        self.model = restored_model(self.config, len(self.channel_names), tensors, constants)
        self.model.evidence = self.choices

    def networks(self) -> tuple[nn.Module, ...]:
        """Return what was trained on the data: the one denoiser of all sizes, or none. Raises: NotFittedError."""
        return self._fitted()[0].networks

    def _model_facts(self) -> dict[str, Any]:
        model, _ = self._fitted()
        known = {key: value for key, value in self.meta.items() if key not in _NOT_TOLD}
        return {**known, "window_sizes": list(model.plan.sizes), **model.facts(), "choices": self.choices}
