"""What could not be judged is never called normal: labels, tables, verdict, page, terminal and exit status."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from oddwave.console import exit_status, print_found
from oddwave.report import render_report
from oddwave.report.outputs import write_outputs
from oddwave.report.verdict import verdict_sentences
from oddwave.results import (
    AudioEvent,
    AudioResult,
    CalibrationSummary,
    DetectionResult,
    ImageRegion,
    ImageResult,
    SeriesEvent,
    SeriesResult,
)

pytest.importorskip("jinja2")
pytest.importorskip("plotly")

NAN = float("nan")
CALIBRATION = CalibrationSummary(0.05, 5.0, 40, 40, 1, "held-out normals", np.linspace(0, 4, 40), 4.0)


def array(*scores: float) -> dict[str, np.ndarray]:
    """Scores with the p-values and labels of a worker that labels what it has not judged as normal."""
    own = np.array(scores)
    return {"scores": own, "p_values": np.where(np.isnan(own), NAN, 0.1 / (1 + own)), "labels": (own > 5).astype(int)}


def series(name: str, *scores: float, error: str = "") -> SeriesResult:
    values = np.where(np.isnan(scores), NAN, np.arange(float(len(scores))))[:, None]
    found = [at for at, score in enumerate(scores) if score > 5]
    return SeriesResult(
        name, **array(*scores), values=values, observed=~np.isnan(values), channel_names=("flow",), error=error,
        events=tuple(SeriesEvent(name, at, at, at, scores[at], 0.01) for at in found),
    )  # fmt: skip


def image(name: str, score: float, error: str = "") -> ImageResult:
    regions = (ImageRegion(name, 1, 2, 4, 5, 2, 3, 9, score, 0.01),) if score > 5 else ()
    return ImageResult(name, **array(score), size=(8, 8), anomaly_map=np.zeros((2, 2)), events=regions, error=error)


def audio(name: str, *scores: float, error: str = "") -> AudioResult:
    events = (AudioEvent(name, 0.5, 1.0, 900.0, 1100.0, 1000.0, 12.0, 9.0, 0.01),) if max(scores) > 5 else ()
    starts = np.arange(float(len(scores)))
    return AudioResult(name, **array(*scores), starts_s=starts, clip_s=1.0, duration_s=9.0, sample_rate=8000,
                       events=events, error=error, peak_p_value=0.1)  # fmt: skip


def result_of(kind: str, *items: SeriesResult | ImageResult | AudioResult) -> DetectionResult:
    modality = {"image": "image", "recording": "audio"}.get(kind, "series")
    return DetectionResult(modality, kind, items, CALIBRATION)  # type: ignore[arg-type]


UNREAD = {
    "stream": (
        series("a.csv", 0.1, 0.2),
        SeriesResult.unread("b.csv", "is cut\nshort", ("flow",)),
        series("c.csv", 0.3),
    ),
    "panel": (series("a", 0.1), series("b", NAN, error="is cut\nshort"), series("c", 0.2)),
    "image": (image("a.png", 0.1), image("b.png", NAN, "is cut\nshort"), image("c.png", 0.2)),
    "recording": (audio("a.wav", 0.1, 0.2), audio("b.wav", NAN, error="is cut\nshort"), audio("c.wav", 0.3)),
}
KINDS = pytest.mark.parametrize("kind", UNREAD)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@KINDS
def test_a_label_of_what_has_no_score_is_minus_one_whoever_made_it(kind: str) -> None:
    result = result_of(kind, *UNREAD[kind])
    assert [item.label for item in result.items] == [0, -1, 0]
    assert set(result.labels[np.isnan(result.scores)].tolist()) == {-1}
    assert [item.id for item in result.not_judged] == [UNREAD[kind][1].id]


@KINDS
def test_every_item_has_the_same_attributes(kind: str) -> None:
    good, bad, _ = UNREAD[kind]
    assert good.score == pytest.approx(max(good.scores))
    assert 0 < good.p_value <= 1
    assert (good.status, good.reason, good.flagged) == ("judged", "", False)
    assert np.isnan([bad.score, bad.p_value]).all()
    assert (bad.status, bad.reason, bad.flagged, bad.events) == ("not judged", "is cut short", False, ())


@KINDS
def test_tables_have_its_row_in_its_place_with_the_reason(kind: str, tmp_path: Path) -> None:
    write_outputs(result_of(kind, *UNREAD[kind]), tmp_path)
    for name in ("scores.csv", "clips.csv") if kind == "recording" else ("scores.csv",):
        rows = read(tmp_path / name)
        ids = list(dict.fromkeys(row["item"] for row in rows))
        assert ids == [item.id for item in UNREAD[kind]]
        (bad,) = [row for row in rows if row["item"] == ids[1]]
        assert (bad["score"], bad["p_value"], bad["label"]) == ("", "", "-1")
        assert (bad["status"], bad["reason"]) == ("not judged", "is cut short")
        assert {(row["label"], row["status"], row["reason"]) for row in rows if row is not bad} == {("0", "judged", "")}


@KINDS
def test_all_clear_is_said_of_what_was_judged_only(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = result_of(kind, *UNREAD[kind])
    tone, headline, detail = verdict_sentences(result)
    assert (tone, headline) == ("partial", "Nothing above the threshold in what could be judged")
    assert "1 of 3 " in detail
    assert detail.endswith("could not be judged.")
    print_found(result, [])
    assert f"Not judged: {UNREAD[kind][1].id}: is cut short" in capsys.readouterr().out
    page = render_report(result)
    assert "could not be judged</h3>" in page
    assert "is cut short" in page
    assert 'class="verdict partial"' in page


@KINDS
def test_without_failures_the_verdict_is_as_ever(kind: str) -> None:
    judged = [item for item in UNREAD[kind] if item.status == "judged"]
    tone, _, detail = verdict_sentences(result_of(kind, *judged))
    assert (tone, "could not be judged" in detail) == ("clear", False)


@KINDS
def test_exit_statuses(kind: str) -> None:
    odd = {"stream": series("x", 9.0), "panel": series("x", 9.0), "image": image("x", 9.0),
           "recording": audio("x", 9.0)}[kind]  # fmt: skip
    good, bad, _ = UNREAD[kind]
    runs = {"clear": (good,), "found": (good, odd), "both": (good, bad, odd), "unjudged": (good, bad), "none": (bad,)}
    status = {name: [exit_status(result_of(kind, *items), tell_found=tell) for tell in (False, True)]
              for name, items in runs.items()}  # fmt: skip
    assert status == {"clear": [0, 0], "found": [0, 1], "both": [3, 1], "unjudged": [3, 3], "none": [3, 3]}


@KINDS
def test_the_summary_lists_events_of_every_kind_under_one_name(kind: str, tmp_path: Path) -> None:
    odd = {"stream": series("x", 0.1, 9.0), "panel": series("x", 9.0), "image": image("x", 9.0),
           "recording": audio("x", 9.0)}[kind]  # fmt: skip
    write_outputs(result_of(kind, *UNREAD[kind], odd), tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text(), parse_constant=pytest.fail)
    (event,) = summary["events"]
    table = read(tmp_path / "events.csv")
    assert {"item", "start", "end", "score", "p_value"} <= set(event)
    assert {name: event[name] for name in ("item", "score")} == {"item": "x", "score": 9.0}
    assert [str(event[name]) for name in ("start", "end")] == [table[0][name] for name in ("start", "end")]
    assert [item["status"] for item in summary["items"]] == ["judged", "not judged", "judged", "judged"]
    assert summary["items"][1]["reason"] == "is cut short"
    assert summary["failures"] == [{"item": UNREAD[kind][1].id, "error": "is cut short"}]


def test_missing_points_of_a_stream_are_not_judged_but_no_item_fails(tmp_path: Path) -> None:
    gaps = series("a", 0.1, NAN, NAN, 0.2)
    result = result_of("stream", gaps)
    tone, headline, detail = verdict_sentences(result)
    assert (tone, headline) == ("partial", "Nothing above the threshold in what could be judged")
    assert detail.endswith("2 of 4 points (50 %) could not be judged.")
    assert exit_status(result, tell_found=True) == 0
    write_outputs(result, tmp_path)
    rows = read(tmp_path / "scores.csv")
    assert [row["label"] for row in rows] == ["0", "-1", "-1", "0"]
    assert [row["reason"] for row in rows] == ["", "no value", "no value", ""]
    assert "<dd>2</dd>" in render_report(result)


def test_a_measured_point_without_a_score_has_another_reason(tmp_path: Path) -> None:
    item = series("a", 0.1, 0.2)
    lone = SeriesResult("a", **array(0.1, NAN), values=item.values, observed=item.observed, channel_names=("flow",))
    write_outputs(result_of("stream", lone), tmp_path)
    assert [row["reason"] for row in read(tmp_path / "scores.csv")] == ["", "too few values around it"]


def test_one_missing_point_in_a_long_series_leaves_all_clear_but_is_told() -> None:
    tone, headline, detail = verdict_sentences(result_of("stream", series("a", *[0.1] * 400, NAN)))
    assert (tone, headline) == ("clear", "Nothing above the threshold")
    assert "1 of 401 points" in detail


def test_shares_are_of_what_was_judged() -> None:
    page = render_report(result_of("stream", series("a", 9.0, 0.1, NAN, NAN)))
    assert "<dd>50 %</dd>" in page
