"""`oddwave add`: more healthy data for a model that is there.

Read `detection/adding.py` for what that means.
"""

from pathlib import Path
from typing import Annotated

import typer

from oddwave.cli.joint import PartOf, loaded
from oddwave.cli.options import (
    AllowExternal,
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
    NewData,
    NoHeader,
    Quiet,
    out_option,
    read_new,
    reading_options,
)
from oddwave.console import print_notes, say

__all__ = ["add"]


def add(
    model: Model,
    data: NewData,
    out: Annotated[
        Path | None, out_option("MODEL", "Folder for the extended model.  [default: the model itself]")
    ] = None,
    allow_flagged: Annotated[
        bool, typer.Option("--allow-flagged", help="Add what scores as anomalous too: it is known to be healthy.")
    ] = False,
    timestamp: FittedTimestamp = None,
    columns: FittedColumns = None,
    exclude: FittedExclude = None,
    delimiter: FittedDelimiter = None,
    decimal: Decimal = None,
    day_first: DayFirst = None,
    no_header: NoHeader = False,
    kind: FittedKind = None,
    on_error: FittedOnError = None,
    modality: PartOf = None,
    device: Device = None,
    allow_external: AllowExternal = False,
    quiet: Quiet = False,
) -> None:
    """Extend a model by more healthy data, without training.

    The memory of what is normal grows, and a fifth of the new data joins those that set the threshold. What scores as
    anomalous is named and left out, unless --allow-flagged says that it is healthy. The model is replaced whole or not
    at all.

    \b
    Examples:
        oddwave add parts.model good_parts_of_today/ --allow-flagged
        oddwave add pump.model healthy_june.csv -o pump.june.model
    """
    from oddwave.report.outputs import require_writable

    options = reading_options(timestamp, columns, exclude, delimiter, decimal, day_first, no_header, kind, on_error)
    target = model if out is None else out
    require_writable(target, "model")
    detector, whole = loaded(model, data, modality, device, allow_external)
    fitted = dict(detector.read_options)
    threshold = detector.threshold_
    source = read_new(detector, data, model, options, learn=True)
    added = detector.add(source, allow_flagged=allow_flagged, show_progress=not quiet)
    detector.read_options.clear()
    detector.read_options.update(fitted)  # how these data were read says nothing of the next ones
    whole.save(target)
    say(f"Added {added.num_items:,}: {added.num_remembered:,} parts remembered, {added.num_calibration:,} calibrate.")
    num_scores = len(detector.decision_scores_)
    say(f"Threshold {detector.threshold_:.4g}, before {threshold:.4g}, from {num_scores:,} held-back normals' scores.")
    print_notes([*source.notes, *(f"{name}: {reason}; left out" for name, reason in added.left_out.items())])
    say(f"Model: {target}    next: oddwave score {target} NEW_DATA -o OUT")
