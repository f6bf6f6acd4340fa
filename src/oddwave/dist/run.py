"""One run in shards, from the input to the report: plan, score what is missing, merge, tell of the strongest.

The same command again goes on where a run was stopped or killed; once all is there, it only writes the report anew.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from oddwave.detection.model_folder import read_meta
from oddwave.dist.engine import Job, require_engine, run_shards
from oddwave.dist.fetching import placed, units_of
from oddwave.dist.listing import Listing, Unit, listed
from oddwave.dist.merge import P_VALUE, Tally, first_of_each
from oddwave.dist.plan import ShardPlan, check_same, cut, kept_plan, missing, write_plan
from oddwave.dist.shards import parquet_of, read_shard, whole_shards
from oddwave.errors import ConfigError, DataError
from oddwave.files import require_own
from oddwave.folders import at_work
from oddwave.progress import stage
from oddwave.sources.files import unique_names
from oddwave.version import __version__

if TYPE_CHECKING:
    from oddwave.detector import Detector
    from oddwave.results import DetectionResult

__all__ = ["SHARD_SIZES", "Request", "check_request", "score_in_shards"]

SHARD_SIZES = {"image": 512, "audio": 64, "series": 16}
MOST_TOLD = {"image": 200, "audio": 100, "series": 20}  # items of which the report tells, scored once more for it
_ROUNDS = 3
_OF_THE_INPUT = ("part", "recursive", "subset")  # reading options that say which files, not how

Write = Callable[["DetectionResult", str], Sequence[Path]]


@dataclass(frozen=True)
class Request:
    """A run as it was asked for: model, data and output, how to read, what to ask, and on what to compute."""

    model: Path
    data: str
    out: Path
    engine: str = "ray"
    asked: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)  # of reading, beside the model's own
    fdr: float | None = None
    fdr_method: Literal["bh", "by"] = "bh"
    column: str | None = None
    shard_size: int | None = None
    workers: int | None = None
    allow_external: bool = False
    show_progress: bool = False


def score_in_shards(
    detector: "Detector", request: Request, write: Write
) -> tuple["DetectionResult", list[Path], list[str]]:
    """Score all items of an input in shards; return the result on the strongest, the files written, and notes.

    `write` is given the result and a title, and writes the report. Raises: DataError, CheckpointError, ConfigError as
    `Detector.score`; MissingExtraError without the extra `dist`; CheckpointError where `out` holds another run.
    """
    check_request(request)
    parquet_of()
    require_own(request.out, "shards")
    detector.inner.read_options = {**detector.read_options, **request.options}
    modality = detector.config.modality
    if detector.read_options.get("history") is not None and modality != "series":
        raise ConfigError(f"history is for time series, this detector is of {modality}: leave it out")
    asked = {name: value for name, value in request.asked.items() if value is not None}
    detector.inner.check(asked.get("alpha"))
    which = {name: value for name, value in detector.read_options.items() if name in _OF_THE_INPUT}
    listing = listed(request.data, detector.config.modality, column=request.column, **which)
    how = {name: value for name, value in detector.read_options.items() if name not in _OF_THE_INPUT}
    detector.inner.read_options = how
    with at_work(request.out):
        plan = _plan(detector, request, listing, asked, which)
        job = Job(
            model=str(request.model.absolute()),
            out=str(request.out.absolute()),
            plan=plan,
            modality=detector.config.modality,
            device=detector.config.device,
            allow_external=request.allow_external,
            read_options=how,
            asked=asked,
        )
        _score_missing(job, request, listing)
        tally = _merged(request, plan, MOST_TOLD.get(detector.config.modality, 100))
        result, files = _told(detector, request, listing, tally, write, asked)
    return result, files, list(listing.notes)


def check_request(request: Request) -> None:
    """Refuse what cannot be done in shards, before any work. Raises: ConfigError, DataError, MissingExtraError."""
    require_engine(request.engine)
    if request.workers is not None and request.workers < 1:
        raise ConfigError(f"the number of workers is {request.workers}: give 1 or more")
    for name in ("flag", "false_alarms"):
        if request.asked.get(name) is not None:
            raise ConfigError(
                f"--{name.replace('_', '-')} needs all items at once, and shards are judged one by one: give "
                "--alpha or --threshold"
            )


def _plan(
    detector: "Detector", request: Request, listing: Listing, asked: Mapping[str, Any], which: Mapping[str, Any]
) -> ShardPlan:
    """Return the plan that is kept, if it is of this very run, or make one and keep it. Raises: CheckpointError."""
    how = dict(detector.read_options)
    history = how.pop("history", None)  # it counts by what it holds, wherever it lies
    identity = {
        "oddwave_version": __version__,
        "model": {"modality": detector.config.modality, "files": _model_files(request.model)},
        "input": listing.facts,
        "asked": dict(asked),
        "reading": json.loads(json.dumps({**how, **which}, default=str)),
        **({} if history is None else {"history": _fingerprint(detector, history, how)}),
    }
    kept = kept_plan(request.out)
    if kept is not None:
        check_same(kept, identity, request.shard_size, request.out)
        return kept
    size = SHARD_SIZES.get(detector.config.modality, 64) if request.shard_size is None else request.shard_size
    plan = ShardPlan(identity, size, cut(listing.pieces, size))
    write_plan(plan, request.out)
    return plan


def _fingerprint(detector: "Detector", history: Any, how: Mapping[str, Any]) -> str:
    """Return what is in the rows before the series. Raises: DataError where they cannot be read."""
    kept, detector.inner.read_options = detector.inner.read_options, dict(how)
    try:
        return str(detector.inner.read(history).fingerprint)
    finally:
        detector.inner.read_options = kept


def _model_files(model: Path) -> dict[str, str]:
    """Return the hash of each of the model's files: what it computes."""
    return {name: about["sha256"] for name, about in sorted(read_meta(model)["files"].items())}


