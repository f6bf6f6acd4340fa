"""The skeleton of a detector: what every modality does alike is written here, once, and is final.

    fit      _read -> _learn -> calibration                               detect: the same, of data that are scored too
    score    _read -> _parts (scores, one item after another) -> _join (verdict) -> _explain (where it is asked for)

A modality writes `_read`, `_learn`, `_parts`, `_join`, `_explain` and what names them; it decides nothing about order,
unreadable items, alpha, labels, progress or streaming. An item's result depends on the item, the model and alpha: never
on the items beside it, nor on whether it is explained. Read `series/detector.py`, `image/detector.py` or
`audio/detector.py` next; `store.py` for how a fitted detector is saved.

Legend: N scores of one item, R rows of a source.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import nn

from oddwave.calibration.budget import Asked, Verdict, asked_for, settled
from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.config import DetectorConfig
from oddwave.detection.adding import Added, Extension, Taken, added_record, fingerprints, joined, sorted_out
from oddwave.detection.corrected import Corrected
from oddwave.detection.corrections import Corrections
from oddwave.detection.device import chosen_device
from oddwave.detection.drift import items_drift
from oddwave.detection.job import QUIET, FitJob
from oddwave.detection.model_tensors import TensorFile
from oddwave.detection.read_options import check_read_options
from oddwave.detection.scored import EXPLAIN, Explain, Scored, Unjudged, check_explain
from oddwave.errors import ConfigError, DataError
from oddwave.progress import progress
from oddwave.records import AnyResult, Drift, Kind
from oddwave.registry import room_of
from oddwave.results import DetectionResult
from oddwave.version import __version__

__all__ = ["EXPLAIN", "NO_SCORE", "Alpha", "Explain", "FitJob", "ModalityDetector", "Scored", "Unjudged",
           "check_read_options"]  # fmt: skip

NO_SCORE = "got no score, the model gives NaN: fit it again"

Alpha = float | Asked | None  # a rate, or what was asked for instead


class ModalityDetector(Corrected):
    """A fitted (or not yet fitted) detector of one modality, with its calibration and what is known of its making.

    `decision_scores_` are the scores of the calibration normals (after `detect`, of the data themselves); `meta` is
    what `meta.json` holds; `choices` are the automatic choices with their evidence, which `config.json` holds beside
    the settings.
    """

    modality: ClassVar[str]
    noun: ClassVar[str]  # of several items: "images"
    needs_normals: ClassVar[str] = ""  # why `detect` is refused; empty where it is offered
    tells_warnings: ClassVar[bool] = False  # whether results repeat what the model was warned of

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
    def _join(self, scored: Scored, rule: Rule) -> AnyResult:
        """Return the verdict on an item: its record without explanation."""

    @abstractmethod
    def _explain(self, scored: Scored, result: AnyResult, rule: Rule) -> AnyResult:
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

    def _flags(self, scored: Scored, rule: Rule) -> Bool[np.ndarray, " N"]:
        """Return which parts of an item are anomalous."""
        return np.asarray(self._join(scored, rule).labels == 1)

    def _labels(self, scored: Scored, rule: Rule) -> Int[np.ndarray, " R"]:
        """Return 1, 0 or -1 (not judged) for each row of an item's source."""
        return np.array([self._join(scored, rule).label])

    def _covers(self, data: Any) -> Verdict:
        """Return what one verdict covers: an item, or a block of a stream."""
        return Verdict(self.noun.removesuffix("s"))

    def _peaks(self, scored: Scored) -> list[float]:
        """Return the scores of what could be found in an item, whatever the rule: its own, or those of its events."""
        return [float(np.nanmax(scored.scores))] if np.isfinite(scored.scores).any() else []

    def _num_blocks(self, scored: Scored) -> int:
        """Return how many blocks of normals the item's highest score is compared with the highest of."""
        return 1

    def _is_known(self, item: Any) -> bool:
        """Return whether the model has learnt from this very item."""
        return False

    def _extend(self, taken: Sequence[Taken], rng: np.random.Generator) -> Extension:
        """Extend the memories by what may be learnt from, and score what is held back of it under them."""
        raise DataError(f"a model of {self.noun} cannot be extended: fit it again on all data")

    def _peak_threshold(self, rule: Rule) -> float | None:
        """Return the value of a map that an alpha share of normal items reaches anywhere, where there are maps."""
        return None

    def _warnings(self, data: Any) -> list[str]:
        """Return what the data as a whole are to be warned of."""
        return []

    def _not_monitored(self, data: Any, items: Sequence[AnyResult]) -> tuple[str, ...]:
        """Return, in plain words, what was not looked at."""
        return tuple(f"{item.id}: {item.error}" for item in items if item.error)

    def _drift(self, data: Any, judged: Sequence[Scored | Unjudged]) -> tuple[Drift, ...]:
        """Return how the data as a whole, in their order, moved away from what was learnt."""
        known, usual = data.fingerprint in fingerprints(self.meta), self.meta.get("traits", {})
        return () if known else items_drift(judged, self.fitted_calibration(), usual)

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
        """Learn from normal data alone, and calibrate by how they score when left out. Raises: DataError."""
        data = self._read(source, learn=True)
        self.calibration, self.corrections = self._learn(data, job), Corrections()
        self.decision_scores_ = self.calibration.scores
        self.meta |= self._common_meta(data.fingerprint)

    @final
    def detect(
        self, source: Any, job: FitJob = QUIET, *, alpha: Alpha = None, explain: Explain = "flagged"
    ) -> DetectionResult:
        """Fit and score the same data, which may hold anomalies.

        Raises: DataError for data that cannot be read or are too few, and where a modality needs normal data;
        ConfigError for an alpha outside (0, 1), or below what the data support.
        """
        asked = asked_for(alpha)  # refused before the work, not after it
        check_explain(explain)
        data, scored = self._fitted_itself(source, job)
        return self._result(data, scored, self._rule(asked, data, scored), explain)

    @final
    def fit_scores(self, source: Any) -> list[Scored]:
        """Fit and score the same data as `detect` does, without verdicts or explanations. Raises: as `detect`."""
        return self._fitted_itself(source, QUIET)[1]

    @final
    def add(self, source: Any, *, allow_flagged: bool = False, show_progress: bool = False) -> Added:
        """Extend a fitted model by more healthy data, without training: see `adding.py` for what that means.

        Raises: NotFittedError; DataError where nothing can be read, judged or added, or the data were learnt from.
        """
        calibration, rule = self.learnt_calibration(), self._rule(Asked(), None)
        data, before = self._read_more(source), list(self.meta.get("added", ()))
        if data.fingerprint in fingerprints(self.meta):
            raise DataError("these very data were learnt from: give others to add")
        judged = self._judged(data, show_progress)
        found = sorted_out(judged, lambda own: self._flags(own, rule), self._is_known, allow_flagged=allow_flagged)
        found.tell(self.noun, rule.alpha, allowed=allow_flagged)
        done = self._extend(found.taken, np.random.default_rng([self.config.seed, 6, len(before)]))
        self.calibration = joined(calibration, done.scores, sum(own["num_calibration"] for own in before))
        self.decision_scores_ = self.calibration.scores
        num_new = len(self.calibration.scores) - len(calibration.scores)
        added = Added(len(found.taken), done.num_remembered, num_new, found.left_out)
        self.meta |= {**done.facts, "added": [*before, added_record(data.fingerprint, added)]}
        return added

    @final
    def iter_scores(
        self, source: Any, *, alpha: Alpha = None, explain: Explain = "none", show_progress: bool = False
    ) -> Iterator[AnyResult]:
        """Yield one record per item, in the order given, in bounded memory; see `score`.

        An item that cannot be judged is yielded in its place, with the reason.
        Raises: NotFittedError, ConfigError at once; DataError where the source cannot be read.
        """
        asked = self.check(alpha, explain)
        if asked.flag is not None:
            raise ConfigError("flag needs all scores before the first verdict: use score(flag=...)")
        data = self._read(source, learn=False)
        used = self._rule(asked, data)
        return (self._verdict(own, used, explain) for own in self._judged(data, show_progress))

    @final
    def score(
        self,
        source: Any,
        *,
        alpha: Alpha = None,
        explain: Explain = "flagged",
        show_progress: bool = False,
    ) -> DetectionResult:
        """Score data: one record per item given, in the order given; `explain` says which of them are explained.

        Raises: NotFittedError; ConfigError for an alpha below what the calibration supports; DataError where nothing
        can be read or judged.
        """
        asked = self.check(alpha, explain)
        data = self._read(source, learn=False)
        judged = list(self._judged(data, show_progress))
        return self._result(data, judged, self._rule(asked, data, judged), explain)

    @final
    def explain(self, item: Any, *, alpha: Alpha = None) -> AnyResult:
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
    def predict(self, source: Any, *, alpha: Alpha = None) -> Int[np.ndarray, " R"]:
        """Return 0 (normal), 1 (anomalous) or -1 (not judged) per row or item, in order. Raises: as `score`."""
        asked = self.check(alpha)
        data = self._read(source, learn=False)
        judged = list(self._judged(data))
        used = self._rule(asked, data, judged)
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
        return calibration.threshold(Rule(max(self.config.calibration.alpha, calibration.smallest_alpha)))

    @final
    def check(self, alpha: Alpha, explain: Explain = "none") -> Asked:
        """Return what is asked for; refused before any work where it cannot be met. Raises: as `score`."""
        check_explain(explain)
        asked, _ = asked_for(alpha), self.fitted_calibration()
        if asked.alpha is not None:
            self._rule(asked, None)
        return asked

    # The way from entries to a result

    def _rule(self, asked: Asked, data: Any, judged: Sequence[Scored | Unjudged] = ()) -> Rule:
        """Return the rule that was asked for; a default alpha that is too small is lifted, with a warning.

        Raises: ConfigError, as `settled`.
        """
        peaks = (peak for own in judged if isinstance(own, Scored) for peak in self._peaks(own))
        default = self.config.calibration.alpha
        return settled(asked, self.fitted_calibration(), default, self._covers(data), peaks)

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
        self.corrections = Corrections()  # what was said of another model's findings
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

    def _verdict(self, own: Scored | Unjudged, rule: Rule, explain: Explain) -> AnyResult:
        if isinstance(own, Unjudged):
            return self._unjudged(own)
        result = self._join(own, rule)
        result = result.rated(own.judge(self.fitted_calibration()).strength(result.score, self._num_blocks(own)))
        wanted = explain == "all" or (explain == "flagged" and result.flagged)
        return self._explain(own, result, rule) if wanted and not own.fault else result

    def _result(self, data: Any, judged: Sequence[Scored | Unjudged], rule: Rule, explain: Explain) -> DetectionResult:
        items = tuple(self._verdict(own, rule, explain) for own in judged)
        longest = max((self._num_blocks(own) for own in judged if isinstance(own, Scored)), default=1)
        summary = self.fitted_calibration().summary(rule, self._peak_threshold(rule), num_blocks=longest)
        warnings = [*self.meta.get("warnings", []), *data.notes, *self._warnings(data)]
        facts = {**self._model_facts(), **({"warnings": warnings} if self.tells_warnings else {})}
        told = (self._not_monitored(data, items), facts, self._drift(data, judged))
        return DetectionResult(self.modality, self.result_kind, items, summary, *told)

    def _common_meta(self, fingerprint: str) -> dict[str, Any]:
        """Return what `meta.json` says of every model."""
        return {
            "package_version": __version__,
            "data_fingerprint": fingerprint,
            "seed": self.config.seed,
            "preset": self.config.preset,
        }
