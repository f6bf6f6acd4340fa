"""Runs cells, in parallel and resumable: each finished cell is a line in `results.csv` at once, a failed one too.

Interrupt a run whenever you like; the same command goes on where it stopped (cells with an error are tried again).
Every worker computes on one thread (unless `num_threads` says more), so CPU seconds compare between methods; `peak_mb`
is the worker's peak resident memory while its method ran. Beside the table stand a cell's scores, for pooled metrics,
and what `results.csv` has no column for: settings and surroundings, number of parameters. A cell whose process is
killed runs again alone, and is a row with an error if that is killed too. All modalities may share a folder. Read
`tables.py` next.
"""

import csv
import json
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import astuple
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.errors import DataError
from oddwave.files import write_bytes_atomic, write_json_atomic
from oddwave.lab.bench.ablation import is_variant
from oddwave.lab.bench.environment import available_memory_mb, environment, peak_memory_mb, reset_peak_memory
from oddwave.lab.bench.image_metrics import image_metrics
from oddwave.lab.bench.label_metrics import audio_metrics, auroc_by_kind
from oddwave.lab.bench.markdown import csv_text
from oddwave.lab.bench.methods import applies, is_seeded, method_names, run_method
from oddwave.lab.bench.protocol import (
    COLUMNS,
    AnyTask,
    AudioTask,
    BenchModality,
    Cell,
    ImageTask,
    Outcome,
    Task,
    load_tasks,
    modality_of,
)
from oddwave.progress import stage

__all__ = ["read_results", "run_benchmark", "run_cell"]

_Work = tuple[Cell, AnyTask, Path]

_CELL_MB: Mapping[BenchModality, int] = {"series": 1500, "image": 3000, "audio": 2500}  # the largest took two thirds
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def run_benchmark(
    root: Path,
    out: Path,
    *,
    modality: BenchModality = "series",
    only: Sequence[str] | None = None,
    tasks: Sequence[AnyTask] | None = None,
    methods: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    jobs: int | None = None,
    num_threads: int = 1,
    show_progress: bool = False,
) -> list[dict[str, str]]:
    """Run all cells of a modality that `out/results.csv` does not hold yet, and return all its rows of that modality.

    The tasks are those under `root` that `only` names, unless they are given. `jobs` cells run at once, each on
    `num_threads`; unless told otherwise, as many as cores and memory hold. Rows of the ablation come back to the
    ablation alone: its variants are no rivals of the other methods, with which they may share a folder.

    Raises:
        ConfigError: an unknown method, item or seed.
        DataError: no data, or `out` cannot be written.
    """
    chosen = method_names(modality, methods)
    loaded = load_tasks(root, only, modality) if tasks is None else tasks
    places = {(t.dataset, t.item, t.protocol): t for t in loaded}
    _prepare_folder(out, modality, num_threads)
    done = {_cell_of(row) for row in read_results(out) if not row["error"]}
    cells = [c for c in _all_cells(list(places.values()), chosen, seeds) if c not in done]
    work = [(cell, places[cell.dataset, cell.item, cell.protocol], out) for cell in cells]
    for row in _rows(work, jobs or _jobs(modality, num_threads), num_threads, show_progress):
        _append(out, row)
    wanted = {is_variant(name) for name in chosen}
    rows = [row for row in read_results(out) if modality_of(row["dataset"]) == modality]
    return [row for row in rows if is_variant(row["method"]) in wanted]


