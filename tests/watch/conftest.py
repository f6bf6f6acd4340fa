"""A small model of one channel, and rows with two faults."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from oddwave.config import preset
from oddwave.detector import Detector


@pytest.fixture(scope="session")
def watched(waves, tmp_path_factory):
    """Return the folder of a model of one channel, `flow`, fitted on rows a minute apart."""
    folder = tmp_path_factory.mktemp("watch")
    lines = csv_of(waves(320), "2026-01-01")
    (folder / "healthy.csv").write_text("time,flow\n" + "\n".join(lines) + "\n")
    config = preset("balanced").with_overrides(["series.window_sizes=[16, 24]", "scoring.memory_size=60"])
    Detector(config).fit(str(folder / "healthy.csv")).save(folder / "model")
    return folder / "model"


def csv_of(values, start="2026-02-01"):
    times = np.datetime64(start, "s") + np.arange(len(values)) * np.timedelta64(60, "s")
    return [f"{time},{value:.6f}" for time, value in zip(times, values[:, 0], strict=True)]


@pytest.fixture(scope="session")
def csv_rows():
    return csv_of


@pytest.fixture(scope="session")
def faulty(waves):
    """Return rows with two faults, as values."""

    def made(n=220):
        values = waves(n, seed=4)
        values[60:70] += 4.0
        values[150:158] -= 4.0
        return values

    return made


@pytest.fixture(scope="session")
def read_lines():
    def read(path):
        return [json.loads(line) for line in path.read_text().splitlines()]

    return read


@pytest.fixture
def hook():
    """Serve: answers are taken from `statuses`, 200 when there are none left; `seen` are headers and bodies."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.seen.append((dict(self.headers), json.loads(body)))
            self.send_response(server.statuses.pop(0) if server.statuses else 200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.statuses = [], []
    thread = threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
