"""Options that several commands share, and what becomes of them: settings, reading options, lists, checks.

None of this imports torch; what does is imported inside the functions. Read `__init__.py` for the commands.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oddwave.errors import CheckpointError, ConfigError, DataError

if TYPE_CHECKING:
    from oddwave.config import DetectorConfig, Modality
    from oddwave.detector import Detector

__all__ = [
    "AllowExternal",
    "Alpha",
    "Annotate",
    "Columns",
    "ConfigFile",
    "CopyFlagged",
    "Data",
    "DataModality",
    "DayFirst",
    "Decimal",
    "Delimiter",
    "Device",
    "Exclude",
    "ExitCode",
    "FalseAlarms",
    "FalseDiscoveryRate",
    "FittedColumns",
    "FittedDelimiter",
    "FittedExclude",
    "FittedKind",
    "FittedOnError",
    "FittedTimestamp",
    "Flag",
    "History",
    "Json",
    "Kind",
    "Model",
    "NewData",
    "NoHeader",
    "OnError",
    "Out",
    "OutModel",
    "Preset",
    "Quiet",
    "Resume",
    "Seed",
    "Settings",
    "Threshold",
    "Timestamp",
    "asked_for",
    "check_on_error",
    "check_reading",
    "configured",
    "detectable",
    "listed",
    "out_option",
    "read_for",
    "read_new",
    "reading_options",
    "seed_numbers",
    "subject_of",
]  # fmt: skip

Data = Annotated[
    str, typer.Argument(metavar="DATA", help="CSV, TSV, Parquet, NPY or NPZ file, a folder of them, or a quoted glob.")
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that `oddwave fit` wrote.")]


def _folder(text: str | Path) -> Path:
    """Take the name of a folder, or a default; an empty name would be the current folder."""
    if isinstance(text, str) and not text.strip():
        raise CheckpointError("the output folder has no name (-o ''): give one, or -o . for the current folder")
    return Path(text)


def out_option(metavar: str, text: str) -> Any:
    """Return the option for a command's output folder."""
    return typer.Option("--out", "-o", metavar=metavar, help=text, parser=_folder)


Out = Annotated[Path, out_option("OUT", "Folder for the results.")]
OutModel = Annotated[Path, out_option("MODEL", "Folder for the model.")]
Alpha = Annotated[float | None, typer.Option(help="False-alarm rate among normal items or blocks.  [default: 0.01]")]
Threshold = Annotated[
    float | None, typer.Option(metavar="SCORE", help="Instead of alpha: call anomalous what scores at least this.")
]
Flag = Annotated[int | None, typer.Option(metavar="N", help="Instead of alpha: flag the N strongest findings.")]
FalseAlarms = Annotated[
    str | None,
    typer.Option(metavar="BUDGET", help='Instead of alpha: "1 per week", "2 per 1000 images", "1 per 10000 points".'),
]
FalseDiscoveryRate = Annotated[
    float | None,
    typer.Option("--fdr", metavar="RATE", help="Also name the items that are anomalous at this false discovery rate."),
]
FdrMethod = Annotated[
    str,
    typer.Option(metavar="bh|by", help="How --fdr counts: by holds however items depend on one another."),
]
Timestamp = Annotated[str | None, typer.Option(metavar="COL", help="Timestamp column.  [default: found]")]
Columns = Annotated[
    str | None,
    typer.Option(metavar="A,B", help="Columns to monitor: names, positions from 0, or globs.  [default: all numbers]"),
]
Exclude = Annotated[str | None, typer.Option(metavar="A,B", help="Columns to leave out, named likewise.")]
Delimiter = Annotated[
    str | None, typer.Option(metavar="CHAR", help="Between columns, 'tab' for a tab.  [default: found]")
]
Decimal = Annotated[
    str | None, typer.Option(metavar=".|,", help="Decimal sign, where the numbers leave it open.  [default: found]")
]
DayFirst = Annotated[
    bool | None, typer.Option("--day-first/--month-first", help="Order of dates like 01/02/2024.  [default: found]")
]
NoHeader = Annotated[bool, typer.Option("--no-header", help="The first row is data; columns are numbered from 0.")]
Kind = Annotated[
    str, typer.Option(metavar="auto|stream|panel", help="Rows are points in time (stream) or whole instances (panel).")
]
DataModality = Annotated[str, typer.Option("--modality", metavar="series|image|audio", help="What the data are.")]
Preset = Annotated[str | None, typer.Option(metavar="fast|balanced|accurate", help="[default: balanced]")]
Seed = Annotated[int | None, typer.Option(help="Same seed and number of threads, same model.  [default: 0]")]
Device = Annotated[
    str | None,
    typer.Option(metavar="auto|cpu|cuda", help="Where to compute; auto: a GPU where there is one.  [default: cpu]"),
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; may be repeated.")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings from a TOML file.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the training that was stopped.")]
OnError = Annotated[
    str | None, typer.Option(metavar="skip|stop", help="What cannot be read: leave out, or stop.  [default: skip]")
]
AllowExternal = Annotated[
    bool, typer.Option("--allow-external", help="Let the model load a frozen network that did not come with oddwave.")
]
Annotate = Annotated[
    bool,
    typer.Option("--annotate", help="Images: also write each flagged one with heat map and boxes, to OUT/annotated."),
]
CopyFlagged = Annotated[
    Path | None,
    typer.Option("--copy-flagged", metavar="DIR", parser=_folder, help="Also copy the flagged files to this folder."),
]
History = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Series: the rows right before DATA, so that a few new ones get verdicts."),
]
ExitCode = Annotated[bool, typer.Option("--exit-code", help="End with status 1 where something was found.")]
Json = Annotated[bool, typer.Option("--json", help="Print summary.json, and nothing else, on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Do not say how far the work is.")]


