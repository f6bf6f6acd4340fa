"""What exported graphs say of real data: AUROC within 0.001 of the detector's, through the runner's own preparation.

The folder is ODDWAVE_DATA, else shared/data beside the repository.
"""

import importlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from oddwave.config import preset
from oddwave.detector import Detector
from oddwave.errors import DataError
from oddwave.export.build import export_model
from oddwave.export.convert import runner_of
from oddwave.export.graph import in_single_precision
from oddwave.lab.bench.protocol import load_tasks
from oddwave.lab.metrics.auroc import auroc

ROOT = Path(os.environ.get("ODDWAVE_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
NUM_TRAIN, NUM_TEST = 24, 40
pytestmark = pytest.mark.real


def task_of(modality, dataset):
    try:
        return next(task for task in load_tasks(ROOT, None, modality) if task.dataset == dataset)
    except (DataError, StopIteration):
        pytest.skip(f"no '{dataset}' in '{ROOT}': set ODDWAVE_DATA to the data folder")


def aurocs(detector, folder, source, items, labels):
    """Return the AUROC of the detector, and of the exported graph behind the runner's preparation."""
    export_model(detector.inner, folder, "onnx")
    spec, run = json.loads((folder / "sidecar.json").read_text()), runner_of("onnx", folder / "model.onnx")
    parts = importlib.import_module(f"oddwave.export.runner.{spec['modality']}")
    found = [float(np.nanmax(own)) for item in items for _, own in parts.scored(str(item), spec, {}, run)]
    with in_single_precision(detector.inner):
        return auroc(labels, detector.decision_function(source)), auroc(labels, found)


@pytest.mark.parametrize(("modality", "dataset"), [("image", "mvtec_ad"), ("audio", "urbansound8k")])
def test_files(modality, dataset, tmp_path):
    whole = task_of(modality, dataset)
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(len(whole.gt_label), min(NUM_TEST, len(whole.gt_label)), replace=False))
    task = whole.only(np.arange(min(NUM_TRAIN, whole.num_train)), chosen)
    detector = Detector(preset("fast", modality)).fit(list(task.split.train_paths))
    items = list(task.split.test_paths)
    own, exported = aurocs(detector, tmp_path / "out", items, items, task.gt_label)
    assert abs(own - exported) <= 0.001


def test_instances(tmp_path):
    task = task_of("series", "ucr")
    detector = Detector(preset("fast")).fit(task.train)
    np.save(tmp_path / "test.npy", task.test)
    own, exported = aurocs(detector, tmp_path / "out", task.test, [tmp_path / "test.npy"], task.gt_label)
    assert abs(own - exported) <= 0.001
