"""Alarms: an event is posted to a URL or given to a command, once; again later where that fails, then put by.

A thread of its own delivers, so that a slow receiver holds nothing up. What is delivered is noted at once beside the
state. A command that has read its record outlives a kill of the watch, and is noted before it ends. A kill between a
URL's answer and its note has the alarm posted again: the header Idempotency-Key is the same then. It is made of the
model, the source, the event's id and where the event was when it opened, so that it is another one for every other
event, also where a watch that began anew counts its events from 1 again.
"""

import contextlib
import json
import queue
import shlex
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any
from urllib.parse import urlsplit

from oddwave.errors import ConfigError
from oddwave.visible import visible
from oddwave.watch.telling import Teller

__all__ = ["Alarms", "Send", "command_of", "webhook_of"]

Send = Callable[[Mapping[str, Any], Callable[[], None]], None]  # calls back once given; raises OSError, with the reason
_TRIES, _FIRST_S, _LONGEST_S, _TIMEOUT_S = 6, 1.0, 60.0, 10.0
_KEYS = uuid.uuid5(uuid.NAMESPACE_URL, "oddwave:alarms")


def webhook_of(url: str) -> Send:
    """Return what posts a record as JSON. Raises: ConfigError for what is no http or https address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"--webhook {visible(url)[:80]!r} is no address: expected https://host/path")

    def send(record: Mapping[str, Any], given: Callable[[], None]) -> None:
        body = json.dumps(record, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(record["idempotency_key"])}
        request = urllib.request.Request(url, body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                answer.read(2**16)
        except urllib.error.HTTPError as error:
            error.close()
            raise OSError(f"the webhook answered {error.code}") from error
        except (OSError, ValueError, urllib.error.URLError) as error:
            raise OSError(f"the webhook cannot be reached ({error})") from error
        except Exception as error:  # http.client's own kinds
            raise OSError(f"the webhook's answer cannot be read ({type(error).__name__})") from error
        given()

    return send


def command_of(text: str) -> Send:
    """Return what runs a command, no shell between, with the record as JSON on its input. Raises: ConfigError."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"--exec {visible(text)[:80]!r} cannot be taken apart ({error}): mind the quotes") from error
    if not words:
        raise ConfigError("--exec is empty: give a command, such as --exec 'notify --urgent'")

    def send(record: Mapping[str, Any], given: Callable[[], None]) -> None:
        body = json.dumps(record, ensure_ascii=False).encode()
        try:
            with subprocess.Popen(words, stdin=PIPE, stdout=DEVNULL, stderr=PIPE) as process:
                try:
                    told = _fed(process, body, given)
                except BaseException:
                    process.kill()
                    raise
        except subprocess.TimeoutExpired as error:
            raise OSError(f"the command took longer than {_LONGEST_S:g} s") from error
        except (OSError, ValueError) as error:
            raise OSError(f"the command cannot be run ({error})") from error
        if process.returncode:
            raise OSError(f"the command ended with status {process.returncode}{told}")

    return send


