"""What oddwave did not make is never written into, replaced or removed, whatever it is called."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from oddwave.cli import app
from oddwave.detection.model_folder import read_model, write_model
from oddwave.detection.training_folder import training_folder
from oddwave.errors import CheckpointError
from oddwave.files import require_own
from oddwave.folders import at_work, atomic_directory
from oddwave.report.outputs import require_writable, write_outputs

SMALL = (
    "--preset=fast",
    "--set=training.num_steps=4",
    "--set=series.max_windows=64",
    "--set=network.base_channels=8",
)
NAMES = ("m.training", "m.tmp", ".m.tmp", "m.new", "m.old", "m.lock", ".oddwave", "data-0123456789abcdef")


@pytest.fixture
def readings(tmp_path: Path) -> Path:
    path = tmp_path / "healthy.csv"
    wave = np.sin(np.arange(600) / 8)
    np.savetxt(path, np.c_[wave, -wave], delimiter=",", header="a,b", comments="")
    return path


def refused(*arguments: object) -> str:
    """Run a command that must be refused in one line, before anything is computed, and return the line."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    return result.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_neighbours_of_any_name_survive_a_fit(readings: Path, tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("mine")
    before = contents(tmp_path)
    result = CliRunner().invoke(app, ["fit", "series", str(readings), "-o", str(tmp_path / "m"), *SMALL])
    assert result.exit_code == 0, result.output
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert all(name.startswith("m/") for name in after.keys() - before.keys())


@pytest.mark.parametrize("name", ["report.html", "config.json", "notes.txt", ".hidden", "sub/deep.txt", "meta.json"])
@pytest.mark.parametrize("command", ["fit series", "fit image", "fit audio", "score", "detect"])
def test_a_folder_that_is_not_oddwaves_is_refused_before_long_work(
    command: str, name: str, readings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*_: object, **__: object) -> None:
        pytest.fail("the folder was not looked at first")

    monkeypatch.setattr("oddwave.detector.Detector.load", too_late)  # first: what it imports takes the true readers
    monkeypatch.setattr("oddwave.sources.series.reader.read_series", too_late)
    monkeypatch.setattr("oddwave.sources.image.reader.read_images", too_late)
    monkeypatch.setattr("oddwave.sources.audio.reader.read_audio", too_late)
    mine = tmp_path / "mine" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("{}")
    model = [tmp_path / "model"] if command == "score" else []
    line = refused(*command.split(), *model, readings, "-o", tmp_path / "mine")
    assert "what oddwave did not make" in line
    assert repr(name.partition("/")[0]) in line
    assert contents(tmp_path / "mine") == {name: b"{}"}
    assert "has no name" in refused(*command.split(), *model, readings, "-o", "")


def test_results_and_models_never_share_a_folder(tmp_path: Path, stream_detector, waves) -> None:
    model, results = stream_detector.save(tmp_path / "model"), tmp_path / "results"
    result = stream_detector.score(waves(100, channels=2))
    write_outputs(result, results)
    assert "holds a model" in refused("score", model, tmp_path / "x.csv", "-o", model)
    assert "holds results" in refused("fit", "series", tmp_path / "x.csv", "-o", results)
    assert "lies within" in refused("score", model, tmp_path / "x.csv", "-o", model / "out")
    before = contents(tmp_path)
    for place in (model, model / "new", model / next(model.glob("data-*")).name):
        with pytest.raises(CheckpointError, match=r"holds a model|lies within"):
            write_outputs(result, place)
    with pytest.raises(CheckpointError, match="holds results"):
        stream_detector.save(results)
    assert contents(tmp_path) == before


