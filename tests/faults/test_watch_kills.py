"""A watch that is killed at random moments: every row is settled once, every event told of once and alarmed once."""

import json
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from oddwave.config import preset
from oddwave.detector import Detector

pytestmark = pytest.mark.faults

ROWS, KILLS = 100_000, 100


def wait_until_it_reads(number, path):
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for opened in Path(f"/proc/{number}/fd").glob("*"):
            with suppress(OSError):
                if opened.readlink() == path:
                    return
        time.sleep(0.01)
    raise AssertionError("the watch does not begin")


def test_a_hundred_kills_over_a_hundred_thousand_rows(waves, tmp_path, record_property):
    config = preset("balanced").with_overrides(["series.window_sizes=[64, 96]", "scoring.memory_size=60"])
    detector = Detector(config).fit(waves(1200))
    detector.save(tmp_path / "model")
    values, drawn = waves(ROWS, seed=9), random.Random(7)
    faults = [300 + 900 * number for number in range(110)]
    for start in faults:
        values[start : start + 30] += 4.0
    source = tmp_path / "rows.csv"
    source.write_text("flow\n")
    lines = [f"{value:.6f}\n" for value in values[:, 0]]
    taker = tmp_path / "take.py"
    taker.write_text("import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + chr(10))")
    names = ("events", "scores", "state", "alarms")
    events, scores, state, alarms = (tmp_path / name for name in names)
    command = [sys.executable, "-m", "oddwave", "watch", tmp_path / "model", source, "-o", events, "--scores", scores]
    command += ["--state", state, "--exec", f"{sys.executable} {taker} {alarms}", "--every", "0.05"]
    for kill in range(KILLS):
        with source.open("a") as file:
            file.writelines(lines[kill * ROWS // KILLS : (kill + 1) * ROWS // KILLS])
        with (tmp_path / "said").open("ab") as said:
            process = subprocess.Popen([str(word) for word in command], stderr=said)
            wait_until_it_reads(process.pid, source)
            time.sleep(drawn.uniform(0.0, 8.0))
            process.kill()
            process.wait()
    subprocess.run([str(word) for word in [*command, "--once"]], check=True, timeout=3000)
    assert "Traceback" not in (tmp_path / "said").read_text()
    settled = [json.loads(line)["point"] for line in scores.read_text().splitlines()]
    assert settled == list(range(ROWS - 96))
    told = [json.loads(line) for line in events.read_text().splitlines()]
    assert [record["seq"] for record in told] == list(range(1, len(told) + 1))
    opened = [record["id"] for record in told if record["change"] == "opened"]
    assert len(set(opened)) == len(opened)
    assert sorted(opened) == sorted(record["id"] for record in told if record["change"] == "closed")
    given = [json.loads(line)["id"] for line in alarms.read_text().splitlines()]
    assert sorted(set(given)) == sorted(opened)
    peaks = np.array([record["peak"] for record in told if record["change"] == "closed"])
    found = sum(bool(((peaks >= start - 30) & (peaks <= start + 60)).any()) for start in faults)
    twice = len(given) - len(set(given))
    record_property(
        "faults", f"| watch, {KILLS} kills over {ROWS:,} rows | {len(opened)} events, {twice} alarms twice |"
    )
    assert twice <= 1  # a kill between the delivery and its note
    assert found >= 108
