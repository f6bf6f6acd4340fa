"""How much of a core it takes to judge many series while they are measured, one row of each per second.

    python -m oddwave.lab.studies.watch_rate [--series 200] [--seconds 300] [--out benchmarks/results]

Synthetic sines with noise, of random phase, seed 0; the model is the default one, fitted on 20,000 rows. Each second,
one row of every series is handed on, and all of them are judged together; measured is the processor time of that.
Beside it, the time from a row to what comes of it for a single series, row by row. Writes watch_rate.json into OUT.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.detector import Detector
from oddwave.lab.bench.environment import environment
from oddwave.stream.session import SeriesStream, StreamModel, update_all

__all__ = ["main"]

_PERIOD, _NOISE = 50, 0.1


def _sine(num: int, seed: int) -> Float[np.ndarray, "n 1"]:
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0.0, 2.0 * np.pi)
    wave: np.ndarray = np.sin(2.0 * np.pi * np.arange(num) / _PERIOD + phase) + _NOISE * rng.normal(size=num)
    return wave[:, None]


def _ticks(model: StreamModel, num_series: int, seconds: int) -> tuple[list[float], list[float]]:
    """Return the processor and the wall time of each second once windows of all lengths are whole."""
    streams = [SeriesStream(model, name=f"s{number}") for number in range(num_series)]
    first = model.online.longest
    data = [_sine(first + seconds, 100 + number) for number in range(num_series)]
    update_all([(stream, values[:first], None) for stream, values in zip(streams, data, strict=True)])
    used, waited = [], []
    for row in range(first, first + seconds):
        begun, since = time.process_time(), time.perf_counter()
        update_all([(stream, values[row : row + 1], None) for stream, values in zip(streams, data, strict=True)])
        used.append(time.process_time() - begun)
        waited.append(time.perf_counter() - since)
    return used, waited


def _told(times: list[float]) -> dict[str, float]:
    return {"mean_ms": round(1e3 * float(np.mean(times)), 2), "p95_ms": round(1e3 * float(np.quantile(times, 0.95)), 2)}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    detector = Detector().fit(_sine(20_000, 0))
    model = StreamModel(detector.inner)
    found: dict[str, Any] = {"environment": environment(1), "window_sizes": list(model.online.model.plan.sizes)}
    for num_series in (1, given.series):
        used, waited = _ticks(model, num_series, given.seconds)
        own = {"processor_per_second": _told(used), "wall_per_second": _told(waited)}
        found[f"{num_series} series"] = {**own, "share_of_a_core": round(float(np.mean(used)), 4)}
        print(f"{num_series} series: {json.dumps(found[f'{num_series} series'])}", flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "watch_rate.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
