"""The demonstration's last part: one machine with a camera, a microphone and sensors, and one verdict of the three.

A pump is photographed and recorded once an hour, its sensors are read once a minute. One fault can only be seen, one
only heard, one only measured, and one shows in all three. `run_machine` does what a user would do: three models, three
times `oddwave score`, then `oddwave fuse --by time`. All of it is small, to be done in half a minute. Read
`senses/match.py` next: what is of one moment.

Legend: n readings.
"""

import csv
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from oddwave.console import print_table
from oddwave.demo.audio import write_flac
from oddwave.demo.gear_image import draw_part, write_png
from oddwave.demo.machine_audio import make_machine_audio
from oddwave.folders import atomic_directory
from oddwave.fused import Fused
from oddwave.report import wording
from oddwave.report.outputs import write_outputs
from oddwave.senses.match import Thing, by_time
from oddwave.senses.outputs import fused_run, write_fused
from oddwave.senses.read import read_senses

__all__ = ["SENSES", "MomentComparison", "Planted", "match_moments", "print_moments", "run_machine", "write_machine"]

SENSES = {"camera": "image", "microphone": "audio", "sensors": "series"}
ALPHA = 0.1  # of all senses together: of three, one alone has to be about three times rarer
NUM_TRAIN = 40  # images and recordings: a p-value of 0.1 / 3 needs 29
NUM_HOURS = 12
NUM_QUIET = 2880  # readings to learn from: two days
_TOLERANCE_S = 600.0
_FIRST_DAY, _FIRST_HOUR = np.datetime64("2026-03-02T00:00:00", "s"), np.datetime64("2026-03-04T00:00:00", "s")
_MINUTE, _HOUR = np.timedelta64(60, "s"), np.timedelta64(3600, "s")
_SIZE_PX, _RECORD_S = 128, 2.0
_PERIOD = 16  # readings: the tank fills and empties
_FOLDERS = ("healthy", "new", "planted.csv")
_SMALL = {
    "camera": (),
    "microphone": (
        "audio.clip_s=2.0",
        "audio.num_rows=64",
        "audio.columns=128",
        "audio.num_background=24",
        "training.num_steps=30",
    ),
    "sensors": ("series.window_sizes=[16, 32]",),
}  # settings that make a model of the preset "fast" smaller


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault: the hour it falls into, what it is called, and what each sense has of it; an empty text: nothing."""

    hour: int
    name: str
    seen: str = ""
    heard: str = ""
    measured: bool = False

    @property
    def senses(self) -> tuple[str, ...]:
        """The senses that it shows in."""
        shows = zip(SENSES, (self.seen, self.heard, self.measured), strict=True)
        return tuple(name for name, does in shows if does)


FAULTS = (
    Planted(3, "tooth lost", seen="missing_tooth"),
    Planted(5, "bearing dry", heard="bearing_squeal"),
    Planted(8, "inlet blocked", measured=True),
    Planted(10, "gear breaks", seen="missing_tooth", heard="knocking", measured=True),
)


@dataclass(frozen=True, slots=True)
class MomentComparison:
    """What became of a moment: what was planted there, if anything, and the verdict of all senses together."""

    name: str
    planted: Planted | None
    verdict: Fused


def write_machine(folder: Path, seed: int = 0) -> Path:
    """Write what the senses have of healthy days and of a new one, named and dated by time; return `folder`.

    All of it or nothing is written; an older set in the same folder is replaced.
    Raises: CheckpointError where the folder cannot be written; MissingExtraError without soundfile.
    """
    faults = {fault.hour: fault for fault in FAULTS}
    with atomic_directory(folder, owns=_FOLDERS) as beside:
        hours: list[tuple[str, np.datetime64, Planted | None]] = [
            ("healthy", _FIRST_DAY + n * _HOUR, None) for n in range(NUM_TRAIN)
        ]
        hours += [("new", _FIRST_HOUR + n * _HOUR, faults.get(n)) for n in range(NUM_HOURS)]
        for number, (part, when, fault) in enumerate(hours):
            rng, name = np.random.default_rng((seed, number)), _name(when)
            image = draw_part(rng, _SIZE_PX, fault.seen or None if fault else None).image
            write_png(beside / part / "camera" / f"{name}.png", image)
            audio = make_machine_audio(rng, _RECORD_S, fault.heard or None if fault else None)
            write_flac(beside / part / "microphone" / f"{name}.flac", audio.samples)
        rng = np.random.default_rng((seed, len(hours)))
        _write_readings(beside / "healthy" / "sensors.csv", _FIRST_DAY, _readings(rng, NUM_QUIET))
        values = _readings(rng, NUM_HOURS * 60)
        for fault in FAULTS:
            if fault.measured:
                values[60 * fault.hour - 6 : 60 * fault.hour + 7] *= (0.6, 1.3)  # less flow for more power
        _write_readings(beside / "new" / "sensors.csv", _FIRST_HOUR, values)
        rows = [(_name(_FIRST_HOUR + fault.hour * _HOUR), fault.name, " ".join(fault.senses)) for fault in FAULTS]
        _write_rows(beside / "planted.csv", ("time", "fault", "senses"), rows)
    return folder


def _name(when: np.datetime64) -> str:
    return str(when).replace(":", "-")


def _readings(rng: np.random.Generator, n: int) -> Float[np.ndarray, "n 2"]:
    """Make flow and power: both follow the level of a tank that fills and empties."""
    level = np.sin(2 * np.pi * (np.arange(n) / _PERIOD + rng.random()))
    return np.stack([10 + 1.5 * level, 4 + 0.4 * level], axis=1) + rng.normal(0, (0.15, 0.05), (n, 2))


def _write_readings(path: Path, first: np.datetime64, values: Float[np.ndarray, "n 2"]) -> None:
    rows = [[str(first + n * _MINUTE), *map("{:.3f}".format, row)] for n, row in enumerate(values)]
    _write_rows(path, ("timestamp", "flow_l_s", "power_kw"), rows)


def _write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def run_machine(folder: Path, *, show_progress: bool = False) -> list[MomentComparison]:
    """Write the data, fit and score each sense, fuse the three by time, write all results, print a comparison.

    Raises: CheckpointError where the folder cannot be written; MissingExtraError without soundfile.
    """
    data = write_machine(folder / "data")
    print(f"One made-up pump with a camera, a microphone and sensors: {NUM_TRAIN} healthy hours to learn from,")
    print(f"{NUM_HOURS} more, {len(FAULTS)} of them with a fault that shows in one sense, or in all.")
    for name in SENSES:
        _score(name, data, folder, show_progress=show_progress)
    senses, notes = read_senses([f"{name}={folder / name}" for name in SENSES])
    things, more = by_time(senses, _TOLERANCE_S)
    run = fused_run(senses, things, method="cauchy", alpha=ALPHA, matched="time", notes=[*notes, *more])
    files = write_fused(run, folder, title="A pump with three senses and planted faults")
    found = match_moments(things, run.verdicts)
    print_moments(found, ALPHA)
    print("Report: " + str(next((path for path in files if path.suffix == ".html"), files[0])))
    return found


def _score(name: str, data: Path, folder: Path, *, show_progress: bool) -> None:
    from oddwave.config import preset
    from oddwave.detector import Detector

    file = "sensors.csv" if name == "sensors" else name
    config = preset("fast", modality=SENSES[name], seed=0).with_overrides(_SMALL[name])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "alpha raised", UserWarning)  # few normals calibrate: ALPHA is asked for
        detector = Detector(config).fit(data / "healthy" / file, show_progress=show_progress)
        detector.save(folder / "models" / name)
        result = detector.score(data / "new" / file, alpha=ALPHA / len(SENSES), show_progress=show_progress)
    write_outputs(result, folder / name, title=f"A pump's {name}")


def match_moments(things: Sequence[Thing], verdicts: Sequence[Fused]) -> list[MomentComparison]:
    """Return for each moment what was planted in its hour, if it is one that was looked at, and its verdict."""
    found = []
    for thing, verdict in zip(things, verdicts, strict=True):
        assert thing.when is not None
        hours = (np.datetime64(thing.when, "s") - _FIRST_HOUR) / _HOUR
        planted = next((fault for fault in FAULTS if abs(fault.hour - hours) * 3600 <= _TOLERANCE_S), None)
        found.append(MomentComparison(thing.name, planted, verdict))
    return found


def print_moments(found: Sequence[MomentComparison], alpha: float) -> None:
    """Print each moment with a fault or an alarm, and which share each sense has in its verdict."""
    rows = [["planted", "shows in", "when", "found", "p", *SENSES]]
    for each in found:
        verdict, fault = each.verdict, each.planted
        if fault is None and verdict.label != 1:
            continue
        what = ["none", ""] if fault is None else [fault.name, ", ".join(fault.senses)]
        shares = [f"{verdict.shares[name]:.0%}" if name in verdict.shares else "-" for name in SENSES]
        outcome = "yes" if verdict.label == 1 else "MISSED"
        rows.append([*what, each.name, outcome, wording.p_value_text(verdict.p_value), *shares])
    print_table(rows)
    faulty = [each for each in found if each.planted is not None]
    healthy = [each for each in found if each.planted is None]
    num_found = sum(each.verdict.label == 1 for each in faulty)
    alarms = wording.count_text(sum(each.verdict.label == 1 for each in healthy), "false alarm")
    print(f"Found {num_found} of {len(faulty)} faults by all senses together; {alarms} among")
    print(f"{wording.count_text(len(healthy), 'healthy moment')}, at alpha {alpha:g} per moment.")
