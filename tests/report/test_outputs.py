"""The files of a scoring run: fixed columns, rows in the source's order, JSON without NaN, whole or not at all."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import oddwave
from oddwave.errors import CheckpointError, MissingExtraError
from oddwave.report import outputs
from oddwave.report.outputs import OUTPUT_FILES, require_writable, summary_of, write_outputs
from oddwave.result_times import clock_text
from oddwave.results import BandShare, CalibrationSummary, DetectionResult, SeriesEvent, SeriesResult, Strength

pytest.importorskip("jinja2")
pytest.importorskip("plotly")

BANDS = (BandShare(2.0, 4.0, 0.25, 0.5, 0.3), BandShare(4.0, np.inf, 0.0, 0.25, 0.7))
STAMPS = np.datetime64("2024-03-04T00:00", "ns") + np.timedelta64(10, "m") * np.arange(6)


def item(**changes: object) -> SeriesResult:
    """Six points, the fifth one anomalous."""
    scores = np.array([0.1, 0.2, np.nan, 1 / 3, 9.0, 0.5])
    made = SeriesResult(
        id="pump",
        scores=scores,
        p_values=np.where(np.isnan(scores), np.nan, 1 / (1 + np.nan_to_num(scores))),
        labels=(np.nan_to_num(scores) > 5).astype(np.int64),
        values=np.arange(6.0)[:, None],
        observed=np.ones((6, 1), dtype=bool),
        channel_names=("flow",),
        events=(SeriesEvent("pump", 4, 4, 4, 9.0, 0.125, BANDS, "flow"),),
    )
    return replace(made, **changes)


def result_of(*items: SeriesResult, **changes: object) -> DetectionResult:
    calibration = CalibrationSummary(0.05, 5.0, 40, 4, 10, "held-out normals", np.linspace(0, 4, 40))
    return replace(DetectionResult("series", "stream", items, calibration), **changes)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_scores_have_one_row_per_row_of_the_source_in_its_order(tmp_path: Path) -> None:
    rows = np.array([5, 4, -1, 0, 0])  # unsorted, one row without a timestamp, two that share a point
    given = np.where(rows < 0, np.datetime64("NaT", "ns"), STAMPS[rows])
    write_outputs(result_of(item(timestamps=STAMPS, row_index=rows, row_timestamps=given)), tmp_path / "out")
    table = read(tmp_path / "out" / "scores.csv")
    assert list(table[0]) == ["item", "index", "timestamp", "score", "p_value", "label", "status", "reason"]
    assert [row["index"] for row in table] == ["0", "1", "2", "3", "4"]
    assert [row["score"] for row in table] == ["0.5", "9.0", "", "0.1", "0.1"]
    assert [row["label"] for row in table] == ["0", "1", "-1", "0", "0"]
    assert [row["status"] for row in table] == ["judged", "judged", "not judged", "judged", "judged"]
    assert [row["reason"] for row in table] == ["", "", "no time", "", ""]
    assert table[2]["p_value"] == ""
    assert [row["timestamp"] for row in table[:3]] == ["2024-03-04T00:50:00", "2024-03-04T00:40:00", ""]


def test_numbers_read_back_as_the_same_doubles_and_missing_scores_are_empty(tmp_path: Path) -> None:
    write_outputs(result_of(item()), tmp_path / "out")
    table = read(tmp_path / "out" / "scores.csv")
    assert table[2]["score"] == ""
    assert float(table[3]["score"]) == 1 / 3
    assert {row["timestamp"] for row in table} == {""}


def test_a_panel_has_one_row_per_instance(tmp_path: Path) -> None:
    one = item(scores=np.array([2.5]), p_values=np.array([0.25]), labels=np.array([1]), events=())
    valve = replace(one, id="valve", strength=Strength(p_tail=0.001, deviations=12.0))
    write_outputs(result_of(one, valve, kind="panel"), tmp_path / "out")
    lines = (tmp_path / "out" / "scores.csv").read_text().splitlines()
    assert lines == [
        "item,score,p_value,label,status,reason,p_tail,deviations",
        "pump,2.5,0.25,1,judged,,,",
        "valve,2.5,0.25,1,judged,,0.001,12.0",
    ]
    assert (tmp_path / "out" / "events.csv").read_text().count("\n") == 1


def test_events_give_timestamps_where_there_are_some_and_the_strongest_band(tmp_path: Path) -> None:
    write_outputs(
        result_of(item(timestamps=STAMPS), item(id="plain", events=(SeriesEvent("plain", 1, 3, 2, 7.0, 0.5),))),
        tmp_path,
    )
    header, first, second = (tmp_path / "events.csv").read_text().splitlines()
    assert header == (
        "item,start,end,peak,score,p_value,channel,band_low_hz,band_high_hz,band_period_min,band_period_max,band_share,"
        "p_tail,p_tail_low,p_tail_high,deviations"
    )
    assert first == f"pump,{','.join(['2024-03-04T00:40:00'] * 3)},9.0,0.125,flow,0.0,0.25,4.0,inf,0.7,,,,"
    assert second == "plain,1,3,2,7.0,0.5,,,,,,,,,,"


def test_a_name_with_a_comma_and_a_line_break_stays_one_cell(tmp_path: Path) -> None:
    write_outputs(result_of(item(id='a,"b"\nc', events=())), tmp_path)
    assert {row["item"] for row in read(tmp_path / "scores.csv")} == {'a,"b"\nc'}


def test_the_summary_is_strict_json_and_counts_what_the_tables_hold(tmp_path: Path) -> None:
    model = {"seed": np.int64(3), "loss": float("nan"), "sizes": (8, 16), "levels": np.array([0.5, np.inf])}
    write_outputs(result_of(item(notes=("1 missing value",)), model=model), tmp_path)
    text = (tmp_path / "summary.json").read_text()
    summary = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert summary["model"] == {"seed": 3, "loss": None, "sizes": [8, 16], "levels": [0.5, None]}
    assert summary["counts"] == {"items": 1, "scores": 6, "scored": 5, "anomalous": 1, "events": 1, "failed": 0}
    assert summary["verdict"]["found"] is True
    assert summary["items"][0]["notes"] == ["1 missing value"]
    assert summary["calibration"]["num_blocks"] == 4
    assert summary["oddwave_version"] == oddwave.__version__


def test_an_infinite_threshold_becomes_null() -> None:
    result = result_of(item())
    summary = summary_of(replace(result, calibration=replace(result.calibration, threshold=-np.inf)))
    assert summary["threshold"] is None


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        ("2024-03-04", "2024-03-04T00:00:00"),
        ("2024-03-04T01:02:03.5", "2024-03-04T01:02:03.500"),
        ("2024-03-04T01:02:03.000000001", "2024-03-04T01:02:03.000000001"),
    ],
)
def test_times_are_written_with_the_decimals_they_need(stamp: str, text: str) -> None:
    assert clock_text(np.array([stamp, "NaT"], dtype="datetime64[ns]")) == [text, ""]


def test_number_stamps_are_written_as_numbers() -> None:
    assert clock_text(np.array([0.5, 2.0])) == ["0.5", "2.0"]


def test_a_failure_leaves_the_old_files_untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_outputs(result_of(item()), tmp_path / "out")
    before = {name: (tmp_path / "out" / name).read_bytes() for name in OUTPUT_FILES}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs, "write_table", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        write_outputs(result_of(item(scores=np.zeros(6))), tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_without_the_report_extra_the_tables_are_written_and_no_old_report_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_outputs(result_of(item()), tmp_path)

    def missing(*_: object, **__: object) -> str:
        raise MissingExtraError("The report", "report")

    monkeypatch.setattr(outputs, "render_report", missing)
    with pytest.warns(UserWarning, match=r"pip install 'oddwave\[report\]'; report.html is left out"):
        files = write_outputs(result_of(item()), tmp_path)
    assert sorted(path.name for path in files) == sorted(path.name for path in tmp_path.iterdir())
    assert not (tmp_path / "report.html").exists()


def test_other_files_in_the_folder_stay(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    write_outputs(result_of(item()), tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_the_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["/dev/null", "/dev/null/out"])
def test_the_probe_refuses_what_cannot_hold_files(place: str) -> None:
    with pytest.raises(CheckpointError, match="choose another"):
        require_writable(Path(place))


def test_the_probe_tells_of_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs.tempfile, "TemporaryFile", full)
    with pytest.raises(CheckpointError, match="No space left on device; free the space"):
        require_writable(tmp_path / "out")
