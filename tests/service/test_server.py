"""The service as a process: it starts, answers, and ends as it was told, with what it accepted answered."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest
from typer.testing import CliRunner

from oddwave.cli import app as cli
from oddwave.errors import ConfigError
from oddwave.service.limits import Limits
from oddwave.service.models import load_models
from oddwave.service.server import bound


@pytest.fixture
def started(model_folders, tmp_path):
    """Start `oddwave serve` with more arguments; give its address and process."""
    processes = []

    def start(*arguments, env=None):
        command = [sys.executable, "-m", "oddwave", "serve", *arguments, "--port", "0"]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   env={**os.environ, **(env or {}), "PYTHONUNBUFFERED": "1"})  # fmt: skip
        processes.append(process)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("http://"):
                return line.split()[0], process
        raise AssertionError("".join(lines))

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.slow
def test_it_ends_after_answering_what_it_accepted(started, model_folders, waves):
    address, process = started(str(model_folders / "pump"), f"more={model_folders / 'parts'}", "--history", "h.db")
    assert [model["name"] for model in httpx.get(f"{address}v1/models").json()] == ["pump", "more"]
    body, answers = {"values": waves.tolist() * 8}, []

    def ask():
        answers.append(httpx.post(f"{address}v1/models/pump/score", json=body, timeout=120).status_code)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    while not any(model["in_flight"] for model in httpx.get(f"{address}v1/models").json()):
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    assert httpx.get(f"{address}ready").status_code == 503
    assert httpx.post(f"{address}v1/models/pump/score", json={"values": [[1, 2]]}).status_code == 503
    for thread in asking:
        thread.join()
    assert answers == [200] * 4
    assert process.wait(60) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)


def test_what_it_refuses_is_told_in_one_line(model_folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ODDWAVE_TOKEN", raising=False)
    pump = str(model_folders / "pump")
    for arguments, said in (
        ([pump, "--host", "0.0.0.0"], "there is no token"),
        ([pump, pump, "--history", "none"], "two models are called"),
        ([str(tmp_path), "--history", "none"], "missing"),
        ([pump, "--history", "nothing://x"], "--history"),
        ([pump, "--keep", "soon"], "--keep"),
        ([pump, "--keep", "9d", "--history", "none"], "nothing to forget"),
        ([pump, "--host", "203.0.113.7", "--no-token"], "cannot listen"),
        ([pump, "--token", "short"], "give another"),
    ):
        done = CliRunner().invoke(cli, ["serve", *arguments, "--port", "0"])
        assert (done.exit_code, said in done.stderr) == (2, True), (arguments, done.stderr)
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_port_that_is_taken_is_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="cannot listen on"):
            bound("127.0.0.1", taken.getsockname()[1])


def test_models_have_the_names_of_their_folders_or_given_ones(model_folders):
    models = load_models([str(model_folders / "pump"), f"other={model_folders / 'pump'}"], Limits())
    try:
        assert list(models) == ["pump", "other"]
        assert models["pump"].fingerprint == models["other"].fingerprint
    finally:
        for model in models.values():
            model.thread.stop(5)
    for given in (["a/b=x"], [f"x={model_folders / 'pump'}", f"x={model_folders / 'pump'}"]):
        with pytest.raises(ConfigError, match=r"no name for a model|two models"):
            load_models(given, Limits())


@pytest.mark.parametrize("name", ["max_rows", "max_body_bytes", "max_waiting", "max_duration_s"])
@pytest.mark.parametrize("value", [0, -1, True, float("nan"), float("inf"), "5"])
def test_limits_that_let_nothing_through_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        Limits(**{name: value})
