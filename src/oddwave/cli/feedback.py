"""`oddwave feedback`: say whether a finding was a false alarm, list what was said, take it back.

Read `detection/feedback.py` for what becomes of it.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oddwave.cli.options import (
    AllowExternal,
    Alpha,
    DayFirst,
    Decimal,
    Device,
    FittedColumns,
    FittedDelimiter,
    FittedExclude,
    FittedKind,
    FittedOnError,
    FittedTimestamp,
    Model,
    NoHeader,
    Quiet,
    Threshold,
    read_new,
    reading_options,
)
from oddwave.console import print_notes, print_table, say
from oddwave.errors import ConfigError

if TYPE_CHECKING:
    from oddwave.detection.corrections import Mark
    from oddwave.detector import Detector

__all__ = ["feedback"]


def feedback(
    model: Model,
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="The data in which the finding was made.")
    ] = None,
    verdict: Annotated[str | None, typer.Option(metavar="false-alarm|real|unsure", help="What it was.")] = None,
    item: Annotated[str | None, typer.Option(metavar="NAME", help="The image, recording or series.")] = None,
    event: Annotated[
        int | None, typer.Option(metavar="N", help="Its number, from 1: the row of events.csv (of the item's events).")
    ] = None,
    note: Annotated[str, typer.Option(help="Why, in your own words.")] = "",
    list_all: Annotated[bool, typer.Option("--list", help="List all feedback given to the model.")] = False,
    undo: Annotated[int | None, typer.Option(metavar="ID", help="Take this feedback back.")] = None,
    alpha: Alpha = None,
    threshold: Threshold = None,
    timestamp: FittedTimestamp = None,
    columns: FittedColumns = None,
    exclude: FittedExclude = None,
    delimiter: FittedDelimiter = None,
    decimal: Decimal = None,
    day_first: DayFirst = None,
    no_header: NoHeader = False,
    kind: FittedKind = None,
    on_error: FittedOnError = None,
    device: Device = None,
    allow_external: AllowExternal = False,
    quiet: Quiet = False,
) -> None:
    """Mark a finding as false alarm or real; list marks, undo one.

    What is like a false alarm scores as normal from then on, and its own scores join those that set the threshold.
    Nothing that was learnt changes: --undo restores every score. All false alarms together weigh at most a tenth of
    what was learnt. Findings are named as `oddwave score` named them, with the same --alpha or --threshold.

    \b
    Examples:
        oddwave feedback pump.model today.csv --event 2 --verdict false-alarm
        oddwave feedback parts.model new/ --item part_017.png --verdict real
        oddwave feedback pump.model --list
        oddwave feedback pump.model --undo 3
    """
    _check_what_is_asked(data, verdict, item, event, list_all=list_all, undo=undo)
    if list_all:
        _list(model)
        return
    options = reading_options(timestamp, columns, exclude, delimiter, decimal, day_first, no_header, kind, on_error)
    detector = _loaded(model, device, allow_external=allow_external)
    if undo is not None:
        say(f"Taken back: {detector.undo_feedback(undo)}")
        detector.save(model)
        return
    before, fitted = detector.inner.fitted_calibration(), dict(detector.read_options)
    source = read_new(detector, data or "", model, options)
    found: dict[str, Any] = {"item": item, "event": event, "alpha": alpha, "threshold": threshold}
    mark = detector.feedback(source, verdict=verdict or "", note=note, **found, show_progress=not quiet)
    detector.read_options.clear()
    detector.read_options.update(fitted)
    detector.save(model)
    print_notes(source.notes)
    _tell(mark, detector, len(detector.inner.fitted_calibration().scores) - len(before.scores))


def _loaded(model: Path, device: str | None, *, allow_external: bool) -> "Detector":
    from oddwave.detector import Detector
    from oddwave.report.outputs import require_writable

    require_writable(model, "model")
    return Detector.load(model, device=device or "cpu", allow_external=allow_external)


def _check_what_is_asked(
    data: str | None, verdict: str | None, item: str | None, event: int | None, *, list_all: bool, undo: int | None
) -> None:
    """Refuse what does not go together, before anything is read. Raises: ConfigError."""
    given = [
        data is not None or verdict is not None or item is not None or event is not None,
        list_all,
        undo is not None,
    ]
    if sum(given) != 1:
        raise ConfigError("give one of: DATA with --verdict, --list, or --undo ID")
    if given[0] and (data is None or verdict is None):
        missing = "DATA, in which the finding was made" if data is None else "--verdict false-alarm, real or unsure"
        raise ConfigError(f"{missing}, is missing: give it too")


def _tell(mark: "Mark", detector: "Detector", num_joined: int) -> None:
    say(f"Kept: {mark}")
    if mark.verdict == "false-alarm":
        say(f"Its score is {mark.score_after:.3g}, before {mark.score:.3g}; {num_joined:,} scores calibrate since.")
        say(f"Take it back with --undo {mark.id}.")
    say(f"The model has {len(detector.corrections)} of them: oddwave feedback MODEL --list")


def _list(model: Path) -> None:
    from oddwave.detection.corrections import newest_first
    from oddwave.detection.saved import read_saved

    marks = newest_first(read_saved(model).corrections)
    if not marks:
        say("No feedback was given to this model.")
        return
    print_table(
        [
            ["id", "when", "item", "stretch", "verdict", "note"],
            *([str(own.id), own.when, own.item, own.stretch, own.verdict, own.note] for own in marks),
        ]
    )