def _as_fitted(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=f"{text}  [default: as fitted]")


NewData = Annotated[
    str, typer.Argument(metavar="DATA", help="A file, a folder or a quoted glob of what the model was fitted on.")
]
FittedTimestamp = Annotated[str | None, _as_fitted("COL", "Timestamp column.")]
FittedColumns = Annotated[str | None, _as_fitted("A,B", "Columns to judge: names, positions from 0, or globs.")]
FittedExclude = Annotated[str | None, _as_fitted("A,B", "Columns to leave out, named likewise.")]
FittedDelimiter = Annotated[str | None, _as_fitted("CHAR", "Between columns, 'tab' for a tab.")]
FittedKind = Annotated[str | None, _as_fitted("auto|stream|panel", "What rows are.")]
FittedOnError = Annotated[str | None, _as_fitted("skip|stop", "What cannot be read: leave out, or stop.")]


def configured(
    preset_name: str | None,
    seed: int | None,
    overrides: list[str] | None,
    config_file: Path | None,
    modality: "Modality" = "series",
    device: str | None = None,
    given: Mapping[str, Any] | None = None,
) -> "DetectorConfig":
    """Preset, then the settings file (or what it was `given` as), then --seed and --device, then --set.

    The later one wins.
    """
    from oddwave.config import config_from_dict, preset
    from oddwave.overrides import read_toml

    given = dict(given) if given is not None else read_toml(config_file) if config_file else {}
    name = preset_name or str(given.pop("preset", "balanced"))
    if given.pop("modality", modality) != modality:
        raise ConfigError(f"settings file '{config_file}' is not for modality '{modality}': leave 'modality' out of it")
    chosen = {**given, "preset": name, **_given(seed=seed, device=device)}
    merged = _merged(preset(name, modality).model_dump(), chosen)
    return config_from_dict(merged).with_overrides(overrides or [])


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _merged(base: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in more.items():
        inner = both.get(key)
        both[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return both


def reading_options(
    timestamp: str | None,
    columns: str | None,
    exclude: str | None,
    delimiter: str | None,
    decimal: str | None,
    day_first: bool | None,
    no_header: bool,
    kind: str | None,
    on_error: str | None,
) -> dict[str, Any]:
    """Give what was said about reading, under the names that `read_series` knows it by."""
    check_on_error(on_error)
    said = {
        "timestamp": timestamp,
        "columns": columns,
        "exclude": exclude,
        "delimiter": delimiter,
        "decimal": decimal,
        "day_first": day_first,
        "header": False if no_header else None,
        "kind": kind,
        "on_error": on_error,
    }
    return {name: value for name, value in said.items() if value is not None}


def check_reading(options: Mapping[str, Any], modality: str, model: Path | str) -> None:
    """Refuse options that say how to read series, for a model of another modality."""
    unfit = [name for name in options if name != "on_error" and modality != "series"]
    if unfit:
        name = "--no-header" if unfit[0] == "header" else f"--{unfit[0].replace('_', '-')}"
        raise ConfigError(
            f"{name} is for models of time series, and {model} is a model of {subject_of(modality)}: leave it out"
        )


def subject_of(modality: str) -> str:
    """Return what models of a modality are of."""
    return {"series": "time series", "image": "images"}.get(modality, modality)


def read_new(detector: "Detector", data: str, model: Path, options: Mapping[str, Any], *, learn: bool = False) -> Any:
    """Read data for a model, to be scored or to be learnt from, with these options beside those it was fitted with.

    What cannot be read names the model's modality.
    """
    check_reading(options, detector.config.modality, model)
    detector.read_options.update(options)
    try:
        return detector.inner.read_more(data) if learn else detector.inner.read(data)
    except DataError as error:
        error.add_note(f"{model} is a model of {subject_of(detector.config.modality)}")
        raise


def read_for(config: "DetectorConfig", data: str, options: dict[str, Any]) -> tuple["Detector", Any]:
    """Read the data; the model remembers how they were read."""
    if config.modality != "series":
        from oddwave.detector import Detector

        said = {name: own for name, own in options.items() if not (name == "kind" and own == "auto")}
        check_reading(said, config.modality, f"--modality {config.modality}")
        detector = Detector(config, read_options=said)
        return detector, detector.inner.read(data)
    from oddwave.sources.series.reader import read_series

    try:
        series = read_series(data, **options)
    except DataError as error:
        if Path(data).is_dir():
            error.add_note(
                "images have commands of their own: oddwave fit image, or oddwave detect with modality image; "
                "recordings likewise, with audio"
            )
        raise
    from oddwave.detector import Detector

    return Detector(config, read_options={**options, "kind": series.kind}), series


def check_on_error(on_error: str | None) -> None:
    if on_error not in (None, "skip", "stop"):
        raise ConfigError(f"--on-error is {on_error!r}: give skip or stop")


def listed(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def seed_numbers(text: str) -> list[int]:
    parts = listed(text) or []
    if not parts or not all(part.isdecimal() for part in parts):
        raise ConfigError(f"--seeds '{text}' is not a list of whole numbers: give for example 0,1,2")
    return [int(part) for part in parts]


def asked_for(
    alpha: float | None,
    threshold: float | None,
    flag: int | None,
    false_alarms: str | None,
    fdr: float | None,
    fdr_method: str,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is asked of `Detector.score`, and of the discoveries. Raises: ConfigError for what cannot be met."""
    from oddwave.calibration.budget import Asked
    from oddwave.results import FDR_METHODS

    if fdr_method not in FDR_METHODS:
        raise ConfigError(f"--fdr-method is {fdr_method!r:.40}: give bh or by")
    if fdr is not None and not 0.0 < fdr < 1.0:
        raise ConfigError(f"--fdr is {fdr:g}: expected a false discovery rate between 0 and 1, for example 0.1")
    asked = {"alpha": alpha, "threshold": threshold, "flag": flag, "false_alarms": false_alarms}
    Asked(**asked)  # type: ignore[arg-type]
    return asked, {"fdr": fdr, "fdr_method": fdr_method}


def detectable(modality: str) -> "Modality":
    """Return a modality of which data without normal ones can be judged. Raises: ConfigError for another."""
    if modality not in ("series", "image", "audio"):
        raise ConfigError(f"--modality is {modality!r:.40}: expected series, image or audio")
    return modality  # type: ignore[return-value]
