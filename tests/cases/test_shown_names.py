"""Names are shown, never obeyed: by terminals, spreadsheets, browsers, JSON readers and notebooks."""

import csv
import io
import json
import os
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import oddwave
from oddwave.cli import app
from oddwave.console import print_found, print_notes, print_table, say
from oddwave.errors import CheckpointError, ConfigError, DataError, MissingExtraError
from oddwave.progress import stage
from oddwave.report import render_report
from oddwave.report.outputs import spreadsheet_safe, write_outputs
from oddwave.results import CalibrationSummary, DetectionResult, ImageResult, SeriesEvent, SeriesResult
from oddwave.sources.series.reader import read_series
from oddwave.visible import as_text, visible

pytest.importorskip("jinja2")
pytest.importorskip("plotly")

FORMULA = tuple("=+-@\t\r\n＝＋－＠")
BYTES = os.fsdecode(b"t\xfcr.csv")  # a name in Latin-1, as it comes from a disk
UNSAFE = {
    "escape": ("a\x1b]0;owned\x07b", "a\\x1b]0;owned\\x07b"),
    "C1": ("a\x9b31mb", "a\\x9b31mb"),
    "line": ("a\r\nb\x00", "a\\r\\nb\\x00"),
    "bidi": ("gnp\u202egnp.exe\u2066", "gnp\\u202egnp.exe\\u2066"),
    "separator": ("a\u2028b\ufeff", "a\\u2028b\\ufeff"),
    "tag": ("a\U000e0041", "a\\U000e0041"),
    "bytes": (BYTES, "t\\xfcr.csv"),
}
NAMES = pytest.mark.parametrize(("name", "shown"), UNSAFE.values(), ids=UNSAFE)


def result_of(name: str) -> DetectionResult:
    """A stream whose id, channel, notes and error all hold the name, and one that could not be read."""
    item = SeriesResult(
        name, np.array([0.1, 9.0]), np.array([0.9, 0.01]), np.array([0, 1]), np.zeros((2, 1)), np.ones((2, 1), bool),
        (name,), events=(SeriesEvent(name, 1, 1, 1, 9.0, 0.01, channel=name),), notes=(f"about {name}",),
    )  # fmt: skip
    calibration = CalibrationSummary(0.05, 5.0, 40, 40, 1, f"held out of {name}", np.linspace(0, 4, 40))
    items = (item, SeriesResult.unread(f"{name}2", f"cannot read {name}"))
    return DetectionResult("series", "stream", items, calibration, (f"{name}: nothing",), {"train_source": name})


def is_safe(text: str) -> bool:
    return all(c == "\n" or c.isprintable() for c in text)


@NAMES
def test_what_does_not_show_is_escaped(name: str, shown: str) -> None:
    assert visible(name) == shown
    visible(name).encode("utf-8")


@pytest.mark.parametrize("name", ["Füllstand m³/h", "温度", "درجه\u200cی", "1\u00a0234", "👩\u200d🔧", "a\\b"])
def test_what_shows_stays(name: str) -> None:
    assert visible(name) == name


@NAMES
def test_the_terminal_gets_none_of_it(name: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = result_of(name)
    print_found(result, [Path(f"out-{name}/scores.csv".replace("\x00", ""))], [f"a note on {name}"])
    print_notes([f"another on {name}"])
    print_table([["name"], [name]])
    say(name)
    print(result, result.items)
    out = capsys.readouterr().out
    assert is_safe(out)
    assert out.count(shown) > 6


@NAMES
@pytest.mark.parametrize("kind", [DataError, ConfigError, CheckpointError])
def test_errors_are_safe_to_print_for_whoever_catches_them(kind: type[Exception], name: str, shown: str) -> None:
    assert str(kind(f"no such file: '{name}'")) == f"no such file: '{shown}'"


def test_an_error_about_a_missing_extra_is_safe_too() -> None:
    assert str(MissingExtraError("reading \x1b[1m", "audio")).startswith("reading \\x1b[1m needs")


@NAMES
def test_the_page_shows_it(name: str, shown: str) -> None:
    page = render_report(result_of(name), title=name)
    page.encode("utf-8")
    own = page[: page.index("<style>")] + page[page.index("</style>") : page.index("<script>")]
    assert is_safe(own)
    assert shown in page
    for script in page.split('<script type="application/json"')[1:]:
        assert is_safe(
            json.dumps(json.loads(script[script.index(">") + 1 : script.index("</script>")]), ensure_ascii=False)
        )


def test_the_page_of_images_shows_it() -> None:
    item = ImageResult("\u202egnp.exe", np.array([9.0]), np.array([0.01]), np.array([1]), (8, 8), np.zeros((2, 2)))
    page = render_report(replace(result_of("a"), modality="image", kind="image", items=(item,)))
    assert "\u202e" not in page
    assert "\\u202egnp.exe" in page
    assert "\\\\u202egnp.exe" in page.partition('id="sheet-0">')[2].partition("</script>")[0]


@NAMES
def test_json_is_strict_utf8_and_holds_the_name_itself(name: str, shown: str, tmp_path: Path) -> None:
    write_outputs(result_of(name), tmp_path)
    text = (tmp_path / "summary.json").read_bytes().decode("utf-8")
    assert is_safe(text)
    assert json.loads(text)["items"][0]["id"] == (shown if name == BYTES else name)


@NAMES
def test_tables_show_it_without_breaking_a_row(name: str, shown: str, tmp_path: Path) -> None:
    write_outputs(result_of(name), tmp_path)
    for table in ("scores.csv", "events.csv"):
        with (tmp_path / table).open(newline="", encoding="utf-8") as file:
            text = file.read()
        assert is_safe(text)
        row = next(csv.DictReader(io.StringIO(text)))
        assert row["item"] == shown.replace("\\n", "\n")
        assert float(row["score"]) in (0.1, 9.0)


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "+1+1", "-1+cmd", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "-"]
)
def test_no_cell_is_a_formula(text: str, tmp_path: Path) -> None:
    assert spreadsheet_safe(text) == f"'{text}"
    write_outputs(result_of(text), tmp_path)
    for table in ("scores.csv", "events.csv"):
        with (tmp_path / table).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert not rows[0]["item"].startswith(FORMULA)
        assert float(rows[0]["score"]) in (0.1, 9.0)
    assert not rows[0]["channel"].startswith(FORMULA)


