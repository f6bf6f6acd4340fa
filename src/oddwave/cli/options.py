"""Options that several commands share, and what becomes of them: settings, reading options, lists, checks.

None of this imports torch; what does is imported inside the functions. Read `__init__.py` for the commands.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oddwave.console import print_notes
from oddwave.errors import ConfigError

if TYPE_CHECKING:
    from oddwave.config import DetectorConfig, Modality
    from oddwave.detector import Detector

__all__ = [
    "AllowExternal", "Alpha", "Columns", "ConfigFile", "Data", "Delimiter", "Kind", "Model", "NoHeader", "OnError",
    "Out", "Preset", "Quiet", "Resume", "Seed", "Settings", "Timestamp", "check_alpha", "check_on_error",
    "configured", "listed", "print_fitted", "read_for", "reading_options", "seed_numbers",
]  # fmt: skip

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
OnError = Annotated[str, typer.Option(metavar="skip|stop", help="Pictures that cannot be read: leave out or stop.")]
AllowExternal = Annotated[
    bool, typer.Option("--allow-external", help="Let the model load a frozen network that did not come with oddwave.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


def configured(
    preset_name: str | None,
    seed: int | None,
    overrides: list[str] | None,
    config_file: Path | None,
    modality: "Modality" = "series",
) -> "DetectorConfig":
    """Preset, then the settings file, then --seed, then --set: the later one wins."""
    from oddwave.config import config_from_dict, preset, read_toml

    given = read_toml(config_file) if config_file else {}
    name = preset_name or str(given.pop("preset", "balanced"))
    if given.pop("modality", modality) != modality:
        raise ConfigError(f"settings file '{config_file}' is not for modality '{modality}': leave 'modality' out of it")
    chosen = {**given, "preset": name, **({} if seed is None else {"seed": seed})}
    merged = _merged(preset(name, modality).model_dump(), chosen)
    return config_from_dict(merged).with_overrides(overrides or [])


def _merged(base: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in more.items():
        inner = both.get(key)
        both[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return both


def reading_options(
    timestamp: str | None, columns: str | None, delimiter: str | None, no_header: bool, kind: str
) -> dict[str, Any]:
    def key(name: str) -> str | int:
        return int(name) if no_header and name.isdecimal() else name

    names = listed(columns)
    return {
        "timestamp": None if timestamp is None else key(timestamp),
        "columns": None if names is None else [key(name) for name in names],
        "delimiter": delimiter,
        "header": False if no_header else None,
        "kind": kind,
    }


def read_for(config: "DetectorConfig", data: Path, out: Path, options: dict[str, Any]) -> tuple["Detector", Any]:
    """Check the way out, then read the data; the model remembers how they were read."""
    from oddwave.modalities.series_source import read_series
    from oddwave.report.outputs import require_writable

    require_writable(out)
    series = read_series(data, **options)
    from oddwave.detector import Detector

    return Detector(config, read_options={**options, "kind": series.kind}), series


def print_fitted(detector: "Detector", out: Path, notes: list[str]) -> None:
    assert detector.calibration is not None
    print("Learnt. " + "; ".join(f"{name}: {value}" for name, value in detector.work.facts().items()) + ".")
    print(f"Threshold {detector.threshold_:.4g} from {len(detector.calibration.scores):,} scores of held-back normals.")
    print_notes(notes)
    print(f"Model: {out}    next: oddwave score {out} NEW_DATA -o OUT")


def check_on_error(on_error: str) -> None:
    if on_error not in ("skip", "stop"):
        raise ConfigError(f"--on-error is {on_error!r}: give skip or stop")


def listed(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def seed_numbers(text: str) -> list[int]:
    parts = listed(text) or []
    if not parts or not all(part.isdecimal() for part in parts):
        raise ConfigError(f"--seeds '{text}' is not a list of whole numbers: give for example 0,1,2")
    return [int(part) for part in parts]


def check_alpha(alpha: float | None) -> None:
    if alpha is not None and not 0.0 < alpha < 1.0:
        raise ConfigError(f"alpha is {alpha:g}: expected a false-alarm rate between 0 and 1, for example 0.01")
