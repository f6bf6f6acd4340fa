"""`oddwave fit` under torchrun: one process reads, judges, writes and speaks, the other helps it to train."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

SETTINGS = ("series.method=denoiser", "training.num_steps=4", "training.dtype=float32")
ONE = (sys.executable, "-m", "oddwave")
TWO = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "oddwave")


def run(start, *words):
    command = [*start, "fit", *map(str, words)]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=env)


@pytest.mark.slow
def test_two_processes_write_one_model_that_is_what_one_process_writes(tmp_path):
    t, rng = np.arange(900), np.random.default_rng(0)
    values = {name: np.sin(t / size) + 0.05 * rng.normal(size=900) for name, size in (("a", 8), ("b", 13))}
    pd.DataFrame(values).to_csv(tmp_path / "healthy.csv", index=False)
    words = ["series", tmp_path / "healthy.csv", "--preset", "fast", "-q"]
    words += [word for setting in SETTINGS for word in ("--set", setting)]
    models = {}
    for name, start in (("one", ONE), ("two", TWO)):
        done = run(start, *words, "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("Learnt.") == 1
        (weights,) = (tmp_path / name).glob("data-*/*.safetensors")
        models[name] = load_file(weights)
        assert not (tmp_path / name / ".oddwave").exists()
    one, two = ({name: own for name, own in model.items() if name.startswith("net.")} for model in models.values())
    assert len(one) > 10
    for name, own in one.items():
        torch.testing.assert_close(two[name], own, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_what_is_wrong_is_said_once(tmp_path):
    done = run(TWO, "series", tmp_path / "none.csv", "-o", tmp_path / "model")
    assert done.returncode != 0
    assert done.stderr.count("oddwave: ") == 1
    assert "none.csv" in done.stderr
    assert not (tmp_path / "model").exists()
