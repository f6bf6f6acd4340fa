"""Giving feedback: which finding a person means, what becomes of it, and what is said where it cannot be.

    find      the item, its verdict as it is now, the event         -> refused where nothing was found there
    remember  a false alarm: what its like are known by             -> refused beyond a tenth of what was learnt
    look      the item is scored again with it                      -> these scores join the calibration

Read `corrections.py` for what is kept.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from oddwave.calibration.budget import Asked, asked_for
from oddwave.calibration.rule import Rule
from oddwave.detection.base import ModalityDetector
from oddwave.detection.corrections import Corrections, Mark, checked_note, checked_verdict
from oddwave.detection.scored import Scored, Unjudged
from oddwave.errors import ConfigError, DataError
from oddwave.progress import progress
from oddwave.records import AnyResult

__all__ = ["give_feedback", "undo_feedback"]

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which finding a person means; one that is real may have been missed."""

    item: str | None
    event: int | None
    must_be_found: bool
    show_progress: bool


@dataclass(frozen=True, eq=False)
class _Finding:
    """An item, its scores, its record, and the events that are meant; none where the item as a whole is."""

    entry: Any
    scored: Scored
    result: AnyResult
    events: tuple[Any, ...]


def give_feedback(
    detector: ModalityDetector,
    source: Any,
    *,
    verdict: str,
    item: str | None = None,
    event: int | None = None,
    note: str = "",
    asked: Asked | None = None,
    show_progress: bool = False,
) -> Mark:
    """Say whether a finding was a false alarm, real, or unsure; return the mark.

    `event` counts from 1, over the events of all items in their order, or of `item`.

    Raises:
        NotFittedError; ConfigError for what is no verdict, note or number; DataError where the data cannot be read,
        nothing was found there, or corrections would weigh too much.
    """
    said, told = checked_verdict(verdict), checked_note(note)
    if event is not None and (isinstance(event, bool) or not isinstance(event, int | np.integer) or event < 1):
        raise ConfigError(f"the event is {event!r:.40}: give its number, from 1")
    learnt = detector.learnt_calibration()
    asked = asked_for(None) if asked is None else asked
    data = detector.read(source)
    rule = detector._rule(asked, data)
    wanted = _Wanted(item, None if event is None else int(event), said != "real", show_progress)
    found = _found(detector, data, rule, wanted)
    marked = detector._marked(found.scored, found.events)
    score = float(np.nanmax(found.scored.scores[marked]))
    before = detector.corrections
    mark = Mark(
        id=before.next_id,
        when=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        item=found.result.id,
        stretch=detector._stretch(found.scored, found.events),
        verdict=said,
        note=told,
        score=score,
        score_after=score,
    )
    if said != "false-alarm":
        detector.corrections = before.with_one(mark, {})
        return mark
    num_blocks = max(1, int(marked.sum()) // learnt.block_size)
    before.refuse_beyond(learnt, num_blocks)
    arrays = detector._alarm(found.scored, found.result, found.events)
    mark = mark.model_copy(update={"num_parts": len(next(iter(arrays.values())))})
    again, after = _again(detector, data, found, before.with_one(mark, arrays), marked)
    highest = float(learnt.scores.max())
    calibrates = np.minimum(after, highest).tolist()  # as normal as the oddest normal: others keep their threshold
    mark = mark.model_copy(update={"score_after": float(after.max()), "calibrates": calibrates})
    detector.corrections = before.with_one(mark, arrays)
    _tell(detector, again, rule, mark)
    return mark


def _again(
    detector: ModalityDetector, data: Any, found: _Finding, with_it: Corrections, marked: Bool[np.ndarray, " N"]
) -> tuple[Scored, Float[np.ndarray, " n"]]:
    """Score an item with a correction, and return what is marked of it; the detector keeps those that it has."""
    before, detector.corrections = detector.corrections, with_it
    try:
        (again,) = detector._parts(data, [found.entry])
    finally:
        detector.corrections = before
    assert isinstance(again, Scored)
    after = again.scores[marked]
    return again, after[np.isfinite(after)]


def undo_feedback(detector: ModalityDetector, number: int) -> Mark:
    """Take a mark back; all scores are then what they were without it. Raises: DataError for one that is not there."""
    detector.learnt_calibration()
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        raise ConfigError(f"the correction is {number!r:.40}: give the number of one that is listed")
    before = detector.corrections
    detector.corrections = before.without(int(number))
    return next(own for own in before.marks if own.id == number)


def _tell(detector: ModalityDetector, again: Scored, rule: Rule, mark: Mark) -> None:
    """Warn where a false alarm scores as anomalous still."""
    if detector._join(again, rule).flagged and mark.score_after >= detector.fitted_calibration().threshold(rule):
        warnings.warn(
            f"'{mark.item}', {mark.stretch}, still scores as anomalous ({mark.score_after:.3g}, before "
            f"{mark.score:.3g}): mark more of its kind, or add such data as healthy (oddwave add ... --allow-flagged)",
            stacklevel=3,
        )


def _found(detector: ModalityDetector, data: Any, rule: Rule, wanted: _Wanted) -> _Finding:
    """Return the finding that is meant. Raises: DataError where there is none, or it is left open which."""
    item, event = wanted.item, wanted.event
    entries = [own for own in data.entries if item is None or own.id == item]
    if not entries:
        there = [own.id for own in data.entries]
        named = ", ".join(f"'{own}'" for own in there[:_MOST_NAMED]) + (" ..." if len(there) > _MOST_NAMED else "")
        raise DataError(f"there is no '{item}' among the {len(there)} {detector.noun}: give one of {named}")
    if event is not None:
        return _numbered(_judged(detector, data, entries, rule, wanted), event, item)
    judged = list(_judged(detector, data, entries, rule, wanted))
    flagged = [own for own in judged if own.result.flagged]
    if item is None and (len(flagged) != 1 or len(judged) != 1):
        found = sum(max(1, own.result.num_events) for own in flagged)
        raise DataError(f"{len(judged)} {detector.noun} were given with {found} findings: say which is meant, by item "
                        "(--item) or by the number of its event (--event), as in events.csv")  # fmt: skip
    (own,) = judged
    if not own.result.flagged:
        if wanted.must_be_found:
            raise DataError(_nothing_found(detector, own.result))
        return own
    if own.result.num_events > 1 and detector.result_kind != "image":
        raise DataError(f"'{own.result.id}' has {own.result.num_events} events: say by its number, from 1, which is "
                        "meant (--event)")  # fmt: skip
    return replace(own, events=tuple(own.result.events))


def _judged(
    detector: ModalityDetector, data: Any, entries: Sequence[Any], rule: Rule, wanted: _Wanted
) -> Iterator[_Finding]:
    """Yield each item with its verdict. Raises: DataError where one is meant and cannot be judged."""
    shown = progress(entries, "scoring", wanted.show_progress)
    for entry, own in zip(entries, detector._parts(data, shown), strict=True):
        if isinstance(own, Unjudged) or own.fault:
            if len(entries) == 1:
                raise DataError(own.reason if isinstance(own, Unjudged) else f"'{own.item.id}' {own.fault}")
            continue
        yield _Finding(entry, own, detector._join(own, rule), ())


def _numbered(judged: Iterator[_Finding], event: int, item: str | None) -> _Finding:
    count = 0
    for own in judged:
        events = tuple(own.result.events)
        if count + len(events) >= event:
            return replace(own, events=(events[event - count - 1],))
        count += len(events)
    there = "none was" if not count else "only one was" if count == 1 else f"{count} were"
    where = "" if item is None else f" in '{item}'"
    raise DataError(f"event {event} is asked for, {there} found{where}: give the number of one, as in events.csv")


def _nothing_found(detector: ModalityDetector, result: AnyResult) -> str:
    known = [own.id for own in detector.corrections.marks if own.item == result.id and own.verdict == "false-alarm"]
    if known:
        return (
            f"'{result.id}' is not flagged, since correction {known[-1]} lowered it: undo that one (--undo {known[-1]})"
        )
    return f"'{result.id}' is not flagged: there is no verdict to correct; add healthy data with `oddwave add`"
