"""The registry of kinds: what a new kind has to say is its name and a noun, and all else has a default."""

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from oddwave.console import print_found
from oddwave.records import ImageResult
from oddwave.report import write_report
from oddwave.report.kinds import KINDS, ReportKind
from oddwave.report.outputs import write_outputs
from oddwave.results import CalibrationSummary, DetectionResult

pytest.importorskip("jinja2")

UNKNOWN = {"p_tail": "", "p_tail_low": "", "p_tail_high": "", "deviations": ""}


@dataclass(frozen=True, slots=True)
class Peak:
    item: str
    bin: int
    score: float
    p_value: float


def toy(name: str, score: float, error: str = "") -> ImageResult:
    """Make an item of a kind that the report knows nothing of: a score, and an event where it is high."""
    nothing = np.zeros((0, 0), dtype=np.float32)
    events = (Peak(name, 3, score, 0.02),) if score > 2 else ()
    p_value = np.array([np.nan if np.isnan(score) else 1 / (1 + score)])
    label = np.array([int(score > 2)])
    return ImageResult(name, np.array([score]), p_value, label, (0, 0), nothing, events=events, error=error)


@pytest.fixture
def result(monkeypatch: pytest.MonkeyPatch) -> DetectionResult:
    monkeypatch.setitem(KINDS, "tally", ReportKind(name="tally", noun="tally", items="tallies"))
    items = (toy("a", 0.5), toy("b", 9.0), toy("c", np.nan, error="is empty"))
    calibration = CalibrationSummary(0.05, 2.0, 49, 49, 1, "held back", np.linspace(0.1, 2.1, 49))
    return DetectionResult("tally", "tally", items, calibration)


def test_each_kind_is_registered_under_its_name() -> None:
    assert {name: kind.name for name, kind in KINDS.items()} == {name: name for name in KINDS}


def test_a_kind_of_a_name_and_a_noun_has_a_page(result: DetectionResult, tmp_path: Path) -> None:
    write_report(result, tmp_path / "report.html")
    page = re.sub(r"<(script|style)\b.*?</\1>", "", (tmp_path / "report.html").read_text(), flags=re.DOTALL)
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    for part in (
        "1 of 2 tallies is anomalous The most abnormal is b (score 9.00, threshold 2.00, p = 0.10).",
        "tallies scored 2 tally not judged 1",
        "All tallies",
        "1 b 9.00 0.10 anomalous",
        "Every other tally was scored.",
        "1 tally could not be judged c is empty",
        "If all 2 tallies here were normal",
    ):
        assert part in text, part


def test_a_kind_of_a_name_and_a_noun_has_files_and_lines(
    result: DetectionResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = write_outputs(result, tmp_path)
    assert [path.name for path in files] == ["scores.csv", "events.csv", "summary.json", "report.html"]
    with (tmp_path / "events.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"item": "b", "start": "", "end": "", "peak": "", "score": "9.0", "p_value": "0.02", **UNKNOWN}
        ]
    assert json.loads((tmp_path / "summary.json").read_text())["events"][0]["bin"] == 3
    print_found(result, files)
    assert "  b  score 9.00  p 0.10\n" in capsys.readouterr().out
