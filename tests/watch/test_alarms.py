"""Alarms reach a real HTTP server and real commands once, again after failures, and are put by where nothing helps."""

import json
import os
import sys
import time
import uuid

from oddwave.watch.alarms import Alarms, command_of, webhook_of
from oddwave.watch.output import LineFile
from oddwave.watch.telling import Teller

RECORD = {"id": "pump-1", "change": "opened", "score": 5.0}


def without_key(record):
    return {name: value for name, value in record.items() if name != "idempotency_key"}


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
    (key,) = {headers["Idempotency-Key"] for headers, _ in hook.seen}
    assert uuid.UUID(key).version == 5
    assert hook.seen[-1][1] == {**RECORD, "idempotency_key": key}
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
    assert {**dead, "reason": "", "idempotency_key": ""} == {
        **RECORD,
        "receiver": "webhook",
        "reason": "",
        "idempotency_key": "",
    }
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
    assert without_key(json.loads(line.removeprefix("$HOME; rm"))) == {**RECORD, "series": "$(touch x)"}


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
    command = command_of(f"/bin/sh -c 'cat >> {target}; sleep 1'")
    own, _ = alarms({"exec": command}, tmp_path)
    own.add(RECORD)
    until = time.monotonic() + 20
    while not (tmp_path / "sent").exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert [without_key(record) for record in own.waiting()] == [RECORD]  # it goes on: a watch that starts now is told
    again, _ = alarms({"exec": command}, tmp_path)
    again.add(RECORD)
    assert again.waiting() == []
    own.finish(20)
    assert without_key(json.loads(target.read_text())) == RECORD  # one record, not two


def test_a_command_that_failed_is_run_again_after_a_restart(tmp_path):
    failing, _ = alarms({"exec": command_of("/bin/sh -c 'exit 3'")}, tmp_path, tries=9)
    failing.add(RECORD)
    until = time.monotonic() + 20
    while not (tmp_path / "sent").exists() or '"failed"' not in (tmp_path / "sent").read_text():
        assert time.monotonic() < until
    failing.finish(0.0)
    with (tmp_path / "sent").open("a") as file:
        file.write('{"key": "exe')
    target = tmp_path / "out"
    own, _ = alarms({"exec": command_of(f"/bin/sh -c 'cat >> {target}'")}, tmp_path)
    own.add(RECORD)
    own.finish(20)
    assert without_key(json.loads(target.read_text())) == RECORD


def key_of(record, **origin):
    seen = []
    own = Alarms({"list": lambda given, _: seen.append(given)}, Teller(print), sent=None, dead=None, **origin)
    own.add(record)
    own.finish(10)
    return seen[0]["idempotency_key"]


def test_an_event_keeps_its_key_and_shares_it_with_no_other():
    record = {"id": "pump-1", "change": "opened", "start": 40, "start_time": "2026-02-01T00:40:00", "score": 5.0}
    moved = {"start": 38, "start_time": "2026-02-01T00:38:00", "opened_start": 40}
    moved["opened_start_time"] = record["start_time"]
    first = key_of(record)
    assert key_of({**record, "change": "closed", "score": 9.0, "seq": 7}) == first
    assert key_of({**record, **moved}) == first
    others = [key_of({**record, "id": "pump-2"}), key_of({**record, "start_time": "2026-02-02T00:40:00"}),
              key_of({**record, "id": "Pümpe \n 1"}), key_of(record, origin="model b"),
              key_of({"id": "a.png@1"}), key_of({"id": "a.png@2"})]  # fmt: skip
    assert len({first, *others}) == 7


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
