"""How often healthy data are flagged.

    python -m oddwave.lab.studies.false_alarms --data DIR [--preset fast] [--alpha 0.05]

MSL's training parts are healthy by definition: of each channel the first 60 % to fit on, the rest to score. Printed
are the mean and the median share of points with p <= alpha over channels. Drift within a channel is part of it.
Writes false_alarms.json into `--out` (benchmarks/results).
"""

import argparse
import json
from pathlib import Path

import numpy as np

from oddwave.config import preset
from oddwave.detector import Detector
from oddwave.lab.bench.protocol import Task, load_tasks

__all__ = ["main"]

_SHARE = 0.6


def measure(values: np.ndarray, name: str, alpha: float) -> float:
    """Fit on the first part, give the share of the second that is flagged."""
    cut = int(len(values) * _SHARE)
    return float(Detector(preset(name)).fit(values[:cut]).predict(values[cut:], alpha=alpha).mean())


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    channels = {}
    for task in load_tasks(given.data, ["msl/semi"]):
        assert isinstance(task, Task)
        assert task.train is not None
        if len(task.train) >= 600:
            channels[task.item] = measure(task.train, given.preset, given.alpha)
            print(task.item, channels[task.item], flush=True)
    rates = list(channels.values())
    means = {"mean": float(np.mean(rates)), "median": float(np.median(rates))}
    told = {"preset": given.preset, "alpha": given.alpha, **means, "channels": channels}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "false_alarms.json").write_text(json.dumps(told, indent=1) + "\n")
    print(means)


if __name__ == "__main__":
    main()
