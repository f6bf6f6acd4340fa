"""The demonstration on sound: learn from made-up recordings of a healthy machine, find the faults in others, compare.

`run_audio` does what a user would do with a folder of recordings; `match_audio` says what was found of what was
planted. The labels are used for that comparison alone. Read `machine_audio.py` for the machine, and
`report/outputs.py` next: the files that a scoring run leaves.
"""

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from oddwave.console import print_table
from oddwave.demo.machine_audio import GRADES, MACHINE_FAULTS, SAMPLE_RATE, PlantedAudio, make_machine_audio
from oddwave.errors import ConfigError, MissingExtraError
from oddwave.folders import atomic_directory
from oddwave.report import wording
from oddwave.report.kinds.audio_words import describe
from oddwave.report.outputs import write_outputs
from oddwave.results import AudioEvent, AudioResult

__all__ = ["AudioComparison", "DemoAudio", "match_audio", "print_audio", "run_audio", "write_demo_audio", "write_flac"]

ALPHA = 0.05
NUM_TRAIN = 60
DURATION_S = 8.0
_GOOD = "good"
_FOLDERS = ("train", "test", "planted.csv")


@dataclass(frozen=True)
class DemoAudio:
    """The recordings that were written: what to learn from, what to judge, and what is planted in each of those."""

    train_paths: tuple[Path, ...]
    test_paths: tuple[Path, ...]
    planted: tuple[PlantedAudio | None, ...]


@dataclass(frozen=True, slots=True)
class AudioComparison:
    """What became of one test recording; `event` is its strongest event, if it was flagged and has one.

    A fault is placed where that event meets it in time and in frequency.
    """

    id: str
    planted: PlantedAudio | None
    flagged: bool
    event: AudioEvent | None
    placed: bool
    p_value: float


def write_demo_audio(
    folder: Path, seed: int = 0, num_train: int = NUM_TRAIN, num_good: int = 8, duration_s: float = DURATION_S
) -> DemoAudio:
    """Write recordings as FLAC: train/good, test/good, one clear and one faint of each fault, and planted.csv.

    All of it or nothing is written; an older set in the same folder is replaced.
    Raises: CheckpointError where the folder cannot be written; ConfigError for a negative number; MissingExtraError
    without soundfile.
    """
    for name, count in {"num_train": num_train, "num_good": num_good}.items():
        if count < 0:
            raise ConfigError(f"{name} is {count}: give a number of recordings, 0 or more")
    wanted: list[tuple[str, str | None, str]] = [(f"train/{_GOOD}/{n:03d}", None, "clear") for n in range(num_train)]
    wanted += [(f"test/{_GOOD}/{n:03d}", None, "clear") for n in range(num_good)]
    wanted += [(f"test/{kind}/{grade}", kind, grade) for kind in MACHINE_FAULTS for grade in GRADES]
    planted: dict[str, PlantedAudio | None] = {}
    with atomic_directory(folder, owns=_FOLDERS) as beside:
        for name, kind, grade in wanted:
            # a generator per recording: more healthy ones leave all others as they are
            rng = np.random.default_rng((seed, *name.encode()))
            audio = make_machine_audio(rng, duration_s, kind, grade)
            write_flac(beside / f"{name}.flac", audio.samples)
            planted[name] = audio.planted
        _write_planted(beside / "planted.csv", planted)
    paths = {name: folder / f"{name}.flac" for name in planted}
    test = [name for name in planted if name.startswith("test")]
    return DemoAudio(
        tuple(path for name, path in paths.items() if name not in test),
        tuple(paths[name] for name in test),
        tuple(planted[name] for name in test),
    )


def write_flac(path: Path, samples: np.ndarray) -> None:
    """Write a recording. Raises: MissingExtraError without soundfile."""
    try:
        import soundfile
    except ImportError as error:
        raise MissingExtraError("The demonstration on sound", "audio") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")


def _write_planted(path: Path, planted: dict[str, PlantedAudio | None]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("item", *(field.name for field in fields(PlantedAudio))))
        table.writerows((name, *astuple(fault)) for name, fault in planted.items() if fault is not None)


def run_audio(folder: Path, *, preset_name: str = "fast", show_progress: bool = False) -> list[AudioComparison]:
    """Write the recordings, train on the healthy ones, score the others, write model and results, print a comparison.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    from oddwave.config import preset
    from oddwave.detector import Detector

    audio = write_demo_audio(folder / "data")
    num_faulty = sum(fault is not None for fault in audio.planted)
    print(f"Made-up recordings of a pump, {DURATION_S:g} s each: {len(audio.train_paths)} healthy ones to learn from,")
    print(f"{len(audio.test_paths)} more, {num_faulty} of them with faults of {len(MACHINE_FAULTS)} kinds.")
    detector = Detector(preset(preset_name, modality="audio", seed=0))
    detector.fit(list(audio.train_paths), show_progress=show_progress)
    detector.save(folder / "model")
    result = detector.score(list(audio.test_paths), alpha=ALPHA, show_progress=show_progress)
    files = write_outputs(result, folder, title="A pump with planted faults")
    found = match_audio(audio.planted, result.recordings)
    print_audio(found, ALPHA)
    print("Report: " + str(next((path for path in files if path.suffix == ".html"), files[0])))
    return found


def match_audio(planted: Sequence[PlantedAudio | None], recordings: Sequence[AudioResult]) -> list[AudioComparison]:
    """Return for each recording, in order, whether it was flagged, and whether at the place of the fault.

    Raises: ValueError where there are not as many results as recordings.
    """
    found = []
    for fault, item in zip(planted, recordings, strict=True):
        flagged = item.flagged
        event = max(item.events, key=lambda event: event.score, default=None) if flagged else None
        placed = fault is not None and event is not None and _meets(fault, event)
        found.append(AudioComparison(item.id, fault, flagged, event, placed, item.p_value))
    return found


def _meets(fault: PlantedAudio, event: AudioEvent) -> bool:
    in_time = event.start_s < fault.end_s and event.end_s > fault.start_s
    return in_time and event.low_hz < fault.high_hz and event.high_hz > fault.low_hz


def print_audio(found: Sequence[AudioComparison], alpha: float) -> None:
    """Print what was found beside what was planted."""
    rows = [["planted", "", "from", "to", "found", "at its place", "p", "strongest event"]]
    faulty = [each for each in found if each.planted is not None]
    for each in faulty:
        fault = each.planted
        assert fault is not None
        what = [fault.kind.replace("_", " "), fault.grade, f"{fault.start_s:.1f} s", f"{fault.end_s:.1f} s"]
        rows.append([*what, *_outcome(each)])
    good = [each for each in found if each.planted is None]
    rows += [["none", "", "", "", *_outcome(each)] for each in good if each.flagged]
    print_table(rows)
    num_found, num_placed = sum(each.flagged for each in faulty), sum(each.placed for each in faulty)
    alarms = wording.count_text(sum(each.flagged for each in good), "false alarm")
    print(f"Found {num_found} of {len(faulty)} faulty recordings, {num_placed} of them at the right place;")
    print(f"{alarms} among {wording.count_text(len(good), 'healthy recording')}, at alpha {alpha:g} per recording.")


def _outcome(each: AudioComparison) -> list[str]:
    placed = "" if each.planted is None or not each.flagged else "yes" if each.placed else "no"
    event = describe(each.event) if each.event is not None else ""
    return ["yes" if each.flagged else "MISSED", placed, wording.p_value_text(each.p_value), event]
