"""Ray Data carries shards to workers that load the model once; a worker that dies is replaced, its shards done again.

A shard's work is the same whoever does it and however often: a shard that is whole is not scored again, and one that
is written twice is the same file. The workers need the model, the data and the output folder under the same paths as
the driver. Read `run.py` next.
"""

import io
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from oddwave.dist.fetching import units_of
from oddwave.dist.plan import ShardPlan
from oddwave.dist.shards import is_whole, scored_rows, tried, write_shard
from oddwave.errors import CheckpointError, DataError, MissingExtraError, OddwaveError
from oddwave.progress import Report

__all__ = ["ENGINES", "Job", "require_engine", "run_shards"]

ENGINES = ("ray",)
_WAVE = 10_000  # shards handed over at a time: what a driver holds of them is bounded
_MOST_BLOCKS = 2_000
_MOST_DEATHS = 5  # of workers amid one shard: Ray itself would try for ever
_OBJECTS_BYTES = 200 * 2**20  # of the object store of a cluster of our own: it holds names, no data
_LONGEST_SHARD_S = 7 * 86_400.0


@dataclass(frozen=True)
class Job:
    """What every worker is told once: the model and how to load it, the plan, and what is asked."""

    model: str
    out: str
    plan: ShardPlan
    modality: str
    device: str = "cpu"
    allow_external: bool = False
    read_options: Mapping[str, Any] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)


def require_engine(engine: str) -> None:
    """Check that an engine is known and installed. Raises: DataError, MissingExtraError."""
    if engine not in ENGINES:
        raise DataError(f"the engine is {engine!r:.40}: give {' or '.join(ENGINES)}, or leave it out for one process")
    if not all(map(find_spec, ("ray", "pyarrow", "fsspec", "pandas"))):
        raise MissingExtraError("--engine ray", "dist")


class ShardWorker:
    """One process that has the model and scores shard after shard."""

    def __init__(self, job: Job) -> None:
        from oddwave.detector import Detector

        self.job, self.detector, self.fault = job, None, ""
        try:
            self.detector = Detector.load(
                job.model, modality=job.modality or None, device=job.device, allow_external=job.allow_external
            )
            self.detector.inner.read_options = dict(job.read_options)
        except OddwaveError as error:  # told in the driver, as the same error
            self.fault = str(error)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Score the shards of a batch that are not whole yet; return which they are, and why one could not be."""
        told = [self._one(int(number), str(task)) for number, task in zip(batch["shard"], batch["task"], strict=True)]
        return {"shard": batch["shard"], "error": np.array(told, dtype=object)}

    def _one(self, number: int, text: str) -> str:
        job, out = self.job, Path(self.job.out)
        if self.detector is None or is_whole(out, job.plan, number):
            return self.fault
        task, name = json.loads(text), job.plan.file_name(number)
        try:
            if tried(out, number) > _MOST_DEATHS:
                raise DataError(
                    f"{_MOST_DEATHS} workers died amid {name}: look there for an item of too much memory, or give "
                    "fewer workers"
                )
            rows = scored_rows(self.detector, units_of(task), job.asked, alone=bool(task.get("alone")))
            write_shard(out, job.plan, number, rows)
        except OddwaveError as error:
            return str(error)
        return ""


def run_shards(
    job: Job, numbers: Sequence[int], task_of: Callable[[int], str], workers: int | None, report: Report
) -> None:
    """Score the shards of these numbers; `task_of` gives what a worker needs to know of one, in JSON.

    With RAY_ADDRESS set, on that cluster; else on one of this machine's, made for the time being.

    Raises: DataError, CheckpointError: the first that a worker met; what is whole by then stays.
    """
    total, done = job.plan.num_items, job.plan.num_items - sum(job.plan.shards[number][1] for number in numbers)
    before = done
    report(done, total, "starting workers", 0.0)
    with redirect_stdout(_RayWords()), _cluster(workers) as (ray, size, has_gpu):
        started = time.monotonic()
        gpus = 1 if job.device.startswith("cuda") or (job.device == "auto" and has_gpu) else 0
        for start in range(0, len(numbers), _WAVE):
            tasks = [(number, task_of(number)) for number in numbers[start : start + _WAVE]]
            for number in _wave(ray, job, tasks, size, gpus):
                done += job.plan.shards[number][1]
                pace = (time.monotonic() - started) / max(1, done - before)
                report(done, total, "", pace * (total - done))


def _wave(ray: Any, job: Job, tasks: Sequence[tuple[int, str]], size: int, gpus: int) -> Iterator[int]:
    """Yield the shards as they come to be whole."""
    rows = [{"shard": number, "task": task} for number, task in tasks]
    data = ray.data.from_items(rows, override_num_blocks=min(len(rows), _MOST_BLOCKS)).map_batches(
        ShardWorker,
        batch_size=1,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=min(size, len(rows)), max_tasks_in_flight_per_actor=2),
        fn_constructor_args=(job,),
        num_cpus=1,
        num_gpus=gpus or None,
    )
    try:
        for row in data.iter_rows():
            if row["error"]:
                raise DataError(str(row["error"]))
            yield int(row["shard"])
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1][:200] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"the workers were lost again and again ({reason}): the shards that are whole are kept, the same command "
            "goes on; fewer workers need less memory"
        ) from error


@contextmanager
def _cluster(workers: int | None) -> Iterator[tuple[Any, int, bool]]:
    """Join the cluster of RAY_ADDRESS, or make one on this machine; give Ray, how many workers, and if it has GPUs.

    What was there is left as it was: a cluster that was joined goes on, and signals mean what they did.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anyone
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what it means, is told by us
    ray: Any = import_module("ray")
    import_module("ray.data")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    address, joined = os.environ.get("RAY_ADDRESS"), ray.is_initialized()
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpus = workers or here or 1
    own = {"num_cpus": cpus + 1, "include_dashboard": False, "object_store_memory": _OBJECTS_BYTES}
    with _same_signals(), _quiet():
        if not joined:
            ray.init(address or "local", logging_level="ERROR", log_to_driver=False, **({} if address else own))
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = _LONGEST_SHARD_S
    try:
        resources = ray.cluster_resources()
        size = workers or max(1, int(resources.get("CPU", 1)) if address or joined else cpus)
        yield ray, size, resources.get("GPU", 0) > 0
    finally:
        with _quiet():
            if not joined:
                ray.shutdown()


class _RayWords(io.TextIOBase):
    """What Ray prints: nobody's results, so not on standard output. That a worker was lost is said in our words."""

    def write(self, text: str) -> int:
        """Take a piece of text."""
        if "worker died" in text:
            lost = "oddwave: a worker was lost: another one takes its place and begins the shard anew"
            print(lost, file=sys.stderr, flush=True)
        return len(text)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep lines of Ray's own start and end off standard error; what goes wrong there, it raises."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _same_signals() -> Iterator[None]:
    """Keep the handlers of signals, which Ray sets anew."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(TypeError, ValueError):
                signal.signal(number, handler)
