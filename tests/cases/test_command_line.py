"""The command line's ways in and out: what is read, what is said on which stream, and with which status it ends."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from oddwave.cli import app
from oddwave.errors import DataError
from oddwave.sources.series.reader import read_series

TINY = ["--preset=fast", "--set=training.num_steps=2", "--set=training.batch_size=8", "--set=series.max_windows=32",
        "--set=series.window_sizes=[16]",
        "--set=training.num_validation_draws=8", "--set=network.base_channels=8", "-q"]  # fmt: skip


def run(*arguments: str | Path, columns: int = 80) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": str(columns)})


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path: Path, *, bump: bool = False, extra: str = "", num_points: int = 500) -> Path:
    rng, steps = np.random.default_rng(len(path.name)), np.arange(num_points)
    flow, temp = np.sin(steps / 4) + rng.normal(0, 0.1, num_points), np.cos(steps / 4) + rng.normal(0, 0.1, num_points)
    flow[200:230] += 4.0 * bump
    stamps = np.datetime64("2024-01-01", "s") + np.timedelta64(5, "m") * steps
    lines = [f"{t},{a:.4f},{b:.4f}{',0' * bool(extra)}" for t, a, b in zip(stamps, flow, temp, strict=True)]
    path.write_text("\n".join([f'time,"flow, m3/h",temp{"," * bool(extra)}{extra}', *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A healthy file, one with a bump, one with a column more, and a model of the first."""
    place = tmp_path_factory.mktemp("series")
    write(place / "healthy.csv")
    write(place / "bumpy.csv", bump=True, num_points=800)  # with fewer a bump has too few blocks beside it
    write(place / "labelled.csv", extra="label")
    done = run("fit", "series", place / "healthy.csv", "-o", place / "model", *TINY)
    assert done.exit_code == 0, done.stderr
    return place


# Which columns


def test_columns_are_left_out_of_files_and_arrays(folder: Path) -> None:
    assert read_series(folder / "labelled.csv", exclude="lab*").channel_names == ("flow, m3/h", "temp")
    assert read_series(folder / "labelled.csv", columns="*", timestamp="time", exclude="time,label").n_channels == 2
    assert read_series(np.ones((9, 3)) * np.arange(9)[:, None], exclude="channel_1").channel_names == (
        "channel_0",
        "channel_2",
    )
    with pytest.raises(DataError, match="no column left to monitor"):
        read_series(folder / "labelled.csv", columns="temp", exclude="temp")
    with pytest.raises(DataError, match="nothing to monitor"):
        read_series(np.arange(9.0), exclude=[0])


@pytest.mark.parametrize("columns", ["flow, m3/h", '"flow, m3/h"', r"flow\, m3/h", "1", "flow*"])
def test_a_name_with_a_comma_is_chosen(folder: Path, tmp_path: Path, columns: str) -> None:
    done = run("detect", folder / "bumpy.csv", "-o", tmp_path / "out", "--columns", columns, *TINY)
    assert done.exit_code == 0, done.stderr
    assert {row["channel"] for row in read(tmp_path / "out" / "events.csv")} == {"flow, m3/h"}


@pytest.mark.parametrize("options", [["--exclude", "label"], ["--columns", '"flow, m3/h",temp'], ["--columns", "1,2"]])
def test_score_reads_as_it_is_told(folder: Path, tmp_path: Path, options: list[str]) -> None:
    done = run("score", folder / "model", folder / "labelled.csv", "-o", tmp_path / "out", "-q", *options)
    assert done.exit_code == 0, done.stderr
    assert len(read(tmp_path / "out" / "scores.csv")) == 500


def test_score_takes_clock_and_delimiter_anew(folder: Path, tmp_path: Path) -> None:
    _, *lines = (folder / "bumpy.csv").read_text().replace('"flow, m3/h"', "flow").splitlines()
    renamed = ["when;flow, m3/h;temp", *(line.replace(",", ";") for line in lines)]
    (tmp_path / "new.csv").write_text("\n".join(renamed) + "\n")
    options = ["--delimiter", ";", "--timestamp", "when", "--columns", "1,2"]
    done = run("score", folder / "model", tmp_path / "new.csv", "-o", tmp_path / "out", "-q", *options)
    assert done.exit_code == 0, done.stderr
    assert read(tmp_path / "out" / "scores.csv")[3]["timestamp"] == "2024-01-01T00:15:00"


def test_columns_without_names_are_not_taken_for_named_ones(folder: Path, tmp_path: Path) -> None:
    lines = (folder / "bumpy.csv").read_text().splitlines()[1:]
    (tmp_path / "bare.csv").write_text("\n".join(lines) + "\n")
    done = run("score", folder / "model", tmp_path / "bare.csv", "-o", tmp_path / "out", "-q", "--no-header")
    assert done.exit_code == 2
    assert "expected flow, m3/h, temp" in done.stderr


# What errors advise


@pytest.mark.parametrize("command", ["detect", "fit series", "score"])
def test_errors_name_options_that_the_command_has(folder: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "words.csv").write_text("time,flow,state\n" + "".join(f"2024-01-0{d},{d},ok\n" for d in range(1, 10)))
    model = [folder / "model"] if command == "score" else []
    done = run(
        *command.split(), *model, tmp_path / "words.csv", "-o", tmp_path / "out", "-q", "--columns", "state,flow"
    )
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    here = get_command(app)
    for word in command.split():
        here = here.commands[word]  # type: ignore[attr-defined]
    options = {option for param in here.params for option in param.opts}
    named = {word.strip(",:;.") for word in done.stderr.split() if word.startswith("--")}
    assert named <= options
    assert "= " not in done.stderr
    assert "--columns ," not in done.stderr


