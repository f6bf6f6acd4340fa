"""What people said of a model's findings, and what became of it: an overlay beside what was learnt.

A finding that is marked a false alarm joins what is normal, with a limited weight and in files of its own:

    corrections.json          each mark: id, when, item, stretch, verdict, note, and the scores that calibrate
    corrections.safetensors   what is known of each false alarm: see `series/known_alarms.py`, `known_places.py`

Nothing that was learnt changes, so that to undo a mark restores every score to the last bit. What is marked real or
unsure is remembered and listed, and changes nothing. The overlay stays small beside what was learnt: false alarms are
at most a tenth of the items, clips or blocks that calibrate; one beyond that is refused, and none goes by itself.
Read `feedback.py` next: how a mark is made.

Legend: N scores of a marked stretch, B blocks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, get_args

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field

from oddwave.calibration.conformal import Calibration, block_maxima
from oddwave.errors import ConfigError, DataError

__all__ = [
    "VERDICTS",
    "Correction",
    "Corrections",
    "CorrectionsForm",
    "Mark",
    "Verdict",
    "checked_note",
    "checked_verdict",
    "most_blocks",
    "newest_first",
]

Verdict = Literal["false-alarm", "real", "unsure"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

_SHARE = 10  # of calibration and memory, one part in so many may be corrections
_MOST_MARKS, _MOST_SCORES, _LARGEST_SCORE = 100_000, 500_000, 1e8
_NOTE = 2_000

Score = Annotated[float, Field(gt=-_LARGEST_SCORE, lt=_LARGEST_SCORE)]
Text = Annotated[str, Field(max_length=10_000)]
Count = Annotated[int, Field(ge=0, le=10_000_000)]


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class Mark(_Form):
    """What a person said of a finding; `when` is in UTC, `stretch` says in words where in the item it lies.

    `score` is what it scored, `score_after` what it scores since (the same, for what is no false alarm); `num_parts`
    says how many parts are remembered of it, `calibrates` which scores joined the calibration.
    """

    id: Annotated[int, Field(ge=1, le=10**9)]
    when: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    item: Text
    stretch: Text
    verdict: Verdict
    note: Annotated[str, Field(max_length=_NOTE)] = ""
    score: Score
    score_after: Score
    num_parts: Count = 0
    calibrates: Annotated[list[Score], Field(max_length=_MOST_SCORES)] = []

    def __str__(self) -> str:
        """Return one line."""
        note = f" ({self.note})" if self.note else ""
        return f"{self.id}  {self.when}  {self.item}, {self.stretch}: {self.verdict}{note}"


class CorrectionsForm(_Form):
    """What corrections.json holds."""

    next_id: Annotated[int, Field(ge=1, le=10**9)]
    marks: Annotated[list[Mark], Field(max_length=_MOST_MARKS)]

    def fault(self) -> str:
        """Return, in a few words, what does not go together; nothing where all does."""
        numbers = [mark.id for mark in self.marks]
        if sorted(set(numbers)) != numbers or (numbers and numbers[-1] >= self.next_id):
            return "the numbers of corrections do not rise"
        for mark in self.marks:
            alarm = mark.verdict == "false-alarm"
            if bool(mark.calibrates) != alarm or bool(mark.num_parts) != alarm:
                return f"correction {mark.id} is no {mark.verdict}"
        return ""


@dataclass(frozen=True, eq=False)
class Correction:
    """A mark, and of a false alarm what its like are known by."""

    mark: Mark
    arrays: Mapping[str, Float[np.ndarray, "..."]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Corrections:
    """All marks of a model, the oldest first; `next_id` is given to none before, not even to one that was undone."""

    given: tuple[Correction, ...] = ()
    next_id: int = 1

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What people said, the oldest first."""
        return tuple(own.mark for own in self.given)

    @property
    def alarms(self) -> tuple[Correction, ...]:
        """The false alarms among them: what is taken for normal."""
        return tuple(own for own in self.given if own.mark.verdict == "false-alarm")

    def form(self) -> CorrectionsForm:
        """Return what corrections.json holds."""
        return CorrectionsForm(next_id=self.next_id, marks=list(self.marks))

    def with_one(self, mark: Mark, arrays: Mapping[str, Float[np.ndarray, "..."]]) -> "Corrections":
        """Return these and one more."""
        return replace(self, given=(*self.given, Correction(mark, arrays)), next_id=max(self.next_id, mark.id + 1))

    def without(self, number: int) -> "Corrections":
        """Return these but one. Raises: DataError for a number that no mark has."""
        known = [own.mark.id for own in self.given]
        if number not in known:
            there = ", ".join(map(str, known[-20:])) or "none"
            raise DataError(f"there is no correction {number}: give the number of one that is listed ({there})")
        return replace(self, given=tuple(own for own in self.given if own.mark.id != number))

    def refuse_beyond(self, calibration: Calibration, num_blocks: int) -> None:
        """Refuse a false alarm that would make more of the corrections than a tenth. Raises: DataError."""
        most = most_blocks(calibration)
        blocks = sum(_num_blocks(own.mark, calibration.block_size) for own in self.alarms)
        if blocks + num_blocks > most:
            raise DataError(
                f"{blocks} corrections stand beside the calibration's {len(calibration.blocks)} normal scores, this is "
                f"{num_blocks} more, and {most} are allowed, a tenth: {_MEND}"
            )

    def calibrated(self, calibration: Calibration) -> Calibration:
        """Return a calibration with the scores of the false alarms, as they score since, beside its own."""
        own = [np.array(each.mark.calibrates, float) for each in self.alarms if each.mark.calibrates]
        if not own:
            return calibration
        return replace(
            calibration,
            scores=np.concatenate([calibration.scores, *own]),
            blocks=np.concatenate([calibration.blocks, *(block_maxima(s, calibration.block_size) for s in own)]),
            source=f"{calibration.source}; of false alarms {sum(map(len, own))}",
        )


_MEND = "undo one that is no longer needed, or add the data as healthy (oddwave add ... --allow-flagged), or fit again"


def most_blocks(calibration: Calibration) -> int:
    """Return how many blocks of false alarms may calibrate: a tenth of those that are there, one at least."""
    return max(1, len(calibration.blocks) // _SHARE)


def _num_blocks(mark: Mark, block_size: int) -> int:
    return max(1, len(mark.calibrates) // block_size)


def checked_verdict(verdict: object) -> Verdict:
    """Return one of the verdicts. Raises: ConfigError for anything else."""
    found = next((own for own in VERDICTS if own == verdict), None)
    if found is None:
        raise ConfigError(f"the verdict is {verdict!r:.60}: give one of {', '.join(VERDICTS)}")
    return found


def checked_note(note: object) -> str:
    """Return a note of a bounded length. Raises: ConfigError for another, or for what is no text."""
    if not isinstance(note, str) or len(note) > _NOTE:
        given = f"{len(note):,} characters" if isinstance(note, str) else f"{note!r:.60}"
        raise ConfigError(f"the note is {given}: give a text of up to {_NOTE:,} characters")
    return note


def newest_first(marks: Iterable[Mark]) -> list[Mark]:
    """Return marks in the order in which a person wants to see them."""
    return sorted(marks, key=lambda mark: -mark.id)
