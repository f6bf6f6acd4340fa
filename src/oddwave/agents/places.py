"""The folders that an agent may read and write: nothing outside is opened, links resolved. Read `tools.py` next."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from oddwave.errors import ConfigError, DataError
from oddwave.visible import visible

__all__ = ["Places"]

_MOST_FILES = 20_000
_GLOB_MARKS = frozenset("*?[")


class Places:
    """Folders with all that lies in them; paths that are not absolute begin in the first.

    `max_bytes` bounds what one call may read, all its files together.
    """

    def __init__(self, roots: Sequence[Path], max_bytes: int) -> None:
        """Take the folders. Raises: ConfigError for one that is none."""
        for root in roots:
            if not root.is_dir():
                raise ConfigError(f"--root {visible(str(root))!r:.200} is no folder: give one that exists")
        self.roots, self.max_bytes = [root.resolve() for root in roots], max_bytes

    def data(self, text: str) -> str:
        """Return a file, a folder or a glob that may be read.

        Raises: DataError for one that is not there, leads outside or holds too much.
        """
        path = self._absolute(text)
        is_glob = not os.path.lexists(path) and bool(_GLOB_MARKS & set(text))
        found = self._matches(path) if is_glob else [self._inside(path)]
        if not found or not os.path.exists(found[0]):  # noqa: PTH110 - unlike Path.exists, it never raises
            raise DataError(f"no such file or folder: '{visible(text):.200}'; paths begin in {self._told()}")
        self._check_size(text, found)
        return str(path if is_glob else found[0])

    def model(self, text: str) -> Path:
        """Return the folder of a model that may be read or written, there or not. Raises: DataError."""
        path = self._inside(self._absolute(text))
        if path in self.roots:
            raise DataError(f"'{visible(text):.200}' is a folder of all data: give the model one of its own in it")
        if path.is_dir():
            self._check_size(text, [path])
        return path

    def _absolute(self, text: str) -> Path:
        if not text.strip() or "\0" in text:
            raise DataError(f"{text!r:.60} is no path: give one in {self._told()}")
        return self.roots[0] / text

    def _inside(self, path: Path) -> Path:
        """Return where a path leads. Raises: DataError where that is outside."""
        try:
            real = path.resolve()
        except (OSError, RuntimeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "links lead in a circle"
            raise DataError(f"'{visible(str(path)):.200}' cannot be looked up: {reason}") from None
        if not any(real.is_relative_to(root) for root in self.roots):
            shown = visible(str(path))
            raise DataError(f"'{shown:.200}' lies outside what may be used: give a path in {self._told()}")
        return real

    def _matches(self, path: Path) -> list[Path]:
        """Return what a glob means, the fixed part of it checked before anything is listed."""
        first = next(number for number, part in enumerate(path.parts) if _GLOB_MARKS & set(part))
        if ".." in path.parts[first:]:
            raise DataError(f"'{visible(str(path)):.200}' has '..' behind a wildcard: give the folder itself")
        self._inside(Path(*path.parts[:first]))
        return [self._inside(Path(found)) for found in glob.iglob(str(path), recursive=True)]  # noqa: PTH207

    def _check_size(self, text: str, found: Sequence[Path]) -> None:
        """Refuse links that lead outside, and more than may be read. Raises: DataError."""
        num_files, num_bytes = 0, 0
        for path in found:
            for file in _files(path):
                num_files += 1
                real = self._inside(file) if file.is_symlink() else file
                if real.is_dir():
                    continue
                num_bytes += real.stat().st_size if real.is_file() else 0
                if num_files > _MOST_FILES or num_bytes > self.max_bytes:
                    most = f"{_MOST_FILES:,} files or {self.max_bytes >> 20:,} MB"
                    raise DataError(f"'{visible(text):.200}' holds more than {most}: give a part of it")

    def _told(self) -> str:
        return ", ".join(f"'{visible(str(root))}'" for root in self.roots[:4])


def _files(path: Path) -> Iterator[Path]:
    """Yield a file, or all files and links below a folder; links to folders are named and not followed."""
    if not path.is_dir():
        yield path
        return
    for place, folders, files in os.walk(path):
        yield from (own for name in folders if (own := Path(place, name)).is_symlink())
        yield from (Path(place, name) for name in files)
