"""`oddwave watch` over lines: what is told of, what survives, what is refused; rows as strangers write them."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from oddwave.cli import app
from oddwave.detector import Detector
from oddwave.watch.run import read_watch_state

HEADER = "time,flow\n"


def watch(*arguments, given=None):
    return CliRunner().invoke(app, ["watch", *map(str, arguments)], input=given)


def test_events_of_standard_input_are_those_of_the_batch_path(watched, faulty, csv_rows, tmp_path):
    (tmp_path / "rows.csv").write_text(HEADER + "\n".join(csv_rows(faulty())) + "\n")
    done = watch(watched, "-", given=(tmp_path / "rows.csv").read_text())
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    closed = {record["id"]: record for record in records if record["change"] == "closed"}
    assert len(closed) == len([record for record in records if record["change"] == "opened"])
    batch = Detector.load(watched).score(str(tmp_path / "rows.csv"), explain="none").items[0].events
    assert sorted(record["peak"] for record in closed.values()) == sorted(event.peak for event in batch)
    first = min(closed.values(), key=lambda record: record["start"])
    assert first["start_time"].startswith("2026-02-01T01:0")


def test_cron_goes_on_where_it_was(watched, faulty, csv_rows, tmp_path, read_lines):
    rows, source = csv_rows(faulty()), tmp_path / "rows.csv"
    say = ("-o", tmp_path / "events", "--scores", tmp_path / "scores", "--state", tmp_path / "state", "--once")
    source.write_text(HEADER)
    for first in range(0, 220, 55):
        with source.open("a") as file:
            file.write("\n".join(rows[first : first + 55])[:-3])
        assert watch(watched, source, *say).exit_code == 0  # the last line has no end yet
        with source.open("a") as file:
            file.write("\n".join(rows[first : first + 55])[-3:] + "\n")
    assert watch(watched, source, *say, "--exit-code").exit_code in (0, 1)
    scores = read_lines(tmp_path / "scores")
    assert [record["point"] for record in scores] == list(range(220 - 24))
    whole = Detector.load(watched).decision_function(str(source))
    np.testing.assert_allclose([record["score"] for record in scores], whole[: 220 - 24], rtol=0, atol=1e-9)
    changes = [(record["id"], record["change"]) for record in read_lines(tmp_path / "events")]
    assert [own for own in changes if own[1] == "opened"] == [("rows-1", "opened"), ("rows-2", "opened")]
    assert [own for own in changes if own[1] == "closed"] == [("rows-1", "closed"), ("rows-2", "closed")]


def test_what_was_written_after_the_last_state_comes_once(watched, faulty, csv_rows, tmp_path, read_lines):
    source, events = tmp_path / "rows.csv", tmp_path / "events"
    source.write_text(HEADER + "\n".join(csv_rows(faulty(110))) + "\n")
    say = ("-o", events, "--state", tmp_path / "state", "--once")
    watch(watched, source, *say)
    saved, before = (tmp_path / "state").read_bytes(), events.read_text()
    with source.open("a") as file:
        file.write("\n".join(csv_rows(faulty())[110:]) + "\n")
    watch(watched, source, *say)
    whole = events.read_text()
    assert whole.startswith(before)
    assert len(whole) > len(before)
    (tmp_path / "state").write_bytes(saved)  # as after a kill between output and state
    watch(watched, source, *say)
    assert events.read_text() == whole


def test_an_alarm_that_comes_twice_after_a_kill_has_one_key_and_later_ones_have_others(
    watched, faulty, csv_rows, tmp_path, hook
):
    source, state, rows = tmp_path / "rows.csv", tmp_path / "state", csv_rows(faulty())
    say = ("--state", state, "--once", "--webhook", f"http://127.0.0.1:{hook.server_port}/")
    source.write_text(HEADER + "\n".join(rows[:60]) + "\n")
    watch(watched, source, *say)
    before = state.read_bytes()
    with source.open("a") as file:
        file.write("\n".join(rows[60:110]) + "\n")
    watch(watched, source, *say)
    state.write_bytes(before)
    (tmp_path / "state.sent").unlink()  # as after a kill between the answer and its note
    watch(watched, source, *say)
    assert [body["id"] for _, body in hook.seen] == ["rows-1", "rows-1"]
    (key,) = {headers["Idempotency-Key"] for headers, _ in hook.seen}
    watch(watched, source, *say)
    assert len(hook.seen) == 2
    state.unlink()  # begun anew, on other rows: an event is called rows-1 again, and is another one
    source.write_text(HEADER + "\n".join(csv_rows(faulty(110), "2026-03-01")) + "\n")
    watch(watched, source, *say)
    assert [body["id"] for _, body in hook.seen[2:]] == ["rows-1"]
    assert hook.seen[2][0]["Idempotency-Key"] != key


def test_rows_of_several_series_are_streams_of_their_own(watched, faulty, csv_rows, tmp_path):
    values = faulty(110)
    lines = [
        f"{row},{name}"
        for row, quiet in zip(
            csv_rows(values), csv_rows(values * 0 + np.sin(np.arange(110) * 2 * np.pi / 16)[:, None]), strict=True
        )
        for row, name in ((row, "a"), (quiet, "b"))
    ]
    done = watch(watched, "-", "--series", "pump", given="time,flow,pump\n" + "\n".join(lines) + "\n")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert {record["series"] for record in records} == {"a"}
    assert records[0]["id"] == "a-1"


def test_json_lines_and_times_of_many_kinds(watched, faulty, tmp_path):
    start = 1_770_000_000
    lines = [
        json.dumps({"ts": start + 60 * n, "flow": value, "more": "x"})
        for n, value in enumerate(faulty(110)[:, 0].tolist())
    ]
    done = watch(watched, "-", given="\n".join(lines) + "\n")
    first = json.loads(done.stdout.splitlines()[0])
    assert first["start_time"].startswith("2026-02-02T03")
    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("2026-02-01 02:00:00", "1 cells, the header 2"),
        ("2026-02-01 02:00:00,abc", "no number"),
        ("yesterday,1.0", "without a readable timestamp"),
        ('{"time": "2026-02-01T02:00:00", "flow": ', "no JSON"),
        ("[1, 2, 3, 4]", "4 cells"),
        ("x" * (2**20 + 5), "longer than"),
        ('{"time": "2026-02-01T02:00:00", "other": 1, "more": 2}', "none of the model's channels"),
        ('{"time": "2026-02-01T02:00:00", "flow": [1]}', "no number"),
        ("\x00\xff,\x1b[31m", "without a readable timestamp"),
    ],
)
def test_bad_lines_are_told_of_and_passed_over(watched, csv_rows, waves, line, told):
    rows = csv_rows(waves(60, seed=4))
    given = HEADER + "\n".join([*rows[:30], line, *rows[30:]]) + "\n\n  \n"
    done = watch(watched, "-", "--scores", "/dev/null", given=given)
    assert told in done.stderr
    assert "Traceback" not in done.output
    assert "\x1b" not in done.stderr
    assert done.exit_code in (0, 3)


@pytest.mark.parametrize(
    ("arguments", "given", "told"),
    [
        (("-",), "time,speed,load\n2026-01-01,1,2\n", "the model's channels are flow"),
        (("-", "--timestamp", "when"), "time,flow\n2026-01-01,1\n", "--timestamp"),
        (("-", "--series", "pump"), "time,flow\n2026-01-01,1\n", "--series"),
        (("-", "--alert-on", "never"), "", "opened or closed"),
        (("-", "--since", "soon"), "", "--since"),
        (("-", "--webhook", "file:///etc/passwd"), "", "no address"),
        (("-", "--exec", "'"), "", "quotes"),
        (("-", "--every", "0"), "", "--every"),
        (("-", "--alpha", "0.0001"), "", "alpha"),
        (("-", "-o", "/nowhere/at/all.jsonl"), "", "cannot write"),
    ],
)
def test_what_cannot_be_met_is_refused_in_a_line(watched, arguments, given, told):
    done = watch(watched, *arguments, given=given)
    assert (done.exit_code, len(done.stderr.strip().splitlines())) == (2, 1)
    assert told in done.stderr


def test_an_empty_source_is_no_fault(watched):
    for given in ("", "\n", HEADER):
        done = watch(watched, "-", given=given)
        assert (done.exit_code, done.stdout) == (0, "")


def test_catching_up_tells_of_nothing_that_ended_before(watched, faulty, csv_rows):
    given = HEADER + "\n".join(csv_rows(faulty())) + "\n"
    done = watch(watched, "-", "--since", "2026-02-01T02:00", given=given)
    assert {json.loads(line)["id"] for line in done.stdout.splitlines()} == {"stream-2"}


def test_the_state_of_another_model_or_no_state_is_refused(watched, waves, csv_rows, tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text(HEADER + "\n".join(csv_rows(waves(40))) + "\n")
    (tmp_path / "state").write_bytes(b"no state")
    done = watch(watched, source, "--state", tmp_path / "state", "--once")
    assert done.exit_code == 2
    assert "no state of a stream" in done.stderr
    assert (tmp_path / "state").read_bytes() == b"no state"


def test_help_has_examples_and_answers_at_once():
    done = watch("--help")
    assert "Examples:" in done.stdout
    assert "mqtt://" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_watch_that_is_told_to_stop_saves_and_ends_well(watched, waves, csv_rows, tmp_path, number):
    command = [sys.executable, "-m", "oddwave", "watch", watched, "-", "--state", tmp_path / "state", "--every", "0.05"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([str(word) for word in command], **pipes) as process:
        process.stdin.write((HEADER + "\n".join(csv_rows(waves(60))) + "\n").encode())
        process.stdin.flush()
        until = time.monotonic() + 120
        while not (tmp_path / "state").exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(60) == 0
        assert process.stderr.read() == b""
    _, numbers = read_watch_state(tmp_path / "state")
    assert numbers["streams"][0]["clock"]["count"] == 60
