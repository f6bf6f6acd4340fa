"""Make paths that are no ordinary files: pipes, loops, devices, vanished and changing files, names that hurt.

A maker takes an empty folder, a good file's name and bytes, and a generator; it returns the source that is read, and
where something must happen between reading the source and decoding it, what to do then.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mutations import Rng, one_of

__all__ = ["PLACES"]

Then = Callable[[], None]
Place = Callable[[Path, str, bytes, Rng], tuple[Any, Then | None]]


def _good(folder: Path, name: str, raw: bytes) -> Path:
    path = folder / name
    path.write_bytes(raw)
    return path


def _pipe(folder: Path, name: str, raw: bytes, rng: Rng) -> tuple[Any, None]:
    os.mkfifo(folder / name)
    return _alone_or_within(folder, name, rng), None


def _alone_or_within(folder: Path, name: str, rng: Rng) -> Any:
    return one_of(rng, (folder / name, folder, [folder / name], str(folder / name)))


def _folder_as_file(folder: Path, name: str, raw: bytes, rng: Rng) -> tuple[Any, None]:
    (folder / name).mkdir()
    return _alone_or_within(folder, name, rng), None


def _link(*targets: str) -> Place:
    def make(folder: Path, name: str, raw: bytes, rng: Rng) -> tuple[Any, None]:
        target = one_of(rng, targets)
        (folder / name).symlink_to(target.format(name=name))
        return _alone_or_within(folder, name, rng), None

    return make


def _ring_of_folders(folder: Path, name: str, raw: bytes, rng: Rng) -> tuple[Any, None]:
    _good(folder, name, raw)
    deeper = folder / "a" / "b"
    deeper.mkdir(parents=True)
    (deeper / "up").symlink_to(folder)
    (folder / "self").symlink_to(folder)
    return folder, None


def _socket(folder: Path, name: str, raw: bytes, rng: Rng) -> tuple[Any, None]:
    here = Path.cwd()
    os.chdir(folder)  # the names of sockets must be short
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(name)
    finally:
        os.chdir(here)
    return _alone_or_within(folder, name, rng), None


def _vanished(folder: Path, name: str, raw: bytes, rng: Rng) -> tuple[Any, Then]:
    path = _good(folder, name, raw)
    others = (
        path.unlink,
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(raw[: len(raw) // 2]),
        lambda: _becomes_folder(path),
    )
    return _alone_or_within(folder, name, rng), others[int(rng.integers(len(others)))]


def _becomes_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _changing(folder: Path, name: str, raw: bytes, rng: Rng) -> tuple[Any, None]:
    """Let another thread rewrite, cut and grow the file for a while."""
    path = _good(folder, name, raw * 1)

    def busy() -> None:
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            for part in (raw, raw[: len(raw) // 3], raw + raw, b""):
                with contextlib.suppress(OSError):
                    path.write_bytes(part)

    threading.Thread(target=busy, daemon=True).start()
    return _alone_or_within(folder, name, rng), None


def _unreadable(folder: Path, name: str, raw: bytes, rng: Rng) -> tuple[Any, None]:
    path = _good(folder, name, raw)
    path.chmod(0)  # root reads it all the same
    return _alone_or_within(folder, name, rng), None


def _named(folder: Path, name: str, raw: bytes, rng: Rng) -> tuple[Any, None]:
    """Write a good or a damaged file under a name that hurts terminals, globs, logs or file systems."""
    stems = (
        *(
            "\x1b[31mred",
            "line\nbreak",
            "tab\tcell",
            "[0-9]",
            "a*b?c",
            "{x}",
            "%s%n",
            "=cmd",
            "-rf",
            "~root",
            "$HOME",
            "'",
            '"',
        ),
        *("é", "\u202egnp", "\udcff", "\x7f", " ", "a" * 240, "con", "#", "\\", "C:\\x", "\x9b31m", "\u2028"),
    )
    path = folder / f"{one_of(rng, stems)}{Path(name).suffix}"
    path.write_bytes(raw if rng.random() < 0.4 else raw[: len(raw) // 2] if rng.random() < 0.5 else b"")
    return one_of(rng, (path, folder, [path, path], str(path))), None


def _nowhere(folder: Path, name: str, raw: bytes, rng: Rng) -> tuple[Any, None]:
    _good(folder, name, raw)
    places = (
        *(
            folder / "no" / name,
            folder / name / name,
            folder / ("x" * 300 + name),
            f"{folder}/\0{name}",
            str(folder / "*.nothing"),
        ),
        *(
            "",
            ".nothing",
            "~nobody-of-that-name/x",
            "x/" * 2500,
            str(folder / "\x1b[31m\n") + name,
            f"{folder}/{'d/' * 3000}{name}",
        ),
        *(
            os.fsencode(folder / name),
            [folder / "no"],
            [folder / name, ""],
            [folder / name, folder],
            [folder],
            f"{folder}/[",
            [""],
        ),
        *(
            f"{folder}/**/**/**",
            f"{folder}/**/*",
            str(folder / name) + "/",
            f"file://{folder / name}",
            "https://localhost/x.csv",
        ),
    )
    return one_of(rng, places), None


def _crowd(folder: Path, name: str, raw: bytes, rng: Rng) -> tuple[Any, None]:
    """Lay many files together, good and bad, with equal contents and nearly equal names."""
    for i in range(one_of(rng, (2, 30, 400))):
        (folder / f"{i}_{name}").write_bytes(raw if i % 3 else raw[: (i * 37) % len(raw)])
    (folder / name.upper()).write_bytes(raw)
    (folder / f".{name}").write_bytes(raw)
    (folder / "empty").mkdir()
    return one_of(rng, (folder, sorted(folder.iterdir()), [*[folder / name.upper()] * 3, folder / f"1_{name}"])), None


def _deep(folder: Path, name: str, raw: bytes, rng: Rng) -> tuple[Any, None]:
    inner = folder.joinpath(*["d"] * 300)
    inner.mkdir(parents=True)
    _good(inner, name, raw)
    return folder, None


def _wrong_ending(folder: Path, name: str, raw: bytes, rng: Rng) -> tuple[Any, None]:
    endings = (
        ".csv",
        ".npy",
        ".npz",
        ".parquet",
        ".png",
        ".jpg",
        ".wav",
        ".flac",
        ".xlsx",
        ".zip",
        ".heic",
        ".csv.gz",
        ".txt",
        "",
        ".",
    )
    path = _good(folder, f"file{one_of(rng, endings)}", raw)
    return one_of(rng, (path, folder, [path])), None


PLACES: dict[str, Place] = {
    "pipe": _pipe,
    "folder named like a file": _folder_as_file,
    "link to a device": _link("/dev/zero", "/dev/null", "/dev/full", "/dev/tty", "/dev/urandom", "/proc/self/mem"),
    "link in a circle": _link("{name}", "./{name}", "../{name}", "nowhere"),
    "folders in a circle": _ring_of_folders,
    "socket": _socket,
    "vanished or changed": _vanished,
    "changing while read": _changing,
    "unreadable": _unreadable,
    "odd names": _named,
    "nowhere": _nowhere,
    "crowd": _crowd,
    "deep": _deep,
    "wrong ending": _wrong_ending,
}
