"""The command line: thin; each command reads its options, calls the package, and prints what came of it.

Heavy imports stand inside the commands, so that every `--help` answers at once. A new modality adds a command to
`fit.py` and to `bench.py`; nothing else changes. Read `console.py` for what is printed, `detector.py` for what happens.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from oddwave import __version__
from oddwave.cli.bench import bench_app
from oddwave.cli.fit import fit_app
from oddwave.cli.options import (
    AllowExternal,
    Alpha,
    Columns,
    ConfigFile,
    Data,
    Delimiter,
    Kind,
    Model,
    NoHeader,
    Out,
    Preset,
    Quiet,
    Resume,
    Seed,
    Settings,
    Timestamp,
    check_alpha,
    check_on_error,
    configured,
    read_for,
    reading_options,
)  # fmt: skip
from oddwave.cli.verify import verify
from oddwave.console import PlainGroup, print_facts, print_found, shows_progress
from oddwave.errors import ConfigError, DataError

__all__ = ["app"]

# rich would double the time to the first word of help
app = typer.Typer(
    cls=PlainGroup, no_args_is_help=True, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False
)
app.add_typer(fit_app, name="fit")
app.add_typer(bench_app, name="bench")
app.command()(verify)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"oddwave {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Find what does not belong in time series, pictures and sound, having learnt from normal data alone.

    \b
    One file of readings that may hold anomalies:
        oddwave detect metrics.csv -o out
    Learn from a normal stretch, then watch:
        oddwave fit series healthy.csv -o model
        oddwave score model today.csv -o out
    Learn from good parts, then inspect others:
        oddwave fit image good_parts/ -o model
        oddwave score model new_parts/ -o out
    See it work on made-up data:
        oddwave demo
    """
    # Idle threads that spin cost small networks several times their own work where cores are shared; torch reads this.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@app.command()
def score(
    model: Model,
    data: Annotated[str, typer.Argument(metavar="DATA", help="What the model's kind of data comes in, as for fit.")],
    out: Out,
    alpha: Alpha = None,
    on_error: Annotated[
        str | None, typer.Option(metavar="skip|stop", help="Pictures that cannot be read.  [default: as fitted]")
    ] = None,
    allow_external: AllowExternal = False,
    quiet: Quiet = False,
) -> None:
    """Score new data with a model.

    Writes scores.csv, events.csv, summary.json and report.html; for sound also clips.csv and sounds/, with what is
    normal and what is odd in the most abnormal recordings. The columns, the delimiter and the like are those given to
    `oddwave fit`.

    \b
    Examples:
        oddwave score model today.csv -o out --alpha 0.001
        oddwave score parts.model new_parts/ -o out --on-error stop
    """
    from oddwave.report.outputs import require_writable, write_outputs

    check_alpha(alpha)
    require_writable(out)
    from oddwave.detector import Detector

    detector = Detector.load(model, allow_external=allow_external)
    if on_error is not None:
        check_on_error(on_error)
        if detector.config.modality != "image":
            raise ConfigError("--on-error is for models of pictures: leave it out")
        detector.read_options["on_error"] = on_error
    if alpha is not None and detector.calibration is not None:
        # before thousands of files are read
        detector.calibration.checked_alpha(alpha, detector.config.calibration.alpha)
    try:
        source = detector.work.read(data)
    except DataError as error:
        kind = "pictures" if detector.config.modality == "image" else "time series"
        error.add_note(f"{model} is a model of {kind}")
        raise
    result = detector.score(source, alpha=alpha, show_progress=shows_progress(quiet))
    print_found(result, write_outputs(result, out, title=f"What does not belong in {Path(data).name}"), source.notes)


@app.command()
def detect(
    data: Data,
    out: Out,
    preset: Preset = None,
    seed: Seed = None,
    settings: Settings = None,
    config_file: ConfigFile = None,
    alpha: Alpha = None,
    timestamp: Timestamp = None,
    columns: Columns = None,
    delimiter: Delimiter = None,
    no_header: NoHeader = False,
    kind: Kind = "auto",
    resume: Resume = False,
    quiet: Quiet = False,
) -> None:
    """Find what does not belong in one file.

    No normal data are needed: each stretch is compared with the rest of the file. Writes what `oddwave score` writes.

    \b
    Examples:
        oddwave detect metrics.csv -o out
        oddwave detect plant.csv -o out --timestamp when --columns flow,pressure --preset fast
    """
    from oddwave.report.outputs import write_outputs

    check_alpha(alpha)
    config = configured(preset, seed, settings, config_file)
    detector, series = read_for(config, data, out, reading_options(timestamp, columns, delimiter, no_header, kind))
    from oddwave.training.folder import training_folder

    with training_folder(out, resume) as folder:
        show = shows_progress(quiet)
        result = detector.detect(series, alpha=alpha, show_progress=show, checkpoint_dir=folder, resume=resume)
        files = write_outputs(result, out, title=f"What does not belong in {data.name}")
    print_found(result, files, series.notes)


@app.command()
def info(model: Model, allow_external: AllowExternal = False) -> None:
    """Say what a model was trained on and how.

    \b
    Example:
        oddwave info model
    """
    from oddwave.detector import Detector
    from oddwave.report.facts import choices

    detector = Detector.load(model, allow_external=allow_external)
    assert detector.calibration is not None
    meta, config = detector.meta, detector.config
    kind = f", {meta['kind']}" if "kind" in meta else ""
    alpha = max(config.calibration.alpha, detector.calibration.smallest_alpha)
    print_facts(
        {
            "model": f"{model} ({config.modality}{kind})",
            **detector.work.facts(),
            "preset, seed": f"{config.preset}, {config.seed}",
            **{each.name[0].lower() + each.name[1:]: each.chosen for each in choices(detector.choices) if each.chosen},
            "threshold": f"{detector.threshold_:.4g} at alpha {alpha:.3g}",
            "calibration": f"{len(detector.calibration.scores):,} scores ({detector.calibration.source})",
            "smallest alpha": f"{detector.calibration.smallest_alpha:.2g}",
            "data fingerprint": str(meta["data_fingerprint"])[:16],
            "oddwave": str(meta["package_version"]),
        }
    )


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for data, model and report.")] = Path(
        "demo"
    ),
    only: Annotated[
        str | None, typer.Option(metavar="series|images|audio", help="One part only.  [default: all]")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """See it work on made-up sensor readings, pictures and sound.

    Learns from good data, finds the faults planted in other data, compares the two, and writes reports.

    \b
    Examples:
        oddwave demo -o demo
        oddwave demo -o demo --only audio
    """
    from oddwave.report.outputs import require_writable

    require_writable(out)
    from oddwave.demo import run_demo

    run_demo(out, **({} if only is None else {"parts": [only]}), show_progress=shows_progress(quiet))
