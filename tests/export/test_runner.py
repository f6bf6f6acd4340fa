"""The runner without torch judges as the detector does; the map in the graph is the map; what cannot be is refused."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.cli import app
from oddwave.config import preset
from oddwave.detection.audio.runs import lowest_event_score
from oddwave.detection.audio.terms import audio_map_of
from oddwave.errors import ConfigError, MissingExtraError
from oddwave.export import convert
from oddwave.export.levels import Levels
from oddwave.export.runner import audio, image, series
from oddwave.export.runner.run_onnx import verdict
from oddwave.export.sidecar import tails_of
from oddwave.tensors.audio_map import AudioMap

ALPHAS = (0.3, 0.05, 0.01, 0.002)


def known(calibration):
    return {"scores": calibration.scores, "blocks": calibration.blocks, **tails_of(calibration)}


@pytest.mark.parametrize("num_normals", [4, 40, 300])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_verdicts_are_those_of_the_calibration(num_normals, alpha):
    """Items, peaks of streams, recordings of several lengths: below, at and beyond what normals reach."""
    rng = np.random.default_rng(num_normals)
    normals = rng.gumbel(size=num_normals)
    items = Calibration.fit([normals], 1, "")
    streams = Calibration.fit([rng.gumbel(size=8 * num_normals)], 8, "")
    rule = Rule(alpha)
    found = {0: 0, 1: 0}
    for score in (-1.0, 0.5, 1.5, 2.5, 4.0, 6.0, 9.0, 15.0, 40.0, 1e3):
        one = np.array([score])
        _, p_value, label = verdict(one, known(items), alpha, "item")
        assert (p_value, label) == (items.p_values(one)[0], items.labels(one, rule)[0])
        _, p_value, label = verdict(np.array([np.nan, score, score - 1]), known(streams), alpha, "stream")
        event = streams.labels(one, rule)[0] == 1 and streams.is_event(score, rule)
        assert (p_value, label) == (streams.event_p_value(score) if event else streams.p_values(one)[0], int(event))
        for num in (1, 3, 7):
            clips = np.full(num, score)
            _, p_value, label = verdict(clips, known(items), alpha, "recording")
            assert p_value == items.event_p_value(score, num)
            assert label == int(score >= lowest_event_score(items, rule, num))
            found[label] += 1
    assert min(found.values()) > 0


def test_the_map_in_the_graph_is_the_map():
    config = preset("fast", "audio").with_overrides(["audio.sample_rate=4000", "audio.clip_s=1.0", "audio.columns=128"])
    audio_map = audio_map_of(config.audio)
    t = torch.arange(audio_map.clip_samples) / audio_map.sample_rate
    torch.manual_seed(0)
    clip = (0.3 * torch.sin(6.28 * 440 * t) + 0.01 * torch.randn(len(t)))[None]
    found, expected = Levels(audio_map)(clip), audio_map.levels_db(clip)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02)
    assert float((found - expected).abs().median()) < 1e-4


def test_a_map_without_wavelets_is_refused():
    audio_map = AudioMap(sample_rate=4000, clip_samples=4096, columns=128, num_rows=32, transform="stft-mel")
    with pytest.raises(ConfigError, match=r"transform=cwt"):
        Levels(audio_map)


def test_formats_and_extras(monkeypatch):
    with pytest.raises(ConfigError, match="onnx, openvino, torch-export"):
        convert.require_extra("tflite")
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(MissingExtraError, match=r"oddwave\[onnx\]"):
        convert.require_extra("onnx")
    assert convert.require_extra("torch-export") == "torch-export"


@pytest.mark.parametrize(
    ("model", "out", "word"),
    [("nothing", "new", "nothing"), ("damaged", "new", "meta.json"), ("nothing", "others", "did not make")],
)
def test_what_cannot_be_is_refused_before_any_work(tmp_path, model, out, word):
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "meta.json").write_text("{")
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "thesis.txt").write_text("mine")
    told = ["export", str(tmp_path / model), "-o", str(tmp_path / out), "--format", "torch-export"]
    result = CliRunner().invoke(app, told)
    assert result.exit_code == 2
    assert word in result.output + result.stderr
    assert not (tmp_path / "new").exists()
    assert [entry.name for entry in (tmp_path / "others").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("text", "word"),
    [("a,b\n1,2\n", "no column 'flow'"), ("flow\n1\nx\n3\n", "row 1"), ("flow\n1\n2\n", "2 points")],
)
def test_series_that_the_runner_cannot_read(tmp_path, text, word):
    (tmp_path / "x.csv").write_text(text)
    make = {"channel_names": ["flow"], "instance_length": 0, "centre": [0.0], "scale": [1.0], "linear_limit": 300.0,
            "monitored": [True], "window_sizes": [16], "strides": [2], "length": 32}  # fmt: skip
    spec = {"kind": "stream", "preparation": make}
    with pytest.raises(ValueError, match=word):
        list(series.scored(str(tmp_path / "x.csv"), spec, {}, lambda *x: []))


def test_images_and_recordings_that_the_runner_cannot_read(tmp_path):
    from PIL import Image

    Image.new("RGBA", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="RGBA"):
        image.read(str(tmp_path / "a.png"), 3)
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"WAV|format|Error"):
        audio.read(str(tmp_path / "a.wav"))
