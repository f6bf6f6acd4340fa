"""The demonstration on series: a made-up cold store with planted faults; learn from its quiet weeks, find the faults.

`make_sample` makes the readings (ten-minute temperature, power and vibration of four weeks, faults in the last ten days
only), `run_series` does what a user would do with two CSV files, `match_events` says which planted faults were found.
The labels are used for that comparison alone. Read `report/outputs.py` next: the files that a scoring run leaves.

Legend: n readings, C channels.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from oddwave.console import print_table
from oddwave.folders import atomic_directory
from oddwave.report import wording
from oddwave.report.kinds.series_words import moment_text
from oddwave.report.outputs import write_outputs
from oddwave.result_times import clock_text
from oddwave.results import DetectionResult, SeriesEvent, SeriesResult

__all__ = ["CHANNELS", "Comparison", "Planted", "Sample", "make_sample", "match_events", "run_series"]

CHANNELS = ("temperature_c", "power_kw", "vibration_mm_s")
PER_DAY = 144  # one reading every ten minutes
NUM_DAYS = 28
NUM_NORMAL_DAYS = 18
_START = np.datetime64("2024-03-04T00:00:00", "s")
_STEP = np.timedelta64(10, "m")
_DEFROST_EVERY = 36  # readings: the evaporator is defrosted every six hours
_FAULTS = (  # kind, channel, first day, hours: none beyond what a technician would have to look twice for
    ("temperature sensor stuck", "temperature_c", 19.3, 5.0),
    ("power up by 15 %", "power_kw", 20.6, 4.0),
    ("vibration creeps up", "vibration_mm_s", 22.2, 20.0),
    ("door left open", "temperature_c", 24.1, 2.0),
    ("defrost did not happen", "temperature_c", 25.5, 3.0),
    ("vibration jumps about", "vibration_mm_s", 26.8, 3.0),
)
_DATA_FILES = ("normal.csv", "new.csv", "planted.csv")


@dataclass(frozen=True, slots=True)
class Planted:
    """One planted fault: its kind, the channel it shows in, and its first and last reading (both included)."""

    kind: str
    channel: str
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Sample:
    """The readings, NaN where a cell is empty; `kept` is False where the logger wrote no row at all."""

    timestamps: np.ndarray
    values: Float[np.ndarray, "n C"]
    kept: Bool[np.ndarray, " n"]
    planted: tuple[Planted, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of one planted fault: the strongest event that overlaps it, the share of its readings in events."""

    planted: Planted
    event: SeriesEvent | None
    share: float

    @property
    def found(self) -> bool:
        """Whether any event overlaps the fault."""
        return self.event is not None


