"""`oddwave fuse`: the results of several senses on one machine, one verdict.

Read `senses/read.py` for what is read, `senses/match.py` for what is of one thing.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from oddwave.cli import options as opt
from oddwave.console import EXIT_FOUND, EXIT_UNJUDGED, print_notes, say
from oddwave.errors import ConfigError

if TYPE_CHECKING:
    from oddwave.senses.outputs import FusedRun

__all__ = ["fuse"]

_UNITS_S = {"": 1.0, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|min|h|d|)\s*", re.ASCII)

Folders = Annotated[
    list[str], typer.Argument(metavar="RESULTS...", help="Folders that `oddwave score` wrote, or NAME=FOLDER.")
]
How = Annotated[str, typer.Option(metavar="cauchy|harmonic|fisher", help="How p-values are combined.")]
By = Annotated[str, typer.Option(metavar="item|time", help="What makes items of several senses one thing.")]
Tolerance = Annotated[
    str | None, typer.Option(metavar="TIME", help="How far apart is still one moment: 60s, 5min, 1h.  [default: 60s]")
]
FusedAlpha = Annotated[
    float | None, typer.Option(help="False-alarm rate of all senses together.  [default: that of the results]")
]


def fuse(
    results: Folders,
    out: opt.Out,
    method: How = "cauchy",
    by: By = "item",
    tolerance: Tolerance = None,
    alpha: FusedAlpha = None,
    exit_code: opt.ExitCode = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Combine the results of several senses into one verdict.

    Writes fused.csv, summary.json and report.html, with each sense's share. Items are matched by their names without
    folder and ending, or by time: that in their names, that of the recordings, that of the series' readings. Cauchy
    holds however the senses depend on one another, harmonic too and at a price, Fisher for independent senses only.

    Ends with status 0 where nothing was found, 1 where something was (with --exit-code), 2 where the command or the
    results were refused, 3 where some items could not be judged by any sense.

    \b
    Examples:
        oddwave fuse camera_out microphone_out -o fused
        oddwave fuse cam=cam_out sensors=s_out -o fused --by time
        oddwave fuse camera_out sensors_out -o fused --alpha 0.001 --json -q
    """
    from oddwave.calibration.combine import METHODS
    from oddwave.calibration.rule import valid_alpha
    from oddwave.report.outputs import require_writable
    from oddwave.senses.match import by_item, by_time
    from oddwave.senses.outputs import fused_run, require_apart, write_fused
    from oddwave.senses.read import read_senses

    if method not in METHODS:
        raise ConfigError(f"--method is {method!r:.40}: give one of {', '.join(METHODS)}")
    if by not in ("item", "time"):
        raise ConfigError(f"--by is {by!r:.40}: give item or time")
    if tolerance is not None and by == "item":
        raise ConfigError("--tolerance is for matching by time: add --by time, or leave it out")
    near_s = _seconds("60s" if tolerance is None else tolerance)
    if alpha is not None:
        valid_alpha(alpha)
    senses, notes = read_senses(results)
    require_apart(out, senses)
    require_writable(out, "results")
    things, more = (by_item(senses), []) if by == "item" else by_time(senses, near_s)
    run = fused_run(senses, things, method=method, alpha=alpha, matched=by, notes=[*notes, *more])
    files = write_fused(run, out)
    del quiet  # the work is done before one could say how far it is
    _tell(run, files, sys.stderr if as_json else None)
    if as_json:
        typer.echo((out / "summary.json").read_bytes(), nl=False)
    if exit_code and run.flagged:
        raise typer.Exit(EXIT_FOUND)
    if run.not_judged:
        raise typer.Exit(EXIT_UNJUDGED)


def _tell(run: "FusedRun", files: Sequence[Path], to: TextIO | None) -> None:
    """Print the verdict, the strongest findings with their shares, the notes, and where the files are."""
    _, headline, detail = run.verdict
    say(f"{headline}. {detail}", to=to)
    for line in run.lines:
        say(f"  {line}", to=to)
    print_notes(run.notes, to=to)
    say("Written: " + ", ".join(str(path) for path in files), to=to)


def _seconds(text: str) -> float:
    """Return a span of time in seconds. Raises: ConfigError."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ConfigError(
            f"--tolerance is {text!r:.40}: give a number with ms, s, min, h or d, for example 60s or 5min"
        )
    return float(found[1]) * _UNITS_S[found[2]]
