"""Streams over HTTP settle with the scores of the batch path, open and close events once, and outlive the service."""

from contextlib import contextmanager

import numpy as np
import pytest
from starlette.testclient import TestClient

from oddwave.service.app import make_app
from oddwave.service.history import History
from oddwave.service.limits import Limits
from oddwave.service.models import load_models

URL = "/v1/models/pump/streams"


def fed(client, name, rows, **more):
    answer = client.post(f"{URL}/{name}/rows", json={"values": rows.tolist(), **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_settled_scores_are_those_of_the_batch_path(client, detectors, waves):
    expected = detectors["pump"].score(waves, alpha=0.3, explain="none")
    opened = client.post(URL, json={"name": "a", "alpha": 0.3})
    assert opened.json()["delay"]["points"] > 0
    parts = [fed(client, "a", waves[start : start + 20]) for start in range(0, 60, 20)]
    assert client.get(f"{URL}/a").json()["settled_points"] == sum(len(own["settled"]["scores"]) for own in parts)
    parts.append(client.delete(f"{URL}/a").json())
    scores = [score for own in parts for score in own["settled"]["scores"]]
    np.testing.assert_allclose(scores, expected.scores, rtol=1e-9)
    closed = [event for own in parts for event in own["closed"]]
    assert [(event["start"], event["end"]) for event in closed] == [(30, 35)]
    assert [event["id"] for own in parts for event in own["opened"]] == [closed[0]["id"]]
    kept = client.get("/v1/history?source=a&model=pump").json()["items"]
    assert [(item["item"], item["score"]) for item in kept] == [(closed[0]["id"], closed[0]["score"])]
    assert client.get(f"{URL}/a").status_code == 404


def test_a_stream_goes_on_after_a_restart(model_folders, detectors, waves, tmp_path):
    expected = detectors["pump"].score(waves, alpha=0.3, explain="none").scores
    scores, stamps = [], [f"2026-01-01T00:{n:02d}:00Z" for n in range(60)]
    for part in (slice(0, 33), slice(33, 60)):
        limits = Limits()
        models = load_models([str(model_folders / "pump")], limits)
        app = make_app(models, limits, history=History(str(tmp_path / "h.db"), tmp_path / "s"), states=tmp_path / "st")
        with TestClient(app, base_url="http://localhost") as client:
            assert client.post(URL, json={"name": "a", "alpha": 0.3}).status_code == 200
            update = fed(client, "a", waves[part], timestamps=stamps[part])
            assert update["settled"]["timestamps"][:1] in ([], [f"2026-01-01T00:{len(scores):02d}:00.000000000"])
            scores += update["settled"]["scores"]
            if part.stop == 60:
                scores += client.delete(f"{URL}/a").json()["settled"]["scores"]
    np.testing.assert_allclose(scores, expected, rtol=1e-9)
    assert list((tmp_path / "st" / "pump").iterdir()) == []


@pytest.mark.parametrize("killed", ["before the row", "after the row"])
def test_a_kill_between_state_and_history_leaves_one_row(model_folders, more_waves, tmp_path, monkeypatch, killed):
    limits = Limits()

    @contextmanager
    def running():
        models = load_models([str(model_folders / "pump")], limits)
        history = History(str(tmp_path / "h.db"), tmp_path / "s")
        app = make_app(models, limits, history=history, states=tmp_path / "st")
        with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
            yield client, history

    with running() as (client, history):
        for name in ("a", "b"):
            client.post(URL, json={"name": name, "alpha": 0.3})
            fed(client, name, more_waves[:20])
        expected = {event["id"].replace("b", "a") for event in fed(client, "b", more_waves[20:])["closed"]}
        assert "a-1" in expected
        record = history.record

        def dying(entries):
            if killed == "after the row":
                record(entries).result(10)
            raise RuntimeError("killed")

        monkeypatch.setattr(history, "record", dying)
        assert client.post(f"{URL}/a/rows", json={"values": more_waves[20:].tolist()}).status_code == 500
        monkeypatch.undo()
    for _ in range(2):  # a row is written once, however often the service starts
        with running() as (client, _):
            client.post(URL, json={"name": "a", "alpha": 0.3})
            rows = client.get("/v1/history?source=a").json()["items"]
            assert sorted(own["item"] for own in rows) == sorted(expected)
            assert len(client.get(f"/v1/history/{rows[0]['id']}").json()["events"]) == 1


def test_a_stream_whose_end_was_cut_short_is_opened_anew(model_folders, waves, tmp_path, monkeypatch):
    limits = Limits()
    for first in (True, False):
        models = load_models([str(model_folders / "pump")], limits)
        app = make_app(models, limits, history=History(str(tmp_path / "h.db"), tmp_path / "s"), states=tmp_path / "st")
        with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
            assert client.post(URL, json={"name": "a", "alpha": 0.3}).json()["settled_points"] == 0
            fed(client, "a", waves[:36])
            if first:
                monkeypatch.setattr(app.service.streams["pump"], "forget", lambda name: 1 / 0)
                assert client.delete(f"{URL}/a").status_code == 500
            assert [own["item"] for own in client.get("/v1/history?source=a").json()["items"]] == ["a-1"]


def test_open_events_are_shown_now(client, waves):
    client.post(URL, json={"name": "open", "threshold": -100.0})
    channels = {f"channel_{c}": waves[:, c].tolist() for c in range(2)}
    answer = client.post(f"{URL}/open/rows", json={"channels": channels}).json()
    told = next(own for own in client.get("/v1/now").json()["streams"] if own["name"] == "open")
    assert [event["id"] for event in told["open_events"]] == [event["id"] for event in answer["opened"]]
    assert len(told["open_events"]) == 1
    client.delete(f"{URL}/open")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"values": [[1.0]]}, 422),
        ({"values": [["a", "b"]]}, 422),
        ({"values": [[1.0, 2.0]], "timestamps": ["soon"]}, 422),
        ({"values": [[1.0, 2.0]], "timestamps": []}, 422),
        ({"values": [[1.0, 2.0]], "timestamps": [5]}, 422),
        ({"channels": {"channel_0": [1.0]}}, 422),
        ({"channels": {}}, 422),
        ({"values": [[1.0, 2.0]], "channels": {}}, 422),
        ([], 422),
    ],
)
def test_rows_that_are_none_are_refused_and_nothing_is_taken(client, body, status):
    if client.get(f"{URL}/bad").status_code == 404:
        client.post(URL, json={"name": "bad"})
    answer = client.post(f"{URL}/bad/rows", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert client.get(f"{URL}/bad").json()["settled_points"] == 0


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({}, 422),
        ({"name": "../x"}, 422),
        ({"name": ""}, 422),
        ({"name": "x", "alpha": 2.0}, 422),
        ({"name": "x", "alpha": 0.1, "threshold": 1.0}, 422),
        ({"name": "x", "period_s": 0}, 422),
        ({"name": "x", "more": 1}, 422),
    ],
)
def test_streams_that_cannot_be_opened_say_why(client, form, status):
    answer = client.post(URL, json=form)
    assert answer.status_code == status
    assert len(answer.json()["detail"]) > 10


def test_streams_are_of_series_and_have_one_name_each(client, serve):
    assert client.post("/v1/models/parts/streams", json={"name": "x"}).status_code == 409
    assert client.post(f"{URL}/none/rows", json={"values": [[1, 2]]}).status_code == 404
    with serve("pump", max_streams=2) as bounded:
        assert bounded.post(URL, json={"name": "x"}).status_code == 200
        assert bounded.post(URL, json={"name": "x"}).status_code == 409
        assert bounded.post(URL, json={"name": "y"}).status_code == 200
        assert bounded.post(URL, json={"name": "z"}).status_code == 429
        assert [own["name"] for own in bounded.get(URL).json()] == ["x", "y"]
