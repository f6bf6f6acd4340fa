"""The history on a real PostgreSQL server: what SQLite does, and a server that goes away and comes back."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from oddwave.service.history import History
from oddwave.service.queries import Wanted, excerpt_of, item_of, items_of, latest, trends
from oddwave.service.remembered import new_id

pytest.importorskip("psycopg", reason="needs the extra postgres")


def _binaries():
    found = [path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    there = shutil.which("initdb")
    return Path(there).parent if there else (found[-1] if found else None)


BIN = _binaries()
pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(BIN is None, reason="no PostgreSQL found: apt-get install postgresql"),
]


class Server:
    """A PostgreSQL server on a free port, run by another user where this one is root."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.run("initdb", "-D", self.folder / "data", "-U", "tester", "-A", "trust")
        self.start()

    def run(self, name, *arguments):
        command = [str(BIN / name), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, user=self.user, cwd=self.folder, timeout=60)

    def start(self):
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self.run("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self):
        self.run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-w", "stop")

    @property
    def url(self):
        return f"postgresql+psycopg://tester@127.0.0.1:{self.port}/postgres"


@pytest.fixture(scope="module")
def server():
    running = Server()
    yield running
    running.stop()
    shutil.rmtree(running.folder)


def item(**known):
    whole = {
        "table": "oddwave_items", "id": new_id(), "received_ms": int(1000 * time.time()), "model": "parts",
        "fingerprint": "f" * 64, "modality": "image", "source": "line 3", "item": "ä.png", "label": 0, "score": 1.5,
        "p_value": 0.4, "threshold": 3.0, "severity": "", "reason": "", "num_events": 0, "drift": "",
        "excerpt": b"\x00\xff", "excerpt_type": "image/webp",
    }  # fmt: skip
    return whole | known


def test_items_events_verdicts_and_trends_are_kept(server, tmp_path):
    kept = History(server.url, tmp_path / "spool.jsonl", keep_s=30 * 86400)
    one, other = item(label=1, score=9.0), item(item="b", score=None, label=-1)
    event = {"table": "oddwave_events", "item_id": one["id"], "number": 0, "score": 9.0, "p_value": 0.1,
             "start": "1 2", "end": "3 4", "facts": '{"area_px": 5}'}  # fmt: skip
    said = {"table": "oddwave_verdicts", "id": new_id(), "item_id": one["id"], "verdict": "real", "note": "ö",
            "given_ms": 7}  # fmt: skip
    old = item(received_ms=1000, item="old")
    assert kept.record([one, other, event, said, old]).result(20) is True
    assert kept.record([one]).result(20) is True  # again: no harm
    kept.close()
    kept = History(server.url, tmp_path / "spool.jsonl", keep_s=30 * 86400)
    assert [own["item"] for own in items_of(kept.engine, Wanted())] == ["b", "ä.png"]
    assert [own["item"] for own in items_of(kept.engine, Wanted(verdict="real"))] == ["ä.png"]
    found = item_of(kept.engine, one["id"])
    assert (found["verdict"], found["events"][0]["area_px"]) == ("real", 5)
    assert excerpt_of(kept.engine, one["id"]) == (b"\x00\xff", "image/webp")
    for bucket in ("hour", "day", "week"):
        (told,) = trends(kept.engine, Wanted(), bucket)
        assert (told["num_items"], told["num_anomalous"], told["num_not_judged"]) == (2, 1, 1)
        assert told["start_ms"] <= one["received_ms"]
    assert latest(kept.engine)[0]["num_items"] == 2
    kept.close()


def test_a_server_that_goes_away_loses_nothing(server, tmp_path):
    kept = History(server.url, tmp_path / "spool.jsonl")
    before = len(items_of(kept.engine, Wanted()))
    assert kept.record([item()]).result(20) is True
    server.stop()
    try:
        assert kept.record([item(item="while away")]).result(20) is True
        assert (kept.spool.num_waiting, kept.facts["reachable"]) == (1, False)
        assert kept.facts["trouble"]
    finally:
        server.start()
    kept._retry_at = 0.0
    until = time.monotonic() + 20
    while kept.spool.num_waiting and time.monotonic() < until:
        time.sleep(0.1)
    found = [own["item"] for own in items_of(kept.engine, Wanted())]
    assert (len(found), found[0], kept.facts["reachable"]) == (before + 2, "while away", True)
    kept.close()


def test_a_locked_table_never_stops_scoring(server, tmp_path):
    import psycopg

    kept = History(server.url, tmp_path / "spool.jsonl")
    with psycopg.connect(server.url.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE oddwave_items IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        assert kept.record([item(item="locked")]).result(20) is True
        assert time.monotonic() - began < 10
        assert kept.spool.num_waiting == 1
    kept.close()  # writes what waits
    assert kept.spool.num_waiting == 0
