"""The skeleton of a detector: what every modality does alike is written here, once, and is final.

    fit      _read -> _learn -> calibration                               detect: the same, of data that are scored too
    score    _read -> _parts (scores, one item after another) -> _join (verdict) -> _explain (where it is asked for)

A modality writes `_read`, `_learn`, `_parts`, `_join`, `_explain` and what names them; it decides nothing about order,
unreadable items, alpha, labels, progress or streaming. An item's result depends on the item, the model and alpha: never
on the items beside it, nor on whether it is explained. Read `series/detector.py`, `image/detector.py` or
`audio/detector.py` next; `store.py` for how a fitted detector is saved.

Legend: N scores of one item, R rows of a source.
"""

import difflib
import inspect
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import nn

from oddwave.calibration.conformal import Calibration, valid_alpha
from oddwave.config import DetectorConfig
from oddwave.detection.adding import Added, Extension, Taken, added_record, joined, sorted_out
from oddwave.detection.device import chosen_device
from oddwave.detection.job import QUIET, FitJob
from oddwave.detection.model_tensors import TensorFile
from oddwave.detection.scored import Scored, Unjudged
from oddwave.errors import ConfigError, DataError, NotFittedError
from oddwave.progress import progress
from oddwave.records import AnyResult, Kind
from oddwave.registry import room_of
from oddwave.results import DetectionResult
from oddwave.version import __version__

__all__ = ["EXPLAIN", "NO_SCORE", "Explain", "FitJob", "ModalityDetector", "Scored", "Unjudged", "check_read_options"]

NO_SCORE = "got no score, the model gives NaN: fit it again"

Explain = Literal["flagged", "all", "none"]
EXPLAIN: tuple[Explain, ...] = ("flagged", "all", "none")