def make_sample(seed: int = 7) -> Sample:
    """Make four weeks of readings; everything but the planted faults follows the same rules throughout."""
    rng = np.random.default_rng(seed)
    steps = np.arange(NUM_DAYS * PER_DAY)
    planted = tuple(_planted(*fault) for fault in _FAULTS)
    day = np.sin(2 * np.pi * (steps / PER_DAY - 0.375))  # warmest in the afternoon
    load = 0.25 * day + _slow_noise(rng, len(steps), memory=0.985, deviation=0.07)
    strength = np.repeat(rng.normal(1.0, 0.06, len(steps) // _DEFROST_EVERY), _DEFROST_EVERY)
    for fault in planted:
        if fault.kind == "defrost did not happen":
            strength[fault.start : fault.end + 1] = 0.0
    since = steps % _DEFROST_EVERY
    temperature = -18 + 0.5 * load + 2.2 * strength * _thaw(since) + _slow_noise(rng, len(steps), 0.6, 0.12)
    power = 8.5 + 2.5 * load + strength * _defrost_power(since) + _slow_noise(rng, len(steps), 0.4, 0.25)
    vibration = 0.9 + 0.16 * power + rng.normal(0, 0.07, len(steps))
    values = np.stack([temperature, power, vibration], axis=1)
    for fault in planted:
        _plant(values[fault.start : fault.end + 1], fault.kind, rng)
    return Sample(_START + _STEP * steps, *_with_gaps(values), planted)


def _slow_noise(rng: np.random.Generator, n: int, memory: float, deviation: float) -> Float[np.ndarray, " n"]:
    """Noise that remembers: x_t = memory x_{t-1} + e_t, with the given standard deviation in the long run."""
    steps = rng.normal(0.0, deviation * np.sqrt(1 - memory**2), n)
    noise = np.empty(n)
    level = rng.normal(0.0, deviation)
    for i, step in enumerate(steps):
        level = memory * level + step
        noise[i] = level
    return noise


def _thaw(since: np.ndarray) -> np.ndarray:
    """Warming while the heater is on (3 readings), then cooling back."""
    return np.where(since < 3, (since + 1) / 3, np.exp(-(since - 2) / 2.5))


def _defrost_power(since: np.ndarray) -> np.ndarray:
    """The compressor idles while the heater is on, then works harder for about an hour."""
    return np.where(since < 3, -3.0, 1.2 * np.exp(-(since - 3) / 4.0))


def _planted(kind: str, channel: str, day: float, hours: float) -> Planted:
    start = round(day * PER_DAY)
    return Planted(kind, channel, start, start + round(hours * PER_DAY / 24) - 1)


def _plant(stretch: Float[np.ndarray, "m C"], kind: str, rng: np.random.Generator) -> None:
    """Change a stretch of readings in place; a missed defrost is planted where the readings are made."""
    m = len(stretch)
    temperature, power, vibration = stretch.T
    if kind == "temperature sensor stuck":
        temperature[:] = temperature[0]
    elif kind == "power up by 15 %":
        power *= 1.15
    elif kind == "vibration creeps up":
        vibration += np.linspace(0.0, 0.4, m)
    elif kind == "door left open":
        temperature += 2.0 * np.exp(-np.arange(m) / 6)
    elif kind == "vibration jumps about":
        vibration += rng.normal(0, 0.3, m)


def _with_gaps(values: Float[np.ndarray, "n C"]) -> tuple[Float[np.ndarray, "n C"], Bool[np.ndarray, " n"]]:
    """Lose what loggers lose: two hours and an hour and a half of rows, and a few cells of one channel."""
    kept = np.ones(len(values), dtype=bool)
    for day, num_rows in ((9.55, 12), (21.35, 9)):
        kept[round(day * PER_DAY) :][:num_rows] = False
    values[round(5.2 * PER_DAY) :][:4, 2] = np.nan
    return np.round(values, 3), kept


def match_events(planted: Sequence[Planted], item: SeriesResult) -> tuple[list[Comparison], list[SeriesEvent]]:
    """Say of each fault which event found it and how much of it, and give the events that overlap no fault.

    `planted` counts in points of `item`.
    """
    inside = np.zeros(len(item.scores), dtype=bool)
    for event in item.events:
        inside[event.start : event.end + 1] = True
    found = []
    for fault in planted:
        hits = [event for event in item.events if _overlap(fault, event)]
        strongest = max(hits, key=lambda event: event.score, default=None)
        found.append(Comparison(fault, strongest, float(inside[fault.start : fault.end + 1].mean())))
    alarms = [event for event in item.events if not any(_overlap(fault, event) for fault in planted)]
    return found, alarms


def _overlap(fault: Planted, event: SeriesEvent) -> bool:
    return event.start <= fault.end and event.end >= fault.start


def run_series(folder: Path, *, preset_name: str = "balanced", show_progress: bool = False) -> list[Comparison]:
    """Write the data, train on the normal part, score the rest, write model and results, print a comparison.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    from oddwave.config import preset
    from oddwave.detector import Detector

    sample = make_sample()
    _write_data(sample, folder)
    print(
        f"A made-up cold store, {len(CHANNELS)} channels every ten minutes: {NUM_NORMAL_DAYS} quiet days to learn from,"
    )
    print(f"{NUM_DAYS - NUM_NORMAL_DAYS} more with {len(sample.planted)} faults planted in them.")
    detector = Detector(preset(preset_name)).fit(folder / "normal.csv", show_progress=show_progress)
    detector.save(folder / "model")
    result = detector.score(folder / "new.csv", show_progress=show_progress)
    files = write_outputs(result, folder, title="A cold store with planted faults")
    found, alarms = match_events(_as_points(sample, result.series[0]), result.series[0])
    _print_comparison(result, found, alarms)
    print("Report: " + str(next((path for path in files if path.suffix == ".html"), files[0])))
    return found


def _write_data(sample: Sample, folder: Path) -> None:
    """Write normal.csv, new.csv and planted.csv, the labels that only the comparison looks at."""
    stamps, rows = clock_text(sample.timestamps), np.arange(len(sample.values))
    header = ("timestamp", *CHANNELS)
    first = NUM_NORMAL_DAYS * PER_DAY
    with atomic_directory(folder, owns=_DATA_FILES) as beside:
        for name, part in (("normal.csv", rows < first), ("new.csv", rows >= first)):
            chosen = rows[part & sample.kept]
            cells = [["" if np.isnan(v) else v for v in line] for line in sample.values[chosen].tolist()]
            _write_csv(beside / name, header, [[stamps[i], *line] for i, line in zip(chosen, cells, strict=True)])
        labels = [[stamps[f.start], stamps[f.end], f.channel, f.kind] for f in sample.planted]
        _write_csv(beside / "planted.csv", ("start", "end", "channel", "kind"), labels)


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def _as_points(sample: Sample, item: SeriesResult) -> list[Planted]:
    """Give the faults in points of the scored stream, which begins later and lacks the rows that were never logged."""
    assert item.timestamps is not None
    place = np.searchsorted(item.timestamps, sample.timestamps)
    return [replace(f, start=int(place[f.start]), end=int(place[f.end])) for f in sample.planted]


def _print_comparison(result: DetectionResult, found: Sequence[Comparison], alarms: Sequence[SeriesEvent]) -> None:
    item = result.series[0]
    rows = [["planted", "channel", "from", "to", "found from", "to", "covered", "p"]]
    for each in found:
        fault, event = each.planted, each.event
        row = [fault.kind, fault.channel, moment_text(item, fault.start), moment_text(item, fault.end)]
        if event is None:
            rows.append([*row, "MISSED", "", "", ""])
        else:
            row += [moment_text(item, event.start), moment_text(item, event.end)]
            rows.append([*row, f"{each.share:.0%}", wording.p_value_text(event.p_value)])
    print_table(rows)
    events = wording.count_text(len(item.events) - len(alarms), "event")
    num_found = sum(each.found for each in found)
    print(f"Found {num_found} of {len(found)} faults, in {events}; {wording.count_text(len(alarms), 'false alarm')}.")
    for event in alarms:
        span = f"{moment_text(item, event.start)} to {moment_text(item, event.end)}"
        print(f"  false alarm {span}, score {wording.score_text(event.score)}, p {wording.p_value_text(event.p_value)}")
