"""Compare methods on streams with little to train on, by planted anomalies alone: what choices may rest on.

    python -m oddwave.lab.studies.short_training --data DIR [--methods oddwave,knn,pca] [--set
    scoring.local_scaling=false]

No label of a real anomaly is read. MSL: of each channel's training part the first 60 % to train on, anomalies planted
in the rest. NAB: of every fourth file the probationary part to train on, anomalies planted in the 2,000 rows behind it,
which may hold real ones that count as normal here, for all methods alike. About 8 % of the points are anomalous
(`inject_anomalies`, windows of 64, seed = number of the item). `--set` changes oddwave's settings.
Writes short_training.md and .json into OUT (benchmarks/results).
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from oddwave.config import preset
from oddwave.errors import DataError
from oddwave.lab.bench.environment import environment
from oddwave.lab.bench.methods import run_method
from oddwave.lab.bench.own_methods import score_task
from oddwave.lab.bench.protocol import Task, load_tasks
from oddwave.lab.datasets.injection import inject_anomalies
from oddwave.lab.metrics import auroc

__all__ = ["main"]

METHODS = "oddwave,knn,knn_max,knn_256,pca,dte_nonparametric"
_SHARE, _RATE, _WINDOW, _MOST_POINTS, _EVERY = 0.6, 0.08, 64, 2000, 4


def planted_tasks(root: Path) -> Iterator[Task]:
    """Return the streams; those too short for an anomaly, or constant where one would be planted, are left out."""
    for number, task in enumerate(load_tasks(root, ["msl/semi"])):
        assert isinstance(task, Task)
        assert task.train is not None
        cut = int(len(task.train) * _SHARE)
        yield from _planted(task, number, task.train[:cut], task.train[cut:])
    for number, task in enumerate(load_tasks(root, ["nab/semi"])):
        assert isinstance(task, Task)
        assert task.train is not None
        if number % _EVERY == 0:
            yield from _planted(task, number, task.train, task.test[:_MOST_POINTS])


def _planted(task: Task, number: int, train: np.ndarray, rest: np.ndarray) -> Iterator[Task]:
    if len(rest) < 4 * _WINDOW or rest.std() == 0:
        return
    planted = inject_anomalies(rest, rate=_RATE, seed=number, window_size=_WINDOW)
    yield Task(task.dataset, task.item, "planted", train, planted.values, planted.gt_label)


def measure(method: str, task: Task, overrides: list[str]) -> float | None:
    """Return the AUROC of the planted points; None where a method cannot learn from so little."""
    try:
        if method == "oddwave":
            scores = score_task(preset("balanced").with_overrides(overrides), task).scores
        else:
            scores = run_method(method, task, 0).scores
    except DataError:
        return None
    return float(auroc(task.gt_label, np.nan_to_num(scores, nan=np.nanmin(scores))))


def summary(found: dict[str, dict[str, float | None]], methods: list[str]) -> list[dict[str, Any]]:
    """Return per data set and method the mean over the items that all methods have, and the difference to oddwave."""
    rows = []
    for dataset in ("msl", "nab"):
        items = [name for name, own in found.items() if name.startswith(dataset) and None not in own.values()]
        if len(items) < 2:
            continue
        scores = {m: np.array([found[name][m] for name in items], float) for m in methods}
        for method, values in scores.items():
            less = values - scores[methods[0]]
            error = float(less.std(ddof=1) / np.sqrt(len(less)))
            rows.append({"dataset": dataset, "items": len(items), "method": method, "auroc": float(values.mean()),
                         "difference": float(less.mean()), "standard_error": error})  # fmt: skip
    return rows


def markdown(rows: list[dict[str, Any]], command: str) -> str:
    """Return the table."""
    lines = ["# Little to train on, planted anomalies", "", f"`{command}`, seed 0. Mean AUROC of planted points; the",
             "difference to the first method is paired by item, with its standard error.", "",
             "| data | items | method | AUROC | difference |", "|---|---:|---|---:|---:|"]  # fmt: skip
    lines += [
        f"| {r['dataset']} | {r['items']} | `{r['method']}` | {r['auroc']:.3f} | "
        f"{r['difference']:+.3f} ± {r['standard_error']:.3f} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    methods, started = given.methods.split(","), time.monotonic()
    tasks, found = list(planted_tasks(given.data)), {}
    for number, task in enumerate(tasks, 1):
        found[f"{task.dataset}/{task.item}"] = {m: measure(m, task, given.overrides) for m in methods}
        left = (time.monotonic() - started) / number * (len(tasks) - number)
        print(f"{number} of {len(tasks)}: {task.item}, {left / 60:.0f} min left", flush=True)
    rows = summary(found, methods)
    told = ["--data DIR", f"--methods {given.methods}", *(f"--set {each}" for each in given.overrides)]
    command = " ".join(["python -m oddwave.lab.studies.short_training", *told])
    text = markdown(rows, command)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "short_training.md").write_text(text)
    content = {"command": command, "rows": rows, "items": found, "environment": environment(1)}
    (given.out / "short_training.json").write_text(json.dumps(content, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    main()