@pytest.mark.parametrize("text", ["-5", "+2.5e-3", "-0.", "a=b", "2024-01-01T00:00:00", "", "line 3/part-7.png"])
def test_numbers_and_harmless_text_stay(text: str) -> None:
    assert spreadsheet_safe(text) == text


def test_negative_numbers_stay_numbers(tmp_path: Path) -> None:
    item = replace(result_of("a").series[0], scores=np.array([-0.5, -1e-9]), timestamps=np.array([-2.0, -1.0]))
    write_outputs(replace(result_of("a"), items=(item,)), tmp_path)
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(float(row["score"]), row["timestamp"]) for row in rows] == [(-0.5, "-2.0"), (-1e-9, "-1.0")]


def test_only_bytes_that_are_no_text_are_lost_in_files() -> None:
    assert as_text("a\x1b\u202e\n") == "a\x1b\u202e\n"
    assert as_text(BYTES) == "t\\xfcr.csv"


def test_a_notebook_gets_escaped_markup() -> None:
    shown = result_of("<script>alert(1)</script>\u202e")._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e" in shown


def test_the_command_line_shows_what_was_typed_and_what_was_read(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07"
    missing = CliRunner().invoke(app, ["detect", str(tmp_path / f"{evil}.csv"), "-o", str(tmp_path / "out")])
    unknown = CliRunner().invoke(app, ["detect", "a.csv", f"--{evil}"])
    extra = CliRunner().invoke(app, ["info", "model", evil])
    no_command = CliRunner().invoke(app, [evil])
    (tmp_path / "x.csv").write_text(f"time,{evil}\n2024-01-01,a\n2024-01-02,b\n")
    column = CliRunner().invoke(app, ["detect", str(tmp_path / "x.csv"), "-o", str(tmp_path / "out")])
    for done in (missing, unknown, extra, no_command, column):
        assert done.exit_code == 2
        assert is_safe(done.stderr)
    for done in (missing, unknown, extra, no_command):
        assert "\\x1b]0;owned\\x07" in done.stderr


def test_warnings_and_progress_are_safe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from oddwave.console import one_line_warnings

    monkeypatch.setattr("oddwave.progress.FIRST_LINE_S", 0.01)
    with one_line_warnings():
        warnings.warn("reading a\x1b[2J", stacklevel=1)
    with stage("reading a\x1b[2J", True) as report:
        report(1, 2)
        time.sleep(0.2)
    err = capsys.readouterr().err
    assert is_safe(err)
    assert err.count("reading a\\x1b[2J") >= 2


def test_a_name_that_is_no_utf8_runs_through(tmp_path: Path) -> None:
    try:
        path = tmp_path / BYTES
        path.write_text("a\n" + "\n".join(map(str, range(40))) + "\n")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    item = read_series(path).items[0]
    assert "\\xfc" in str(result_of(item.id))
    code = "import sys; from oddwave.console import say; say(sys.argv[1]); say('µs')"
    done = subprocess.run(
        [sys.executable, "-c", code, os.fsencode(BYTES)], capture_output=True, check=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert done.stdout.decode() == "t\\xfcr.csv\nµs\n"


def test_a_terminal_without_unicode_gets_escapes_not_an_error(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "oddwave", "detect", "ü.csv", "-o", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(b"oddwave: no such file or folder: '")
    assert done.stderr.endswith(b"\\xfc.csv'\n")


def test_the_detector_shows_itself_in_a_line() -> None:
    assert repr(oddwave.Detector()) == "Detector(modality='series', preset='balanced', not fitted)"
