"""What is compared: tasks (data, split, protocol) that every method gets alike, and what a finished cell says.

    nab / unsupervised   each of the 52 labelled files: fit on the whole file without labels, score the same points
    nab / semi           train on the probationary part, score the rest
    ucr / one_class      train on the normal rows of TRAIN, score TEST; AUROC over instances
    msl / semi           per channel: train on the telemetry (column 0) of `train`, score `test`
    msl / joint          all channels at once: one model of all training streams scores all test streams, points pooled

Labels are part of a task for the metrics alone: no method ever sees them. Read `methods.py` next, then `runner.py`.

Legend: n points, C channels, N instances, L points per instance.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import ConfigError, DataError

__all__ = ["COLUMNS", "SERIES_DATASETS", "Cell", "Task", "load_tasks"]

SERIES_DATASETS = ("nab", "ucr", "msl")

COLUMNS = (
    "dataset", "item", "protocol", "method", "seed", "auroc", "auprc", "vus_pr", "vus_roc", "pixel_auroc", "aupro",
    "pauc", "nab_score", "fit_s", "score_s", "peak_mb", "error",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Task:
    """One data set item under one protocol. `train` is None where the test data are all there is (unsupervised).

    `joint` tasks hold several streams in one array, `train_ends` and `test_ends` saying where each of them ends.
    """

    dataset: str
    item: str
    protocol: str
    train: Float[np.ndarray, "..."] | None
    test: Float[np.ndarray, "..."]
    gt_label: Int[np.ndarray, " n"]
    windows: tuple[tuple[int, int], ...] = field(default=())
    train_ends: tuple[int, ...] = ()
    test_ends: tuple[int, ...] = ()

    @property
    def is_panel(self) -> bool:
        """Whether items are instances (N, C, L) instead of the points of one stream (n, C)."""
        return self.test.ndim == 3


@dataclass(frozen=True, slots=True)
class Cell:
    """The name of one run: what is scored, by which method, with which seed."""

    dataset: str
    item: str
    protocol: str
    method: str
    seed: int

    @property
    def file_name(self) -> str:
        """A name for this cell's score file."""
        parts = (self.dataset, self.item, self.protocol, self.method, str(self.seed))
        return "__".join(part.replace("/", "-") for part in parts) + ".npy"


def load_tasks(root: Path, only: Collection[str] | None = None) -> list[Task]:
    """Load the series tasks that are present under `root`.

    `only` keeps data sets ("nab"), data set and protocol ("nab/semi"), or single items ("nyc_taxi", "ECG200").

    Raises:
        DataError: none of the data sets is there.
        ConfigError: `only` names nothing that is there.
    """
    loaders = {"nab": _nab_tasks, "ucr": _ucr_tasks, "msl": _msl_tasks}
    tasks: list[Task] = []
    missing = []
    for name, load in loaders.items():
        try:
            tasks += load(root)
        except DataError as error:
            missing.append(f"{name}: {error}")
    if not tasks:
        raise DataError(f"no series data set under '{root}': {missing[0]}")
    if only is None:
        return tasks
    wanted = set(only)
    chosen = [task for task in tasks if wanted & _names(task)]
    unknown = wanted - {name for task in tasks for name in _names(task)}
    if unknown:
        raise ConfigError(
            f"--only '{', '.join(sorted(unknown))}' is not there; data sets: {', '.join(SERIES_DATASETS)}, "
            f"items such as {', '.join(sorted({task.item for task in tasks})[:4])}"
        )
    return chosen


def _names(task: Task) -> set[str]:
    return {task.dataset, f"{task.dataset}/{task.protocol}", task.item, task.item.rpartition("/")[2]}


def _nab_tasks(root: Path) -> list[Task]:
    from oddwave.datasets.nab import load_nab

    tasks = []
    for series in load_nab(root):
        tasks.append(Task("nab", series.name, "unsupervised", None, series.values, series.gt_label, series.windows))
    for series in load_nab(root):
        head = series.train_end
        later = tuple((max(a - head, 0), b - head) for a, b in series.windows if b >= head)
        tasks.append(
            Task("nab", series.name, "semi", series.values[:head], series.values[head:], series.gt_label[head:], later)
        )
    return tasks


def _ucr_tasks(root: Path) -> list[Task]:
    from oddwave.datasets.ucr import NORMAL_CLASS, load_ucr

    tasks, missing = [], []
    for name in sorted(NORMAL_CLASS):
        try:
            panel = load_ucr(root, name)
        except DataError as error:
            missing.append(error)
        else:
            tasks.append(Task("ucr", name, "one_class", panel.train_normal, panel.test, panel.gt_label))
    if not tasks:
        raise missing[0]
    return tasks


def _msl_tasks(root: Path) -> list[Task]:
    from oddwave.datasets.msl import load_msl

    splits = load_msl(root)
    joint = Task(
        "msl",
        "all_channels",
        "joint",
        np.concatenate([s.train for s in splits]),
        np.concatenate([s.test for s in splits]),
        np.concatenate([s.gt_label for s in splits]),
        train_ends=tuple(np.cumsum([len(s.train) for s in splits]).tolist()),
        test_ends=tuple(np.cumsum([len(s.test) for s in splits]).tolist()),
    )
    return [joint, *(Task("msl", s.name, "semi", s.train, s.test, s.gt_label, s.windows) for s in splits)]
