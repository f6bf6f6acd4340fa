"""The command line: thin; each command reads its options, calls the package, and prints what came of it.

Heavy imports stand inside the commands, so that every `--help` answers at once. A new modality has its `fit` command by
its line in the registry; one with options of its own adds a command to `fit.py`. Read `console.py` for what is printed,
`detector.py` for what happens.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from oddwave.cli import in_shards, outcome
from oddwave.cli import options as opt
from oddwave.cli.add import add
from oddwave.cli.bench import bench
from oddwave.cli.export import export
from oddwave.cli.feedback import feedback
from oddwave.cli.fit import fit_app
from oddwave.cli.fuse import fuse
from oddwave.cli.here import score_here
from oddwave.cli.joint import PartOf, fit_joint, saved_models
from oddwave.cli.mcp import mcp
from oddwave.cli.serve import serve
from oddwave.cli.together import TRAIN, in_all_processes
from oddwave.cli.verify import verify
from oddwave.cli.watch import watch
from oddwave.console import PlainGroup, print_facts
from oddwave.version import __version__

__all__ = ["app"]

# rich would double the time to the first word of help
app = typer.Typer(cls=PlainGroup, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
fit_app.command("joint")(fit_joint)
app.add_typer(fit_app, name="fit")
app.command()(add)
app.command()(bench)
app.command()(export)
app.command()(feedback)
app.command()(fuse)
app.command()(mcp)
app.command()(serve)
app.command()(verify)
app.command()(watch)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"oddwave {__version__}")
        raise typer.Exit


@app.callback()
def main(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Flag anomalies in time series, images and audio, having learnt from normal data alone.

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
    Complete commands and options with the tab key:
        oddwave --install-completion
    """
    # Idle threads that spin cost small networks several times their own work where cores are shared; torch reads this.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if ctx.invoked_subcommand in TRAIN:
        ctx.with_resource(in_all_processes())