def _fed(process: subprocess.Popen[bytes], body: bytes, given: Callable[[], None]) -> str:
    """Give a command its record, and wait for its end; return the last line that it complained with."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it does not read
        process.stdin.write(body)
        process.stdin.close()
    given()
    process.stdin = None
    complaint = process.communicate(timeout=_LONGEST_S)[1].decode(errors="replace").strip().splitlines()
    return f": {complaint[-1][:120]}" if complaint else ""


class Alarms:
    """Delivers each record to every receiver; `sent` is a file of what is delivered, `dead` of what could not be.

    `origin` tells the events of one model and source from others that a receiver may get.
    """

    def __init__(
        self,
        receivers: Mapping[str, Send],
        teller: Teller,
        *,
        sent: Path | None,
        dead: Path,
        origin: str = "",
        first_s: float = _FIRST_S,
        tries: int = _TRIES,
    ) -> None:
        self.receivers, self.teller, self._sent, self._dead = dict(receivers), teller, sent, dead
        self.first_s, self.tries, self.origin = first_s, tries, origin
        self._done = _noted(sent)
        self.pending: dict[str, dict[str, Any]] = {}  # what was given and is not settled, by its key
        self._queue: queue.Queue[str] = queue.Queue()
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def add(self, record: Mapping[str, Any]) -> None:
        """Take a record; an event that was delivered before is not delivered again."""
        mark = self._key_of(record)
        for name in self.receivers:
            key = f"{name} {mark}"
            with self._lock:
                if key in self._done or key in self.pending:
                    continue
                self.pending[key] = {**record, "idempotency_key": mark}
            self._queue.put(key)

    def _key_of(self, record: Mapping[str, Any]) -> str:
        """Return what an alarm has in common with itself after any restart, and with no other one."""
        moved = record.get("opened_start") is not None
        place = [record.get(f"opened_{name}" if moved else name) for name in ("start", "start_time")]
        return str(uuid.uuid5(_KEYS, json.dumps([self.origin, str(record["id"]), *place])))

    def waiting(self) -> list[dict[str, Any]]:
        """Return what is not settled yet, each record once."""
        with self._lock:
            return list({record["idempotency_key"]: record for record in self.pending.values()}.values())

    def finish(self, patience_s: float) -> None:
        """Wait for what is under way, at most so long; what is left stays pending."""
        until = time.monotonic() + patience_s
        while self.pending and time.monotonic() < until:
            time.sleep(0.02)
        self._stop.set()

    def bury(self) -> None:
        """Put by what is pending: nothing will try it again."""
        with self._lock:
            left, self.pending = list(self.pending.items()), {}
        for key, record in left:
            self._give_up(key, record, "the watch ended before it was delivered")

    def _work(self) -> None:
        due: list[tuple[float, int, str]] = []
        while not self._stop.is_set():
            with contextlib.suppress(queue.Empty):
                due.append((time.monotonic(), 0, self._queue.get(timeout=0.05)))
            now = time.monotonic()
            for entry in [entry for entry in due if entry[0] <= now]:
                due.remove(entry)
                again = self._try(entry[2], entry[1] + 1)
                if again is not None:
                    due.append((time.monotonic() + again, entry[1] + 1, entry[2]))

    def _try(self, key: str, number: int) -> float | None:
        """Deliver one; return after how many seconds to try again, None where it is settled."""
        with self._lock:
            record = self.pending.get(key)
        if record is None:
            return None
        try:
            self.receivers[key.partition(" ")[0]](record, lambda: self._note(key))
        except OSError as error:
            self._note(key, failed=True)
            if number < self.tries:
                self.teller.note("alarm", f"{error}: event {record['id']} is tried again")
                return float(min(_LONGEST_S, self.first_s * 2.0 ** (number - 1)))
            self._give_up(key, record, str(error))
        else:
            self._settle(key)
        return None

    def _settle(self, key: str) -> None:
        with self._lock:
            self.pending.pop(key, None)
            self._done.add(key)

    def _note(self, key: str, *, failed: bool = False) -> None:
        if self._sent is not None:
            _append(self._sent, {"key": key, "failed": True} if failed else {"key": key}, self.teller)

    def _give_up(self, key: str, record: Mapping[str, Any], why: str) -> None:
        _append(self._dead, {**record, "receiver": key.partition(" ")[0], "reason": why}, self.teller)
        self.teller.fault("dead", f"{why}: event {record['id']} is put by in {self._dead}")
        self._note(key)
        self._settle(key)


def _append(path: Path, record: Mapping[str, Any], teller: Teller) -> None:
    try:
        with path.open("ab") as file:
            file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
            file.flush()
    except OSError as error:
        teller.fault("note", f"cannot write {path} ({error.strerror})")


def _noted(path: Path | None) -> set[str]:
    """Return what a file says was given and did not fail; a line cut short by a kill counts for nothing."""
    if path is None or not path.exists():
        return set()
    found = set[str]()
    for line in path.read_bytes().splitlines():
        try:
            record = json.loads(line)
            (found.discard if record.get("failed") else found.add)(str(record["key"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found