def test_results_may_lie_beside_other_files_but_replace_none(tmp_path: Path, stream_detector, waves) -> None:
    result = stream_detector.score(waves(100, channels=2))
    (tmp_path / "notes.txt").write_text("mine")
    write_outputs(result, tmp_path)
    write_outputs(result, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    for name in ("report.html", "scores.csv", "clips.csv", "summary.json"):
        mine = tmp_path / name.partition(".")[0]
        mine.mkdir()
        (mine / name).write_text("{}")
        with pytest.raises(CheckpointError, match=f"'{name}' that oddwave did not write"):
            write_outputs(result, mine)
        assert contents(mine) == {name: b"{}"}


@pytest.mark.parametrize("name", ["", ".DS_Store", "Thumbs.db"])
def test_an_empty_folder_and_what_file_managers_leave_are_no_obstacle(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch() if name else None
    require_own(tmp_path, "results")
    with atomic_directory(tmp_path) as folder:
        (folder / "config.json").write_text("{}")
    assert contents(tmp_path) == {"config.json": b"{}"} | ({name: b""} if name else {})


def test_a_room_that_somebody_else_made_is_left_alone(tmp_path: Path) -> None:
    room = tmp_path / "m" / ".oddwave"
    room.mkdir(parents=True)
    (room / "training_state.pt").write_text("mine")
    with pytest.raises(CheckpointError, match="was not made by oddwave"), training_folder(tmp_path / "m", False):
        pytest.fail("the block must not run")
    with pytest.raises(CheckpointError, match="was not made by oddwave"), atomic_directory(tmp_path / "m"):
        pytest.fail("the block must not run")
    assert contents(room) == {"training_state.pt": b"mine"}


@pytest.mark.parametrize("what", [".oddwave", ".oddwave/training_state.pt", ".oddwave/lock", ".oddwave/owner.json"])
def test_nothing_is_written_through_a_link(what: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "deep").mkdir(parents=True)
    (other / "precious").write_text("mine")
    link = tmp_path / "m" / what
    link.parent.mkdir(parents=True)
    if what != ".oddwave" and "owner" not in what:
        (link.parent / "owner.json").write_text('{"format": "oddwave work"}')
    link.symlink_to(other if what == ".oddwave" else other / "precious")
    before = contents(other)
    with pytest.raises(CheckpointError, match="is a link"), training_folder(tmp_path / "m", False):
        pytest.fail("the block must not run")
    assert contents(other) == before


def test_files_that_somebody_put_among_ours_stay(tmp_path: Path) -> None:
    write_model(tmp_path / "m", {"mark": 1}, {"a": b"1"})
    data = next((tmp_path / "m").glob("data-*"))
    (data / "notes.txt").write_text("mine")
    (tmp_path / "m" / "data-ffffffffffffffff").mkdir()
    (tmp_path / "m" / "data-ffffffffffffffff" / "a").write_text("mine too")
    write_model(tmp_path / "m", {"mark": 2}, {"a": b"2"})
    assert read_model(tmp_path / "m")[1] == {"a": b"2"}
    assert (data / "notes.txt").read_text() == "mine"
    assert (tmp_path / "m" / "data-ffffffffffffffff" / "a").read_text() == "mine too"
    with at_work(tmp_path / "m") as room:
        (room / "notes.txt").write_text("mine")
    write_model(tmp_path / "m", {"mark": 3}, {"a": b"3"})
    assert (room / "notes.txt").read_text() == "mine"


def test_a_file_put_among_results_while_they_are_replaced_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for mark in ("old", "new"):
        with atomic_directory(out) as folder:
            (folder / "scores.csv").write_text(mark)
            if mark == "new":
                (out / "notes.txt").write_text("mine")
    assert contents(out) == {"notes.txt": b"mine", "scores.csv": b"new"}


def test_the_demonstration_takes_no_folder_of_somebodys(tmp_path: Path) -> None:
    from oddwave.demo import run_demo

    (tmp_path / "normal.csv").write_text("mine")
    with pytest.raises(CheckpointError, match="what oddwave did not make"):
        run_demo(tmp_path, parts=["series"])
    assert contents(tmp_path) == {"normal.csv": b"mine"}
    assert "what oddwave did not make" in refused("demo", "-o", tmp_path, "--only", "images")


@pytest.mark.parametrize("length", [200, 250, 255, 300])
def test_long_names_are_taken_or_refused_in_one_line(length: int, tmp_path: Path) -> None:
    folder = tmp_path / ("x" * length)
    if length > 255:
        with pytest.raises(CheckpointError, match="File name too long") as caught:
            require_writable(folder, "model")
        assert "\n" not in str(caught.value)
        with pytest.raises(CheckpointError, match="File name too long"):
            write_model(folder, {}, {"a": b"1"})
        return
    require_writable(folder, "model")
    with training_folder(folder, resume=False):
        write_model(folder, {}, {"a": b"1"})
    assert read_model(folder)[1] == {"a": b"1"}
    assert [path.name for path in tmp_path.iterdir()] == ["x" * length]
