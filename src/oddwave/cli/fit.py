"""`oddwave fit`: one command for each modality."""

from pathlib import Path
from typing import Annotated

import typer

from oddwave.cli.options import (
    Columns,
    ConfigFile,
    Data,
    DayFirst,
    Decimal,
    Delimiter,
    Exclude,
    Kind,
    NoHeader,
    OnError,
    OutModel,
    Preset,
    Quiet,
    Resume,
    Seed,
    Settings,
    Timestamp,
    check_on_error,
    configured,
    print_fitted,
    read_for,
    reading_options,
)
from oddwave.console import PlainGroup

__all__ = ["fit_app"]

fit_app = typer.Typer(
    cls=PlainGroup,
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
    data: Data,
    out: OutModel,
    preset: Preset = None,
    seed: Seed = None,
    settings: Settings = None,
    config_file: ConfigFile = None,
    timestamp: Timestamp = None,
    columns: Columns = None,
    exclude: Exclude = None,
    delimiter: Delimiter = None,
    decimal: Decimal = None,
    day_first: DayFirst = None,
    no_header: NoHeader = False,
    kind: Kind = "auto",
    on_error: OnError = None,
    resume: Resume = False,
    quiet: Quiet = False,
) -> None:
    """Learn what normal time series look like.

    The last fifth of the data (of a panel: a fifth of the instances) is held back to set the threshold.

    \b
    Examples:
        oddwave fit series healthy.csv -o model
        oddwave fit series pumps/ -o model --columns flow,pressure
        oddwave fit series plant.csv -o model --columns '"flow, m3/h",temp*'
        oddwave fit series healthy.csv -o model --exclude label,index
        oddwave fit series "2024-*.csv" -o model --set training.num_steps=500
    """
    from oddwave.report.outputs import require_writable

    config = configured(preset, seed, settings, config_file)
    options = reading_options(timestamp, columns, exclude, delimiter, decimal, day_first, no_header, kind, on_error)
    require_writable(out, "model")
    detector, series = read_for(config, data, options)
    from oddwave.training.folder import training_folder

    with training_folder(out, resume) as folder:
        detector.fit(series, show_progress=not quiet, checkpoint_dir=folder, resume=resume)
        detector.save(out)
    print_fitted(detector, out, [*series.notes, *(note for item in series.items for note in item.notes)])


@fit_app.command("image")
def fit_image(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Folder of good images, quoted glob, or MVTec category.")],
    out: OutModel,
    preset: Preset = None,
    seed: Seed = None,
    settings: Settings = None,
    config_file: ConfigFile = None,
    roi: Annotated[
        Path | None, typer.Option(metavar="IMAGE", help="Monitor only where this image is not black.")
    ] = None,
    on_error: OnError = None,
    resume: Resume = False,
    quiet: Quiet = False,
) -> None:
    """Learn what good images look like.

    A fifth of the images is held back to set the threshold and to choose settings by.

    \b
    Examples:
        oddwave fit image good_parts/ -o model
        oddwave fit image "line3/*.png" -o model --preset fast
        oddwave fit image boards/ -o model --roi mask.png
        oddwave fit image boards/ -o model --set image.tile_px=512
    """
    from oddwave.report.outputs import require_writable

    config = configured(preset, seed, settings, config_file, "image")
    require_writable(out, "model")
    from oddwave.sources.image.reader import read_images

    check_on_error(on_error)
    images = read_images(data, part="train", on_error=on_error or "skip")  # type: ignore[arg-type]
    from oddwave.detector import Detector
    from oddwave.training.folder import training_folder

    options = {"on_error": on_error or "skip", **({} if roi is None else {"roi": str(roi.absolute())})}
    detector = Detector(config, read_options=options)
    with training_folder(out, resume) as folder:
        detector.fit(images, show_progress=not quiet, checkpoint_dir=folder, resume=resume)
        detector.save(out)
    print_fitted(detector, out, detector.meta["warnings"])


@fit_app.command("audio")
def fit_audio(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Folder, quoted glob or file of healthy recordings.")],
    out: OutModel,
    preset: Preset = None,
    seed: Seed = None,
    settings: Settings = None,
    config_file: ConfigFile = None,
    on_error: OnError = None,
    resume: Resume = False,
    quiet: Quiet = False,
) -> None:
    """Learn what a machine, or any other normal sound, sounds like.

    Ten short recordings or one of a minute are the least; hours are read as a stream. A share is held back to set the
    threshold and to choose settings by.

    \b
    Examples:
        oddwave fit audio healthy/ -o model
        oddwave fit audio pump.flac -o model --preset fast
        oddwave fit audio "line3/*.wav" -o model --set audio.channels=each
    """
    from oddwave.report.outputs import require_writable

    config = configured(preset, seed, settings, config_file, "audio")
    require_writable(out, "model")
    from oddwave.sources.audio.reader import read_audio

    check_on_error(on_error)
    recordings = read_audio(data, part="train", channels=config.audio.channels, on_error=on_error or "skip")  # type: ignore[arg-type]
    from oddwave.detector import Detector
    from oddwave.training.folder import training_folder

    detector = Detector(config, read_options={"on_error": on_error or "skip"})
    with training_folder(out, resume) as folder:
        detector.fit(recordings, show_progress=not quiet, checkpoint_dir=folder, resume=resume)
        detector.save(out)
    print_fitted(detector, out, detector.meta["warnings"])