def _score_missing(job: Job, request: Request, listing: Listing) -> None:
    """Score the shards that are not whole. Raises: as `run_shards`; DataError where some never come to be."""
    plan = job.plan
    for _ in range(_ROUNDS):
        left = missing(plan, whole_shards(request.out, plan))
        if not left:
            return
        with stage("scoring", request.show_progress) as report:
            run_shards(
                job, left, lambda number: json.dumps(listing.task(*plan.shards[number])), request.workers, report
            )
    left = missing(plan, whole_shards(request.out, plan))
    if left:
        raise DataError(f"{len(left):,} shard(s) did not come to be, the first: {plan.file_name(left[0])}; look there")


def _merged(request: Request, plan: ShardPlan, most: int) -> Tally:
    """Go through all shards in order. Raises: CheckpointError; DataError where nothing at all could be judged."""
    tally = Tally(plan, most)
    columns = Tally.COLUMNS if request.fdr is None else (*Tally.COLUMNS, P_VALUE)
    with stage("merging", request.show_progress) as report:
        for number in range(len(plan.shards)):
            tally.add(number, read_shard(request.out, plan, number, columns))
            report(number + 1, len(plan.shards))
    if tally.whole.failed == tally.whole.items:
        raise DataError(f"none of the {tally.whole.items:,} items can be judged, the first: {tally.first_reason}")
    return tally


def _discoveries(request: Request, tally: Tally) -> tuple[str, ...] | None:
    """Return the ids of the items that are discoveries among all of them, where they are asked for."""
    if request.fdr is None:
        return None
    names: list[str] = []
    for number, found in enumerate(tally.discoveries(request.fdr, request.fdr_method)):
        if found.any():
            rows = read_shard(request.out, tally.plan, number, ("number", "item"))
            names += rows["item"][first_of_each(rows["number"], rows["item"])][found].tolist()
    return tuple(names)


def _told(
    detector: "Detector", request: Request, listing: Listing, tally: Tally, write: Write, asked: Mapping[str, Any]
) -> tuple["DetectionResult", list[Path]]:
    """Score the items that are told of once more, explain them, and write the report, as one process does."""
    told, alone = tally.told, getattr(listing, "alone", False)
    with placed(_units(listing, tally.plan, told)) as found:
        there = [own for own in found if not own.reason]
        source: Any = str(there[0].path) if alone else {own.unit.id: str(own.path) for own in there}
        result = detector.score(source, **asked, show_progress=request.show_progress)
        passing = {str(own.path): own.unit.id for own in there if own.passing}
        items = tuple(_named(item, passing) for item in result.items)
        every = len(told) == tally.plan.num_items
        whole = replace(tally.whole, discoveries=_discoveries(request, tally))
        result = replace(result, items=items, whole=whole, drift=result.drift if every else ())
        return result, list(write(result, f"Anomalies in {Path(request.data).name or request.data}"))


def _named(item: Any, passing: Mapping[str, str]) -> Any:
    """Return an item whose error names what it is of, not the passing file that it was fetched into."""
    error = item.error
    for path, name in passing.items():
        error = error.replace(path, name)
    return item if error == item.error else replace(item, error=error)


def _units(listing: Listing, plan: ShardPlan, numbers: Sequence[int]) -> list[Unit]:
    """Return the items of these numbers, shard by shard."""
    firsts, by_shard = [first for first, _ in plan.shards], dict[int, set[int]]()
    for number in numbers:
        by_shard.setdefault(bisect_right(firsts, number) - 1, set()).add(number)
    found = [
        unit
        for shard, wanted in sorted(by_shard.items())
        for unit in units_of(listing.task(*plan.shards[shard]))
        if unit.number in wanted
    ]
    names = unique_names([unit.id for unit in found])  # two tables may name rows alike
    return [replace(unit, id=name) for unit, name in zip(found, names, strict=True)]
