"""What is compared: tasks (data, split, protocol) that every method gets alike, and what a finished cell says.

    nab / unsupervised   each of the 52 labelled files: fit on the whole file without labels, score the same points
    nab / semi           train on the probationary part, score the rest
    ucr / one_class      train on the normal rows of TRAIN, score TEST; AUROC over instances
    msl / semi           per channel: train on the telemetry (column 0) of `train`, score `test`
    msl / joint          all channels at once: one model of all training streams scores all test streams, points pooled
    tsb_uad / unsupervised, semi
                         as nab; `semi` trains on the first stretch without anomalies, if it has 1,000 points
    planted / unsupervised, semi, one_class
                         normal streams and panels with anomalies planted by a seed; `semi` trains on the clean 40 %
    pems_bay / injected  train on the first 60 %, score the rest, in which a seed has planted anomalies
    mvtec_ad, magnetic_tile, visa / one_class
                         per category: train on the good training images, score the test images and their pixels
    urbansound8k, esc10, esc50 / one_class
                         each class normal in turn: train on its clips in the training folds, score the test fold's
    dcase / one_class    per machine and section: train on `train`, score `test`

Labels are part of a task for the metrics alone: no method ever sees them. Read `methods.py` next, then `runner.py`.

Legend: n points, images or recordings, C channels, N instances, L points per instance, h x w pixels of a map,
k training and m test items kept.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import ConfigError, DataError, MissingExtraError
from oddwave.lab.datasets.images import ImageSplit
from oddwave.lab.datasets.recordings import ClipSplit
from oddwave.lab.datasets.records import LabelledSeries
from oddwave.lab.datasets.split import Split

__all__ = [
    "AUDIO_DATASETS",
    "COLUMNS",
    "IMAGE_DATASETS",
    "SERIES_DATASETS",
    "AnyTask",
    "AudioTask",
    "BenchModality",
    "Cell",
    "ImageTask",
    "Outcome",
    "Task",
    "load_tasks",
    "modality_of",
    "readable_tasks",
]

BenchModality = Literal["series", "image", "audio"]
SERIES_DATASETS = ("nab", "ucr", "msl", "pems_bay", "tsb_uad", "planted")
IMAGE_DATASETS = ("mvtec_ad", "magnetic_tile", "visa")
AUDIO_DATASETS = ("urbansound8k", "esc10", "esc50", "dcase")

COLUMNS = (
    "dataset", "item", "protocol", "method", "seed", "auroc", "auprc", "vus_pr", "vus_roc", "pixel_auroc", "aupro",
    "pauc", "nab_score", "event_f1", "start_error", "end_error", "fit_s", "score_s", "peak_mb", "error",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Task:
    """One data set item under one protocol. `train` is None where the test data are all there is (unsupervised).

    `joint` tasks hold several streams in one array, `train_ends` and `test_ends` saying where each of them ends.
    """

    modality: ClassVar[Literal["series"]] = "series"
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
    def num_train(self) -> int:
        """How many points or instances there are to train on: those to score, where there are no others."""
        return len(self.test if self.train is None else self.train)

    @property
    def is_panel(self) -> bool:
        """Whether items are instances (N, C, L) instead of the points of one stream (n, C)."""
        return self.test.ndim == 3


@dataclass(frozen=True, eq=False)
class _FilesTask:
    """One category of files: normal ones to train on, test files with labels, read when they are asked for."""

    dataset: str
    item: str
    protocol: str
    split: Split

    @property
    def num_train(self) -> int:
        """How many there are to train on."""
        return len(self.split.train_paths)

    @property
    def gt_label(self) -> Int[np.ndarray, " n"]:
        """0 for the normal test files, 1 for the others."""
        return self.split.gt_label

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each test file is of: its kind of defect, its class, or whether it is an anomaly and of which domain."""
        return self.split.kinds

    def only(self, train: Int[np.ndarray, " k"], test: Int[np.ndarray, " m"]) -> Self:
        """Return the task of these training and these test files alone, by their positions."""
        return replace(self, split=self.split.only(train, test))


