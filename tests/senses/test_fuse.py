"""`oddwave fuse`: results folders of several senses, read with suspicion, matched by name or time, one verdict."""

import csv
import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from oddwave.cli import app

NAMES = ["2024-03-25T12-00-00", "2024-03-26T12-00-00", "2024-03-27T12-00-00"]


def written(folder, modality, kind, items, events=(), stamps=(), block_size=1, **more):
    """Write what `oddwave score` would: `items` are (id, p-value or None)."""
    folder.mkdir(parents=True)
    rows = ["item,index,timestamp,score,p_value,label,status,reason"]
    rows += [f"{items[0][0]},{n},{stamp},1.0,0.5,0,judged," for n, stamp in enumerate(stamps)]
    (folder / "scores.csv").write_text("\n".join(rows) + "\n")
    (folder / "events.csv").write_text("item,start,end,peak,score,p_value\n")
    names = ("scores.csv", "events.csv")
    summary = {
        "oddwave_version": "0.2.0",
        "modality": modality,
        "kind": kind,
        "verdict": {"found": False, "headline": f"Something of {modality}"},
        "alpha": 0.05,
        "calibration": {"block_size": block_size},
        "items": [
            {
                "id": name,
                "status": "not judged" if p is None else "judged",
                "reason": "cannot be read" if p is None else "",
                "label": -1 if p is None else int(p <= 0.05),
                "p_value": p,
                "scored": len(stamps),
            }
            for name, p in items
        ],
        "events": [
            {"item": items[0][0], "start": start, "end": end, "peak": start, "p_value": p} for start, end, p in events
        ],
        "files": {name: {"sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()} for name in names},
        **more,
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "report.html").write_text("<p>its own report</p>")
    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["fuse", *map(str, arguments)])


def refused(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stderr.startswith("oddwave: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def fused(out: Path) -> dict:
    with (out / "fused.csv").open(newline="") as file:
        return {row["item"]: row for row in csv.DictReader(file)}


@pytest.fixture
def eye(tmp_path):
    p_values = [0.4, 0.01, 0.02]
    return written(tmp_path / "eye", "image", "image", [(f"cam/{n}.png", p) for n, p in zip(NAMES, p_values)])  # noqa: B905


@pytest.fixture
def ear(tmp_path):
    items = [(f"{NAMES[0]}.wav", 0.7), (f"{NAMES[1]}.wav", 0.012), ("extra.wav", None)]
    return written(tmp_path / "ear", "audio", "recording", items)


@pytest.fixture
def sensors(tmp_path):
    """An hour of readings a minute around each noon of the first two days, an event in the second."""
    stamps = [f"2024-03-{day}T{11 + (30 + n) // 60}:{(30 + n) % 60:02d}:00" for day in (25, 26) for n in range(60)]
    events = [("2024-03-26T11:58:00", "2024-03-26T12:03:00", 0.004)]
    return written(tmp_path / "sensors", "series", "stream", [("x.csv", 0.9)], events, stamps, block_size=10)


def test_by_item_one_verdict_with_shares_and_links(eye, ear, tmp_path):
    out = tmp_path / "deep" / "out"
    done = run("camera=" + str(eye), ear, "-o", out, "--exit-code")
    assert done.exit_code == 1, (done.output, done.exception)
    rows = fused(out)
    assert list(rows) == [*NAMES, "extra"]
    both = rows[NAMES[1]]
    assert float(both["p_value"]) == pytest.approx(0.0109, rel=0.01)  # Cauchy's mean of 0.01 and 0.012
    assert float(both["share_camera"]) == pytest.approx(0.012 / 0.022, rel=0.01)
    assert (both["label"], both["strongest"], both["item_audio"]) == ("1", "camera", f"{NAMES[1]}.wav")
    assert (rows[NAMES[2]]["p_value"], rows[NAMES[2]]["missing_audio"]) == ("0.02", "has no item of this name")
    assert (rows["extra"]["label"], rows["extra"]["missing_audio"]) == ("-1", "cannot be read")
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["kind"], summary["alpha"], summary["counts"]["anomalous"]) == ("fused", 0.05, 2)
    page = (out / "report.html").read_text()
    assert 'href="../../eye/report.html"' in page
    assert 'href="../../ear/report.html"' in page
    assert "2 of 3 items are anomalous" in page
    assert run(eye, ear, "-o", out).exit_code == 3  # replaced; one could not be judged


def test_by_time_a_stream_is_asked_around_each_moment(eye, sensors, tmp_path):
    done = run(eye, sensors, "-o", tmp_path / "out", "--by", "time", "--tolerance", "10min", "--json", "-q")
    assert done.exit_code == 0, (done.output, done.exception)
    rows = list(fused(tmp_path / "out").values())
    assert [row["item"] for row in rows] == [name[:10] + " 12:00:00" for name in NAMES]
    assert [row["p_series"] for row in rows] == ["1.0", "0.012", ""]  # 21 readings, 3 blocks of 10, of 0.004
    assert rows[2]["missing_series"] == "has no reading at this time"
    assert json.loads(done.stdout)["counts"] == {"items": 3, "anomalous": 2, "failed": 0}
    assert float(rows[0]["p_value"]) < 0.5  # no event is no veto


def test_an_event_without_a_picture_is_a_moment_of_its_own(eye, tmp_path):
    stamps = [f"2024-03-25T{hour:02d}:00:00" for hour in range(24)]
    lone = written(tmp_path / "s", "series", "stream", [("x", 0.5)], [(stamps[3], stamps[4], 0.001)], stamps)
    done = run(eye, lone, "-o", tmp_path / "out", "--by", "time")
    assert "each is a moment itself" in " ".join(done.stdout.split())
    first = next(iter(fused(tmp_path / "out").values()))
    assert (first["item"], first["p_value"], first["label"]) == ("2024-03-25 03:00:00", "0.001", "1")
    assert first["missing_image"] == "has no item at this time"


def test_the_nearest_are_one_moment(tmp_path):
    eye = written(tmp_path / "eye", "image", "image", [("20240501_120000.png", 0.5), ("20240501_120050.png", 0.01)])
    ear = written(tmp_path / "ear", "audio", "recording", [("20240501_120049.wav", 0.02)])
    assert run(eye, ear, "-o", tmp_path / "out", "--by", "time").exit_code == 0
    rows = fused(tmp_path / "out")
    assert rows["2024-05-01 12:00:00"]["missing_audio"] == "has no item at this time"
    assert rows["2024-05-01 12:00:49"]["item_image"] == "20240501_120050.png"


def test_local_times_of_series_meet_the_clock_in_names(eye, tmp_path):
    stamps = [f"2024-03-26T12:{n:02d}:00+01:00" for n in range(30)]
    events = [(stamps[0], stamps[5], 0.002)]
    local = written(tmp_path / "s", "series", "stream", [("x", 0.5)], events, stamps, block_size=30)
    assert run(eye, local, "-o", tmp_path / "out", "--by", "time").exit_code == 0
    assert fused(tmp_path / "out")["2024-03-26 12:00:00"]["p_series"] == "0.002"


def test_a_path_tells_apart_what_a_stem_does_not(tmp_path):
    items = [("left/a", 0.5), ("right/a", 0.01)]
    eye = written(tmp_path / "eye", "image", "image", [(f"{name}.png", p) for name, p in items])
    ear = written(tmp_path / "ear", "audio", "recording", [(f"{name}.wav", p) for name, p in items])
    assert run(eye, ear, "-o", tmp_path / "out").exit_code == 0
    assert list(fused(tmp_path / "out")) == ["left/a", "right/a"]
    twice = written(tmp_path / "twice", "audio", "recording", [("a.wav", 0.1), ("a.flac", 0.2)])
    assert "'audio' has more than one item for 'a'" in refused(eye, twice, "-o", tmp_path / "no")


def test_notes_tell_what_to_know(eye, ear, tmp_path):
    other = written(tmp_path / "eye2", "image", "image", [(f"{NAMES[0]}.png", 0.03)], alpha=0.2)
    text = " ".join(run(eye, other, ear, "-o", tmp_path / "out", "--method", "harmonic").stdout.split())
    assert "it is the sense 'image 2'" in text
    assert "the smallest, 0.05, counts here" in text
    assert f"{NAMES[0]}: image 2" in text  # flagged by itself alone
    assert "'image 2' says nothing of 3 of 4" in text


def test_folders_that_are_no_results_are_refused(eye, ear, tmp_path):
    out = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    assert "1 results folder is given" in refused(eye, "-o", out)
    assert "no such folder" in refused(eye, tmp_path / "none", "-o", out)
    assert "is a file" in refused(eye, tmp_path / "file", "-o", out)
    assert "holds no results of oddwave" in refused(eye, tmp_path / "empty", "-o", out)
    assert "the same results as" in refused(eye, eye, "-o", out)
    assert "two senses are called 'a'" in refused(f"a={eye}", f"a={ear}", "-o", out)
    assert "single sense" in refused(eye, ear, "-o", eye)
    assert "--method is 'mean'" in refused(eye, ear, "-o", out, "--method", "mean")
    assert "--by is 'name'" in refused(eye, ear, "-o", out, "--by", "name")
    assert "--tolerance is '5 weeks'" in refused(eye, ear, "-o", out, "--by", "time", "--tolerance", "5 weeks")
    assert "add --by time" in refused(eye, ear, "-o", out, "--tolerance", "5s")
    assert "alpha" in refused(eye, ear, "-o", out, "--alpha", "7")
    nothing = written(tmp_path / "nothing", "audio", "recording", [])
    assert "without any item" in refused(eye, nothing, "-o", out)
    stranger = written(tmp_path / "stranger", "audio", "recording", [("pump.wav", 0.5)])
    assert "no item is common" in refused(eye, stranger, "-o", out)
    assert "tells when it was made (pump.wav)" in refused(eye, stranger, "-o", out, "--by", "time")
    assert not out.exists()
    assert run(eye, ear, "-o", out).exit_code == 3
    assert "holds fused results" in refused(eye, out, "-o", tmp_path / "again")


@pytest.mark.parametrize(
    "change",
    [
        {"items": [{"id": "a", "status": "judged", "label": 0, "p_value": 1.5}]},
        {"items": [{"id": "a", "status": "judged", "label": 7, "p_value": 0.5}]},
        {"items": [{"id": 3, "status": "judged", "label": 0, "p_value": 0.5}]},
        {"items": "many"},
        {"items": None},
        {"events": [{"item": "a", "p_value": "0.1"}]},
        {"calibration": {"block_size": 0}},
        {"alpha": -1},
        {"kind": ["image"]},
        {"files": {"scores.csv": {"sha256": "0" * 64}}},
    ],
)
def test_nothing_in_a_folder_is_believed(change, eye, ear, tmp_path):
    path = ear / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert str(ear) in refused(eye, ear, "-o", tmp_path / "out")


@pytest.mark.parametrize("content", ["", "{", '{"oddwave_version": "1", "items": NaN}', '{"oddwave_version": "1"}'])
def test_damaged_summaries_are_refused(content, eye, ear, tmp_path):
    (ear / "summary.json").write_text(content)
    assert str(ear) in refused(eye, ear, "-o", tmp_path / "out")


def test_a_table_that_is_missing_or_of_another_run_is_refused(eye, sensors, tmp_path):
    (sensors / "scores.csv").write_text("item,index,timestamp,score\n")
    assert "is of another run" in refused(eye, sensors, "-o", tmp_path / "out")
    (sensors / "scores.csv").unlink()
    assert "is missing" in refused(eye, sensors, "-o", tmp_path / "out")


def test_script_and_markup_in_names_are_text(eye, tmp_path):
    bad = "<img src=x onerror=alert(1)>"
    ear = written(tmp_path / "ear", "audio", "recording", [(f"{bad}.wav", 0.001), (f"{NAMES[0]}.wav", 0.2)])
    assert run(f"<b onclick>={eye}", ear, "-o", tmp_path / "out").exit_code == 0
    assert "<b onclick" not in (tmp_path / "out" / "report.html").read_text()
    assert "<img" not in (tmp_path / "out" / "report.html").read_text()