@pytest.mark.parametrize(("modality", "kind"), [("image", "images"), ("audio", "audio")])
@pytest.mark.parametrize(
    "option", [["--columns", "a"], ["--exclude", "a"], ["--timestamp", "a"], ["--delimiter", ";"], ["--no-header"],
               ["--kind", "panel"]],
)  # fmt: skip
def test_options_of_series_are_refused_by_name_elsewhere(modality: str, kind: str, option: list[str]) -> None:
    from oddwave.cli.options import check_reading, reading_options
    from oddwave.errors import ConfigError

    given = dict.fromkeys(("timestamp", "columns", "exclude", "delimiter", "kind", "on_error"))
    name = option[0].removeprefix("--")
    given |= {name: option[1]} if len(option) > 1 else {}
    options = reading_options(**given, decimal=None, day_first=None, no_header=name == "no-header")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=f"{option[0]} is for models of time series, and m is a model of {kind}"):
        check_reading(options, modality, Path("m"))  # type: ignore[arg-type]
    check_reading(reading_options(None, None, None, None, None, None, False, None, "stop"), modality, Path("m"))  # type: ignore[arg-type]


# Streams and statuses


@pytest.mark.parametrize("command", [pytest.param("detect", marks=pytest.mark.slow), "score"])
def test_json_alone_is_on_standard_output(folder: Path, tmp_path: Path, command: str) -> None:
    head = ["score", folder / "model"] if command == "score" else ["detect"]
    more = ["-q"] if command == "score" else TINY
    done = run(*head, folder / "bumpy.csv", "-o", tmp_path / "out", "--json", *more)
    summary = json.loads(done.stdout, parse_constant=pytest.fail)
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["events"][0]["item"] == summary["items"][0]["id"]
    assert {"start", "end", "score", "p_value", "channel"} <= set(summary["events"][0])
    assert summary["verdict"]["headline"] in done.stderr


def test_json_is_utf8_whatever_the_terminal_is(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "füllstand.csv").write_bytes((folder / "bumpy.csv").read_bytes())
    command = ["score", str(folder / "model"), str(tmp_path / "füllstand.csv"), "-o", str(tmp_path / "out")]
    done = CliRunner(charset="ascii").invoke(app, [*command, "--json", "-q"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout_bytes.decode("utf-8"))["items"][0]["id"].startswith("füllstand")


@pytest.mark.parametrize("command", [pytest.param("detect", marks=pytest.mark.slow), "score"])
def test_exit_code_tells_that_something_was_found_only_when_asked(folder: Path, tmp_path: Path, command: str) -> None:
    head = ["score", folder / "model"] if command == "score" else ["detect"]
    more = ["-q"] if command == "score" else TINY
    ends = [run(*head, folder / "bumpy.csv", "-o", tmp_path / "out", *more, *flag).exit_code
            for flag in ([], ["--exit-code"])]  # fmt: skip
    assert ends == [0, 1]


@pytest.mark.parametrize("name", ["healthy.csv", "bumpy.csv"])
def test_the_status_agrees_with_the_summary(folder: Path, tmp_path: Path, name: str) -> None:
    done = run("score", folder / "model", folder / name, "-o", tmp_path, "--exit-code", "-q")
    assert done.exit_code == int(json.loads((tmp_path / "summary.json").read_text())["verdict"]["found"])


# Help


def commands(command: object, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    inner = getattr(command, "commands", {})
    return [words, *(each for name, one in inner.items() for each in commands(one, (*words, name)))]


@pytest.mark.parametrize("words", commands(get_command(app)), ids=" ".join)
def test_every_help_fits_80_columns_is_whole_and_has_an_example(words: tuple[str, ...]) -> None:
    shown = run(*words, "--help").stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert not [line for line in shown.splitlines() if line.endswith("...") and "Usage" not in line]
    assert f"oddwave {' '.join(words)}".rstrip() in shown.partition("Usage")[2].partition("\n")[2]


@pytest.mark.parametrize("words", [("score",), ("detect",)])
def test_help_documents_the_exit_statuses(words: tuple[str, ...]) -> None:
    shown = " ".join(run(*words, "--help").stdout.split())
    assert all(part in shown for part in ("0", "1", "2", "3", "--exit-code", "judged", "refused"))


def test_completion_can_be_installed_and_completes_commands_and_options() -> None:
    shown = run("--help").stdout
    assert "--install-completion" in shown
    environment = {**os.environ, "_ODDWAVE_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
    for typed, completed in (("oddwave fit au", "audio"), ("oddwave score --exi", "--exit-code")):
        done = subprocess.run([sys.executable, "-m", "oddwave"], capture_output=True, check=False, text=True,
                              env={**environment, "COMP_WORDS": typed})  # fmt: skip
        assert completed in done.stdout.split()
    command = [sys.executable, "-m", "oddwave", "--show-completion", "bash"]
    named_shell = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(command, capture_output=True, check=False, text=True, env=named_shell)
    assert "complete" in done.stdout


def test_demo_writes_into_a_folder_of_its_own_where_none_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Path] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("oddwave.demo.run_demo", lambda folder, **_: given.append(folder))
    done = run("demo")
    assert done.exit_code == 0, done.stderr
    assert given == [Path("demo")]
