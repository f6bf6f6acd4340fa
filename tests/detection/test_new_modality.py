"""A modality that the package does not know: folders of its own, a line in two registries, and everything works."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import oddwave
from oddwave.cli import app
from oddwave.config import preset
from oddwave.registry import MODALITIES
from oddwave.report.kinds import KINDS
from oddwave.report.kinds.base import ReportKind
from oddwave.report.outputs import write_outputs

TOY = Path(__file__).parents[1] / "toy"


@pytest.fixture
def detector(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(TOY), *sys.path])
    monkeypatch.setitem(MODALITIES, "histogram", "toy_histogram.detection.detector:HistogramDetector")
    monkeypatch.setitem(KINDS, "histogram", ReportKind(name="histogram", noun="histogram"))
    return oddwave.Detector(preset("balanced", "histogram")).fit(histograms(90))


def histograms(num, seed=0):
    rng, bins = np.random.default_rng(seed), np.arange(16)
    return [rng.poisson(200 * np.exp(-((bins - 8 - rng.normal(0, 0.3)) ** 2) / 8) + 5) for _ in range(num)]


def test_it_is_about_150_lines():
    files = list((TOY / "toy_histogram").rglob("*.py"))
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) < 220


def test_it_scores_explains_saves_loads_and_reports(detector, tmp_path):
    items = [*histograms(3, seed=1), [1, 2], list(range(16))]
    result = detector.score(items, alpha=0.1)
    assert result.labels.tolist()[3:] == [-1, 1]
    assert "has shape (2,)" in result.items[3].reason
    assert [item.nearest is not None for item in result.items] == [item.flagged for item in result.items]
    loaded = oddwave.load(detector.save(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.decision_function(items), result.scores)
    np.testing.assert_array_equal(loaded.predict(items, alpha=0.1).filled(), result.labels)
    assert [item.score for item in loaded.iter_scores(items, alpha=0.1)][4] == result.items[4].score
    np.testing.assert_array_equal(loaded.explain(items[4:], alpha=0.1).nearest, result.items[4].nearest)
    names = {path.name for path in write_outputs(result, tmp_path / "out")}
    assert {"scores.csv", "report.html", "summary.json"} <= names
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["kind"] == "histogram"
    assert "histogram_4" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_it_has_a_command_line(detector, tmp_path):
    good, others, out = tmp_path / "good.csv", tmp_path / "others.csv", tmp_path / "out"
    np.savetxt(good, histograms(90), fmt="%d", delimiter=",")
    np.savetxt(others, [*histograms(3, seed=1), np.arange(16)], fmt="%d", delimiter=",")
    assert "histogram" in run("fit", "--help").output
    learnt = run("fit", "histogram", good, "-o", tmp_path / "model", "-q")
    assert learnt.exit_code == 0
    assert "trained on: 60 histograms" in learnt.output
    scored = run("score", tmp_path / "model", others, "-o", out, "--alpha", "0.1", "--exit-code", "-q")
    assert scored.exit_code == 1
    assert "histogram_3" in scored.output
    assert (out / "scores.csv").is_file()
    assert "model         " in run("info", tmp_path / "model").output
    refused = run("score", tmp_path / "model", others, "-o", out, "--columns", "a")
    assert "is a model of histogram: leave it out" in refused.stderr


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])
