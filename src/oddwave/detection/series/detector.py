"""Series from data to verdicts: reads and scales streams, plans windows, runs the engine, makes results of scores.

The public door is `detector.py`. What happens inside the engine: `model.py`; how all of it is stored:
`state.py`.

Legend: n points, C channels, R rows of the source.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from oddwave.config import DetectorConfig, Modality
from oddwave.detection.base import ModalityDetector, check_read_options
from oddwave.detection.model_tensors import TensorFile
from oddwave.detection.series.coverage import not_monitored, size_notes, too_short
from oddwave.detection.series.explain import normal_versions, with_bands
from oddwave.detection.series.memory_need import check_memory
from oddwave.detection.series.model import SeriesModel
from oddwave.detection.series.plan import WindowPlan, plan_windows, split_instances, split_streams
from oddwave.detection.series.points import (
    below_fence,
    calibrating,
    fitted_scaler,
    joined_rows,
    lacks_channels,
    on_items,
    per_item,
    scaled_streams,
    ties_lifted,
)
from oddwave.detection.series.representation_choice import choose_representation
from oddwave.detection.series.state import engine_state, restored_engine
from oddwave.detection.series.stream_scores import StreamScore
from oddwave.detection.series.streams import Stream, at_rest
from oddwave.detection.unread import rows_with_unread, with_unread, without_short
from oddwave.errors import DataError
from oddwave.results import DetectionResult, SeriesEvent, SeriesResult
from oddwave.scoring.calibration import Calibration, valid_alpha
from oddwave.scoring.events import find_events
from oddwave.sources.series.items import SeriesItem, SeriesSet, match_channels
from oddwave.sources.series.reader import read_series
from oddwave.tensors.series_scale import SeriesScaler

__all__ = ["SeriesDetector"]


class SeriesDetector(ModalityDetector):
    """Streams and panels; `kind` says which of them the model was fitted on."""

    modality: ClassVar[Modality] = "series"

    def __init__(self, config: DetectorConfig, read_options: dict[str, Any]) -> None:
        super().__init__(config, read_options)
        check_read_options(read_options, read_series, without=("like",))
        self.engine: SeriesModel | None = None
        self.scaler: SeriesScaler | None = None
        self.kind: Literal["stream", "panel"] = "stream"
        self.channel_names: tuple[str, ...] = ()

    def read(self, source: Any) -> SeriesSet:
        """Read streams or a panel to be scored: the model's own channels, by name, whatever else there is.

        Of several series, those that cannot be read keep their places as failures. Raises: DataError.
        """
        if isinstance(source, SeriesSet):
            return source
        learnt = {"on_error": "skip", "day_first": self.meta.get("day_first")}
        return read_series(source, **{**learnt, **self.read_options, "like": self.channel_names})

    def _read_to_learn(self, source: Any) -> SeriesSet:
        """Read streams or a panel to fit on, with the options the detector was made with. Raises: DataError."""
        return source if isinstance(source, SeriesSet) else read_series(source, **self.read_options)

    def fit(
        self,
        source: Any,
        *,
        show_progress: bool = False,
        checkpoint_dir: Path | None = None,
        resume: bool = False,
    ) -> None:
        """Learn from normal data alone; the last part in time (of a panel: random instances) is held back to calibrate.

        The network never trains on that part. The memory holds it, and compares it with all but itself to calibrate.
        Where nothing changes in it, as in a machine at rest, or a channel is missing, all of each stream calibrates.

        Raises:
            DataError: the data cannot be read, or are too few to learn and calibrate from.
        """
        data = self._read_to_learn(source)
        share = self.config.calibration.calibration_share
        scaler, streams, plan = self._prepare(data, held_back=share)
        if plan.panel:
            train, held = split_instances(streams, share, self.config.seed)
        else:
            train, held = split_streams(streams, share, gap=max(plan.sizes))
        resting = not plan.panel and at_rest(held) and not at_rest(train)
        engine = self._build(plan, train, data.n_channels, show_progress)
        engine.fit(
            train,
            None if resting else held,
            remember_reference=plan.panel,
            show_progress=show_progress,
            checkpoint_dir=checkpoint_dir,
            resume=resume,
        )
        if not plan.panel:  # a panel's memory holds them already
            rest = [stream.part(len(known), len(stream)) for stream, known in zip(streams, train, strict=True)]
            engine.remember(rest)
        whole = resting or (not plan.panel and lacks_channels(held))
        basis = streams if whole else held
        judged = engine.ranged(engine.score(basis, self_join=True))
        part = f"{len(held)} instances held back" if plan.panel else f"the last {share:.0%} of each stream"
        why = "at rest" if resting else "without values of some channel"
        source_text = f"all of each stream, {why} in its last part" if whole else f"{part}, never trained on"
        self._finish(data, scaler, engine, calibrating(judged, basis, data.kind), source_text, len(train))
        self.meta["num_train_points"] = int(sum(len(s) for s in train))

    def detect(
        self,
        source: Any,
        *,
        alpha: float | None = None,
        show_progress: bool = False,
        checkpoint_dir: Path | None = None,
        resume: bool = False,
    ) -> DetectionResult:
        """Fit and score the same data, which may hold anomalies; see `Detector.detect` for what the threshold says.

        Raises:
            DataError: the data cannot be read or are too short.
            ConfigError: `alpha` is no number within (0, 1), or below what the data support.
        """
        alpha = None if alpha is None else valid_alpha(alpha)  # refused before the work, not after it
        data = self._read_to_learn(source)
        streams, scored = self._fit_unsupervised(data, show_progress, checkpoint_dir, resume)
        return self._result(data.items, streams, scored, alpha)

    def fit_scores(self, source: Any) -> list[StreamScore]:
        """Fit and score the same data as `detect` does, without verdicts or explanations. Raises: as `detect`."""
        return self._fit_unsupervised(self._read_to_learn(source), False, None, False)[1]

    def plan(self, source: Any, *, held_back: float = 0.0) -> WindowPlan:
        """Say which window sizes a fit would use on this data, without fitting. Raises: DataError."""
        return self._prepare(self._read_to_learn(source), held_back)[2]

    def score(self, source: Any, *, alpha: float | None = None, show_progress: bool = False) -> DetectionResult:
        """Score data and explain what was found: per-point scores, p-values, events, bands, reconstruction.

        Raises:
            NotFittedError: the detector has not been fitted.
            DataError: the data cannot be read, have other channels, or are shorter than a window.
            ConfigError: `alpha` is below what the calibration supports.
        """
        _, _, calibration = self._fitted()
        if alpha is not None:  # refused before the work, not after it
            calibration.checked_alpha(alpha, self.config.calibration.alpha)
        data, streams = self._read_like_training(source)
        notes: tuple[str, ...] = ()
        if data.fingerprint == self.meta.get("data_fingerprint"):
            notes = ("these are the very data the model was fitted on: their scores are flattered; use detect instead",)
        scored = self._scored(data, streams, show_progress)
        return with_unread(self._result(data.items, streams, scored, alpha, notes), data)

    def decision_function(self, source: Any) -> Float[np.ndarray, " R"]:
        """Give one score per row of the source (panels: per instance), higher = more anomalous, items joined in order.

        NaN stands where nothing can be said: missing values, rows without a timestamp. Raises: as `score`.
        """
        self._fitted()
        data, streams = self._read_like_training(source)
        scored = zip(data.items, self._scored(data, streams), strict=True)
        return rows_with_unread([joined_rows([item], [own], self.kind) for item, own in scored], data)

    def predict(self, source: Any, *, alpha: float | None = None) -> Int[np.ndarray, " R"]:
        """Give 0 (normal), 1 (anomalous) or -1 (not judged) per row (panels: per instance). Raises: as `score`."""
        result = self.score(source, alpha=alpha)
        rows = [
            np.where(item.row_index >= 0, item.labels[np.maximum(item.row_index, 0)], -1)
            if self.kind == "stream" and item.row_index is not None
            else item.labels
            for item in result.series
        ]
        return np.concatenate(rows)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Give the tensors and the constants that a saved model holds. Raises: NotFittedError."""
        engine, scaler, _ = self._fitted()
        tensors, constants = engine_state(engine)
        return tensors, {**constants, "scale": scaler.to_dict()}

    def restore(self, tensors: TensorFile, constants: dict[str, Any]) -> None:
        """Take back what `state` gave; `meta`, `choices` and `calibration` are there already."""
        self.kind, self.channel_names = self.meta["kind"], tuple(self.meta["channel_names"])
        self.scaler = SeriesScaler.from_dict(constants["scale"])
        self.engine = restored_engine(self.config, len(self.channel_names), tensors, constants)
        self.engine.evidence = self.choices

    def networks(self) -> tuple[nn.Module, ...]:
        """Give the one denoiser of all window sizes. Raises: NotFittedError."""
        return (self._fitted()[0].net,)

    def facts(self) -> dict[str, str]:
        """Say in a few words what the model was trained on and how, for `oddwave info`. Raises: NotFittedError."""
        engine, _, _ = self._fitted()
        sizes, period = ", ".join(map(str, engine.plan.sizes)), engine.plan.period
        return {
            "channels": ", ".join(self.channel_names),
            "trained on": f"{self.meta['num_train_items']} item(s), {self.meta['num_train_points']:,} points",
            "windows": f"{sizes} points" + (f", period {period}" if period else ""),
            "weights": f"reconstruction {engine.fusion.reconstruction_weight:.3g}, "
            f"memory {engine.fusion.memory_weight:.3g}",
        }

    # From data to streams

    def _read_like_training(self, source: Any) -> tuple[SeriesSet, list[Stream]]:
        """Read data to be scored, of the training's kind; of several items, those that are too short are set aside."""
        data = self.read(source)
        if data.kind != self.kind:
            raise DataError(f"the model was fitted on a {self.kind}, a {data.kind} was given: set kind='{self.kind}'")
        data = replace(data, items=tuple(match_channels(item, self.channel_names) for item in data.items))
        assert self.scaler is not None
        streams = scaled_streams(data, self.scaler)
        return without_short(data, streams, self._fitted()[0].plan, stop=self.read_options.get("on_error") == "stop")

    def _scored(self, data: SeriesSet, streams: Sequence[Stream], show_progress: bool = False) -> list[StreamScore]:
        """Score streams, point by point of their items."""
        engine, scaler, _ = self._fitted()
        scored = engine.score(streams, show_progress=show_progress)
        return on_items(data.items, streams, scored, scaler, self.kind)

    def _prepare(self, data: SeriesSet, held_back: float) -> tuple[SeriesScaler, list[Stream], WindowPlan]:
        """Scale the streams by what they are (a fit's held-back part is left out of the scale) and plan the windows."""
        scaler = fitted_scaler(data, held_back)
        streams = scaled_streams(data, scaler)
        return scaler, streams, plan_windows(streams, self.config, panel=data.kind == "panel", held_back=held_back)

    # From streams to a fitted engine

    def _fit_unsupervised(
        self, data: SeriesSet, show_progress: bool, checkpoint_dir: Path | None, resume: bool
    ) -> tuple[list[Stream], list[StreamScore]]:
        scaler, streams, plan = self._prepare(data, held_back=0.0)
        engine = self._build(plan, streams, data.n_channels, show_progress)
        scored = engine.fit(streams, None, show_progress=show_progress, checkpoint_dir=checkpoint_dir, resume=resume)
        assert scored is not None
        scored = engine.ranged(scored)
        own = calibrating(scored, streams, data.kind)
        own = [below_fence(s) for s in ([np.concatenate(own)] if plan.panel else own)]
        self._finish(data, scaler, engine, own, "the data themselves, without their outliers", len(streams))
        self.meta["num_train_points"] = int(sum(len(s) for s in streams))
        scored = on_items(data.items, streams, scored, scaler, self.kind)
        self.decision_scores_ = joined_rows(data.items, scored, self.kind)
        return streams, scored

    def _build(self, plan: WindowPlan, streams: Sequence[Stream], n_channels: int, show_progress: bool) -> SeriesModel:
        started = time.process_time()
        config, evidence = self.config, None
        if config.series.representation == "auto":
            config, plan, evidence = choose_representation(config, plan, streams, n_channels, show_progress)
        engine = SeriesModel.build(config, plan, n_channels)
        check_memory(plan, streams, n_channels, config, engine.net.feature_width)
        engine.evidence["windows"] = {"sizes": list(plan.sizes), "strides": list(plan.strides), **plan.evidence}
        if evidence is not None:
            engine.evidence["representation"] = {**evidence, "cpu_s": round(time.process_time() - started, 2)}
        return engine

    def _finish(
        self,
        data: SeriesSet,
        scaler: SeriesScaler,
        engine: SeriesModel,
        scores: list[Float[np.ndarray, " _"]],
        source: str,
        num_items: int,
    ) -> None:
        block = 1 if engine.plan.panel else sorted(engine.plan.sizes)[len(engine.plan.sizes) // 2]
        self.calibration = Calibration.fit(ties_lifted(scores), block, source)
        self.kind, self.channel_names, self.scaler = data.kind, data.channel_names, scaler
        self.decision_scores_ = self.calibration.scores
        self.engine, self.config = engine, engine.config
        self.choices = engine.evidence
        self.meta = {
            **self.common_meta(data.fingerprint),
            "kind": self.kind,
            "channel_names": list(self.channel_names),
            "num_train_items": num_items,
            "day_first": next((item.day_first for item in data.items if item.day_first is not None), None),
        }

    def _fitted(self) -> tuple[SeriesModel, SeriesScaler, Calibration]:
        calibration = self.fitted_calibration()
        assert self.engine is not None
        assert self.scaler is not None
        return self.engine, self.scaler, calibration

    # From scores to results

    def _result(
        self,
        items: Sequence[SeriesItem],
        streams: Sequence[Stream],
        scored: Sequence[StreamScore],
        alpha: float | None,
        notes: tuple[str, ...] = (),
    ) -> DetectionResult:
        engine, scaler, calibration = self._fitted()
        used = calibration.checked_alpha(alpha, self.config.calibration.alpha)
        normal = normal_versions(engine, scaler, items, streams, scored)
        results = tuple(
            self._item_result(
                replace(item, notes=(*item.notes, *size_notes(stream, engine), *notes)),
                own,
                normal.get(number),
                used,
                too_short(stream, engine),
            )
            for number, (item, stream, own) in enumerate(zip(items, streams, scored, strict=True))
        )
        unseen = not_monitored(items, scored, scaler, engine)
        return DetectionResult("series", self.kind, results, calibration.summary(used), unseen, self._model_facts())

    def _item_result(
        self,
        item: SeriesItem,
        own: StreamScore,
        normal: Float[np.ndarray, "n C"] | None,
        alpha: float,
        error: str,
    ) -> SeriesResult:
        _, scaler, calibration = self._fitted()
        scores = per_item(own.scores, self.kind)
        p_values = calibration.p_values(scores)
        labels = calibration.labels(p_values, alpha)
        events: tuple[SeriesEvent, ...] = ()
        if self.kind == "stream":
            found = find_events(item.id, scores, labels, calibration, max_gap=_gap(self.engine))
            events = found if normal is None else with_bands(found, item, normal, scaler)
        return SeriesResult(
            id=item.id,
            scores=scores,
            p_values=p_values,
            labels=labels,
            values=item.values,
            observed=item.observed,
            channel_names=item.channel_names,
            timestamps=item.timestamps,
            reconstruction=normal,
            parts={name: per_item(values, self.kind) for name, values in own.parts.items()},
            events=events,
            notes=item.notes,
            sample_period_s=item.sample_period_s,
            row_index=item.row_index,
            row_timestamps=item.row_timestamps,
            timezone=item.timezone,
            error=error,
        )

    def _model_facts(self) -> dict[str, Any]:
        engine, _, _ = self._fitted()
        return {
            **self.meta,
            "window_sizes": list(engine.plan.sizes),
            "representation": engine.scorers[0].representation.kind,
            "reconstruction_weight": engine.fusion.reconstruction_weight,
            "memory_weight": engine.fusion.memory_weight,
            "memory_spaces": list(engine.scorers[0].memories),
            "noise_levels": list(engine.scorers[0].noise_levels),
            "choices": self.choices,
        }


def _gap(engine: SeriesModel | None) -> int:
    """Events closer than half the smallest window are one."""
    return 0 if engine is None else min(engine.plan.sizes) // 2
