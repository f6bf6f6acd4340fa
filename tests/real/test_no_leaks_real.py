"""No item of the data sets at hand is both trained on and tested; folds and probationary parts are kept apart.

The folder is ODDWAVE_DATA, else shared/data beside the repository.
"""

import csv
import hashlib
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from oddwave.errors import DataError
from oddwave.lab.bench.protocol import load_tasks
from oddwave.lab.datasets.nab import PROBATION_MAX_ROWS, PROBATION_SHARE

ROOT = Path(os.environ.get("ODDWAVE_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
pytestmark = pytest.mark.real


def tasks_of(modality, dataset):
    try:
        tasks = [task for task in load_tasks(ROOT, None, modality) if task.dataset == dataset]
    except DataError:
        tasks = []
    if not tasks:
        pytest.skip(f"no '{dataset}' in '{ROOT}': set ODDWAVE_DATA to the data folder")
    return tasks


def contents(paths, seen):
    for path in paths:
        if path not in seen:
            seen[path] = hashlib.sha256(path.read_bytes()).digest()
    return {seen[path] for path in paths}


@pytest.mark.parametrize(
    ("modality", "dataset"),
    [("image", "mvtec_ad"), ("image", "magnetic_tile"), ("image", "visa"), ("audio", "urbansound8k"),
     ("audio", "esc10"), ("audio", "esc50"), ("audio", "dcase")],
)  # fmt: skip
def test_no_file_is_trained_on_and_tested(modality, dataset):
    seen = {}
    for task in tasks_of(modality, dataset):
        train, test = task.split.train_paths, task.split.test_paths
        assert len(set(train)) == len(train)
        assert len(set(test)) == len(test)
        assert not {path.resolve() for path in train} & {path.resolve() for path in test}
        assert not contents(train, seen) & contents(test, seen)


def test_clips_of_one_recording_are_not_trained_on_and_tested():
    tasks = tasks_of("audio", "urbansound8k")
    with (ROOT / "urbansound8k" / "metadata" / "UrbanSound8K.csv").open(newline="") as file:
        table = {row["slice_file_name"].rpartition(".")[0]: row for row in csv.DictReader(file)}
    for task in tasks:
        train, test = ([table[path.stem] for path in part] for part in (task.split.train_paths, task.split.test_paths))
        assert {row["fold"] for row in train} == {"1", "2"}
        assert {row["fold"] for row in test} == {"10"}
        assert not {row["fsID"] for row in train} & {row["fsID"] for row in test}
        assert {row["class"] for row in train} == {task.item}


def test_nab_trains_before_it_tests_and_on_the_probationary_part_alone():
    tasks = tasks_of("series", "nab")
    whole = {task.item: task for task in tasks if task.protocol == "unsupervised"}
    semi = {task.item: task for task in tasks if task.protocol == "semi"}
    assert set(whole) == set(semi)
    for item, task in semi.items():
        everything = whole[item].test
        head = int(PROBATION_SHARE * min(len(everything), PROBATION_MAX_ROWS))
        np.testing.assert_array_equal(task.train, everything[:head])
        np.testing.assert_array_equal(task.test, everything[head:])
        np.testing.assert_array_equal(task.gt_label, whole[item].gt_label[head:])
        assert not whole[item].gt_label[:head].any()


def test_channels_of_msl_are_trained_on_other_files_than_they_are_tested_on():
    for task in tasks_of("series", "msl"):
        assert not np.shares_memory(task.train, task.test)
        if task.protocol == "semi":  # longer stretches alike would be copies; a constant channel is alike everywhere
            shared = {row.tobytes() for row in _stretches(task.train)} & {
                row.tobytes() for row in _stretches(task.test)
            }
            assert not shared


def _stretches(values, length=256):
    starts = range(0, len(values) - length + 1)
    found = [values[start : start + length] for start in starts]
    return [own for own in found if len(np.unique(own)) > length // 4]


def test_instances_of_ucr_are_not_trained_on_and_tested():
    for task in tasks_of("series", "ucr"):
        train, test = (Counter(row.tobytes() for row in part) for part in (task.train, task.test))
        assert not set(train) & set(test), task.item
