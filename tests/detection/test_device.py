"""The device is a setting of a run: checked at once, and no property of a saved model."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import oddwave
from oddwave.cli import app
from oddwave.config import DetectorConfig, preset
from oddwave.detection.device import chosen_device
from oddwave.detector import Detector
from oddwave.errors import ConfigError
from oddwave.training.draws import TrainingDraws, validation_draws


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def with_two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_without_a_gpu_auto_is_the_processor_and_a_gpu_is_refused(without_gpu):
    assert DetectorConfig().device == "cpu"
    assert chosen_device("auto") == chosen_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="device is 'cuda', a CUDA GPU, and none can be used here: use device=cpu"):
        Detector(device="cuda")
    with pytest.raises(ConfigError, match=r"'device'.*expected auto .*, cpu, cuda or cuda:0 \(given: 'gpu'\)"):
        Detector(device="gpu")


def test_with_gpus_auto_is_one_and_one_too_many_is_refused(with_two_gpus):
    assert chosen_device("auto") == torch.device("cuda")
    assert chosen_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match="2 of them can be used"):
        chosen_device("cuda:2")


def test_a_model_that_was_fitted_elsewhere_is_loaded_here(stream_detector, tmp_path, saved_files, waves, without_gpu):
    folder = stream_detector.save(tmp_path / "model")
    assert json.loads(saved_files.place_of(folder, "config.json").read_text())["device"] == "cpu"
    saved_files.rewritten(folder, "config.json", lambda config: config.update(device="cuda:3"))
    loaded = oddwave.load(folder)
    assert loaded.config == stream_detector.config
    data = waves(80, channels=2, seed=1)
    np.testing.assert_array_equal(loaded.decision_function(data), stream_detector.decision_function(data))
    assert oddwave.load(folder, device="auto").inner.device == torch.device("cpu")
    with pytest.raises(ConfigError, match="none can be used here"):
        oddwave.load(folder, device="cuda")


def test_a_model_saved_without_the_setting_is_read(stream_detector, tmp_path, saved_files):
    folder = stream_detector.save(tmp_path / "model")
    saved_files.rewritten(folder, "config.json", lambda config: config.pop("device"))
    assert oddwave.load(folder).config.device == "cpu"


def test_the_command_line_refuses_it_before_the_work(stream_detector, tmp_path, without_gpu):
    folder = stream_detector.save(tmp_path / "model")
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    for words in (["detect", tmp_path / "data.csv"], ["score", folder, tmp_path / "data.csv"]):
        done = CliRunner().invoke(app, [*map(str, words), "-o", str(tmp_path / "out"), "--device", "cuda"])
        assert done.exit_code == 2
        assert "none can be used here" in done.stderr


def test_training_draws_its_numbers_on_the_processor():
    config = preset("fast").training
    noise = TrainingDraws(4, 100, config).noise_like(torch.empty(4, 1, 8, device="meta"))
    assert noise.device.type == "meta"
    (_, t, first), *_ = validation_draws(4, (1, 8), 100, config, torch.device("meta"))
    assert (t.device.type, first.device.type) == ("meta", "meta")
