"""What was judged is remembered: asked for by model, time and verdict, and never in the way of scoring."""

import json
import sqlite3
import time

import pytest
from sqlalchemy import inspect, text

from oddwave.errors import ConfigError
from oddwave.service import history as history_module
from oddwave.service.history import History, new_engine
from oddwave.service.limits import keep_seconds
from oddwave.service.queries import Wanted, item_of, items_of, trends
from oddwave.service.remembered import new_id
from oddwave.service.schema import STEPS, VERSION, migrate
from oddwave.service.spool import Spool

SCORE = "/v1/models/{}/score"


def item(**known):
    whole = {
        "table": "oddwave_items", "id": new_id(), "received_ms": int(1000 * time.time()), "model": "parts",
        "fingerprint": "f" * 64, "modality": "image", "source": "line 3", "item": "a.png", "label": 0, "score": 1.5,
        "p_value": 0.4, "threshold": 3.0, "severity": "", "reason": "", "num_events": 0, "drift": "",
        "excerpt": b"\x00\xff", "excerpt_type": "image/webp",
    }  # fmt: skip
    return whole | known


@pytest.fixture
def remembered(tmp_path):
    kept = History(str(tmp_path / "history.db"), tmp_path / "spool.jsonl")
    yield kept
    kept.close()


def test_scores_are_found_again_with_their_events_and_pictures(client, images, png):
    files = [("f", (f"{number}.png", png(own))) for number, own in enumerate(images)]
    answer = client.post(SCORE.format("parts") + "?alpha=0.3&source=line 3", files=files).json()
    assert answer["recorded"] is True
    ids = [own["history_id"] for own in answer["items"]]
    listed = client.get("/v1/history?model=parts&source=line 3").json()["items"]
    assert [own["id"] for own in listed] == ids[::-1]
    found = client.get(f"/v1/history/{ids[1]}").json()
    assert (found["item"], found["label"], found["score"]) == ("1.png", 1, answer["items"][1]["score"])
    assert found["events"][0]["left_px"] == answer["items"][1]["events"][0]["left_px"]
    assert found["fingerprint"] == answer["model"]["fingerprint"]
    picture = client.get(f"/v1/history/{ids[1]}/excerpt")
    assert picture.headers["content-type"].startswith("image/")
    assert 0 < len(picture.content) <= 16_384


def test_of_a_stream_the_values_around_the_event_are_kept(client, waves):
    answer = client.post(SCORE.format("pump") + "?alpha=0.3", json={"values": waves.tolist()}).json()
    kept = client.get(f"/v1/history/{answer['items'][0]['history_id']}/excerpt").json()
    assert (kept["channel"], kept["start"], kept["end"]) == ("channel_0", 30, 35)
    assert kept["values"][30 - kept["begin"]] == pytest.approx(waves[30, 0], rel=1e-5)


def test_what_was_refused_or_not_to_be_kept_is_not(client, images, png):
    before = len(client.get("/v1/history?limit=500").json()["items"])
    client.post(SCORE.format("parts"), files=[("f", ("bad.png", b""))])
    answer = client.post(SCORE.format("parts") + "?record=false", files=[("f", ("a.png", png(images[0])))]).json()
    assert (answer["recorded"], "history_id" in answer["items"][0]) == (None, True)
    assert answer["items"][0]["history_id"] is None
    assert len(client.get("/v1/history?limit=500").json()["items"]) == before


def test_verdicts_are_kept_changed_and_taken_back(client, images, png):
    files = [("f", ("v.png", png(images[1])))]
    identifier = client.post(SCORE.format("parts"), files=files).json()["items"][0]["history_id"]
    url = f"/v1/history/{identifier}/verdict"
    for word in ("false_alarm", "real"):
        assert client.post(url, json={"verdict": word, "note": "käse"}).json()["recorded"] is True
    found = client.get(f"/v1/history/{identifier}").json()
    assert (found["verdict"], found["note"], len(found["verdicts"])) == ("real", "käse", 2)
    assert identifier in {own["id"] for own in client.get("/v1/history?verdict=real").json()["items"]}
    assert identifier not in {own["id"] for own in client.get("/v1/history?verdict=false_alarm").json()["items"]}
    client.post(url, json={"verdict": "none"})
    assert client.get(f"/v1/history/{identifier}").json()["verdict"] is None
    assert identifier in {own["id"] for own in client.get("/v1/history?verdict=none").json()["items"]}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"verdict": "yes"}, 422),
        ({}, 422),
        ([], 422),
        ({"verdict": "real", "note": "x" * 3000}, 422),
        ({"verdict": "real", "more": 1}, 422),
        ({"verdict": "real", "note": 5}, 422),
    ],
)
def test_verdicts_of_a_wrong_form_are_refused(client, images, png, body, status):
    files = [("f", ("v.png", png(images[0])))]
    identifier = client.post(SCORE.format("parts"), files=files).json()["items"][0]["history_id"]
    assert client.post(f"/v1/history/{identifier}/verdict", json=body).status_code == status