class ModalityDetector(ABC):
    """A fitted (or not yet fitted) detector of one modality, with its calibration and what is known of its making.

    `decision_scores_` are the scores of the calibration normals (after `detect`, of the data themselves); `meta` is
    what `meta.json` holds; `choices` are the automatic choices with their evidence, which `config.json` holds beside
    the settings.
    """

    modality: ClassVar[str]
    noun: ClassVar[str]  # of several items: "images"
    needs_normals: ClassVar[str] = ""  # why `detect` is refused; empty where it is offered

    def __init__(self, config: DetectorConfig, read_options: dict[str, Any]) -> None:
        self.config, self.read_options = config, read_options
        self.device = chosen_device(config.device)
        self.calibration: Calibration | None = None
        self.decision_scores_: Float[np.ndarray, " n"] = np.zeros(0)
        self.meta: dict[str, Any] = {}
        self.choices: dict[str, Any] = {}

    # What a modality writes

    @abstractmethod
    def _read(self, source: Any, *, learn: bool) -> Any:
        """Read a source: an item set with `entries`, `items`, `notes` and `fingerprint`. Raises: DataError."""

    @abstractmethod
    def _learn(self, data: Any, job: FitJob) -> Calibration:
        """Fit on normal data, hold a share of them back, and return how that scores. Raises: DataError."""

    def _learn_itself(self, data: Any, job: FitJob) -> list[Scored]:
        """Fit on data that may hold anomalies, calibrate by them, and return their scores."""
        raise DataError(self.needs_normals)

    @abstractmethod
    def _parts(self, data: Any, entries: Iterable[Any]) -> Iterator[Scored | Unjudged]:
        """Yield what scoring finds of each entry, in order, holding few of them at once."""

    @abstractmethod
    def _join(self, scored: Scored, alpha: float) -> AnyResult:
        """Return the verdict on an item: its record without explanation."""

    @abstractmethod
    def _explain(self, scored: Scored, result: AnyResult, alpha: float) -> AnyResult:
        """Return the record with what the normal version would have been, and what carries the anomaly."""

    @abstractmethod
    def _unjudged(self, failure: Unjudged) -> AnyResult:
        """Return the record of an item without a score."""

    @abstractmethod
    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return the tensors and the JSON constants that a saved model holds. Raises: NotFittedError."""

    @abstractmethod
    def restore(self, tensors: TensorFile, constants: dict[str, Any]) -> None:
        """Take back what `state` gave; `meta`, `choices` and `calibration` are there already.

        Raises: CheckpointError for tensors that are not what the settings imply.
        """

    @abstractmethod
    def networks(self) -> tuple[nn.Module, ...]:
        """Return the networks that were trained. Raises: NotFittedError."""

    @property
    @abstractmethod
    def result_kind(self) -> Kind:
        """What the items of its results are."""

    @abstractmethod
    def _model_facts(self) -> dict[str, Any]:
        """Return what a report tells of the model."""

    def _read_more(self, source: Any) -> Any:
        """Read a source of healthy data to be added. Raises: DataError."""
        return self._read(source, learn=True)

    def _flags(self, scored: Scored, alpha: float) -> Bool[np.ndarray, " N"]:
        """Return which parts of an item are anomalous."""
        return np.asarray(self.fitted_calibration().labels(scored.scores, alpha) == 1)

    def _labels(self, scored: Scored, alpha: float) -> Int[np.ndarray, " R"]:
        """Return 1, 0 or -1 (not judged) for each row of an item's source."""
        return self.fitted_calibration().labels(scored.rows, alpha)

    def _is_known(self, item: Any) -> bool:
        """Return whether the model has learnt from this very item."""
        return False

    def _extend(self, taken: Sequence[Taken], rng: np.random.Generator) -> Extension:
        """Extend the memories by what may be learnt from, and score what is held back of it under them."""
        raise DataError(f"a model of {self.noun} cannot be extended: fit it again on all data")

    def _peak_threshold(self, alpha: float) -> float | None:
        """Return the value of a map that an alpha share of normal items reaches anywhere, where there are maps."""
        return None

    def _warnings(self, data: Any) -> list[str]:
        """Return what the data as a whole are to be warned of."""
        return []

    def _not_monitored(self, data: Any, items: Sequence[AnyResult]) -> tuple[str, ...]:
        """Return, in plain words, what was not looked at."""
        return tuple(f"{item.id}: {item.error}" for item in items if item.error)

    # What all of them do alike

    @final
    def read(self, source: Any) -> Any:
        """Read a source to be scored. Raises: DataError."""
        return self._read(source, learn=False)

    @final
    def read_more(self, source: Any) -> Any:
        """Read a source of healthy data to be added. Raises: DataError."""
        return self._read_more(source)

    @final
    def fit(self, source: Any, job: FitJob = QUIET) -> None:
        """Learn from normal data alone, a share of which is held back to calibrate. Raises: DataError."""
        data = self._read(source, learn=True)
        self.calibration = self._learn(data, job)
        self.decision_scores_ = self.calibration.scores
        self.meta |= self._common_meta(data.fingerprint)

    @final
    def detect(
        self, source: Any, job: FitJob = QUIET, *, alpha: float | None = None, explain: Explain = "flagged"
    ) -> DetectionResult:
        """Fit and score the same data, which may hold anomalies.

        Raises: DataError for data that cannot be read or are too few, and where a modality needs normal data;
        ConfigError for an alpha outside (0, 1), or below what the data support.
        """
        alpha = None if alpha is None else valid_alpha(alpha)  # refused before the work, not after it
        _check_explain(explain)
        data, scored = self._fitted_itself(source, job)
        return self._result(data, scored, self._alpha(alpha), explain)

    @final
    def fit_scores(self, source: Any) -> list[Scored]:
        """Fit and score the same data as `detect` does, without verdicts or explanations. Raises: as `detect`."""
        return self._fitted_itself(source, QUIET)[1]

    @final
    def add(self, source: Any, *, allow_flagged: bool = False, show_progress: bool = False) -> Added:
        """Extend a fitted model by more healthy data, without training: see `adding.py` for what that means.

        Raises: NotFittedError; DataError where nothing can be read, judged or added, or the data were learnt from.
        """
        calibration, alpha = self.fitted_calibration(), self._alpha(None)
        data, before = self._read_more(source), list(self.meta.get("added", ()))
        if data.fingerprint in self._fingerprints:
            raise DataError("these very data were learnt from: give others to add")
        judged = self._judged(data, show_progress)
        found = sorted_out(judged, lambda own: self._flags(own, alpha), self._is_known, allow_flagged=allow_flagged)
        if found.odd:
            warnings.warn(found.warning(self.noun, alpha, allowed=allow_flagged), stacklevel=3)
        if not found.taken:
            name, reason = next(iter(found.left_out.items()))
            raise DataError(f"none of the {self.noun} can be added, the first: '{name}': {reason}")
        done = self._extend(found.taken, np.random.default_rng([self.config.seed, 6, len(before)]))
        self.calibration = joined(calibration, done.scores, sum(own["num_calibration"] for own in before))
        self.decision_scores_ = self.calibration.scores
        num_new = len(self.calibration.scores) - len(calibration.scores)
        added = Added(len(found.taken), done.num_remembered, num_new, found.left_out)
        self.meta |= {**done.facts, "added": [*before, added_record(data.fingerprint, added)]}
        return added

    @final
    def iter_scores(
        self, source: Any, *, alpha: float | None = None, explain: Explain = "none", show_progress: bool = False
    ) -> Iterator[AnyResult]:
        """Yield one record per item, in the order given, in bounded memory; see `score`.

        An item that cannot be judged is yielded in its place, with the reason.
        Raises: NotFittedError, ConfigError at once; DataError where the source cannot be read.
        """
        self._check(alpha, explain)
        data = self._read(source, learn=False)
        used = self._alpha(alpha)
        return (self._verdict(own, used, explain) for own in self._judged(data, show_progress))

    @final
    def score(
        self, source: Any, *, alpha: float | None = None, explain: Explain = "flagged", show_progress: bool = False
    ) -> DetectionResult:
        """Score data: one record per item given, in the order given; `explain` says which of them are explained.

        Raises: NotFittedError; ConfigError for an alpha below what the calibration supports; DataError where nothing
        can be read or judged.
        """
        self._check(alpha, explain)
        data = self._read(source, learn=False)
        judged = list(self._judged(data, show_progress))
        return self._result(data, judged, self._alpha(alpha), explain)

    @final
    def explain(self, item: Any, *, alpha: float | None = None) -> AnyResult:
        """Score one item and explain it, flagged or not: as it would be among any others.

        Raises: DataError where the source holds more items than one, or none that can be judged; as `score`.
        """
        items = self.score(item, alpha=alpha, explain="all").items
        if len(items) != 1:
            raise DataError(f"{len(items)} {self.noun} were given to explain: give one, or use score(explain='all')")
        return items[0]

    @final
    def decision_function(self, source: Any) -> Float[np.ndarray, " R"]:
        """Return one score per row or item, in the order given; NaN where nothing can be said. Raises: as `score`."""
        self.fitted_calibration()
        judged = self._judged(self._read(source, learn=False))
        return np.concatenate([np.array([np.nan]) if isinstance(own, Unjudged) else own.rows for own in judged])

    @final
    def predict(self, source: Any, *, alpha: float | None = None) -> Int[np.ndarray, " R"]:
        """Return 0 (normal), 1 (anomalous) or -1 (not judged) per row or item, in order. Raises: as `score`."""
        self._check(alpha, "none")
        used = self._alpha(alpha)
        judged = self._judged(self._read(source, learn=False))
        return np.concatenate(
            [np.array([-1]) if isinstance(own, Unjudged) else self._labels(own, used) for own in judged]
        )

    @final
    def facts(self) -> dict[str, str]:
        """Return in a few words what the model was trained on and how, for `oddwave info`. Raises: NotFittedError."""
        facts: dict[str, str] = room_of(self.modality, "facts").facts(self.meta, self.state()[1])
        return facts

    @property
    def num_parameters(self) -> int:
        """How many weights the trained networks have; the frozen perceptual network is not counted."""
        return sum(weight.numel() for network in self.networks() for weight in network.parameters())

    @property
    def threshold_(self) -> float:
        """The score at and above which p <= the default alpha. Raises: NotFittedError."""
        calibration = self.fitted_calibration()
        return calibration.threshold(max(self.config.calibration.alpha, calibration.smallest_alpha))

    @final
    def fitted_calibration(self) -> Calibration:
        """Return the calibration. Raises: NotFittedError."""
        if self.calibration is None:
            raise NotFittedError("this detector has learnt nothing yet: call fit or detect, or load a saved model")
        return self.calibration

    # The way from entries to a result

    def _check(self, alpha: float | None, explain: Explain) -> None:
        """Refuse wishes that cannot be met before any work is done. Raises: NotFittedError, ConfigError."""
        self.fitted_calibration()
        _check_explain(explain)
        if alpha is not None:
            self._alpha(alpha)

    def _alpha(self, alpha: float | None) -> float:
        """Return the alpha to use; a default that is too small is lifted, with a warning. Raises: as `_check`."""
        return self.fitted_calibration().checked_alpha(alpha, self.config.calibration.alpha)

    @property
    def _calibration_share(self) -> float:
        """The share of normal data that is held back."""
        return self.config.calibration.calibration_share

    @property
    def _stops(self) -> bool:
        """Whether the first item that cannot be judged is to stop all."""
        return self.read_options.get("on_error") == "stop"

    def _fitted_itself(self, source: Any, job: FitJob) -> tuple[Any, list[Scored]]:
        if self.needs_normals:
            raise DataError(self.needs_normals)
        data = self._read(source, learn=True)
        scored = self._learn_itself(data, job)
        self.meta |= self._common_meta(data.fingerprint)
        self.decision_scores_ = np.concatenate([own.rows for own in scored])
        return data, scored

    def _judged(self, data: Any, show_progress: bool = False) -> Iterator[Scored | Unjudged]:
        """Yield every entry's outcome; at the end, refuse a source of which nothing could be judged."""
        first, some = "", False
        shown = progress(data.entries, "scoring", show_progress)
        for own in self._parts(data, shown):
            reason = own.reason if isinstance(own, Unjudged) else own.fault
            if reason and self._stops:
                raise DataError(reason)
            first, some = first or reason, some or not reason
            yield own
        if not some:
            raise DataError(self._nothing_judged(first))

    def _nothing_judged(self, first: str) -> str:
        return f"none of the {self.noun} can be judged, the first: {first}"

    def _verdict(self, own: Scored | Unjudged, alpha: float, explain: Explain) -> AnyResult:
        if isinstance(own, Unjudged):
            return self._unjudged(own)
        result = self._join(own, alpha)
        wanted = explain == "all" or (explain == "flagged" and result.flagged)
        return self._explain(own, result, alpha) if wanted and not own.fault else result

    def _result(
        self, data: Any, judged: Sequence[Scored | Unjudged], alpha: float, explain: Explain
    ) -> DetectionResult:
        items = tuple(self._verdict(own, alpha, explain) for own in judged)
        summary = self.fitted_calibration().summary(alpha, self._peak_threshold(alpha))
        warnings = [*self.meta.get("warnings", []), *data.notes, *self._warnings(data)]
        facts = {**self._model_facts(), **({"warnings": warnings} if self.needs_normals else {})}
        return DetectionResult(self.modality, self.result_kind, items, summary, self._not_monitored(data, items), facts)

    @property
    def _fingerprints(self) -> set[str]:
        """Those of all data that the model was fitted on or extended by."""
        known = {own["data_fingerprint"] for own in self.meta.get("added", ())}
        return known | {self.meta.get("data_fingerprint", "")}

    def _common_meta(self, fingerprint: str) -> dict[str, Any]:
        """Return what `meta.json` says of every model."""
        return {
            "package_version": __version__,
            "data_fingerprint": fingerprint,
            "seed": self.config.seed,
            "preset": self.config.preset,
        }


def _check_explain(explain: object) -> None:
    if explain not in EXPLAIN:
        raise ConfigError(f"explain is {explain!r:.60}: expected one of {', '.join(map(repr, EXPLAIN))}")


def check_read_options(
    options: Mapping[str, Any], reader: Callable[..., Any], *, without: tuple[str, ...] = ()
) -> None:
    """Refuse reading options that a reader does not know. Raises: ConfigError, with the one that may be meant."""
    parameters = inspect.signature(reader).parameters.values()
    known = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.name not in without]
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, 1)
            hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(known)}"
            raise ConfigError(f"reading option {name!r} does not exist: {hint}")
