"""The command line as a user meets it: from a CSV to the four files, quick help, stopping and going on."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import oddwave
from oddwave.cli import app

SMALL = [
    "--preset",
    "fast",
    "--set",
    "training.num_steps=12",
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


def run(*arguments: str | Path) -> Result:
    """Run a command in this process: the same code as the script, without importing torch anew each time."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_readings(path: Path, first: str, bump: slice | None = None, num_points: int = 600) -> Path:
    rng = np.random.default_rng(len(first))
    steps = np.arange(num_points)
    values = np.stack([np.sin(steps / 3), np.cos(steps / 3)], axis=1) + rng.normal(0, 0.1, (num_points, 2))
    if bump is not None:
        values[bump, 0] += 2
    stamps = np.datetime64(first, "s") + np.timedelta64(5, "m") * steps
    lines = [f"{stamp};{a:.4f};{b:.4f}" for stamp, (a, b) in zip(stamps, values, strict=True)]
    path.write_text("\n".join(["taken;flow;pressure", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a healthy file, a file with a bump, and a model that was fitted by the command line."""
    folder = tmp_path_factory.mktemp("work")
    write_readings(folder / "healthy.csv", "2024-01-01")
    write_readings(folder / "today.csv", "2024-02-01", bump=slice(200, 230))
    options = ["--timestamp", "taken", "--columns", "flow,pressure", "--delimiter", ";"]
    result = run("fit", "series", folder / "healthy.csv", "-o", folder / "model", *options, *SMALL)
    assert result.exit_code == 0, result.stderr
    assert "Model: " in result.stdout
    return folder


def test_fit_leaves_a_model_and_nothing_else(work: Path) -> None:
    names = sorted(path.name for path in work.iterdir())
    assert names == ["healthy.csv", "model", "today.csv"]
    assert sorted(path.name for path in (work / "model").rglob("*") if path.is_file()) == [
        "calibration.json",
        "config.json",
        "meta.json",
        "model.safetensors",
    ]


def test_score_writes_four_files_that_agree_and_tells_what_it_found(work: Path, tmp_path: Path) -> None:
    done = run("score", work / "model", work / "today.csv", "-o", tmp_path / "out", "--alpha", "0.05", "-q")
    assert (done.exit_code, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "events.csv",
        "report.html",
        "scores.csv",
        "summary.json",
    ]
    rows = read(tmp_path / "out" / "scores.csv")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    events = read(tmp_path / "out" / "events.csv")
    assert len(rows) == 600
    assert summary["alpha"] == 0.05
    assert summary["counts"]["anomalous"] == sum(row["label"] == "1" for row in rows) > 0
    assert summary["counts"]["events"] == len(events)
    strongest = max(events, key=lambda event: float(event["score"]))
    assert strongest["start"] <= rows[215]["timestamp"] <= strongest["end"]
    assert strongest["channel"] == "flow"
    assert summary["verdict"]["headline"] in done.stdout
    assert str(tmp_path / "out" / "report.html") in done.stdout


def test_the_command_line_and_the_library_give_the_same_scores(work: Path, tmp_path: Path) -> None:
    assert run("score", work / "model", work / "today.csv", "-o", tmp_path).exit_code == 0
    rows = read(tmp_path / "scores.csv")
    scores = oddwave.load(work / "model").decision_function(work / "today.csv")
    assert [float(row["score"]) for row in rows] == scores.tolist()


def test_scoring_the_data_it_was_fitted_on_says_so(work: Path, tmp_path: Path) -> None:
    result = run("score", work / "model", work / "healthy.csv", "-o", tmp_path)
    assert "the very data the model was fitted on" in result.stdout


def test_add_extends_a_model_in_place_or_beside_it(work: Path, tmp_path: Path) -> None:
    more = write_readings(tmp_path / "june.csv", "2024-06-01")
    done = run("add", work / "model", more, "-o", tmp_path / "june", "-q")
    assert done.exit_code == 0, done.stderr
    assert "Added 1: " in done.stdout
    facts = [json.loads((folder / "meta.json").read_text()) for folder in (work / "model", tmp_path / "june")]
    assert [len(own.get("added", ())) for own in facts] == [0, 1]
    assert facts[1]["num_train_points"] > facts[0]["num_train_points"]
    assert facts[0]["read_options"] == facts[1]["read_options"]
    assert "1 time(s)" in run("info", tmp_path / "june").stdout
    before, after = (oddwave.load(folder) for folder in (work / "model", tmp_path / "june"))
    assert len(after.calibration.scores) > len(before.calibration.scores)
    again = run("add", tmp_path / "june", more, "-q")
    assert again.exit_code == 2
    assert "these very data were learnt from" in again.stderr
    july = write_readings(tmp_path / "july.csv", "2024-07-05")
    in_place = run("add", tmp_path / "june", july, "-q", "--allow-flagged")
    assert in_place.exit_code == 0, in_place.stderr
    assert len(json.loads((tmp_path / "june" / "meta.json").read_text())["added"]) == 2


@pytest.mark.slow
def test_feedback_is_kept_listed_and_taken_back(work: Path, tmp_path: Path) -> None:
    model = shutil.copytree(work / "model", tmp_path / "model")
    assert "No feedback was given" in run("feedback", model, "--list").stdout
    before = oddwave.load(model).decision_function(work / "today.csv")
    same = ("--event", 1, "--verdict", "false-alarm", "--note", "door", "--threshold", 0.5 * np.nanmax(before))
    given = run("feedback", model, work / "today.csv", *same, "-q")
    assert given.exit_code == 0, given.stderr
    assert "Kept: 1 " in given.stdout
    assert "--undo 1" in given.stdout
    assert np.nanmax(oddwave.load(model).decision_function(work / "today.csv")) < np.nanmax(before)
    listed = run("feedback", model, "--list").stdout
    assert "false-alarm" in listed
    assert "door" in listed
    assert re.search(r"2024-02-01T\d\d:\d\d:\d\d to 2024-02-01T\d\d:\d\d:\d\d ", listed)  # no nanoseconds
    assert run("feedback", model, "--undo", 1).exit_code == 0
    np.testing.assert_array_equal(oddwave.load(model).decision_function(work / "today.csv"), before)


def test_feedback_without_sense_is_refused_before_anything_is_read(work: Path) -> None:
    for given, wanted in (
        ((), "give one of"),
        (("--list", "--undo", 1), "give one of"),
        ((work / "today.csv",), "--verdict"),
        (("--verdict", "real"), "DATA"),
        (("--undo", 1), "no correction 1"),
        ((work / "today.csv", "--event", 1, "--verdict", "fine"), "false-alarm, real, unsure"),
    ):
        done = run("feedback", work / "model", *given)
        assert done.exit_code == 2, given
        assert wanted in done.stderr, given


def test_detect_needs_one_file_and_leaves_no_training_folder(work: Path, tmp_path: Path) -> None:
    result = run("detect", work / "today.csv", "-o", tmp_path / "out", "--alpha", "0.05", "--fdr", "0.2", *SMALL)
    assert result.exit_code == 0, result.stderr
    assert "At a false discovery rate of 0.2: " in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["alpha"] == 0.05


def test_info_names_channels_windows_and_calibration(work: Path) -> None:
    shown = run("info", work / "model").stdout
    for word in ("flow, pressure", "windows", "threshold", "smallest alpha", "each stretch compared with the others"):
        assert word in shown


def test_settings_come_from_preset_file_and_set_in_that_order(work: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("seed = 4\n[training]\nnum_steps = 9\nbatch_size = 8\n[series]\nmax_windows = 64\n")
    result = run("fit", "series", work / "healthy.csv", "-o", tmp_path / "m", "--preset", "fast", "--config", settings,
                 "--seed", "5", "--set", "training.num_steps=7")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    config = json.loads(next((tmp_path / "m").glob("*/config.json")).read_text())
    assert (config["preset"], config["seed"]) == ("fast", 5)
    assert (config["training"]["num_steps"], config["training"]["batch_size"]) == (7, 8)
    assert config["scoring"]["memory_size"] == 2048  # of the preset


def test_ctrl_c_keeps_the_state_and_resume_gives_the_same_model(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oddwave.training.run import TrainingRun

    advance = TrainingRun.advance

    def interrupted(self: TrainingRun) -> None:
        if self.step == 5:
            raise KeyboardInterrupt
        advance(self)

    fit = ("fit", "series", work / "healthy.csv", "--delimiter", ";", "--set", "series.method=denoiser", *SMALL)
    command = (*fit, "-o", tmp_path / "m")
    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "advance", interrupted)
        stopped = run(*command)
    assert stopped.exit_code == 130
    assert stopped.stderr.count("\n") == 1
    assert stopped.stderr.startswith("oddwave: training stopped at step 5 of 12; the state is saved in ")
    assert "--resume" in stopped.stderr
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == [
        "m",
        "m/.oddwave",
        "m/.oddwave/owner.json",
        "m/.oddwave/training_state.pt",
    ]
    resumed = run(*command, "--resume")
    assert resumed.exit_code == 0, resumed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert run(*fit, "-o", tmp_path / "whole").exit_code == 0
    whole, again = (next(model.glob("*/model.safetensors")) for model in (tmp_path / "whole", tmp_path / "m"))
    assert again.read_bytes() == whole.read_bytes()


def test_ctrl_c_while_windows_are_remembered_leaves_nothing(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oddwave.detection.series.size_memory import SizeMemory

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SizeMemory, "fit", interrupted)
    stopped = run("fit", "series", work / "healthy.csv", "-o", tmp_path / "m", "--delimiter", ";", *SMALL)
    assert stopped.exit_code == 130
    assert stopped.stderr.count("\n") == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_starting_anew_beside_a_stopped_training_warns(work: Path, tmp_path: Path) -> None:
    room = tmp_path / "m" / ".oddwave"
    room.mkdir(parents=True)
    (room / "owner.json").write_text('{"format": "oddwave work"}')
    (room / "training_state.pt").write_bytes(b"old")
    result = run("fit", "series", work / "healthy.csv", "-o", tmp_path / "m", *SMALL)
    assert result.exit_code == 0
    assert result.stderr.startswith("oddwave: warning: ")
    assert "--resume goes on" in result.stderr
    assert not room.exists()


def loaded_by(*arguments: str | Path) -> tuple[str, set[str]]:
    """Run a command in an interpreter of its own; return what it printed and the packages that it loaded."""
    code = (
        "import sys\n"
        "from oddwave.cli import app\n"
        "try: app(sys.argv[1:], prog_name='oddwave')\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, {name.partition(".")[0] for name in done.stderr.split()}


HEAVY = {"torch", "pandas", "scipy", "sklearn", "rich", "jinja2", "plotly", "PIL"}


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["fit", "series", "--help"], ["bench", "--help"]])
def test_help_and_version_import_nothing_heavy(words: list[str]) -> None:
    shown, loaded = loaded_by(*words)
    assert shown
    assert loaded & {*HEAVY, "numpy", "pydantic"} == set()


def test_info_reads_a_model_without_torch(work: Path) -> None:
    shown, loaded = loaded_by("info", work / "model")
    assert loaded & HEAVY == set()
    detector = oddwave.load(work / "model")
    for name, value in detector.inner.facts().items():
        assert f"{name} " in shown
        assert f"  {value}\n" in shown
    assert f"{detector.threshold_:.4g} at alpha " in shown


@pytest.mark.parametrize(
    "command", [["fit", "series"], ["score"], ["add"], ["detect"], ["fuse"], ["info"], ["demo"], ["bench"]]
)
def test_every_help_ends_with_an_example(command: list[str]) -> None:
    shown = run(*command, "--help").stdout
    assert "Example" in shown
    assert f"    oddwave {' '.join(command)}" in shown


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, oddwave; print(*{'torch', 'numpy', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_every_public_name_is_there() -> None:
    for name in oddwave.__all__:
        assert getattr(oddwave, name) is not None
    assert set(oddwave.__all__) <= set(dir(oddwave))
    with pytest.raises(AttributeError, match="no attribute 'detektor'"):
        oddwave.detektor  # noqa: B018


def test_discoveries_are_printed_and_written(work: Path, tmp_path: Path) -> None:
    scored = run("score", work / "model", work / "today.csv", "-o", tmp_path / "out", "--fdr", "0.5", "--alpha", "0.05")
    assert scored.exit_code == 0, scored.stderr
    assert "At a false discovery rate of 0.5: " in scored.stdout
    found = json.loads((tmp_path / "out" / "summary.json").read_text())["discoveries"]
    assert found["rate"] == 0.5
    assert found["expected_false"] == 0.5 * len(found["items"])
    assert f"{len(found['items'])} of 1 items" in scored.stdout
    words = ("--fdr", "0.1", "--fdr-method", "by", "--json", "-q")
    told = run("score", work / "model", work / "today.csv", "-o", tmp_path / "out", *words)
    found = json.loads(told.stdout)["discoveries"]
    assert (found["rate"], found["method"]) == (0.1, "by")
    refused = run("score", work / "model", work / "today.csv", "-o", tmp_path / "out", "--fdr-method", "holm")
    assert refused.exit_code == 2
    assert "--fdr-method is 'holm': give bh or by" in refused.stderr


@pytest.mark.parametrize("rate", ["0", "1", "-0.5"])
def test_a_false_discovery_rate_that_is_none_is_refused(work: Path, tmp_path: Path, rate: str) -> None:
    result = run("score", work / "model", work / "today.csv", "-o", tmp_path, "--fdr", rate)
    assert result.exit_code == 2
    assert "expected a false discovery rate between 0 and 1" in result.stderr
