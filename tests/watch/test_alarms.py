"""Alarms reach a real HTTP server and real commands once, again after failures, and are put by where nothing helps."""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from oddwave.watch.alarms import Alarms, command_of, webhook_of
from oddwave.watch.output import LineFile
from oddwave.watch.telling import Teller

RECORD = {"id": "pump-1", "change": "opened", "score": 5.0}


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
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def alarms(receivers, tmp_path, **options):
    told = []
    own = Alarms(
        receivers, Teller(told.append), sent=tmp_path / "sent", dead=tmp_path / "dead", first_s=0.01, **options
    )
    return own, told


def test_a_webhook_gets_each_event_once_after_failures(hook, tmp_path):
    hook.statuses = [500, 503]
    url = f"http://127.0.0.1:{hook.server_port}/hook"
    own, told = alarms({"webhook": webhook_of(url)}, tmp_path)
    own.add(RECORD)
    own.add(RECORD)
    own.finish(10)
    assert len(hook.seen) == 3
    assert hook.seen[-1][1] == RECORD
    assert {headers["Idempotency-Key"] for headers, _ in hook.seen} == {"pump-1"}
    assert "answered 500: event pump-1 is tried again" in told[0]
    again, _ = alarms({"webhook": webhook_of(url)}, tmp_path)
    again.add(RECORD)
    again.finish(10)
    assert len(hook.seen) == 3


def test_what_cannot_be_delivered_is_put_by_with_the_reason(tmp_path):
    own, told = alarms({"webhook": webhook_of("http://127.0.0.1:1/x")}, tmp_path, tries=2)
    own.add(RECORD)
    own.finish(20)
    (dead,) = [json.loads(line) for line in (tmp_path / "dead").read_text().splitlines()]
    assert {**dead, "reason": ""} == {**RECORD, "receiver": "webhook", "reason": ""}
    assert "cannot be reached" in dead["reason"]
    assert any("put by" in line for line in told)
    assert own.teller.num_faults == 1


def test_a_command_gets_the_record_and_no_shell(tmp_path):
    script = tmp_path / "take.py"
    script.write_text("import sys; open(sys.argv[2], 'a').write(sys.argv[1] + sys.stdin.read() + chr(10))")
    target = tmp_path / "out"
    own, _ = alarms({"exec": command_of(f"{sys.executable} {script} '$HOME; rm' {target}")}, tmp_path)
    own.add({**RECORD, "series": "$(touch x)"})
    own.finish(20)
    (line,) = target.read_text().splitlines()
    assert line.startswith("$HOME; rm{")
    assert json.loads(line.removeprefix("$HOME; rm")) == {**RECORD, "series": "$(touch x)"}


def test_a_command_that_fails_or_is_not_there_is_put_by(tmp_path):
    receivers = {"exec": command_of("/bin/sh -c 'echo broken >&2; exit 3'"), "other": command_of("/no/such/command")}
    own, _ = alarms(receivers, tmp_path, tries=1)
    own.add(RECORD)
    own.finish(20)
    reasons = sorted(json.loads(line)["reason"] for line in (tmp_path / "dead").read_text().splitlines())
    assert reasons[0].startswith("the command cannot be run")
    assert reasons[1] == "the command ended with status 3: broken"


def test_a_command_that_has_its_record_is_not_run_again_though_the_watch_was_killed_meanwhile(tmp_path):
    target = tmp_path / "out"
    command = command_of(f"/bin/sh -c 'cat >> {target}; sleep 3'")
    own, _ = alarms({"exec": command}, tmp_path)
    own.add(RECORD)
    until = time.monotonic() + 20
    while not (tmp_path / "sent").exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert own.waiting() == [RECORD]  # the command goes on: a watch that starts now is told so
    again, _ = alarms({"exec": command}, tmp_path)
    again.add(RECORD)
    assert again.waiting() == []
    own.finish(20)
    assert target.read_text() == json.dumps(RECORD)


def test_a_command_that_failed_is_run_again_after_a_restart(tmp_path):
    (tmp_path / "sent").write_text('{"key": "exec pump-1"}\n{"key": "exec pump-1", "failed": true}\n{"key": "exe')
    target = tmp_path / "out"
    own, _ = alarms({"exec": command_of(f"/bin/sh -c 'cat >> {target}'")}, tmp_path)
    own.add(RECORD)
    own.finish(20)
    assert json.loads(target.read_text()) == RECORD


def test_a_disk_that_is_full_keeps_what_waits(tmp_path, monkeypatch):
    told, path = [], tmp_path / "events"
    out = LineFile(path, Teller(told.append))
    out.write(RECORD)
    assert out.flush()
    before = path.read_bytes()
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    out.write({**RECORD, "id": "pump-2"})
    assert not out.flush()
    assert out.waiting == 1
    assert path.read_bytes() == before
    assert "No space left" in told[0]
    monkeypatch.setattr(os, "fsync", real)
    assert out.flush()
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["pump-1", "pump-2"]
    out.close()