@app.command()
def score(
    model: opt.Model,
    data: opt.NewData,
    out: opt.Out,
    alpha: opt.Alpha = None,
    threshold: opt.Threshold = None,
    flag: opt.Flag = None,
    false_alarms: opt.FalseAlarms = None,
    fdr: opt.FalseDiscoveryRate = None,
    fdr_method: opt.FdrMethod = "bh",
    timestamp: opt.FittedTimestamp = None,
    columns: opt.FittedColumns = None,
    exclude: opt.FittedExclude = None,
    delimiter: opt.FittedDelimiter = None,
    decimal: opt.Decimal = None,
    day_first: opt.DayFirst = None,
    no_header: opt.NoHeader = False,
    kind: opt.FittedKind = None,
    on_error: opt.FittedOnError = None,
    history: opt.History = None,
    modality: PartOf = None,
    device: opt.Device = None,
    allow_external: opt.AllowExternal = False,
    annotate: opt.Annotate = False,
    copy_flagged: opt.CopyFlagged = None,
    engine: in_shards.Engine = None,
    workers: in_shards.Workers = None,
    shard_size: in_shards.ShardSize = None,
    column: in_shards.Column = None,
    exit_code: opt.ExitCode = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Score new data with a model.

    Writes scores.csv, events.csv, summary.json and report.html; for sound also clips.csv and sounds/. How series are
    read is what was said to `oddwave fit`, unless said here. With --engine ray, see docs/scale.md.

    Ends with status 0 where nothing was found, 1 where something was (with --exit-code), 2 where the command or the
    data were refused, 3 where some items could not be judged.

    \b
    Examples:
        oddwave score model today.csv -o out --alpha 0.001 --columns flow,pressure
        oddwave score model last_five_rows.csv -o out --history yesterday.csv
        oddwave score parts.model "new/*.png" -o out --fdr 0.1
        oddwave score model today.csv -o out --false-alarms "1 per week"
        oddwave score parts.model new/ -o out --copy-flagged rejects --json -q
        oddwave score joint.model pump.wav -o out --modality audio
        oddwave score parts.model s3://bucket/parts -o out --engine ray
    """
    asked, discoveries = opt.asked_for(alpha, threshold, flag, false_alarms, fdr, fdr_method)
    options = opt.reading_options(timestamp, columns, exclude, delimiter, decimal, day_first, no_header, kind, on_error)
    which, said = (modality, device, allow_external), (asked, discoveries, options)
    refused = {"--annotate": annotate or None, "--copy-flagged": copy_flagged}
    told = (exit_code, as_json, quiet)
    how = {"engine": engine, "workers": workers, "shard_size": shard_size, "column": column}
    if in_shards.chosen(how, refused):
        return in_shards.score(model, data, out, which, said, history, how, told)
    return score_here(model, data, out, which, said, (annotate, copy_flagged, history), told)


@app.command()
def detect(
    data: opt.Data,
    out: opt.Out,
    modality: opt.DataModality = "series",
    preset: opt.Preset = None,
    seed: opt.Seed = None,
    device: opt.Device = None,
    settings: opt.Settings = None,
    config_file: opt.ConfigFile = None,
    alpha: opt.Alpha = None,
    threshold: opt.Threshold = None,
    flag: opt.Flag = None,
    false_alarms: opt.FalseAlarms = None,
    fdr: opt.FalseDiscoveryRate = None,
    fdr_method: opt.FdrMethod = "bh",
    timestamp: opt.Timestamp = None,
    columns: opt.Columns = None,
    exclude: opt.Exclude = None,
    delimiter: opt.Delimiter = None,
    decimal: opt.Decimal = None,
    day_first: opt.DayFirst = None,
    no_header: opt.NoHeader = False,
    kind: opt.Kind = "auto",
    on_error: opt.OnError = None,
    resume: opt.Resume = False,
    annotate: opt.Annotate = False,
    copy_flagged: opt.CopyFlagged = None,
    exit_code: opt.ExitCode = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Flag what is odd in one file, or among the items of a folder.

    No normal data are needed: each stretch, image or recording is compared with the rest, the clips of a single
    recording with its other clips. Writes what `oddwave score` writes, and ends with the same statuses: 0 nothing
    found, 1 something found (with --exit-code), 2 refused, 3 some items not judged.

    \b
    Examples:
        oddwave detect metrics.csv -o out
        oddwave detect plant.csv -o out --timestamp when --columns flow,pressure
        oddwave detect plant.csv -o out --exclude "label,*_raw" --preset fast
        oddwave detect parts/ -o out --modality image --flag 10
        oddwave detect recordings/ -o out --modality audio
        oddwave detect metrics.csv -o out --exit-code --json -q
    """
    from oddwave.report.outputs import require_writable

    asked, discoveries = opt.asked_for(alpha, threshold, flag, false_alarms, fdr, fdr_method)
    config = opt.configured(preset, seed, settings, config_file, opt.detectable(modality), device)
    options = opt.reading_options(timestamp, columns, exclude, delimiter, decimal, day_first, no_header, kind, on_error)
    require_writable(out, "results")
    more = outcome.check_copies(annotate, copy_flagged, modality, data, out)
    detector, series = opt.read_for(config, data, options)
    from oddwave.detection.training_folder import training_folder

    with training_folder(out, resume) as folder:
        result = detector.detect(series, **asked, show_progress=not quiet, checkpoint_dir=folder, resume=resume)
        files = outcome.written(result, data, out, quiet, **more, **discoveries)
    outcome.tell(result, files, series.notes, exit_code, as_json, **discoveries)


@app.command()
def info(model: opt.Model) -> None:
    """Show what a model was trained on and how.

    Reads no weights: `oddwave verify` checks those.

    \b
    Example:
        oddwave info model
    """
    from oddwave.report.facts import choices

    for saved in saved_models(model).values():
        meta, config, constants = saved.meta, saved.config, saved.constants
        kind = f", {meta['kind']}" if "kind" in meta else ""
        print_facts(
            {
                "model": f"{model} ({config.modality}{kind})",
                **saved.facts(),
                "preset, seed": f"{config.preset}, {config.seed}",
                **{each.name[0].lower() + each.name[1:]: each.chosen for each in choices(saved.choices) if each.chosen},
                "threshold": f"{saved.threshold:.4g} at alpha {saved.alpha:.3g}",
                "calibration": f"{len(constants['scores']):,} scores ({constants['source']})",
                "smallest alpha": f"{saved.smallest_alpha:.2g}",
                **({"added since": f"{len(meta['added'])} time(s)"} if meta.get("added") else {}),
                "data fingerprint": str(meta["data_fingerprint"])[:16],
                "oddwave": str(meta["package_version"]),
            }
        )


@app.command()
def demo(
    out: Annotated[Path, opt.out_option("OUT", "Folder for data, model and report.")] = Path("demo"),
    only: Annotated[
        str | None, typer.Option(metavar="series|images|audio|machine", help="One part only.  [default: all]")
    ] = None,
    quiet: opt.Quiet = False,
) -> None:
    """See it work on made-up sensor readings, images and audio.

    Learns from good data, finds the faults planted in other data, compares the two, and writes reports; the last part
    is one machine with all three.

    \b
    Examples:
        oddwave demo -o demo
        oddwave demo -o demo --only audio
    """
    from oddwave.demo import run_demo

    run_demo(out, **({} if only is None else {"parts": [only]}), show_progress=not quiet)
