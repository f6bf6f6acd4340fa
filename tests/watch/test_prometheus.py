"""A range query asked again and again, of a stand-in that speaks Prometheus' format, and one that does not."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from oddwave.errors import ConfigError
from oddwave.watch.prometheus import PrometheusSource
from oddwave.watch.telling import Teller


@pytest.fixture
def prometheus():
    """Serve range queries as Prometheus does: of two instances, one of which begins late; `answer` replaces it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            server.asked.append((parts.path, asked, self.headers.get("Authorization")))
            status, body = server.answer or (200, matrix(asked))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.answer = [], None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def matrix(asked):
    start, end, step = (float(asked[name]) for name in ("start", "end", "step"))
    stamps = [start + step * number for number in range(int((end - start) / step + 1e-6) + 1)]
    one, two = ({"__name__": "up", "instance": name, "job": "node"} for name in ("a", "b"))
    values = [[stamp, str(stamp % 7)] for stamp in stamps]
    result = [{"metric": one, "values": values}, {"metric": two, "values": [[stamps[-1], "NaN"]]}]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def source(server, channels=("up",), **options):
    told = []
    url = f"prometheus+http://me:secret@127.0.0.1:{server.server_port}/api/v1/query_range?query=up{{job=%22node%22}}&step=1m"
    return PrometheusSource(url, channels, Teller(told.append), **options), told


def rows(chunk):
    return [json.loads(line) for line in chunk.lines]


def test_each_moment_comes_once_as_rows_of_each_time_series(prometheus):
    first = time.time() - 600
    own, told = source(prometheus, first=first)
    found = rows(own.take())
    assert own.take().lines == []
    path, asked, authorized = prometheus.asked[0]
    assert (path, asked["query"], asked["step"]) == ("/api/v1/query_range", 'up{job="node"}', "60")
    assert authorized.startswith("Basic ")
    assert len(prometheus.asked) == 1
    of_one = [row for row in found if row["series"] == 'up{instance="a",job="node"}']
    assert len(of_one) == 11
    assert [row["time"] for row in of_one] == pytest.approx([first + 60 * number for number in range(11)], abs=2e-3)
    assert [row["up"] for row in found if row["series"] == 'up{instance="b",job="node"}'] == ["NaN"]
    again, _ = source(prometheus, known=own.position())
    assert again.take().lines == []
    assert told == []


def test_time_series_are_channels_by_name_or_label(prometheus):
    own, told = source(prometheus, ("b", "A"), first=time.time() - 120)
    found = rows(own.take())
    assert [set(row) for row in found] == [{"time", "series", "A"}] * 2 + [{"time", "series", "A", "b"}]
    own, told = source(prometheus, ("a", "c"), first=time.time() - 120)
    assert {key for row in rows(own.take()) for key in row} == {"time", "series", "a"}
    assert "none of the model's channels" in told[0]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, b"<html>"), "no answer"),
        ((503, b"busy"), "status 503"),
        ((400, {"status": "error", "errorType": "bad_data", "error": "parse error"}), "bad_data: parse error"),
        ((200, {"status": "success", "data": {"resultType": "vector", "result": []}}), "no matrix"),
        ((200, {"status": "success"}), "no answer"),
        (
            (200, {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": 3}]}}),
            "none of the model's channels",
        ),
        ((200, []), "no answer"),
    ],
)
def test_a_server_that_answers_otherwise_is_asked_again(prometheus, answer, told):
    own, said = source(prometheus, ("a", "b"), first=time.time() - 120)
    prometheus.answer = answer
    assert own.take().lines == []
    assert len(said) == 1
    assert told in said[0]
    prometheus.answer, own._wait_until = None, 0.0
    assert len(own.take().lines) in (0, 3)


def test_a_server_that_is_gone_is_waited_for():
    told = []
    own = PrometheusSource("http://127.0.0.1:1/api/v1/query_range?query=up", ("up",), Teller(told.append))
    for _ in range(3):
        assert own.take().lines == []
    assert len(told) == 1


@pytest.mark.parametrize("url", ["http://host/metrics", "ftp://host/?query=up", "http:///x?query=up"])
def test_what_is_no_range_query_is_refused(url):
    with pytest.raises(ConfigError, match="range query"):
        PrometheusSource(url, ("up",), Teller(print))


def test_a_step_that_is_no_duration_is_refused():
    with pytest.raises(ConfigError, match="duration"):
        PrometheusSource("http://host/api/v1/query_range?query=up&step=soon", ("up",), Teller(print))
