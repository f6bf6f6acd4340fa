"""`oddwave bench speed`: what fitting and scoring cost, of every modality and preset, beside other methods.

The methods take turns: a round measures the machine and then each method once, and another round follows, so that what
else the machine does falls on all of them alike. A job is a process of its own (`speed_cell.py`); its result is a line
of `speed.jsonl` as soon as it ends, and the same command goes on where it stopped. Jobs with an error are tried again.
What is trained is trained once a run and kept in `speed_work` until all is measured, together with the data.
What is compared are ratios within a round, and their medians over rounds (`speed_tables.py`, which is read next).

The data are generated (`made_data.py`). Rivals know no presets: they run once a round, under the preset "-".
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oddwave.config import PRESETS
from oddwave.errors import ConfigError
from oddwave.files import write_bytes_atomic, write_json_atomic
from oddwave.lab.bench.environment import environment
from oddwave.lab.bench.jobs import Measured, append_row, read_rows, run_job
from oddwave.progress import stage

__all__ = ["FULL", "MODALITIES", "NO_PRESET", "QUICK", "Plan", "SpeedJob", "run_speed", "speed_jobs"]

MODALITIES = ("series", "image", "audio")
NO_PRESET = "-"
_MACHINE = "machine"
_MODULE = "oddwave.lab.bench.speed_cell"
_OWN = ("oddwave", "oddwave_denoiser", "ddim_50", "ddpm_1000")
_USUAL_PRESETS = ("fast", "balanced")


@dataclass(frozen=True)
class Plan:
    """How much is measured: sizes by modality, rounds, and how many items a sampler takes all its steps on once."""

    name: str
    sizes: dict[str, dict[str, int]]
    num_rounds: int
    num_whole: int


FULL = Plan(
    "full",
    {
        "series": {"train": 4000, "test": 4000, "requests": 40, "request_points": 512},
        "image": {"train": 300, "test": 60, "requests": 40},
        "audio": {"train": 60, "test": 40, "requests": 40},
    },
    5,
    16,
)
QUICK = Plan(
    "quick",
    {
        "series": {"train": 2000, "test": 2000, "requests": 8, "request_points": 512},
        "image": {"train": 30, "test": 12, "requests": 6},
        "audio": {"train": 12, "test": 12, "requests": 6},
    },
    2,
    8,
)


@dataclass(frozen=True)
class SpeedJob:
    """One measurement: a method in a round; `method` is "machine" for the machine itself."""

    round: int
    modality: str
    preset: str
    method: str

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from the others of a run."""
        return self.round, self.modality, self.preset, self.method


def speed_jobs(
    modalities: Sequence[str], presets: Sequence[str], methods: Sequence[str] | None, num_rounds: int
) -> Iterator[SpeedJob]:
    """Yield all jobs in the order in which they run: round by round, within it all methods in turn.

    Raises: ConfigError for a modality, preset or method that does not exist.
    """
    from oddwave.lab.bench.speed_rivals import SPEED_METHODS

    _check(modalities, MODALITIES, "modality")
    _check(presets, sorted({name for own in PRESETS.values() for name in own}), "preset")
    known = list(dict.fromkeys(name for own in SPEED_METHODS.values() for name in own))
    _check(methods or (), known, "method")
    wanted = set(methods or known) | {"oddwave"}
    for number in range(num_rounds):
        yield SpeedJob(number, NO_PRESET, NO_PRESET, _MACHINE)
        for modality in modalities:
            names = [name for name in SPEED_METHODS[modality] if name in wanted]
            for preset in presets:
                yield from (SpeedJob(number, modality, preset, name) for name in names if name in _OWN)
            yield from (SpeedJob(number, modality, NO_PRESET, name) for name in names if name not in _OWN)


