"""Every modality: the exported graph and its runner, in a process without torch, say what `oddwave score` says."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from typer.testing import CliRunner

from oddwave.cli import app
from oddwave.detector import Detector
from oddwave.errors import CheckpointError
from oddwave.export import build
from oddwave.export.convert import convert, program_of, runner_of
from oddwave.export.graph import in_single_precision

TINY = Path(__file__).parents[1] / "faults" / "tiny_models.py"
SPEC = importlib.util.spec_from_file_location("tiny_models", TINY)
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

pytestmark = pytest.mark.slow


def written(kind, folder):
    """Write new data of a kind as files; return their paths, and those that oddwave is given."""
    folder.mkdir()
    data = tiny.new_data(kind)
    if kind == "stream":
        long = np.concatenate([tiny.waves(300, 3), data, tiny.waves(77, 4)])
        np.savetxt(folder / "a.csv", long, delimiter=",", header="0,1", comments="")
    elif kind == "panel":
        np.save(folder / "a.npy", data)
    elif kind == "sound":
        for name, (samples, rate) in data.items():
            with wave.open(str(folder / f"{name}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(rate)
                file.writeframes((samples[: 7000 if name.endswith("1") else None] * 32767).astype("<i2").tobytes())
    else:
        for number, own in enumerate(data):
            wide = np.repeat(own, 2, axis=1) if number == 2 else own
            Image.fromarray((wide * 255).round().astype(np.uint8)).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


def without_torch(folder, *arguments):
    """Run the runner where neither torch nor oddwave nor scipy can be imported; return its rows."""
    walls = folder.parent / "walls"
    for name in ("torch", "oddwave", "scipy", "sklearn", "pandas"):
        (walls / name).mkdir(parents=True, exist_ok=True)
        (walls / name / "__init__.py").write_text(f"raise ImportError('{name} is not to be had')")
    command = [sys.executable, str(folder / "run_onnx.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(walls)})
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(done.stdout.splitlines()))


@pytest.mark.parametrize("kind", ["stream", "panel", "retrieved", "images", "sound"])
def test_runner_says_what_the_detector_says(kind, tmp_path):
    detector = tiny.fitted(kind)
    detector.save(tmp_path / "model")
    files = written(kind, tmp_path / "new")
    result = CliRunner().invoke(app, ["export", str(tmp_path / "model"), "-o", str(tmp_path / "out"), "-q"])
    assert result.exit_code == 0, result.output
    said = json.loads((tmp_path / "out" / "sidecar.json").read_text())
    assert said["parity"]["num_inputs"] >= 100
    assert said["parity"]["largest"] <= 1e-4
    loaded = Detector.load(tmp_path / "model")
    for alpha in (0.5, 0.3) if kind == "images" else (0.3, 0.1):  # three normal images support 0.25
        rows = without_torch(tmp_path / "out", *files, "--alpha", alpha)
        with in_single_precision(loaded.inner):
            source = files[0] if kind in ("stream", "panel") else files[0].parent
            expected = loaded.score(source, alpha=alpha).items
        rtol = 5e-4 if kind == "stream" else 1e-4  # where neighbours are nearly tied, rounding decides between them
        np.testing.assert_allclose([float(row["score"]) for row in rows], [own.score for own in expected], rtol=rtol)
        assert [float(row["p_value"]) for row in rows] == pytest.approx([own.p_value for own in expected], rel=1e-6)
        assert [int(row["label"]) for row in rows] == [own.label for own in expected]


class Border(torch.nn.Module):
    """Averages at a border, and double precision: what converters get wrong when left to themselves."""

    def forward(self, x):
        pooled = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        away = torch.asinh(pooled.double()).amax()
        return torch.sinh(away) * pooled, torch.where(x > 0, x, torch.nan).nanmedian(3).values


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_operations_in_other_words(format, tmp_path):
    torch.manual_seed(0)
    x = torch.randn(1, 2, 6, 7)
    path = convert(program_of(Border(), (x,)), format, tmp_path, ("x",), ("a", "b"))
    for found, expected in zip(runner_of(format, path)(x.numpy()), Border()(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("format", ["openvino", "torch-export"])
def test_the_other_formats_hold_the_same_graph(format, tmp_path):
    detector = tiny.fitted("retrieved")
    done = build.export_model(detector.inner, tmp_path / "out", format)
    assert done.parity.largest <= 1e-4
    names = {path.name for path in done.files}
    assert {"sidecar.json", "calibration.npz"} < names
    assert "run_onnx.py" not in names
    run = runner_of(format, tmp_path / "out" / json.loads((tmp_path / "out/sidecar.json").read_text())["graph"]["file"])
    image = tiny.gratings(1, 7)[0]
    square = detector.inner.model.cutter.cut(image[..., None])
    score = run(square.tensors[:1], square.monitored[:1])[0]
    np.testing.assert_allclose(score, detector.decision_function([image]), rtol=1e-4)


def test_a_graph_that_says_something_else_is_not_written(tmp_path, monkeypatch):
    detector = tiny.fitted("retrieved")
    own = build.runner_of

    def wrong(format, path):
        run = own(format, path)
        return lambda *x: [1.01 * values for values in run(*x)]

    monkeypatch.setattr(build, "runner_of", wrong)
    with pytest.raises(CheckpointError, match="differs from the scorer"):
        build.export_model(detector.inner, tmp_path / "out", "torch-export")
    assert not (tmp_path / "out").exists()
