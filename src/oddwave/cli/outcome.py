"""What a command does once it has a result: files, what is printed, and the exit status.

Read `console.py` for what is printed, `report/outputs.py` for the files.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from oddwave.cli.options import subject_of
from oddwave.console import exit_status, print_found, print_notes, say
from oddwave.errors import ConfigError
from oddwave.progress import stage
from oddwave.ranks import were_idle

if TYPE_CHECKING:
    from oddwave.detector import Detector
    from oddwave.results import DetectionResult

__all__ = ["check_copies", "print_fitted", "print_learnt", "tell", "written"]


def check_copies(annotate: bool, copies: Path | None, modality: str, data: str, out: Path) -> dict[str, Any]:
    """Return what is to be written beside the usual files. Raises: ConfigError, CheckpointError where it cannot be."""
    if annotate and modality != "image":
        raise ConfigError(f"--annotate draws on images, and these are {subject_of(modality)}: leave it out")
    if copies is not None:
        from oddwave.sources.flagged import check_copies

        check_copies(data, copies, out=out)
    return {"annotate": annotate, "copies": copies}


def written(
    result: "DetectionResult", data: str, out: Path, quiet: bool, *, copies: Path | None = None, **asked: Any
) -> list[Path]:
    """Write the files of a run, and then copies of the flagged ones; return the paths of the former."""
    from oddwave.report.outputs import write_outputs

    with stage("writing the report", not quiet):
        files = write_outputs(result, out, title=f"Anomalies in {Path(data).name}", **asked)
    if copies is not None:
        from oddwave.sources.flagged import copy_flagged

        copied = copy_flagged(result, data, copies, out=out)
        if not quiet:
            say(f"Copied {len(copied):,} flagged file(s) to {copies}", to=sys.stderr)
    return files


def tell(
    result: "DetectionResult",
    files: Sequence[Path],
    notes: Sequence[str],
    exit_code: bool,
    as_json: bool,
    **fdr: Any,
) -> None:
    """Print what was found, and end with the exit status that says it in short."""
    print_found(result, files, notes, to=sys.stderr if as_json else None, **fdr)
    if as_json:
        summary = next(path for path in files if path.name == "summary.json")
        typer.echo(summary.read_bytes(), nl=False)  # JSON is UTF-8, whatever the terminal is
    status = exit_status(result, tell_found=exit_code)
    if status:
        raise typer.Exit(status)


def print_fitted(detector: "Detector", out: Path, notes: list[str]) -> None:
    print_learnt(detector, notes)
    say(f"Model: {out}    next: oddwave score {out} NEW_DATA -o OUT")


def print_learnt(detector: "Detector", notes: list[str], lead: str = "Learnt. ") -> None:
    """Say what a detector learnt from, and its threshold."""
    assert detector.calibration is not None
    say(lead + "; ".join(f"{name}: {value}" for name, value in detector.inner.facts().items()) + ".")
    say(f"Threshold {detector.threshold_:.4g} from {len(detector.calibration.scores):,} scores of normal data.")
    idle = ["the other processes had nothing to do: this model trains no network"] if were_idle() else []
    print_notes([*notes, *idle])
