"""`oddwave fit`: a command for each modality of the registry; those that have options of their own are written here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oddwave.cli import options as opt
from oddwave.cli import outcome
from oddwave.console import PlainGroup
from oddwave.registry import MODALITIES

if TYPE_CHECKING:
    from oddwave.config import Modality
    from oddwave.detector import Detector

__all__ = ["fit_app"]


class _FitGroup(PlainGroup):
    """The commands below, and one with the options that all modalities have for each other one."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all modalities."""
        return [*super().list_commands(ctx), *(name for name in MODALITIES if name not in self.commands)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a modality, or None."""
        known = super().get_command(ctx, cmd_name)
        return _plain_command(cmd_name) if known is None and cmd_name in MODALITIES else known


fit_app = typer.Typer(
    cls=_FitGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Learn from normal data and save a model.

    \b
    Examples:
        oddwave fit series healthy.csv -o model
        oddwave fit image good_parts/ -o model
        oddwave fit audio "line3/*.wav" -o model
    """,
)


@fit_app.command("series")
def fit_series(
    data: opt.Data,
    out: opt.OutModel,
    preset: opt.Preset = None,
    seed: opt.Seed = None,
    device: opt.Device = None,
    settings: opt.Settings = None,
    config_file: opt.ConfigFile = None,
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
    quiet: opt.Quiet = False,
) -> None:
    """Learn what normal time series look like.

    Nothing is trained: all of the data are remembered and set the threshold, each stretch compared with the others.

    \b
    Examples:
        oddwave fit series healthy.csv -o model
        oddwave fit series pumps/ -o model --columns flow,pressure
        oddwave fit series plant.csv -o model --columns '"flow, m3/h",temp*'
        oddwave fit series healthy.csv -o model --exclude label,index
        oddwave fit series "2024-*.csv" -o model --set scoring.memory_size=16384
    """
    from oddwave.report.outputs import require_writable

    config = opt.configured(preset, seed, settings, config_file, device=device)
    options = opt.reading_options(timestamp, columns, exclude, delimiter, decimal, day_first, no_header, kind, on_error)
    require_writable(out, "model")
    detector, series = opt.read_for(config, data, options)
    _fit(detector, series, out, resume, quiet)
    outcome.print_fitted(detector, out, [*series.notes, *(note for item in series.items for note in item.notes)])


@fit_app.command("image")
def fit_image(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Folder of good images, quoted glob, or MVTec category.")],
    out: opt.OutModel,
    preset: opt.Preset = None,
    seed: opt.Seed = None,
    device: opt.Device = None,
    settings: opt.Settings = None,
    config_file: opt.ConfigFile = None,
    roi: Annotated[
        Path | None, typer.Option(metavar="IMAGE", help="Monitor only where this image is not black.")
    ] = None,
    on_error: opt.OnError = None,
    resume: opt.Resume = False,
    quiet: opt.Quiet = False,
) -> None:
    """Learn what good images look like.

    All images are learnt from, and each is compared with the others to set the threshold.

    \b
    Examples:
        oddwave fit image good_parts/ -o model
        oddwave fit image "line3/*.png" -o model --preset fast
        oddwave fit image boards/ -o model --roi mask.png
        oddwave fit image boards/ -o model --set image.tile_px=512
    """
    reading = {} if roi is None else {"roi": str(roi.absolute())}
    _learn("image", data, out, preset, seed, device, settings, config_file, on_error, resume, quiet, **reading)


@fit_app.command("audio")
def fit_audio(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Folder, quoted glob or file of healthy recordings.")],
    out: opt.OutModel,
    preset: opt.Preset = None,
    seed: opt.Seed = None,
    device: opt.Device = None,
    settings: opt.Settings = None,
    config_file: opt.ConfigFile = None,
    on_error: opt.OnError = None,
    resume: opt.Resume = False,
    quiet: opt.Quiet = False,
) -> None:
    """Learn what a machine, or any other normal sound, sounds like.

    Ten short recordings or one of a minute are the least; hours are read as a stream. All of it sets the threshold,
    each part judged by what is known without it.

    \b
    Examples:
        oddwave fit audio healthy/ -o model
        oddwave fit audio pump.flac -o model --preset fast
        oddwave fit audio "line3/*.wav" -o model --set audio.channels=each
    """
    _learn("audio", data, out, preset, seed, device, settings, config_file, on_error, resume, quiet)


def _plain_command(modality: Any) -> Any:
    """Return the command of a modality that has no options of its own."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)

    @app.command(modality, help=f"Learn from normal data of the modality {modality}.")
    def fit(
        data: Annotated[str, typer.Argument(metavar="DATA", help="What its reader takes.")],
        out: opt.OutModel,
        preset: opt.Preset = None,
        seed: opt.Seed = None,
        device: opt.Device = None,
        settings: opt.Settings = None,
        config_file: opt.ConfigFile = None,
        on_error: opt.OnError = None,
        resume: opt.Resume = False,
        quiet: opt.Quiet = False,
    ) -> None:
        _learn(modality, data, out, preset, seed, device, settings, config_file, on_error, resume, quiet)

    return typer.main.get_command(app)


def _learn(
    modality: "Modality",
    data: str,
    out: Path,
    preset: str | None,
    seed: int | None,
    device: str | None,
    settings: list[str] | None,
    config_file: Path | None,
    on_error: str | None,
    resume: bool,
    quiet: bool,
    **reading: str,
) -> None:
    """Fit and save a model of any modality whose detector reads the data itself."""
    from oddwave.report.outputs import require_writable

    config = opt.configured(preset, seed, settings, config_file, modality, device=device)
    opt.check_on_error(on_error)
    require_writable(out, "model")
    from oddwave.detector import Detector

    detector = Detector(config, read_options={"on_error": on_error or "skip", **reading})
    _fit(detector, data, out, resume, quiet)
    outcome.print_fitted(detector, out, detector.meta.get("warnings", []))


def _fit(detector: "Detector", data: Any, out: Path, resume: bool, quiet: bool) -> None:
    from oddwave.detection.training_folder import training_folder

    with training_folder(out, resume) as folder:
        detector.fit(data, show_progress=not quiet, checkpoint_dir=folder, resume=resume)
        detector.save(out)
