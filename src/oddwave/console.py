"""What a person sees in the terminal: errors and warnings on one line each, and what was found in a few.

Results go to standard output, everything else to standard error. Read `cli.py` next: it holds the commands.
"""

import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer
from typer.core import TyperGroup

from oddwave.errors import OddwaveError
from oddwave.stopping import status_after, stops_as_interrupts

if TYPE_CHECKING:
    from oddwave.results import DetectionResult, PictureResult, SoundResult

__all__ = ["PlainGroup", "one_line", "print_facts", "print_found", "print_notes", "print_table", "shows_progress"]

EXIT_ERROR = 2
_ARGUMENT = re.compile(r"\b(columns|timestamp|delimiter|kind)=")  # named in messages as Python arguments
_MOST_EVENTS = 5
_MOST_NOTES = 6


class PlainGroup(TyperGroup):
    """A command group whose errors are one line on standard error and an exit code, never a traceback."""

    def get_help_option(self, ctx: Any) -> Any:
        """Give `--help` a default that is a bool: typer would import pydantic to convert None, half of help's time."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command; see the class."""
        try:
            with one_line_warnings(), stops_as_interrupts():
                return super().invoke(ctx)
        except OddwaveError as error:
            _to_stderr(one_line(error))
            raise typer.Exit(status_after(error) if isinstance(error, KeyboardInterrupt) else EXIT_ERROR) from None
        except KeyboardInterrupt as interrupt:
            _to_stderr("; ".join(["stopped", *getattr(interrupt, "__notes__", ())]))
            raise typer.Exit(status_after(interrupt)) from None


def one_line(error: BaseException) -> str:
    """Return an error's message and the notes added to it, on one line; `columns=` becomes `--columns`."""
    text = "; ".join([str(error), *getattr(error, "__notes__", ())])
    return " ".join(_ARGUMENT.sub(r"--\1 ", text).split())


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Show warnings as `oddwave: warning: ...` while the block runs."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        _to_stderr(f"warning: {' '.join(str(message).split())}")

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        yield


def _to_stderr(text: str) -> None:
    print(f"oddwave: {text}", file=sys.stderr)


def shows_progress(quiet: bool) -> bool:
    """Say whether progress bars make sense: not into a file or a pipe, and not where quiet was asked for."""
    return not quiet and sys.stderr.isatty()


def print_found(result: "DetectionResult", files: Sequence[Path], source_notes: Sequence[str] = ()) -> None:
    """Print the verdict, the strongest findings, what to know about the data, and where the files are."""
    from oddwave.report import wording

    _, headline, detail = wording.verdict_sentences(result)
    print(f"{headline}. {detail}")
    if result.kind == "picture":
        _print_pictures(result)
    elif result.kind == "recording":
        _print_recordings(result)
    else:
        _print_events(result)
    print_notes([*source_notes, *_item_notes(result)])
    print("Written: " + ", ".join(str(path) for path in files))


def _print_events(result: "DetectionResult") -> None:
    from oddwave.report import wording

    found = sorted(((item, event) for item in result.series for event in item.events), key=lambda pair: -pair[1].score)
    for item, event in found[:_MOST_EVENTS]:
        where = f"{event.item}: " if len(result.items) > 1 else ""
        channel = f"  {event.channel}" if event.channel and len(item.channel_names) > 1 else ""
        print(
            f"  {where}{wording.moment_text(item, event.start)} to {wording.moment_text(item, event.end)}"
            f"  score {wording.score_text(event.score)}  p {wording.p_value_text(event.p_value)}{channel}"
        )
    if len(found) > _MOST_EVENTS:
        print(f"  ... and {len(found) - _MOST_EVENTS} more, in events.csv")


def _print_pictures(result: "DetectionResult") -> None:
    """Print the most abnormal pictures that were flagged, and those that could not be judged."""
    from oddwave.report import wording

    found = sorted((item for item in result.pictures if item.labels[0] == 1), key=lambda item: -item.scores[0])
    for item in found[:_MOST_EVENTS]:
        score, p_value = wording.score_text(item.scores[0]), wording.p_value_text(item.p_values[0])
        print(f"  {item.id}  score {score}  p {p_value}  {wording.place_text(item)}")
    if len(found) > _MOST_EVENTS:
        print(f"  ... and {len(found) - _MOST_EVENTS} more, in scores.csv")
    _print_failures(result.pictures)


def _print_failures(items: "Sequence[PictureResult | SoundResult]") -> None:
    failed = [item for item in items if item.error]
    for item in failed[:_MOST_NOTES]:
        print(f"Not judged: {item.id}: {' '.join(item.error.split())}")
    if len(failed) > _MOST_NOTES:
        print(f"Not judged: {len(failed) - _MOST_NOTES} more, in summary.json and the report")


def _print_recordings(result: "DetectionResult") -> None:
    """Print the most abnormal recordings that were flagged, and those that could not be judged."""
    from oddwave.report import wording
    from oddwave.report.sound_words import is_flagged, place_text, ranked

    found = [item for item in ranked(result.recordings) if is_flagged(item)]
    for item in found[:_MOST_EVENTS]:
        score, p_value = wording.score_text(item.score), wording.p_value_text(item.p_value)
        print(f"  {item.id}  score {score}  p {p_value}  {place_text(item)}")
    if len(found) > _MOST_EVENTS:
        print(f"  ... and {len(found) - _MOST_EVENTS} more, in scores.csv")
    _print_failures(result.recordings)


def _item_notes(result: "DetectionResult") -> list[str]:
    """Return what was noted of the items; a note that several pictures or recordings share is said once."""
    alone = len(result.items) == 1
    if result.kind in ("picture", "recording"):
        counts = Counter(note for item in result.items for note in dict.fromkeys(item.notes))
        owner = {note: item.id for item in result.items for note in item.notes}
        several = f"{result.kind}s"
        return [f"{owner[note] if count == 1 else f'{count:,} {several}'}: {note}" for note, count in counts.items()]
    return [note if alone else f"{item.id}: {note}" for item in result.items for note in item.notes]


def print_notes(notes: Sequence[str]) -> None:
    """Print what was noticed while reading, each note once."""
    distinct = list(dict.fromkeys(notes))
    for note in distinct[:_MOST_NOTES]:
        print(f"Note: {note}")
    if len(distinct) > _MOST_NOTES:
        print(f"Note: {len(distinct) - _MOST_NOTES} more notes, in summary.json and the report")


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows as aligned columns, the first row underlined."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and values in two aligned columns."""
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name.ljust(width)}  {value}")
