"""Sources of lines: standard input, and a file that grows, is rotated, and ends within a line.

`take` returns the lines that are there, without waiting; `position` says where to go on, and is saved with the state.
"""

import hashlib
import os
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from oddwave.errors import DataError
from oddwave.watch.telling import Teller

__all__ = ["Chunk", "FileSource", "LineSource", "StandardInput"]

_MOST_LINES, _MOST_BYTES, _LONGEST_LINE = 1024, 2**13, 2**20  # little at a time: a kill costs no more than that
_HEAD = 256


@dataclass
class Chunk:
    """Lines that came; `new_file` says that the first of them begins a file, `ended` that none will follow.

    `more` says that there may be others already.
    """

    lines: list[bytes] = field(default_factory=list)
    new_file: bool = False
    ended: bool = False
    more: bool = False


class LineSource(Protocol):
    """Where lines come from."""

    def take(self) -> Chunk:
        """Return what is there now."""
        ...

    def position(self) -> dict[str, Any]:
        """Return where to go on after what was taken."""
        ...

    def saved(self) -> None:
        """Hear that what was taken is safe."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class _Lines:
    """Cuts bytes into lines; what follows the last line end waits, a line without an end is passed over."""

    def __init__(self, teller: Teller) -> None:
        self.rest, self.teller, self.skipping = b"", teller, False

    def cut(self, content: bytes) -> list[bytes]:
        *lines, self.rest = (self.rest + content).split(b"\n")
        if self.skipping and lines:
            self.skipping = False
            del lines[0]
        kept = [line for line in lines if len(line) <= _LONGEST_LINE]
        if len(kept) < len(lines):
            self._tell()
        if len(self.rest) > _LONGEST_LINE:
            if not self.skipping:
                self._tell()
            self.rest, self.skipping = b"", True
        return kept

    def _tell(self) -> None:
        self.teller.fault("long", f"a line is longer than {_LONGEST_LINE:,} bytes: passed over")


class FileSource:
    """A file that grows. Where another file takes its name, the old one is read to its end first."""

    def __init__(self, path: Path, teller: Teller, known: Mapping[str, Any] | None = None) -> None:
        """Open it, where `known` (a `position`) says, else at its beginning. Raises: DataError."""
        self.path, self.teller, self._lines = path, teller, _Lines(teller)
        self._file, self._offset, self._new_file = self._opened(known)

    def _opened(self, known: Mapping[str, Any] | None) -> tuple[BinaryIO | None, int, bool]:
        file = self._open()
        if known is None or file is None:
            return file, 0, True
        if _is(file, known):
            file.seek(known["offset"])
            return file, known["offset"], known["offset"] == 0
        for other in sorted(self.path.parent.glob(f"{self.path.name}*")):
            if other != self.path and other.is_file():
                old = other.open("rb")
                if _is(old, known):
                    file.close()
                    old.seek(known["offset"])
                    return old, known["offset"], known["offset"] == 0
                old.close()
        self.teller.fault("rotated", f"{self.path} is another file than before: read from its beginning")
        return file, 0, True

    def _open(self) -> BinaryIO | None:
        try:
            return self.path.open("rb")
        except FileNotFoundError:
            self.teller.note("absent", f"{self.path} is not there yet: waiting for it")
            return None
        except OSError as error:
            raise DataError(f"'{self.path}' cannot be read ({error.strerror}): give a file that grows") from error

    def take(self) -> Chunk:
        if self._file is None:
            self._file = self._open()
            if self._file is None:
                return Chunk()
        content = self._file.read(_MOST_BYTES)
        if not content:
            if not self._replaced():
                return Chunk()
            content = self._file.read(_MOST_BYTES) if self._file else b""
        lines = self._lines.cut(content)
        self._offset = self._file.tell() - len(self._lines.rest) if self._file else 0
        new_file, self._new_file = self._new_file and bool(lines), self._new_file and not lines
        return Chunk(lines, new_file, more=bool(content))

    def _replaced(self) -> bool:
        """Open what stands under the name now, where that is another file or a shorter one."""
        assert self._file is not None
        try:
            now = self.path.stat()
        except OSError:
            return False
        own = os.fstat(self._file.fileno())
        if (now.st_ino, now.st_dev) == (own.st_ino, own.st_dev) and now.st_size >= self._file.tell():
            return False
        if self._lines.rest:
            self.teller.fault("cut", f"{self.path} was replaced within a line: that line is lost")
        self._file.close()
        self._lines, self._new_file, self._offset = _Lines(self.teller), True, 0
        self._file = self._open()
        return self._file is not None

    def rest(self) -> list[bytes]:
        """Return a last line without an end: nothing follows."""
        rest, self._lines.rest = self._lines.rest, b""
        self._offset += len(rest)
        return [rest] if rest else []

    def position(self) -> dict[str, Any]:
        if self._file is None:
            return {"offset": 0, "inode": 0, "head": ""}
        own = os.fstat(self._file.fileno())
        return {"offset": self._offset, "inode": own.st_ino, "head": _head(self._file, min(self._offset, _HEAD))}

    def saved(self) -> None:
        pass

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _head(file: BinaryIO, size: int) -> str:
    """Return what tells a file from others: a digest of its first bytes."""
    return hashlib.sha256(os.pread(file.fileno(), size, 0)).hexdigest()[:16]


def _is(file: BinaryIO, known: Mapping[str, Any]) -> bool:
    own, offset = os.fstat(file.fileno()), known["offset"]
    if own.st_size < offset:
        return False
    return bool(own.st_ino == known["inode"]) if not offset else _head(file, min(offset, _HEAD)) == known["head"]


class StandardInput:
    """Lines of standard input, read by a thread of its own, at most so many ahead."""

    def __init__(self, stream: BinaryIO, teller: Teller) -> None:
        self._stream, self._teller = stream, teller
        self._queue: queue.Queue[bytes | None] = queue.Queue(16 * _MOST_LINES)
        self._first, self._ended = True, False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        """Read past Python's own buffer: its lock, held by a thread that waits, would not let the process end."""
        lines, number = _Lines(self._teller), _number_of(self._stream)
        try:
            while content := self._stream.read(_MOST_BYTES) if number is None else os.read(number, _MOST_BYTES):
                for line in lines.cut(content):
                    self._queue.put(line)
        except (OSError, ValueError):
            pass
        if lines.rest:
            self._queue.put(lines.rest)
        self._queue.put(None)

    def take(self) -> Chunk:
        lines: list[bytes] = []
        while len(lines) < _MOST_LINES and not self._ended:
            try:
                line = self._queue.get_nowait()
            except queue.Empty:
                break
            if line is None:
                self._ended = True
            else:
                lines.append(line)
        first, self._first = self._first and bool(lines), self._first and not lines
        return Chunk(lines, first, self._ended)

    def position(self) -> dict[str, Any]:
        return {}

    def saved(self) -> None:
        pass

    def close(self) -> None:
        """The thread ends with the process."""


def _number_of(stream: BinaryIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):  # no file, as in a test
        return None