@dataclass(frozen=True, eq=False)
class ImageTask(_FilesTask):
    """One category of images, with masks where there are any."""

    modality: ClassVar[Literal["image"]] = "image"
    split: ImageSplit


@dataclass(frozen=True, eq=False)
class AudioTask(_FilesTask):
    """One class of sounds, or one machine's section."""

    modality: ClassVar[Literal["audio"]] = "audio"
    split: ClipSplit


AnyTask = Task | ImageTask | AudioTask


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a method says of a task: scores of the test items, seconds of CPU time and on the clock, and what it was.

    Of images also a map each, of any size, that covers the whole image. `num_parameters` counts what training set.
    """

    scores: Float[np.ndarray, " n"]
    fit_s: float
    score_s: float
    maps: Sequence[Float[np.ndarray, "h w"]] = ()
    fit_wall_s: float | None = None
    score_wall_s: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    num_parameters: int = 0


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
        return f"{self._stem}.npy"

    @property
    def facts_name(self) -> str:
        """A name for the file of what else is known of this cell."""
        return f"{self._stem}.json"

    @property
    def _stem(self) -> str:
        parts = (self.dataset, self.item, self.protocol, self.method, str(self.seed))
        return "__".join(part.replace("/", "-") for part in parts)


def load_tasks(
    root: Path, only: Collection[str] | None = None, modality: BenchModality = "series"
) -> Sequence[AnyTask]:
    """Load the tasks of a modality that are present under `root`.

    `only` keeps data sets ("nab"), data set and protocol ("nab/semi"), or single items ("nyc_taxi", "ECG200").

    Raises:
        DataError: none of the data sets is there.
        ConfigError: `only` names nothing that is there.
        MissingExtraError: what is asked for may lie in files that need a package which is not installed.
    """
    tasks, missing, closed = _loaded(root, modality)
    if closed and (only is None or set(only) - {name for task in tasks for name in _names(task)}):
        raise closed[0]
    if not tasks:
        raise DataError(f"no {_KINDS[modality]} data set under '{root}': {missing[0]}")
    if only is None:
        return tasks
    wanted = set(only)
    chosen = [task for task in tasks if wanted & _names(task)]
    unknown = wanted - {name for task in tasks for name in _names(task)}
    if unknown:
        raise ConfigError(
            f"--only '{', '.join(sorted(unknown))}' is not there; data sets: {', '.join(_LOADERS[modality])}, "
            f"items such as {', '.join(sorted({task.item for task in tasks})[:4])}"
        )
    return chosen


def readable_tasks(root: Path, modality: BenchModality) -> list[AnyTask]:
    """Load all tasks of a modality that can be: data sets that are not there, or lack a package, are passed over."""
    return _loaded(root, modality)[0]


def _loaded(root: Path, modality: BenchModality) -> tuple[list[AnyTask], list[str], list[MissingExtraError]]:
    """Return the tasks, which data sets are not there and why, and what was raised for want of a package."""
    tasks: list[AnyTask] = []
    missing, closed = [], []
    for name, load in _LOADERS[modality].items():
        try:
            tasks += load(root)
        except DataError as error:
            missing.append(f"{name}: {error}")
        except MissingExtraError as error:
            closed.append(error)
    return tasks, missing, closed


def modality_of(dataset: str) -> BenchModality:
    """Return which modality a data set of this name belongs to: series, unless it is one of the others."""
    others: tuple[BenchModality, ...] = ("image", "audio")
    return next((modality for modality in others if dataset in _LOADERS[modality]), "series")


def _names(task: AnyTask) -> set[str]:
    return {task.dataset, f"{task.dataset}/{task.protocol}", task.item, task.item.rpartition("/")[2]}


def _nab_tasks(root: Path) -> list[Task]:
    from oddwave.lab.datasets.nab import load_nab

    streams = load_nab(root)
    return [*(_whole_task("nab", own) for own in streams), *(_split_task("nab", own, "semi") for own in streams)]


def _pems_tasks(root: Path) -> list[Task]:
    from oddwave.lab.datasets.pems_bay import load_pems_bay

    return [_split_task("pems_bay", series, "injected") for series in load_pems_bay(root)]


def _tsb_tasks(root: Path) -> list[Task]:
    from oddwave.lab.datasets.tsb_uad import load_tsb_uad, semi_split

    streams = [series for series in load_tsb_uad(root) if series.windows]
    splits = [split for split in map(semi_split, streams) if split is not None]
    semi = [Task("tsb_uad", s.name, "semi", s.train, s.test, s.gt_label, s.windows) for s in splits]
    return [*(_whole_task("tsb_uad", own) for own in streams), *semi]


def _planted_tasks(root: Path) -> list[Task]:
    from oddwave.lab.datasets.planted import load_planted

    streams, panels = load_planted(root)
    return [
        *(_whole_task("planted", own) for own in streams),
        *(_split_task("planted", own, "semi") for own in streams),
        *(Task("planted", p.name, "one_class", p.train_normal, p.test, p.gt_label) for p in panels),
    ]


def _whole_task(dataset: str, series: LabelledSeries) -> Task:
    """Learn from the whole stream without labels, score the same points."""
    return Task(dataset, series.name, "unsupervised", None, series.values, series.gt_label, series.windows)


def _split_task(dataset: str, series: LabelledSeries, protocol: str) -> Task:
    """Train on what lies before `train_end`, score the rest."""
    head = series.train_end
    later = tuple((max(a - head, 0), b - head) for a, b in series.windows if b >= head)
    return Task(
        dataset, series.name, protocol, series.values[:head], series.values[head:], series.gt_label[head:], later
    )


def _ucr_tasks(root: Path) -> list[Task]:
    from oddwave.lab.datasets.ucr import load_ucr, ucr_names

    tasks, missing = [], []
    for name in ucr_names(root):
        try:
            panel = load_ucr(root, name).without_copies()
        except DataError as error:
            missing.append(error)
        else:
            tasks.append(Task("ucr", name, "one_class", panel.train_normal, panel.test, panel.gt_label))
    if not tasks:
        raise missing[0]
    return tasks


def _msl_tasks(root: Path) -> list[Task]:
    from oddwave.lab.datasets.msl import load_msl

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


def _mvtec_tasks(root: Path) -> list[ImageTask]:
    from oddwave.lab.datasets.mvtec import load_mvtec

    # a folder of categories may hold magnetic tile as well, which is a data set of its own
    splits = [split for split in load_mvtec(root) if split.name != "magnetic_tile"]
    if not splits:
        raise DataError(f"'{root}' has no category of MVTec AD besides magnetic tile")
    return _image_tasks("mvtec_ad", splits)


def _tile_tasks(root: Path) -> list[ImageTask]:
    from oddwave.lab.datasets.mvtec import load_magnetic_tile

    return _image_tasks("magnetic_tile", load_magnetic_tile(root))


def _visa_tasks(root: Path) -> list[ImageTask]:
    from oddwave.lab.datasets.visa import load_visa

    return _image_tasks("visa", load_visa(root))


def _image_tasks(dataset: str, splits: Sequence[ImageSplit]) -> list[ImageTask]:
    return [ImageTask(dataset, split.name, "one_class", split) for split in splits]


def _audio_tasks(dataset: str, root: Path) -> list[AudioTask]:
    from oddwave.lab.datasets.registry import DATASETS

    splits = DATASETS[dataset].load(root)
    return [AudioTask(dataset, split.name, "one_class", split) for split in splits if isinstance(split, ClipSplit)]


_KINDS: dict[BenchModality, str] = {"series": "series", "image": "image", "audio": "sound"}
_LOADERS: dict[BenchModality, dict[str, Callable[[Path], Sequence[Any]]]] = {
    "series": {
        "nab": _nab_tasks,
        "ucr": _ucr_tasks,
        "msl": _msl_tasks,
        "pems_bay": _pems_tasks,
        "tsb_uad": _tsb_tasks,
        "planted": _planted_tasks,
    },
    "image": dict(zip(IMAGE_DATASETS, (_mvtec_tasks, _tile_tasks, _visa_tasks), strict=True)),
    "audio": {name: partial(_audio_tasks, name) for name in AUDIO_DATASETS},
}
