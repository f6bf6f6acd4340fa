"""How far the work is: a bar on a terminal, plain lines elsewhere, nothing where nothing was asked for."""

import time

import pytest

from oddwave import progress as module
from oddwave.progress import duration, progress, stage


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lines follow one another in hundredths of a second."""
    monkeypatch.setattr(module, "FIRST_LINE_S", 0.05)
    monkeypatch.setattr(module, "NEXT_LINE_S", 0.1)


def test_work_that_takes_long_says_how_far_it_is_and_when_it_is_done(
    quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in progress(range(5), "scoring", True):
        time.sleep(0.1)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0].startswith("oddwave: scoring: 0/5")
    assert any(line.startswith(f"oddwave: scoring: {n}/5") and "left" in line for line in lines for n in (1, 2, 3, 4))
    assert lines[-1].startswith("oddwave: scoring: done in ")
    assert "\x1b" not in err


def test_a_step_longer_than_the_pause_is_told_of_too(quick: None, capsys: pytest.CaptureFixture[str]) -> None:
    with stage("filling the memory", True):
        time.sleep(0.3)
    assert capsys.readouterr().err.count("oddwave: filling the memory: 0 s so far") >= 2


def test_quick_work_says_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_LINE_S", 0.5)
    assert list(progress(range(5), "scoring", True)) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().err == ""


def test_quiet_work_says_nothing(quick: None, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in progress(range(3), "scoring", False):
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_work_that_fails_is_not_called_done(quick: None, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with stage("scoring", True):
            time.sleep(0.15)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    err = capsys.readouterr().err
    assert "oddwave: scoring" in err
    assert "done" not in err


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with stage("training [bold]", True, keep=True) as report:
        report(20, 20, "loss 0.1000", 0.0)
    err = capsys.readouterr().err
    assert "training [bold]" in err
    assert "20/20  loss 0.1000" in err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (125, "2 min 5 s"), (3600, "1 h"), (12_345, "3 h 25 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