def run_speed(
    out: Path,
    *,
    modalities: Sequence[str] | None = None,
    presets: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    plan: Plan = FULL,
    num_rounds: int | None = None,
    num_threads: int = 1,
    show_progress: bool = False,
) -> Path:
    """Measure what is not measured yet, and write `speed.md`, `speed.json` and `speed_plots.html`; return the first.

    Raises: ConfigError as `speed_jobs`; CheckpointError where `out` cannot be written.
    """
    rounds = num_rounds or plan.num_rounds
    jobs = list(speed_jobs(modalities or MODALITIES, presets or _USUAL_PRESETS, methods, rounds))
    rows_path, about = out / "speed.jsonl", {"plan": plan.name, "num_threads": num_threads}
    done = {_key(row) for row in read_rows(rows_path) if _fits(row, about) and "error" not in row}
    left = [job for job in jobs if job.key not in done and not _missing(job)]
    work = out / "speed_work"
    out.mkdir(parents=True, exist_ok=True)
    try:
        for number, job in enumerate(left):
            name = job.method if job.method == _MACHINE else f"{job.modality} {job.preset} {job.method}"
            with stage(f"{number + 1} of {len(left)}: round {job.round + 1}, {name}", show_progress):
                found = run_job(_MODULE, _told(job, plan, work / plan.name), num_threads=num_threads)
            append_row(rows_path, {**about, **asdict(job), **found})
    finally:  # tables of what there is, however a run ends
        table = write_speed(out, about)
    shutil.rmtree(work, ignore_errors=True)
    return table


def write_speed(out: Path, about: dict[str, Any]) -> Path:
    """Write the tables and the page of plots from the rows in a folder; return the table's path."""
    from oddwave.lab.bench.speed_plots import write_speed_plots
    from oddwave.lab.bench.speed_tables import speed_markdown, summary

    rows = _latest([row for row in read_rows(out / "speed.jsonl") if _fits(row, about)])
    told = summary(rows)
    surroundings = {**about, "environment": environment(int(about["num_threads"]))}
    write_json_atomic(out / "speed.json", {**surroundings, **told})
    write_bytes_atomic(out / "speed.md", speed_markdown(told, surroundings, _all_missing(rows)).encode())
    write_speed_plots(out, told)
    return out / "speed.md"


def _told(job: SpeedJob, plan: Plan, folder: Path) -> Measured:
    told: Measured = {"method": job.method, "modality": job.modality, "preset": job.preset}
    if job.method == _MACHINE:
        return told
    whole = plan.num_whole if job.round == 0 else 0
    return told | {"folder": str(folder / job.modality), "sizes": plan.sizes[job.modality], "whole": whole}


def _latest(rows: Sequence[Measured]) -> list[Measured]:
    """Return the last row of each job, in the order of their rounds."""
    last = {_key(row): row for row in rows}
    return sorted(last.values(), key=lambda row: int(row["round"]))


def _key(row: Measured) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("round", "modality", "preset", "method"))


def _fits(row: Measured, about: dict[str, Any]) -> bool:
    return all(row.get(name) == value for name, value in about.items())


def _missing(job: SpeedJob) -> str:
    from oddwave.lab.bench.speed_methods import missing
    from oddwave.lab.bench.speed_rivals import SPEED_METHODS

    return "" if job.method == _MACHINE else missing(SPEED_METHODS[job.modality][job.method])


def _all_missing(rows: Sequence[Measured]) -> list[str]:
    """Return a line for each method that is not installed and of which there are no rows."""
    from oddwave.lab.bench.speed_methods import missing
    from oddwave.lab.bench.speed_rivals import SPEED_METHODS

    measured = {(row["modality"], row["method"]) for row in rows}
    modalities = {row["modality"] for row in rows} - {NO_PRESET}
    return [
        f"{modality}, `{name}`: {why}"
        for modality, own in SPEED_METHODS.items()
        for name, kind in own.items()
        if modality in modalities and (modality, name) not in measured and (why := missing(kind))
    ]


def _check(given: Sequence[str], known: Sequence[str], what: str) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(f"{what} '{name}' does not exist; choose from {', '.join(known)}")
