"""Where the history waits while its database does not answer: lines of JSON on the disk, written later, in order.

A line is complete or ignored: what a power cut left unfinished is passed over. Read `history.py` next.
"""

import base64
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Entry", "Spool"]

Entry = Mapping[str, Any]  # {"table": name, ...columns}
_BYTES = ("excerpt",)  # the columns that hold bytes, in the file as base64
_TOGETHER = 500


class Spool:
    """Entries in a file, oldest first. All of it may be called from any thread."""

    def __init__(self, path: Path, most_bytes: int = 1 << 30) -> None:
        self.path, self._most_bytes = path, most_bytes
        self._lock = threading.Lock()
        self.num_waiting = sum(1 for _ in self._read(path)) + sum(1 for _ in self._read(self._taken))

    @property
    def _taken(self) -> Path:
        """What is being written into the database."""
        return self.path.with_name(f"{self.path.name}.writing")

    def add(self, entries: Sequence[Entry]) -> None:
        """Append entries and bring them to the disk. Raises: OSError where there is no room."""
        lines = "".join(json.dumps(_plain(entry), ensure_ascii=False) + "\n" for entry in entries).encode()
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                before = file.tell()
                if before + len(lines) > self._most_bytes:
                    raise OSError(f"{self.path} has reached {self._most_bytes:,} bytes")
                if before and not self._ends_line(before):
                    lines = b"\n" + lines  # after what a power cut left
                try:
                    file.write(lines)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(before)
                    raise
            self.num_waiting += len(entries)

    def _ends_line(self, size: int) -> bool:
        with self.path.open("rb") as file:
            file.seek(size - 1)
            return file.read(1) == b"\n"

    def write_into(self, write: Callable[[list[Entry]], None]) -> int:
        """Hand all entries over, some at a time, and forget them; return how many. Raises: what `write` raises.

        What was handed over before an error may be handed over again: writing an entry twice must do no harm.
        """
        done = 0
        while True:
            with self._lock:
                if not self._taken.exists():
                    if not self.path.exists():
                        return done
                    self.path.replace(self._taken)
            waiting: list[Entry] = []
            for entry in self._read(self._taken):
                waiting.append(entry)
                if len(waiting) == _TOGETHER:
                    write(waiting)
                    done, waiting = done + len(waiting), []
            if waiting:
                write(waiting)
                done += len(waiting)
            with self._lock:
                self._taken.unlink()
                self.num_waiting = sum(1 for _ in self._read(self.path))

    @staticmethod
    def _read(path: Path) -> Iterator[Entry]:
        if not path.exists():
            return
        with path.open("rb") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except ValueError:  # cut off by a power cut
                    continue
                if isinstance(entry, dict) and "table" in entry:
                    yield {key: _restored(key, value) for key, value in entry.items()}


def _plain(entry: Entry) -> dict[str, Any]:
    return {
        key: base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value
        for key, value in entry.items()
    }


def _restored(key: str, value: Any) -> Any:
    return base64.b64decode(value) if key in _BYTES and isinstance(value, str) else value