def run_cell(cell: Cell, task: AnyTask, out: Path) -> dict[str, str]:
    """Run one cell; an error becomes a row that tells it."""
    reset_peak_memory()
    row = _row_of(cell)
    started = time.process_time()
    try:
        outcome = run_method(cell.method, task, cell.seed)
        row["peak_mb"] = round(peak_memory_mb())  # before the metrics, which of images take more than some methods
        metrics = _metrics(task, outcome)
        row |= {name: value for name, value in metrics.items() if name in COLUMNS}
        row |= {"fit_s": round(outcome.fit_s, 2), "score_s": round(outcome.score_s, 2)}
        write_json_atomic(out / "scores" / cell.facts_name, _facts(task, outcome, metrics))
        np.save(out / "scores" / cell.file_name, outcome.scores)
    except Exception as error:  # whatever it is, the other cells must run
        row["error"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        row["fit_s"] = round(time.process_time() - started, 2)
        row["peak_mb"] = round(peak_memory_mb())
    return {key: str(value) for key, value in row.items()}


def read_results(out: Path) -> list[dict[str, str]]:
    """Read the rows so far; of a cell that was run again, the latest."""
    path = out / "results.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    whole = [dict.fromkeys(COLUMNS, "") | row for row in rows]  # an older run may lack columns
    return list({_cell_of(row): row for row in whole}.values())


def _metrics(task: AnyTask, outcome: Outcome) -> dict[str, float]:
    if isinstance(task, ImageTask):
        result = image_metrics(task, outcome.scores, outcome.maps)
    elif isinstance(task, AudioTask):
        result = audio_metrics(task, outcome.scores)
    else:
        result = _series_metrics(task, outcome.scores)
    return {key: round(value, 5) for key, value in result.items()}


def _series_metrics(task: Task, scores: np.ndarray) -> dict[str, float]:
    from oddwave.lab.metrics.auroc import auprc, auroc
    from oddwave.lab.metrics.vus import vus

    if len(scores) != len(task.gt_label):
        raise DataError(f"{len(scores)} scores for {len(task.gt_label)} labels")
    if len(np.unique(task.gt_label)) < 2:
        return {}
    clean = np.nan_to_num(scores, nan=float(np.nanmin(scores)))
    result = {"auroc": auroc(task.gt_label, clean), "auprc": auprc(task.gt_label, clean)}
    if not task.is_panel:
        volume = vus(task.gt_label, clean)
        result |= {"vus_pr": volume.pr, "vus_roc": volume.roc, **_event_metrics(task, clean)}
    return result


def _event_metrics(task: Task, scores: Float[np.ndarray, " n"]) -> dict[str, float]:
    from oddwave.lab.metrics.event import event_scores

    events = event_scores(task.gt_label, scores)
    found = {"start_error": events.start_error, "end_error": events.end_error} if events.f1 else {}
    return {"event_f1": events.f1, **found}


def _facts(task: AnyTask, outcome: Outcome, metrics: Mapping[str, float]) -> dict[str, Any]:
    """Return what `results.csv` has no column for."""
    seconds = {"fit_wall_s": outcome.fit_wall_s, "score_wall_s": outcome.score_wall_s}
    kinds = {} if isinstance(task, Task) else auroc_by_kind(task, outcome.scores)
    return {
        **{name: value for name, value in metrics.items() if name not in COLUMNS},
        **{name: round(value, 2) for name, value in seconds.items() if value is not None},
        "num_parameters": outcome.num_parameters,
        "num_train": task.num_train,
        "num_scored": len(outcome.scores),
        "num_normal": int((task.gt_label == 0).sum()),
        **({"auroc_by_kind": {kind: round(value, 5) for kind, value in kinds.items()}} if kinds else {}),
        "settings": dict(outcome.settings),
        "environment": environment(int(os.environ.get(_THREAD_VARIABLES[0], 1))),
    }


def _all_cells(tasks: Sequence[AnyTask], methods: Sequence[str], seeds: Sequence[int]) -> list[Cell]:
    return [
        Cell(task.dataset, task.item, task.protocol, method, seed)
        for seed in seeds
        for method in methods
        for task in tasks
        if (is_seeded(method) or seed == seeds[0]) and applies(method, task)
    ]


def _jobs(modality: BenchModality, num_threads: int) -> int:
    """Return how many cells run at once within the cores and the memory that there are."""
    room = available_memory_mb() / _CELL_MB[modality]
    return max(1, int(min((os.cpu_count() or 1) // num_threads, room)))


def _rows(work: Sequence[_Work], jobs: int, num_threads: int, show: bool) -> Iterator[dict[str, str]]:
    saved = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(num_threads)))  # read by the workers when they start
    try:
        with stage("cells", show, keep=True) as report:
            for done, row in enumerate(_in_workers(work, jobs), start=1):
                yield row
                report(done, len(work))
    finally:
        for name, value in saved.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _in_workers(work: Sequence[_Work], jobs: int) -> Iterator[dict[str, str]]:
    """Run the cells in `jobs` processes, in turn; whoever was under way when a process died runs again, alone."""
    waiting, suspects = deque(work), list[_Work]()
    while waiting:
        under_way: dict[Future[dict[str, str]], _Work] = {}
        pool = _workers(jobs)
        try:
            while (waiting or under_way) and not suspects:
                while waiting and len(under_way) < jobs:
                    under_way[pool.submit(run_cell, *waiting[0])] = waiting[0]
                    waiting.popleft()
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    try:
                        row = future.result()
                    except BrokenProcessPool:
                        suspects = list(under_way.values())
                        break
                    del under_way[future]
                    yield row
        except BrokenProcessPool:  # on being handed more work
            suspects = list(under_way.values())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        yield from map(_alone, suspects)
        suspects = []


def _alone(each: _Work) -> dict[str, str]:
    pool = _workers(1)
    try:
        return pool.submit(run_cell, *each).result()
    except BrokenProcessPool:
        why = "its process was killed twice, the second time with nothing beside it: too little memory, most likely"
        return _row_of(each[0], error=f"BrokenProcessPool: {why}")
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _workers(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_end_with, initargs=(os.getpid(),))


def _end_with(parent: int) -> None:
    """End this worker when the process that it works for is gone, however that came about."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _row_of(cell: Cell, **known: Any) -> dict[str, Any]:
    named = dict(zip(("dataset", "item", "protocol", "method", "seed"), map(str, astuple(cell)), strict=True))
    return dict.fromkeys(COLUMNS, "") | named | known


def _prepare_folder(out: Path, modality: BenchModality, num_threads: int) -> None:
    try:
        (out / "scores").mkdir(parents=True, exist_ok=True)
        name = "environment.json" if modality == "series" else f"{modality}_environment.json"
        (out / name).write_text(json.dumps(environment(num_threads), indent=2) + "\n", encoding="utf-8")
        _prepare_table(out)
    except OSError as error:
        raise DataError(f"cannot write benchmark results to '{out}': {error.strerror}; choose another -o") from None


def _prepare_table(out: Path) -> None:
    """Write the names of the columns, or bring a table that an older version began to those of this one."""
    path = out / "results.csv"
    if not path.exists():
        _append(out, None)
        return
    with path.open(newline="", encoding="utf-8") as file:
        names = next(csv.reader(file), [])
    if tuple(names) != COLUMNS:
        write_bytes_atomic(path, csv_text(read_results(out), COLUMNS).encode())


def _append(out: Path, row: dict[str, str] | None) -> None:
    with (out / "results.csv").open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if row is None:
            writer.writeheader()
        else:
            writer.writerow(row)


def _cell_of(row: dict[str, str]) -> Cell:
    return Cell(row["dataset"], row["item"], row["protocol"], row["method"], int(row["seed"]))
