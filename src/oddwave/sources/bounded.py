"""Files and bytes within limits: what a small file may unpack to is checked before memory is taken for it.

A compressed file of some kilobytes can unpack to gigabytes. `Limits` says how much is let through; what is not one of
oddwave's formats is named as what it is, with the way out. Read `series/reader.py` next: it reads what was opened here.
"""

import gzip
import os
import re
import stat
import zipfile
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from oddwave.errors import ConfigError, DataError

__all__ = [
    "ARRAYS_FREE", "MAX_BYTES", "MAX_RATIO", "Limits", "is_result_table", "name_of", "open_file",
    "packed_size", "read_opened", "unpacked", "zip_name",
]  # fmt: skip

MAX_BYTES = 2 << 30  # of one file once unpacked, arrays counted as doubles
MAX_RATIO = 100.0  # unpacked to packed: readings reach 50 at most, zeros 1,000
TEXT_FREE = 2 << 20  # below these sizes any ratio is let through: neither memory nor time is at stake
ARRAYS_FREE = 64 << 20
_HEAD_BYTES = 4096
_PIPE_FOLDERS = ("/dev", "/dev/fd")  # pipes that a shell hands over; any other would be waited for without end

# The first lines of scores.csv, clips.csv and events.csv, further columns behind them.
_RESULT_LINE = re.compile(
    rb"(\xef\xbb\xbf)?(item,(index,timestamp,|start_s,end_s,)?score,p_value,label|item,start,end,peak,score,p_value)"
    rb"(,[a-z_0-9]+)*\s*"
)


@dataclass(frozen=True)
class Limits:
    """How much one file may hold: `max_bytes` once unpacked, and `max_ratio` times as much as it weighs."""

    max_bytes: int = MAX_BYTES
    max_ratio: float = MAX_RATIO

    def __post_init__(self) -> None:
        """Refuse limits that nothing could keep. Raises: ConfigError."""
        for name, value in (("max_bytes", self.max_bytes), ("max_ratio", self.max_ratio)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ConfigError(f"{name} is {value!r}: give a number above 0")

    def check(self, size: int, packed: int, origin: str, free: int = TEXT_FREE) -> None:
        """Refuse `size` unpacked bytes that come of `packed` ones. Raises: DataError."""
        if size > self.max_bytes:
            raise DataError(
                f"{origin} holds {_human(size)} or more, at most {_human(self.max_bytes)} are read: split it, or raise "
                "max_bytes among the reading options"
            )
        if size > free and size > self.max_ratio * packed:
            raise DataError(
                f"{origin} unpacks from {_human(packed)} to {_human(size)} or more, over {self.max_ratio:g} times its "
                "size, as files made to fill the memory do: if you trust it, raise max_ratio among the reading options"
            )


def _human(size: int) -> str:
    for unit, width in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= width:
            return f"{size / width:.3g} {unit}"
    return f"{size} bytes"


def open_file(path: Path, limits: Limits) -> BinaryIO:
    """Open a regular file, or a pipe that a shell handed over; others would never end, or keep one waiting.

    Raises: DataError for what is no file, or cannot be opened.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return path.open("rb")
        if stat.S_ISFIFO(mode) and os.path.dirname(path) in _PIPE_FOLDERS:  # noqa: PTH120 - as it was given
            with path.open("rb") as pipe:
                return BytesIO(pipe.read(limits.max_bytes + 1))
    except FileNotFoundError:
        raise DataError(f"no such file or folder: '{path}'") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read '{path}' ({reason}): check the path and its permissions") from error
    kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
    raise DataError(f"'{path}' is {kind}, no file: give a file that holds the readings")


def packed_size(file: BinaryIO) -> int:
    """Return how many bytes lie in an open file, and go back to its beginning."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def unpacked(file: BinaryIO, origin: str, limits: Limits) -> bytes:
    """Return an open file's bytes, a gzip file's unpacked one block after the other while they keep to the limits.

    Raises: DataError for a damaged gzip file, or one that unpacks to too much.
    """
    packed = packed_size(file)
    limits.check(packed, packed, origin)
    head = file.read(2)
    file.seek(0)
    if head != b"\x1f\x8b":
        return file.read()
    blocks: list[bytes] = []
    size = 0
    try:
        with gzip.GzipFile(fileobj=file) as stream:
            while block := stream.read(1 << 20):
                size += len(block)
                limits.check(size, packed, origin)
                blocks.append(block)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{origin} is a damaged gzip file ({error}): fetch or make it again") from error
    return b"".join(blocks)


def zip_name(archive: zipfile.ZipFile) -> tuple[str, str]:
    """Return what a ZIP file that holds no NPY arrays is, and what to do about it."""
    names = archive.namelist()
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook (XLSX)", "save the sheet as CSV"
    if "mimetype" in names and "content.xml" in names:
        return "an OpenDocument file (ODS or the like)", "save the sheet as CSV"
    if any(name.startswith(("word/", "ppt/")) for name in names):
        return "an Office document", "get the readings as CSV"
    return f"a ZIP archive of {len(names)} file(s)", "unpack it and give the folder"


def is_result_table(head: bytes) -> bool:
    """Return whether a file begins like a table that oddwave itself writes: results are no data to learn from."""
    first = head[:_HEAD_BYTES].split(b"\n", 1)[0]
    return _RESULT_LINE.fullmatch(first) is not None


def read_opened(value: Any, name: str, limits: Limits) -> BinaryIO:
    """Read what somebody else opened, as bytes or as text. Raises: DataError."""
    if hasattr(value, "namelist"):
        raise DataError(f"'{name}' is an open ZIP file: give the member that holds the readings, as .open(member) does")
    try:
        raw = value.read(limits.max_bytes + 1)
    except Exception as error:  # whatever stands behind the file: a network, an archive, a decoder of text
        raise DataError(f"cannot read '{name}' ({error}): open it anew, in binary mode") from error
    if isinstance(raw, str):
        raw = raw.encode("utf-8", "surrogatepass")
    if not isinstance(raw, bytes | bytearray | memoryview):
        raise DataError(f"'{name}' gives {type(raw).__name__} when it is read: expected bytes or text")
    return BytesIO(raw)


def name_of(opened: Any) -> str:
    """Return what an open file is called; "" where it has no name."""
    name = getattr(opened, "name", None)
    return Path(name).name if isinstance(name, str) and not name.startswith("<") else ""
