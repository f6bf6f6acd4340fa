"""Bad input: one clear line on standard error, exit code 2, nothing half-written, nothing lost."""

import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from oddwave.cli import app

SMALL = [
    "--preset",
    "fast",
    "--set",
    "training.num_steps=8",
    "--set",
    "training.batch_size=8",
    "--set",
    "training.num_validation_draws=8",
    "--set",
    "series.max_windows=64",
    "--set",
    "series.window_sizes=[16]",
    "--set",
    "network.base_channels=8",
]
DENOISER = ["--set", "series.method=denoiser"]  # trains, and can be stopped and resumed


def write_readings(path: Path, num_points: int = 300, num_channels: int = 2) -> Path:
    rng = np.random.default_rng(num_points)
    values = np.sin(np.arange(num_points) / 3)[:, None] + rng.normal(0, 0.1, (num_points, num_channels))
    names = ",".join(f"c{i}" for i in range(num_channels))
    np.savetxt(path, values, fmt="%.4f", delimiter=",", header=names, comments="")
    return path


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    write_readings(folder / "good.csv", 600)
    write_readings(folder / "new.csv", 320)
    write_readings(folder / "short.csv", 5)
    write_readings(folder / "one_channel.csv", num_channels=1)
    (folder / "empty.csv").write_text("")
    lines = (folder / "good.csv").read_text().splitlines()
    lines[40] = "0.5,1O.5"  # the letter O: a number mistyped
    (folder / "text.csv").write_text("\n".join(lines) + "\n")
    made = CliRunner().invoke(app, ["fit", "series", str(folder / "good.csv"), "-o", str(folder / "model"), *SMALL])
    assert made.exit_code == 0, made.stderr
    return folder


