"""What the report asks of a kind of result: one record, `ReportKind`, in place of a question in every function.

A kind needs a name and a noun; everything else has a default that makes a complete page and complete files of items
with a score each. Read `__init__.py` next (which kinds there are), then `series.py`, `image.py` or `audio.py`.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from oddwave.records import UNKNOWN
from oddwave.report.wording import finding_text
from oddwave.results import CalibrationSummary, DetectionResult

__all__ = ["FINDING_COLUMNS", "STRENGTH", "Media", "ReportKind", "Table", "Tone", "Verdict", "finding_fields"]

Tone = Literal["found", "clear", "partial", "empty"]
Verdict = tuple[Tone, str, str]  # tone, headline, sentences
# the last columns of events.csv
STRENGTH = ("p_tail", "p_tail_low", "p_tail_high", "deviations")
FINDING_COLUMNS = ("item", "start", "end", "peak", "score", "p_value")  # of events.csv, whatever the kind


@dataclass(frozen=True, slots=True)
class Table:
    """A further table among the results: its columns, and its rows."""

    columns: tuple[str, ...]
    rows: Callable[[DetectionResult], Iterator[Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class Media:
    """A folder of files that belongs to the results, such as the audio of recordings.

    `names` returns item id -> part -> file name, `linked` whether the page links to files, `write` writes all files
    or, with `only_linked`, those that the page does not hold itself.
    """

    folder: str
    names: Callable[[DetectionResult], dict[str, dict[str, str]]]
    linked: Callable[[DetectionResult], bool]
    write: Callable[[DetectionResult, Path, bool], None]


def finding_fields(event: Any) -> dict[str, Any]:
    """Return an event's fields, its strength among them, under the names of their columns."""
    fields = dataclasses.asdict(event)
    strength = fields.pop("strength", dataclasses.asdict(UNKNOWN))
    return {**fields, **{name: strength[name] for name in STRENGTH}}


def _fields(item: Any) -> Iterator[dict[str, Any]]:
    for event in item.events:
        yield {"start": None, "end": None, "peak": None, **finding_fields(event)}


@dataclass(frozen=True, kw_only=True)
class ReportKind:
    """Everything in the report that depends on the kind of result.

    `noun` names what has one score, `item` and `items` what is given (by default the same). In `all_scored`, `{every}`
    stands for "every", or "every other" where something was not judged.
    """

    name: str
    noun: str
    item: str = ""
    items: str = ""
    # words
    block_noun: str = "independent block"
    alpha_counts: str = ""  # what alpha is the rate of false alarms of, where that is not the noun
    per_score: bool = False  # each score is a verdict of its own: those that are missing are counted
    has_map: bool = False  # findings are where an anomaly map passes a threshold of its own
    headline: Callable[[DetectionResult], Verdict] | None = None  # by default: how many items are anomalous
    place: Callable[[Any], str] = lambda item: ""  # where in an item its anomaly is
    finding_sentence: Callable[[CalibrationSummary], str] = lambda calibration: ""  # what a finding's p-value compares
    all_scored: str = ""
    flagged_words: str = "above the threshold"  # what is true of scores labelled 1
    labels: Mapping[str, str] = field(default_factory=dict)  # what its model's settings are called here
    # terminal
    lines: Callable[[DetectionResult], list[str]] | None = None  # by default: one per flagged item
    findings_file: str = "scores.csv"
    # page
    template: str = "items.html"
    styles: tuple[str, ...] = ("items.css",)
    scripts: tuple[str, ...] = ("items.js",)
    plots: bool = False  # whether the page needs Plotly
    content: Callable[[DetectionResult, str | None], dict[str, Any]] | None = None  # by default: a table of items
    noscript: str = "Searching and sorting need JavaScript, which is off. The page is complete without it."
    # files
    event_columns: tuple[str, ...] = FINDING_COLUMNS
    event_rows: Callable[[Any], Iterable[dict[str, Any]]] = _fields
    item_summary: Callable[[Any], dict[str, Any]] = lambda item: {}
    tables: Mapping[str, Table] = field(default_factory=dict)  # file name -> table
    media: Media | None = None
    annotated: Media | None = None  # files that are written where they are asked for

    @property
    def nouns(self) -> str:
        """The plural of `noun`."""
        return self.items if self.noun == self.item else f"{self.noun}s"

    def findings(self, result: DetectionResult) -> list[str]:
        """Return what was found for the terminal, a line each, the strongest first."""
        if self.lines is not None:
            return self.lines(result)
        return [
            "  ".join(filter(None, (item.id, finding_text(item), self.place(item))))
            for item in sorted(result.flagged, key=lambda item: -item.score)
        ]

    def __post_init__(self) -> None:
        """Fill in the words that follow from others."""
        item = self.item or self.noun
        for name, word in {
            "item": item,
            "items": self.items or f"{item}s",
            "all_scored": self.all_scored or f"{{every}} {item} was scored.",
        }.items():
            object.__setattr__(self, name, word)