def test_verdicts_on_nothing_are_refused(client):
    assert client.post(f"/v1/history/{'0' * 24}/verdict", json={"verdict": "real"}).status_code == 404
    assert client.post("/v1/history/x'; DROP TABLE/verdict", json={"verdict": "real"}).status_code == 404
    form = {"content-type": "application/x-www-form-urlencoded"}
    refused = client.post(f"/v1/history/{'0' * 24}/verdict", content="verdict=real", headers=form)
    assert refused.status_code == 415


@pytest.mark.parametrize("query", ["since=yesterday", "limit=0", "limit=9999", "verdict=maybe", "label=7", "before=x"])
def test_filters_of_a_wrong_form_are_refused(client, query):
    assert client.get(f"/v1/history?{query}").status_code == 422


def test_pages_follow_each_other(client, images, png):
    files = [("f", (f"{n}.png", png(images[n % 4]))) for n in range(7)]
    client.post(SCORE.format("parts") + "?source=pages", files=files)
    seen, before = [], ""
    while True:
        page = client.get(f"/v1/history?source=pages&limit=3{before}").json()
        seen += [own["item"] for own in page["items"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert seen == [f"{n}.png" for n in reversed(range(7))]


def test_trends_count_days_and_weeks(remembered):
    day = 86_400_000
    monday = 1_767_571_200_000  # 2026-01-05
    entries = [item(received_ms=monday + n * day + 1000, score=float(n), label=int(n == 3)) for n in range(9)]
    remembered.record(entries).result(10)
    days = trends(remembered.engine, Wanted(model="parts"), "day")
    assert [own["start_ms"] for own in days] == [monday + n * day for n in range(9)]
    assert [own["num_anomalous"] for own in days] == [0, 0, 0, 1, 0, 0, 0, 0, 0]
    weeks = trends(remembered.engine, Wanted(), "week")
    assert [(own["start_ms"], own["num_items"], own["mean_score"]) for own in weeks] == [
        (monday, 7, 3.0), (monday + 7 * day, 2, 7.5)]  # fmt: skip
    some = items_of(remembered.engine, Wanted(since_ms=monday + day, until_ms=monday + 3 * day))
    assert [own["score"] for own in some] == [2.0, 1.0]


def test_a_locked_database_never_stops_scoring(serve, images, png, tmp_path):
    path = tmp_path / "locked.db"
    files = [("f", ("a.png", png(images[0])))]
    with serve("parts", url=str(path)) as client:
        client.post(SCORE.format("parts"), files=files)
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        answer = client.post(SCORE.format("parts"), files=files)
        assert (answer.status_code, answer.json()["recorded"]) == (200, True)
        assert time.monotonic() - began < 5
        health = client.get("/health").json()["history"]
        assert (health["reachable"], health["spooled"]) == (False, 1)
        identifier = answer.json()["items"][0]["history_id"]
        given = client.post(f"/v1/history/{identifier}/verdict", json={"verdict": "unsure"})
        assert given.json()["recorded"] is True
        lock.execute("ROLLBACK")
        lock.close()
        client.service.history._retry_at = 0.0
        until = time.monotonic() + 10
        while client.get("/health").json()["history"]["spooled"] and time.monotonic() < until:
            time.sleep(0.05)
        found = client.get(f"/v1/history/{identifier}").json()
        assert (found["verdict"], len(client.get("/v1/history").json()["items"])) == ("unsure", 2)


def test_a_database_that_is_no_database_never_stops_scoring(serve, images, png, tmp_path):
    path = tmp_path / "text.db"
    path.write_text("this is no database, " * 200)
    with serve("parts", url=str(path)) as client:
        answer = client.post(SCORE.format("parts"), files=[("f", ("a.png", png(images[0])))])
        assert (answer.status_code, answer.json()["recorded"]) == (200, True)
        listed = client.get("/v1/history")
        assert (listed.status_code, "does not answer" in listed.json()["detail"]) == (503, True)
    assert path.read_text().startswith("this is no database")


def test_without_any_disk_it_is_scored_and_said(serve, images, png, tmp_path):
    (tmp_path / "file").write_text("")
    with serve("parts", url=str(tmp_path / "file" / "h.db"), spool=tmp_path / "file" / "spool.jsonl") as client:
        answer = client.post(SCORE.format("parts"), files=[("f", ("a.png", png(images[0])))])
        assert (answer.status_code, answer.json()["recorded"]) == (200, False)
        assert client.get("/health").json()["history"]["lost"] == 1


def test_without_a_history_its_routes_say_so(serve, images, png):
    with serve("parts", history=False) as client:
        answer = client.post(SCORE.format("parts"), files=[("f", ("a.png", png(images[0])))]).json()
        assert answer["recorded"] is None
        assert "--history" in client.get("/v1/history").json()["detail"]
        assert client.get("/v1/now").json()["sources"] == []


def test_what_was_spooled_is_written_by_the_next_service(tmp_path):
    first = History(str(tmp_path), tmp_path / "spool.jsonl")  # a folder is no database
    kept = [item(item=f"{n}.png", excerpt=bytes([n])) for n in range(3)]
    assert first.record(kept).result(10) is True
    first.close()
    with (tmp_path / "spool.jsonl").open("ab") as file:
        file.write(b'{"table": "oddwave_items", "id": "cut off by a po')
    second = History(str(tmp_path / "history.db"), tmp_path / "spool.jsonl")
    assert second.record([item(item="new.png")]).result(10) is True
    second.close()
    engine = new_engine(str(tmp_path / "history.db"))
    assert [own["item"] for own in items_of(engine, Wanted())] == ["new.png", "2.png", "1.png", "0.png"]
    with engine.connect() as connection:
        assert connection.execute(text("SELECT excerpt FROM oddwave_items WHERE item = '2.png'")).scalar() == b"\x02"
    assert not (tmp_path / "spool.jsonl").exists()


def test_spooled_entries_that_were_written_before_do_no_harm(remembered, tmp_path):
    entry = item()
    remembered.record([entry]).result(10)
    remembered.record([entry, item(item="b.png")]).result(10)
    assert [own["item"] for own in items_of(remembered.engine, Wanted())] == ["b.png", "a.png"]


def test_an_entry_that_no_database_takes_keeps_no_other_waiting(remembered):
    assert remembered.record([item(), item(label=None, item="bad"), item(item="c.png")]).result(10) is True
    assert [own["item"] for own in items_of(remembered.engine, Wanted())] == ["c.png", "a.png"]
    assert remembered.num_lost == 1


def test_a_spool_has_a_bound(tmp_path):
    spool = Spool(tmp_path / "spool.jsonl", most_bytes=1000)
    spool.add([item()])
    with pytest.raises(OSError, match="1,000 bytes"):
        spool.add([item(), item()])
    assert spool.num_waiting == 1
    assert len((tmp_path / "spool.jsonl").read_text().splitlines()) == 1


def test_older_tables_become_newer_ones_and_keep_what_they_hold(tmp_path):
    engine = new_engine(str(tmp_path / "old.db"))
    with engine.begin() as connection:
        VERSION.create(connection)
        STEPS[0](connection)
        connection.execute(VERSION.insert().values(version=1))
        assert not inspect(connection).has_table("oddwave_verdicts")
        row = {key: value for key, value in item().items() if key != "table"}
        connection.execute(history_module.ITEMS.insert(), [row])
    kept = History(str(tmp_path / "old.db"), tmp_path / "spool.jsonl")
    given = {"table": "oddwave_verdicts", "id": new_id(), "item_id": row["id"], "verdict": "real", "note": "",
             "given_ms": 5}  # fmt: skip
    kept.record([given]).result(10)
    kept.close()
    assert item_of(engine, row["id"])["verdict"] == "real"
    with engine.connect() as connection:
        assert connection.execute(VERSION.select()).scalars().all() == [len(STEPS)]


def test_newer_tables_are_left_alone_and_scores_wait(tmp_path):
    engine = new_engine(str(tmp_path / "new.db"))
    with engine.begin() as connection:
        VERSION.create(connection)
        connection.execute(VERSION.insert().values(version=99))
    with engine.begin() as connection, pytest.raises(ConfigError, match="has version 99"):
        migrate(connection)
    kept = History(str(tmp_path / "new.db"), tmp_path / "spool.jsonl")
    assert kept.record([item()]).result(10) is True
    assert "version 99" in kept.facts["trouble"]
    kept.close()
    assert json.loads((tmp_path / "spool.jsonl").read_text())["item"] == "a.png"


def test_what_is_older_than_it_is_to_be_kept_is_forgotten(tmp_path):
    kept = History(str(tmp_path / "history.db"), tmp_path / "spool.jsonl")
    old, new = item(received_ms=int(1000 * (time.time() - 100 * 86400)), item="old"), item(item="new")
    said = {"table": "oddwave_verdicts", "id": new_id(), "item_id": old["id"], "verdict": "real", "note": "",
            "given_ms": 1}  # fmt: skip
    kept.record([old, new, said]).result(10)
    kept.close()
    again = History(str(tmp_path / "history.db"), tmp_path / "spool.jsonl", keep_seconds("90d"))
    again.record([item(item="newer")]).result(10)
    again.close()
    assert [own["item"] for own in items_of(again.engine, Wanted())] == ["newer", "new"]
    with again.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM oddwave_verdicts")).scalar() == 0


@pytest.mark.parametrize(("told", "days"), [("90d", 90), ("12 weeks", 84), ("2y", 730.5), ("36h", 1.5)])
def test_how_long_is_kept_is_read(told, days):
    assert keep_seconds(told) == pytest.approx(days * 86400)


@pytest.mark.parametrize("told", ["", "0d", "90", "-1d", "d", "9 fortnights"])
def test_other_times_are_refused(told):
    with pytest.raises(ConfigError, match="--keep"):
        keep_seconds(told)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "nothing://host/db", "://"])
def test_urls_that_are_none_are_refused(url):
    with pytest.raises(ConfigError, match=r"history"):
        new_engine(url)
