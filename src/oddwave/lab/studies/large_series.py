"""A very long series, and a very wide one: processor seconds and memory of fit and score, in a process of its own each.

    python -m oddwave.lab.studies.large_series [--preset fast] [-o RESULT.json]

Long: a cycle with noise, learnt from 20,000 points; 1,000,000 more are scored at once. Wide: 240 channels of two cycles
with noise over a week of minutes (10,080 points), learnt from and scored whole. One thread, seed 0; memory is the
largest resident size of the process.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.files import write_bytes_atomic

__all__ = ["SHAPES", "main", "measured"]

SHAPES = {"long": (20_000, 1_000_000, 1), "wide": (10_080, 10_080, 240)}  # points learnt from, scored, and channels


def measured(num_train: int, num_test: int, num_channels: int, preset_name: str) -> dict[str, Any]:
    """Fit and score generated data once, and return what that took."""
    import torch

    from oddwave.config import preset
    from oddwave.detector import Detector
    from oddwave.planted.normal_streams import normal_stream

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    if num_channels == 1:
        values = normal_stream(rng, num_train + num_test, 1)
        train, test = values[:num_train], values[num_train:]
    else:
        train, test = (_cycles(rng, num, num_channels) for num in (num_train, num_test))
    began = time.process_time()
    detector = Detector(preset(preset_name, "series")).fit(train)
    fitted = time.process_time()
    result = detector.score(test, explain="none")
    scored = time.process_time()
    return {
        "num_train": num_train,
        "num_test": num_test,
        "num_channels": num_channels,
        "preset": preset_name,
        "windows": detector.inner.facts()["windows"],
        "fit_cpu_s": round(fitted - began, 2),
        "score_cpu_s": round(scored - fitted, 2),
        "points_per_cpu_s": round(num_test / (scored - fitted)),
        "num_scores": len(result.scores),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _cycles(rng: np.random.Generator, num: int, num_channels: int) -> Float[np.ndarray, "n C"]:
    time_, phase = np.arange(num)[:, None], np.arange(num_channels)
    slow, quick = np.sin(2 * np.pi * time_ / 1440 + phase), 0.3 * np.sin(2 * np.pi * time_ / 60 + phase)
    values: np.ndarray = slow + quick + 0.1 * rng.normal(size=(num, num_channels))
    return values


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each shape in a process of its own, print what was found, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--shape", choices=list(SHAPES), action="append")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args(arguments)
    shapes = given.shape or list(SHAPES)
    if given.here:
        print(json.dumps(measured(*SHAPES[shapes[0]], given.preset)))
        return
    found = {}
    for shape in shapes:
        command = [sys.executable, "-m", __spec__.name, "--here", "--shape", shape, "--preset", given.preset]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found[shape] = json.loads(answer.stdout.splitlines()[-1])
        print(f"{shape}: {found[shape]}", flush=True)
    if given.output is not None:
        write_bytes_atomic(given.output, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
