"""Where findings go: JSON lines on standard output or in a file, which is cut back to what the state knows of.

A disk that is full loses nothing: lines wait, are written as soon as there is room, and no state is saved before that.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from oddwave.errors import CheckpointError
from oddwave.watch.telling import Teller

__all__ = ["LineFile", "LinePrinter"]


class LineFile:
    """A file of JSON lines that is only appended to."""

    def __init__(self, path: Path, teller: Teller, offset: int | None = None) -> None:
        """Open it; with `offset`, what stands beyond it was written after the last saved state, and is cut off.

        Raises: CheckpointError if it cannot be opened.
        """
        self.path, self.teller = path, teller
        self._waiting: list[bytes] = []
        try:
            self._file: BinaryIO = path.open("ab")
            size = path.stat().st_size
            if offset is not None and size > offset:
                self._file.truncate(offset)
            self._offset = size if offset is None else min(offset, size)
        except OSError as error:
            raise CheckpointError(f"cannot write {path} ({error.strerror}): give another place for it") from error

    @property
    def offset(self) -> int:
        """How many bytes are written for good."""
        return self._offset

    @property
    def waiting(self) -> int:
        """How many lines wait for room."""
        return len(self._waiting)

    def write(self, record: Mapping[str, Any]) -> None:
        """Take a line; it is written by `flush`."""
        self._waiting.append(json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n")

    def flush(self) -> bool:
        """Bring what waits to the disk; return whether nothing waits any more."""
        if not self._waiting:
            return True
        content = b"".join(self._waiting)
        try:
            self._file.write(content)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            self.teller.note("full", f"cannot write {self.path} ({error.strerror}): kept, tried again")
            self._reopen()
            return False
        self._offset += len(content)
        self._waiting = []
        return True

    def _reopen(self) -> None:
        """Forget a line that was written in part, also within Python's own buffer."""
        try:
            os.ftruncate(self._file.fileno(), self._offset)
            fresh = self.path.open("ab")
        except OSError:
            return
        with contextlib.suppress(OSError):
            self._file.close()
        self._file = fresh

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class LinePrinter:
    """Prints lines; what is printed cannot be taken back, so that after a kill some come twice, with the same `seq`."""

    offset, waiting = 0, 0

    def __init__(self, to: TextIO) -> None:
        self._to = to

    def write(self, record: Mapping[str, Any]) -> None:
        """Print a line."""
        self._to.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")

    def flush(self) -> bool:
        """Hand on what was printed."""
        self._to.flush()
        return True

    def close(self) -> None:
        """Nothing is to be let go."""
