"""One row of the sound benchmark on UrbanSound8K itself, so that its protocol and its baseline stay what they were.

The folder is ODDWAVE_DATA, else shared/data beside the repository.
"""

import os
from pathlib import Path

import pytest

from oddwave.lab.bench.label_metrics import audio_metrics
from oddwave.lab.bench.methods import run_method
from oddwave.lab.bench.protocol import load_tasks

ROOT = Path(os.environ.get("ODDWAVE_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
pytestmark = pytest.mark.real


def test_log_mel_neighbours_of_gun_shots():
    if not (ROOT / "urbansound8k").is_dir():
        pytest.skip(f"no 'urbansound8k' in '{ROOT}': set ODDWAVE_DATA to the data folder")
    (task,) = load_tasks(ROOT, ["gun_shot"], "audio")
    outcome = run_method("log_mel_knn", task, seed=0)
    assert audio_metrics(task, outcome.scores)["auroc"] == pytest.approx(0.798, abs=0.005)
