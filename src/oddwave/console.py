"""What a person sees in the terminal: errors and warnings on one line each, and what was found in a few.

Results go to standard output, everything else to standard error. Names that others chose are made visible first (see
`visible.py`): no file can command the terminal. Read `cli.py` next: it holds the commands.
"""

import re
import sys
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

import typer
from typer.core import TyperGroup

from oddwave.errors import OddwaveError
from oddwave.stopping import status_after, stops_as_interrupts
from oddwave.visible import visible

if TYPE_CHECKING:
    from oddwave.results import DetectionResult

__all__ = [
    "EXIT_FOUND",
    "EXIT_UNJUDGED",
    "PlainGroup",
    "exit_status",
    "one_line",
    "print_facts",
    "print_found",
    "print_notes",
    "print_table",
    "say",
]

EXIT_FOUND = 1
EXIT_ERROR = 2
EXIT_UNJUDGED = 3
_ARGUMENT = re.compile(r"\b([a-z_]+)=(?=(\S?))")  # how messages name an option of the library
_READING = ("timestamp", "columns", "exclude", "delimiter", "decimal", "kind", "on_error")  # what notes name of them
_OPENS = ("'", '"', "[")  # a value, where no letter or digit does
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

    def get_params(self, ctx: Any) -> Any:
        """Return the options of tab completion such a default too."""
        params = super().get_params(ctx)
        for param in params:
            if param.name in ("install_completion", "show_completion"):
                param.default = False
        return params

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the options; one that is not understood is named visibly."""
        with _visible_usage():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command; see the class."""
        try:
            with one_line_warnings(), _visible_usage(), _any_encoding(), stops_as_interrupts():
                return super().invoke(ctx)
        except OddwaveError as error:
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            options = {param.name for param in getattr(command, "params", ())}
            _to_stderr(one_line(error, options))
            raise typer.Exit(status_after(error) if isinstance(error, KeyboardInterrupt) else EXIT_ERROR) from None
        except KeyboardInterrupt as interrupt:
            _to_stderr("; ".join(["stopped", *getattr(interrupt, "__notes__", ())]))
            raise typer.Exit(status_after(interrupt)) from None


@contextmanager
def _visible_usage() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's own errors: they repeat what was typed
            error.message = visible(str(error.message))  # type: ignore[attr-defined]
        raise


@contextmanager
def _any_encoding() -> Iterator[None]:
    """Print what the terminal's or the pipe's encoding lacks as an escape, rather than fail."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    yield


def one_line(error: BaseException, options: Collection[str] = ()) -> str:
    """Return an error's message and the notes added to it, on one line.

    Arguments of the library that are `options` of the command are named as such: `columns=a,b` as `--columns a,b`.
    """
    text = "; ".join([str(error), *getattr(error, "__notes__", ())])
    return visible(" ".join(_as_options(text, options).split()))


def _as_options(text: str, options: Collection[str]) -> str:
    def option(found: re.Match[str]) -> str:
        name, follows = found[1], found[2]
        if name not in options:
            return found[0]
        value = follows.isalnum() or follows in _OPENS
        return f"--{name.replace('_', '-')}{' ' if value else ''}"

    return _ARGUMENT.sub(option, text)


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


def say(line: str = "", *, to: TextIO | None = None) -> None:
    """Print one line, on standard output unless told otherwise, with nothing in it that the terminal would obey."""
    print(visible(line), file=to)


def _to_stderr(text: str) -> None:
    say(f"oddwave: {text}", to=sys.stderr)


def exit_status(result: "DetectionResult", *, tell_found: bool) -> int:
    """Return the exit status of a run that came to its end.

    1 where something was found and that was asked for, 3 where some items could not be judged, 0 otherwise. Single
    missing points of a series are no items.
    """
    if tell_found and (result.flagged or result.events):
        return EXIT_FOUND
    return EXIT_UNJUDGED if result.counts.failed else 0


def print_found(
    result: "DetectionResult",
    files: Sequence[Path],
    source_notes: Sequence[str] = (),
    *,
    to: TextIO | None = None,
    fdr: float | None = None,
    fdr_method: Literal["bh", "by"] = "bh",
) -> None:
    """Print the verdict, the strongest findings, what to know about the data, and where the files are.

    With a false discovery rate `fdr`, also the items that are discoveries at it.
    """
    from oddwave.report.verdict import verdict_sentences

    _, headline, detail = verdict_sentences(result)
    say(f"{headline}. {detail}", to=to)
    _print_findings(result, to)
    if fdr is not None:
        _print_discoveries(result, fdr, fdr_method, to)
    _print_unjudged(result, to)
    print_notes([*source_notes, *_item_notes(result)], to=to)
    say("Written: " + ", ".join(str(path) for path in files), to=to)


def _print_findings(result: "DetectionResult", to: TextIO | None) -> None:
    """Print the strongest findings: events of streams, otherwise the items that were flagged, and where in them."""
    from oddwave.report.kinds import kind_of

    kind = kind_of(result)
    found = kind.findings(result)
    for line in found[:_MOST_EVENTS]:
        say(f"  {line}".rstrip(), to=to)
    if len(found) > _MOST_EVENTS:
        say(f"  ... and {len(found) - _MOST_EVENTS} more, in {kind.findings_file}", to=to)


def _print_discoveries(result: "DetectionResult", rate: float, method: Literal["bh", "by"], to: TextIO | None) -> None:
    found = result.discovered(rate, method=method)
    line = f"At a false discovery rate of {rate:g}: {len(found):,} of {result.counts.items:,} items"
    if found:
        line += f", of which {rate * len(found):.2g} or fewer are expected to be normal: "
        line += ", ".join(found[:_MOST_NOTES])
        line += f" and {len(found) - _MOST_NOTES:,} more, in summary.json" * (len(found) > _MOST_NOTES)
    say(line, to=to)


def _print_unjudged(result: "DetectionResult", to: TextIO | None) -> None:
    failed = result.not_judged
    for item in failed[:_MOST_NOTES]:
        say(f"Not judged: {item.id}: {item.reason}", to=to)
    where = "scores.csv and the report" if result.whole is None else "shards/"
    if (more := result.counts.failed - len(failed[:_MOST_NOTES])) > 0:
        say(f"Not judged: {more:,} more, in {where}", to=to)


def _item_notes(result: "DetectionResult") -> list[str]:
    """Return what was noted of the items; a note that several of them share is said once."""
    from oddwave.report.facts import gathered_notes

    alone = len(result.items) == 1
    return [note if alone else f"{whose}: {note}" for whose, note in gathered_notes(result)]


def print_notes(notes: Sequence[str], *, to: TextIO | None = None) -> None:
    """Print what was noticed while reading, each note once."""
    distinct = list(dict.fromkeys(notes))
    for note in distinct[:_MOST_NOTES]:
        say(f"Note: {_as_options(note, _READING)}", to=to)
    if len(distinct) > _MOST_NOTES:
        say(f"Note: {len(distinct) - _MOST_NOTES} more notes, in summary.json and the report", to=to)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows as aligned columns, the first row underlined."""
    rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            say("  ".join("-" * width for width in widths))


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and values in two aligned columns."""
    width = max(map(len, facts))
    for name, value in facts.items():
        say(f"{name.ljust(width)}  {value}")