def refused(*arguments: str | Path) -> str:
    """Run a command that must fail as it should, and return its one line."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("oddwave: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nowhere.csv", "no such file or folder"),
        ("empty.csv", "is empty: expected rows of numbers"),
        ("text.csv", "line 41, column 'c1': '1O.5' is not a number"),
        ("short.csv", "give longer streams"),
    ],
)
@pytest.mark.parametrize("command", [["fit", "series"], ["detect"]])
def test_data_that_cannot_be_learnt_from(
    work: Path, tmp_path: Path, command: list[str], name: str, expected: str
) -> None:
    assert expected in refused(*command, work / name, "-o", tmp_path / "deep" / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("nowhere.csv", [], "no such file or folder"),
        ("one_channel.csv", [], "has no channel c1: it has c0, expected c0, c1"),
        ("short.csv", [], "has 5 points, the model's shortest window has"),
        ("new.csv", ["--alpha", "0.0001"], "alpha 0.0001 needs at least 9999 calibration scores, this model has 600"),
        ("new.csv", ["--alpha", "1"], "alpha is 1: expected a false-alarm rate between 0 and 1"),
    ],
)
def test_data_or_alpha_that_the_model_cannot_score(
    work: Path, tmp_path: Path, name: str, options: list[str], expected: str
) -> None:
    assert expected in refused("score", work / "model", work / name, "-o", tmp_path / "out", *options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--preset", "quick"], "preset 'quick' does not exist; choose one of fast, balanced, accurate"),
        (["--set", "training.steps=3"], "setting 'training.steps' does not exist; there are: num_steps"),
        (["--set", "trainin.num_steps=3"], "setting 'trainin' does not exist"),
        (["--set", "training.num_steps=many"], "setting 'training.num_steps': Input should be a valid integer"),
        (["--set", "training.num_steps"], "is not of the form key=value"),
        (["--config", "nowhere.toml"], "settings file 'nowhere.toml' cannot be read as TOML"),
        (["--columns", "c7"], "columns names 'c7', but"),
        (["--kind", "table"], "kind is 'table'"),
        (["--resume"], "there is no stopped training in"),
    ],
)
def test_options_that_cannot_work(work: Path, tmp_path: Path, options: list[str], expected: str) -> None:
    assert expected in refused("fit", "series", work / "good.csv", "-o", tmp_path / "m", *options)
    assert list(tmp_path.iterdir()) == []


def cut_in_half(name: str) -> Callable[[Path, Any], None]:
    def damage(model: Path, files: Any) -> None:
        place = files.place_of(model, name)
        place.write_bytes(place.read_bytes()[: place.stat().st_size // 2])

    return damage


def remove(name: str) -> Callable[[Path, Any], None]:
    return lambda model, files: files.place_of(model, name).unlink()


def rewrite(name: str, **changes: object) -> Callable[[Path, Any], None]:
    return lambda model, files: files.rewritten(model, name, lambda content: content.update(changes))


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (cut_in_half("model.safetensors"), "model.safetensors is damaged"),
        (cut_in_half("calibration.json"), "calibration.json is damaged"),
        (cut_in_half("config.json"), "config.json is damaged"),
        (cut_in_half("meta.json"), "meta.json is damaged"),
        (remove("model.safetensors"), "model.safetensors is missing"),
        (remove("meta.json"), "meta.json is missing"),
        (rewrite("meta.json", modality="smell"), "holds a model for 'smell', expected one for series or image"),
        (rewrite("meta.json", format_version=99), "has model format 99, this oddwave reads"),
        (rewrite("meta.json", format="something"), "does not describe an oddwave model"),
        (rewrite("meta.json", channel_names=["only"]), "does not fit together"),
        (rewrite("calibration.json", scores=[]), "calibration.json is damaged: 'scores'"),
        (rewrite("calibration.json", memories=[]), "does not fit together"),
        (rewrite("calibration.json", num_remembered=[1, 1]), "does not fit together"),
        (rewrite("calibration.json", scale={}), "calibration.json is damaged: 'scale.centre'"),
        (lambda model, files: shutil.rmtree(model), "does not exist: give the folder that `oddwave fit` wrote"),
    ],
)
def test_a_model_that_is_not_whole(
    work: Path, tmp_path: Path, saved_files: Any, damage: Callable[[Path, Any], None], expected: str
) -> None:
    model = tmp_path / "model"
    shutil.copytree(work / "model", model)
    damage(model, saved_files)
    assert expected in refused("score", model, work / "new.csv", "-o", tmp_path / "out")
    assert expected in refused("info", model)
    assert expected in refused("verify", model)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["/dev/null", "/dev/null/out"])
def test_an_output_folder_that_cannot_be_is_refused_before_the_work(
    work: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def too_late(*_: object, **__: object) -> None:
        raise AssertionError("the work had already begun")

    monkeypatch.setattr("oddwave.detector.Detector.load", too_late)
    monkeypatch.setattr("oddwave.detector.Detector.fit", too_late)
    monkeypatch.setattr("oddwave.detector.Detector.detect", too_late)
    for command in (["score", work / "model", work / "new.csv"], ["fit", "series", work / "good.csv"]):
        assert place in refused(*command, "-o", place)
    assert place in refused("detect", work / "good.csv", "-o", place)
    assert place in refused("demo", "-o", place)


@contextmanager
def full_disk(num_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond this, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_while_results_are_written_loses_nothing(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "scores.csv").write_text("the old scores\n")
    (out / "summary.json").write_text('{"oddwave_version": "0.1.0"}')
    with full_disk(100_000):
        line = refused("score", work / "model", work / "new.csv", "-o", out)
    assert line == (
        f"oddwave: cannot write {out}: File too large; free the space or the permission, or choose another folder\n"
    )
    assert sorted(path.name for path in out.iterdir()) == ["scores.csv", "summary.json"]
    assert (out / "scores.csv").read_text() == "the old scores\n"


@pytest.mark.slow
def test_a_disk_that_is_full_when_the_model_is_saved_keeps_the_training(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import oddwave.detection.store as archive
    from oddwave.errors import CheckpointError

    command = ("fit", "series", work / "good.csv", "-o", tmp_path / "m", *SMALL, *DENOISER)
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise CheckpointError("No space left on device")

        patch.setattr(archive, "write_model", full)
        line = refused(*command)
    assert "No space left on device" in line
    assert f"the training so far is kept in {tmp_path / 'm' / '.oddwave'}: --resume goes on from it" in line
    assert [path.name for path in (tmp_path / "m").iterdir()] == [".oddwave"]
    result = CliRunner().invoke(app, [*map(str, command), "--resume"])
    assert result.exit_code == 0, result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("method", [[], DENOISER])
def test_a_state_of_another_run_is_not_resumed(work: Path, tmp_path: Path, method: list[str]) -> None:
    from oddwave.training.checkpoint import save_training_state

    folder = tmp_path / "m" / ".oddwave"
    folder.mkdir(parents=True)
    (folder / "owner.json").write_text('{"format": "oddwave work"}')
    save_training_state(folder / "training_state.pt", {"identity": {"num_steps": 3}})
    line = refused("fit", "series", work / "good.csv", "-o", tmp_path / "m", "--resume", *SMALL, *method)
    assert "is of another run" in line
    assert (folder / "training_state.pt").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--data", "nowhere"], "the given data folder 'nowhere' is not a folder"),
        (["--seeds", "one"], "--seeds 'one' is not a list of whole numbers"),
        (["--modality", "image"], "--modality is for the ablation"),
    ],
)
def test_a_benchmark_that_cannot_run(tmp_path: Path, options: list[str], expected: str) -> None:
    assert expected in refused("bench", "series", "-o", tmp_path / "results", *options)
    assert list(tmp_path.iterdir()) == []
