"""Joint models on the command line: `oddwave fit joint`, and which part of one other commands mean.

Read `oddwave/joint.py` for what a joint model is.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oddwave.cli import options as opt
from oddwave.cli import outcome
from oddwave.console import say

if TYPE_CHECKING:
    from oddwave.config import DetectorConfig
    from oddwave.detection.saved import SavedModel
    from oddwave.detector import Detector
    from oddwave.joint import JointDetector

__all__ = ["PartOf", "fit_joint", "loaded", "saved_models"]

PartOf = Annotated[
    str | None,
    typer.Option("--modality", metavar="series|image|audio", help="Of a joint model: what DATA are.  [default: found]"),
]


def fit_joint(
    out: opt.OutModel,
    image: Annotated[
        str | None, typer.Option(metavar="DATA", help="Folder of good images, quoted glob, or MVTec category.")
    ] = None,
    audio: Annotated[
        str | None, typer.Option(metavar="DATA", help="Folder, quoted glob or file of healthy recordings.")
    ] = None,
    series: Annotated[str | None, typer.Option(metavar="DATA", help="File, folder or quoted glob of series.")] = None,
    preset: Annotated[str | None, typer.Option(metavar="paper", help="[default: paper]")] = None,
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
    """Learn several modalities with one network.

    As the paper has it, each enters at a port of its own, and all else is shared. The network sees images, the maps of
    audio and the scalograms of series, a batch of one after another; training.num_steps counts the steps of each. Each
    modality then scores as a model of its own would. A setting counts for those that it means something to.

    \b
    Examples:
        oddwave fit joint --image good_parts/ --audio healthy/ -o model
        oddwave fit joint --image good_parts/ --series healthy.csv -o model
        oddwave score model new_parts/ -o out
        oddwave score model new.npy -o out --modality series
    """
    from oddwave.detection.joint_fit import check_joint
    from oddwave.report.outputs import require_writable

    given = {"image": image, "audio": audio, "series": series}
    sources: dict[str, Any] = {modality: data for modality, data in given.items() if data is not None}
    said = (preset, seed, settings, config_file, device)
    configs = {modality: _configured(modality, [*sources], *said) for modality in sources}
    check_joint(configs)
    options = opt.reading_options(timestamp, columns, exclude, delimiter, decimal, day_first, no_header, kind, on_error)
    if "series" not in sources:
        opt.check_reading({k: v for k, v in options.items() if (k, v) != ("kind", "auto")}, "image", out)
    require_writable(out, "model")
    reading: dict[str, dict[str, Any]] = {modality: {"on_error": on_error or "skip"} for modality in sources}
    notes: list[str] = []
    if series is not None:
        reader, data = opt.read_for(configs["series"], series, options)
        sources["series"], reading["series"] = data, reader.read_options
        notes = [*data.notes, *(note for item in data.items for note in item.notes)]
    _learn(configs, reading, sources, notes, out, resume, quiet)


def _learn(
    configs: "dict[str, DetectorConfig]",
    reading: dict[str, dict[str, Any]],
    sources: dict[str, Any],
    notes: list[str],
    out: Path,
    resume: bool,
    quiet: bool,
) -> None:
    """Fit, save, and say what was learnt; `notes` are those on the series."""
    from oddwave.detection.training_folder import training_folder
    from oddwave.joint import JointDetector

    joint = JointDetector(configs, read_options=reading)
    with training_folder(out, resume) as folder:
        joint.fit(sources, show_progress=not quiet, checkpoint_dir=folder, resume=resume)
        joint.save(out)
    for modality in joint.modalities:
        detector = joint.detector(modality)
        own = notes if modality == "series" else detector.meta.get("warnings", [])
        outcome.print_learnt(detector, own, f"Learnt {opt.subject_of(modality)}. ")
    say(f"Model: {out}    next: oddwave score {out} NEW_DATA -o OUT")


def loaded(
    model: Path, data: str, modality: str | None, device: str | None, allow_external: bool
) -> "tuple[Detector, Detector | JointDetector]":
    """Load a model, of a joint one the part that the data are for; return that, and the whole of what may be saved."""
    from oddwave.detection.joint_parts import is_joint
    from oddwave.detection.model_folder import read_meta
    from oddwave.detector import Detector

    if not is_joint(read_meta(model)):
        detector = Detector.load(model, modality=modality, device=device or "cpu", allow_external=allow_external)
        return detector, detector
    from oddwave.joint import JointDetector

    joint = JointDetector.load(model, device=device or "cpu", allow_external=allow_external)
    return joint.detector_for(data, modality), joint


def saved_models(model: Path) -> "dict[str, SavedModel]":
    """Return what the JSON of a model says, of a joint one by modality."""
    from oddwave.detection.joint_parts import is_joint, saved_parts
    from oddwave.detection.model_folder import read_model
    from oddwave.detection.saved import checked

    meta, files = read_model(model)
    return saved_parts(meta, files, model) if is_joint(meta) else {"": checked(meta, files, model)}


def _configured(
    modality: str,
    modalities: list[str],
    preset: str | None,
    seed: int | None,
    overrides: list[str] | None,
    config_file: Path | None,
    device: str | None,
) -> "DetectorConfig":
    """Give one modality the settings that mean something to it; what does to none of them is refused."""
    from oddwave.config import foreign_sections
    from oddwave.overrides import parse_override, read_toml

    given: dict[str, Any] = {"preset": "paper", **(read_toml(config_file) if config_file else {})}
    of_others = {
        section
        for section in foreign_sections(modality)
        if any(section not in foreign_sections(other) for other in modalities)
    }
    own = [text for text in overrides or [] if parse_override(text)[0][0] not in of_others]
    sections = {name: value for name, value in given.items() if name not in of_others}
    return opt.configured(preset, seed, own, config_file, modality, device, sections)  # type: ignore[arg-type]
