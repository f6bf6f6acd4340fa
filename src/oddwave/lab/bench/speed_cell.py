"""One method, fitted and asked once, in a process of its own: what `oddwave bench speed` runs as a job.

Before anything is timed the method fits and scores a small part of the data, so that imports and compilation are not
counted. A denoiser that another job of this run has trained is taken from where that kept it: `fit` is None then.
Seconds are of the processor (user and system, all threads) and on the clock. Latencies are those of single requests,
one after another: a stretch of a stream, an image, a recording, from the file to the score. A sampler with `lengths` is
timed with so few steps and told for all of them by the straight line through the shortest and the longest; `check` is
what that line says of the length between over what was measured. With `whole` it also takes all its steps once, on a
few items. Memory is the process's peak while it fitted and while it scored. Read `speed.py` next.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from oddwave.lab.bench.environment import peak_memory_mb, reset_peak_memory
from oddwave.lab.bench.jobs import Measured, answer
from oddwave.lab.bench.machine_rate import bandwidth, matrix_rate, work_of
from oddwave.lab.bench.made_data import MadeData, make_data
from oddwave.lab.bench.speed_methods import OwnMethod, Sampled, SpeedMethod
from oddwave.lab.bench.speed_rivals import SPEED_METHODS
from oddwave.lab.metrics import auroc
from oddwave.training.run import computes_bfloat16

__all__ = ["MACHINE", "Spent", "extrapolated", "measure"]

MACHINE = "machine"  # the job that measures the machine itself
_WARM = {"series": 1200, "image": 12, "audio": 10}
_UNET_BATCH, _UNET_REPEATS = 16, 5
_LONG_REQUESTS = 2  # single requests of a sampler that is timed by `lengths`
_RECORDING_S = 8.0


class Spent(NamedTuple):
    """Seconds of the processor and on the clock, and how well a straight line told the length between."""

    cpu_s: float
    wall_s: float
    check: float | None = None


def measure(job: Measured) -> Measured:
    """Run a job: `modality`, `preset`, `method`, `folder`, `sizes`, `whole` (numbers of items, 0: not)."""
    if job["method"] == MACHINE:
        rates = {"float32": matrix_rate(), "bfloat16": matrix_rate(torch.bfloat16)}
        return {"rates": rates, "bandwidth": bandwidth()}
    modality = job["modality"]
    method = SPEED_METHODS[modality][job["method"]](modality, job["preset"])
    data = make_data(modality, Path(job["folder"]), job["sizes"])
    kept = Path(job["folder"]) / "models" / job["preset"]
    if isinstance(method, OwnMethod) and method.shares_fit and kept.exists():
        method.load(kept)
        found: Measured = {"fit": None, "fit_peak_mb": None}
    else:
        found = _fitted(method, data, kept)
    _timed(method, data.requests[0])
    reset_peak_memory()
    scores, spent = _timed(method, data.test)
    found |= {"score": spent._asdict(), "score_peak_mb": peak_memory_mb(), "num_scored": _units(modality, data.test)}
    found |= {"num_fitted": _units(modality, data.train), **_latencies(method, data)}
    found["auroc"] = None if scores is None else _auroc(data, scores)
    if job["whole"] and isinstance(method, Sampled) and method.lengths:
        found |= _whole(method, data, job["whole"], spent)
    found |= _saved(method) | _worked(method, data.requests[0])
    return found


def _fitted(method: SpeedMethod, data: MadeData, kept: Path) -> Measured:
    """Fit once on a part, which is not counted, and then on all; a model that others share is kept."""
    method.fit(data.train[: _WARM[method.modality]], brief=True)
    reset_peak_memory()
    began = _now()
    method.fit(data.train, brief=False)
    found = {"fit": _since(began)._asdict(), "fit_peak_mb": peak_memory_mb()}
    if isinstance(method, OwnMethod) and method.shares_fit:
        method.save(kept)
    return found


def extrapolated(lengths: Sequence[int], seconds: Sequence[float], num_steps: int) -> tuple[float, float]:
    """Return the seconds of `num_steps` by the line through the first and the last length, and its check between."""
    slope = (seconds[-1] - seconds[0]) / (lengths[-1] - lengths[0])
    told = [seconds[0] + slope * (length - lengths[0]) for length in (num_steps, *lengths[1:-1])]
    return told[0], float(np.mean([own / real for own, real in zip(told[1:], seconds[1:-1], strict=True)]))


def _timed(method: SpeedMethod, source: Any) -> tuple[Any, Spent]:
    """Score, and return the scores (None of a sampler that was timed by `lengths`) and what that took."""
    if not method.lengths or not isinstance(method, Sampled):
        began = _now()
        return method.score(source), _since(began)
    took = []
    for length in method.lengths:
        began = _now()
        method.in_steps(source, length)
        took.append(_since(began))
    cpu_s, check = extrapolated(method.lengths, [own.cpu_s for own in took], method.num_steps)
    wall_s, _ = extrapolated(method.lengths, [own.wall_s for own in took], method.num_steps)
    return None, Spent(cpu_s, wall_s, check)


def _latencies(method: SpeedMethod, data: MadeData) -> Measured:
    """Return how long single requests take on the clock, and how much of the processor."""
    requests = data.requests[:_LONG_REQUESTS] if method.lengths else data.requests
    spent = [_timed(method, request)[1] for request in requests]
    return {
        "latency_ms": [round(1000 * own.wall_s, 3) for own in spent],
        "request_cpu_ms": [round(1000 * own.cpu_s, 3) for own in spent],
    }


def _whole(method: Sampled, data: MadeData, num: int, spent: Spent) -> Measured:
    """Take all steps once, on all points of a stream or on `num` items that are evenly spread."""
    stream = method.modality == "series"
    kept = np.arange(len(data.test)) if stream else np.unique(np.linspace(0, len(data.test) - 1, num).astype(int))
    some = data.test if stream else [data.test[place] for place in kept]
    began = _now()
    scores = method.score(some)
    took = _since(began)
    told = spent.cpu_s * len(kept) / len(data.test)
    facts = {"cpu_s": took.cpu_s, "extrapolated_cpu_s": told, "num_items": len(kept)}
    return {"whole": facts, "auroc": float(auroc(data.gt_label[kept], scores))}


def _auroc(data: MadeData, scores: np.ndarray) -> float:
    known = np.isfinite(scores)
    return float(auroc(data.gt_label[known], scores[known]))


def _saved(method: SpeedMethod) -> Measured:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        method.save(folder)
        return {"size_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())}


def _worked(method: SpeedMethod, request: Any) -> Measured:
    """Return what scoring a request asks of the machine, and how fast the denoiser is at a batch of 16."""
    work = method.work(request)
    found: Measured = {}
    if work is not None:
        units = _units(method.modality, request)
        found["work"] = {"multiply_adds": work.multiply_adds, "num_bytes": work.num_bytes, "num_units": units}
    if isinstance(method, Sampled):
        network = method.network
        seen = network.encode(request).x0
        batch = seen.repeat(-(-_UNET_BATCH // len(seen)), *[1] * (seen.ndim - 1))[:_UNET_BATCH]
        times = torch.full((_UNET_BATCH,), 300)
        with torch.inference_mode():
            asked = work_of(lambda: network.call(batch, times))
            took = min(_cpu_s(lambda: network.call(batch, times)) for _ in range(_UNET_REPEATS))
        size = sum(own.numel() for own in network.net.parameters())
        half = batch.ndim == 4 and computes_bfloat16(network.config.training, 2, torch.device("cpu"), size)
        dtype = "bfloat16" if half else "float32"
        found["unet"] = {"multiply_adds": asked.multiply_adds, "seconds": took, "dtype": dtype}
    return found


def _units(modality: str, source: Any) -> float:
    return len(source) * (_RECORDING_S if modality == "audio" else 1.0)


def _now() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def _since(began: tuple[float, float]) -> Spent:
    cpu_s, wall_s = (after - before for before, after in zip(began, _now(), strict=True))
    return Spent(cpu_s, wall_s)


def _cpu_s(call: Callable[[], Any]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    answer(measure)
