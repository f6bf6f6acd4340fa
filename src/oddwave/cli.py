"""The command line: thin; each command reads its options, calls the package, and prints what came of it.

Heavy imports stand inside the commands, so that every `--help` answers at once. A new modality adds a command to `fit`
and to `bench`; nothing else changes. Read `console.py` for what is printed, `detector.py` for what happens.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oddwave import __version__
from oddwave.console import PlainGroup, print_facts, print_found, print_notes, shows_progress
from oddwave.errors import ConfigError

if TYPE_CHECKING:
    from oddwave.config import DetectorConfig
    from oddwave.detector import Detector

__all__ = ["app"]

# rich would double the time to the first word of help
app = typer.Typer(
    cls=PlainGroup, no_args_is_help=True, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False
)
fit_app = typer.Typer(
    cls=PlainGroup, no_args_is_help=True, rich_markup_mode=None, help="Learn from normal data and save a model."
)
bench_app = typer.Typer(
    cls=PlainGroup, no_args_is_help=True, rich_markup_mode=None, help="Compare oddwave with others on public data."
)
app.add_typer(fit_app, name="fit")
app.add_typer(bench_app, name="bench")

# Options that several commands share

_READING, _LEARNING = "Reading the data", "Learning"
Data = Annotated[Path, typer.Argument(metavar="DATA", help="CSV, TSV, Parquet, NPY or NPZ file, or a folder of them.")]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that `oddwave fit` wrote.")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the results.")]
Alpha = Annotated[float | None, typer.Option(help="False-alarm rate among normal points.  [default: 0.01]")]
Timestamp = Annotated[str | None, typer.Option(metavar="COL", help="Timestamp column.  [default: found]")]
Columns = Annotated[str | None, typer.Option(metavar="A,B", help="Columns to monitor.  [default: all numbers]")]
Delimiter = Annotated[str | None, typer.Option(help="Column delimiter, 'tab' for a tab.  [default: found]")]
NoHeader = Annotated[bool, typer.Option("--no-header", help="The first row is data; columns are numbered from 0.")]
Kind = Annotated[
    str, typer.Option(metavar="auto|stream|panel", help="Rows are points in time (stream) or whole instances (panel).")
]
Preset = Annotated[str | None, typer.Option(metavar="fast|balanced|accurate", help="[default: balanced]")]
Seed = Annotated[int | None, typer.Option(help="The same seed gives the same model.  [default: 0]")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; may be repeated.")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings from a TOML file.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the training that Ctrl-C stopped.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


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
    """Find what does not belong in time series, having learnt from normal data alone.

    \b
    One file that may hold anomalies:
        oddwave detect metrics.csv -o out
    Learn from a normal stretch, then watch:
        oddwave fit series healthy.csv -o model
        oddwave score model today.csv -o out
    See it work on made-up data:
        oddwave demo
    """
    # Idle threads that spin cost small networks several times their own work where cores are shared; torch reads this.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@fit_app.command("series")
def fit_series(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="MODEL", help="Folder for the model.")],
    preset: Preset = None,
    seed: Seed = None,
    settings: Settings = None,
    config_file: ConfigFile = None,
    timestamp: Timestamp = None,
    columns: Columns = None,
    delimiter: Delimiter = None,
    no_header: NoHeader = False,
    kind: Kind = "auto",
    resume: Resume = False,
    quiet: Quiet = False,
) -> None:
    """Learn what normal time series look like.

    The last fifth of the data (of a panel: a fifth of the instances) is held back to set the threshold.

    \b
    Examples:
        oddwave fit series healthy.csv -o model
        oddwave fit series pumps/ -o model --columns flow,pressure --preset accurate
        oddwave fit series healthy.csv -o model --set training.num_steps=500 --set "series.window_sizes=[64,128]"
    """
    config = _config(preset, seed, settings, config_file)
    detector, series = _read(config, data, out, _reading_options(timestamp, columns, delimiter, no_header, kind))
    from oddwave.training.folder import training_folder

    with training_folder(out, resume) as folder:
        detector.fit(series, show_progress=shows_progress(quiet), checkpoint_dir=folder, resume=resume)
        detector.save(out)
    assert detector.calibration is not None
    assert detector.engine is not None
    meta, sizes = detector.meta, ", ".join(map(str, detector.engine.plan.sizes))
    noun = "stream(s)" if detector.kind == "stream" else "instance(s)"
    print(
        f"Learnt from {meta['num_train_items']} {noun}, {meta['num_train_points']:,} points; windows of {sizes} points."
    )
    print(f"Threshold {detector.threshold_:.4g} from {len(detector.calibration.scores):,} scores of held-back normals.")
    print_notes([*series.notes, *(note for item in series.items for note in item.notes)])
    print(f"Model: {out}    next: oddwave score {out} NEW_DATA -o OUT")


@app.command()
def score(model: Model, data: Data, out: Out, alpha: Alpha = None, quiet: Quiet = False) -> None:
    """Score new data with a model.

    Writes scores.csv, events.csv, summary.json and report.html. The columns, the delimiter and the like are those that
    `oddwave fit` was given.

    \b
    Example:
        oddwave score model today.csv -o out --alpha 0.001
    """
    from oddwave.report.outputs import require_writable, write_outputs

    _check_alpha(alpha)
    require_writable(out)
    from oddwave.detector import Detector
    from oddwave.modalities.series_source import read_series

    detector = Detector.load(model)
    series = read_series(data, **detector.read_options)
    result = detector.score(series, alpha=alpha, show_progress=shows_progress(quiet))
    print_found(result, write_outputs(result, out, title=f"What does not belong in {data.name}"), series.notes)


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

    _check_alpha(alpha)
    config = _config(preset, seed, settings, config_file)
    detector, series = _read(config, data, out, _reading_options(timestamp, columns, delimiter, no_header, kind))
    from oddwave.training.folder import training_folder

    with training_folder(out, resume) as folder:
        show = shows_progress(quiet)
        result = detector.detect(series, alpha=alpha, show_progress=show, checkpoint_dir=folder, resume=resume)
        files = write_outputs(result, out, title=f"What does not belong in {data.name}")
    print_found(result, files, series.notes)


@app.command()
def info(model: Model) -> None:
    """Say what a model was trained on and how.

    \b
    Example:
        oddwave info model
    """
    from oddwave.detector import Detector

    detector = Detector.load(model)
    assert detector.calibration is not None
    assert detector.engine is not None
    meta, plan, config = detector.meta, detector.engine.plan, detector.config
    scores = len(detector.calibration.scores)
    print_facts(
        {
            "model": f"{model} (series, {meta['kind']})",
            "channels": ", ".join(detector.channel_names),
            "trained on": f"{meta['num_train_items']} item(s), {meta['num_train_points']:,} points",
            "preset, seed": f"{config.preset}, {config.seed}",
            "windows": f"{', '.join(map(str, plan.sizes))} points" + (f", period {plan.period}" if plan.period else ""),
            "weights": f"reconstruction {detector.engine.fusion.reconstruction_weight:.3g}, "
            f"memory {detector.engine.fusion.memory_weight:.3g}",
            "threshold": f"{detector.threshold_:.4g} at alpha {config.calibration.alpha:g}",
            "calibration": f"{scores:,} scores ({detector.calibration.source})",
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
    quiet: Quiet = False,
) -> None:
    """See it work on made-up sensor readings.

    Trains on quiet weeks, finds the faults planted in later ones, compares the two, and writes a report.

    \b
    Example:
        oddwave demo -o demo
    """
    from oddwave.report.outputs import require_writable

    require_writable(out)
    from oddwave.demo import run_demo

    run_demo(out, show_progress=shows_progress(quiet))


@bench_app.command("series")
def bench_series(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the tables; a run goes on there.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Folder of the data sets.  [default: ODDWAVE_DATA]")
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="A,B", help="Data sets (nab, nab/semi) or items (ECG200).")
    ] = None,
    methods: Annotated[str | None, typer.Option(metavar="A,B", help="Methods.  [default: all but accurate]")] = None,
    seeds: Annotated[str, typer.Option(metavar="0,1,2", help="Seeds of the methods that draw at random.")] = "0",
    jobs: Annotated[int | None, typer.Option(min=1, help="Cells run at once.  [default: all cores]")] = None,
    quiet: Quiet = False,
) -> None:
    """Compare methods on NAB, UCR and MSL.

    May be interrupted: the same command goes on where it stopped.

    \b
    Example:
        oddwave bench series --data data -o results --only nab --methods oddwave,knn --seeds 0,1,2
    """
    from oddwave.datasets.records import data_root
    from oddwave.report.outputs import require_writable

    numbers = _seeds(seeds)
    root = data_root(data)
    require_writable(out)
    from oddwave.bench.protocol import load_tasks
    from oddwave.bench.runner import run_benchmark
    from oddwave.bench.tables import write_tables

    rows = run_benchmark(
        root,
        out,
        only=_listed(only),
        methods=_listed(methods),
        seeds=numbers,
        jobs=jobs,
        show_progress=shows_progress(quiet),
    )
    table = write_tables(out, rows, load_tasks(root))
    failed = sum(bool(row["error"]) for row in rows)
    print(
        f"{len(rows)} cells" + (f", {failed} of them failed (column error)" if failed else "") + f". Written: {table}"
    )


# From options to what the package takes


def _config(
    preset_name: str | None, seed: int | None, overrides: list[str] | None, config_file: Path | None
) -> "DetectorConfig":
    """Preset, then the settings file, then --seed, then --set: the later one wins."""
    from oddwave.config import config_from_dict, preset, read_toml

    given = read_toml(config_file) if config_file else {}
    name = preset_name or str(given.pop("preset", "balanced"))
    merged = _merged(preset(name).model_dump(), {**given, "preset": name} | ({} if seed is None else {"seed": seed}))
    return config_from_dict(merged).with_overrides(overrides or [])


def _merged(base: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in more.items():
        inner = both.get(key)
        both[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return both


def _reading_options(
    timestamp: str | None, columns: str | None, delimiter: str | None, no_header: bool, kind: str
) -> dict[str, Any]:
    def key(name: str) -> str | int:
        return int(name) if no_header and name.isdecimal() else name

    names = _listed(columns)
    return {
        "timestamp": None if timestamp is None else key(timestamp),
        "columns": None if names is None else [key(name) for name in names],
        "delimiter": delimiter,
        "header": False if no_header else None,
        "kind": kind,
    }


def _read(config: "DetectorConfig", data: Path, out: Path, options: dict[str, Any]) -> tuple["Detector", Any]:
    """Check the way out, then read the data; the model remembers how they were read."""
    from oddwave.modalities.series_source import read_series
    from oddwave.report.outputs import require_writable

    require_writable(out)
    series = read_series(data, **options)
    from oddwave.detector import Detector

    return Detector(config, read_options={**options, "kind": series.kind}), series


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _seeds(text: str) -> list[int]:
    parts = _listed(text) or []
    if not parts or not all(part.isdecimal() for part in parts):
        raise ConfigError(f"--seeds '{text}' is not a list of whole numbers: give for example 0,1,2")
    return [int(part) for part in parts]


def _check_alpha(alpha: float | None) -> None:
    if alpha is not None and not 0.0 < alpha < 1.0:
        raise ConfigError(f"alpha is {alpha:g}: expected a false-alarm rate between 0 and 1, for example 0.01")
