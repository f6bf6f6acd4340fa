"""What an input holds, item by item: local files, objects of any store that fsspec reads, or rows of Parquet files.

Local files are found and named as by the readers of one process. Of objects (`s3://bucket/parts`) a folder means all
below it that end as the modality's files do, named by their path below it. Parquet files hold an image or a recording
in each row: its bytes, or where it is. Series are files always: the points of a stream are judged by those around them,
so that a table of channels is one item, however long it is. Nothing is opened here but the ends of Parquet files, which
tell how many rows they have. Read `fetching.py` next.
"""

import hashlib
import posixpath
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np

from oddwave.dist.columns import column_of
from oddwave.errors import DataError, MissingExtraError
from oddwave.sources.files import FileKind, Part, find_files, unique_names

__all__ = ["Files", "Listing", "Rows", "Unit", "is_uri", "listed", "open_place", "opened_store", "stamp_of"]

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*(::|://)")
_PARQUET = FileKind("Parquet file", (".parquet", ".pq"), layout=False)
_KINDS = {  # modality -> where it says which files are its own
    "image": ("oddwave.sources.image.folder", "IMAGES"),
    "audio": ("oddwave.sources.audio.decode", "RECORDINGS"),
    "series": ("oddwave.sources.series.reader", "SERIES_FILES"),
}


@dataclass(frozen=True, slots=True)
class Unit:
    """One item of the input: its number in it, its id, and the file or object it is.

    `stamp` is what the store says of it (size, time or tag of the last change): another stamp, another item. `reason`
    says why it cannot be looked into. `content` are its bytes, where a table holds them.
    """

    number: int
    id: str
    place: str
    stamp: str = ""
    reason: str = ""
    content: bytes | None = None


class Listing(Protocol):
    """What an input holds, cut into pieces of so many items that no shard reaches over."""

    @property
    def pieces(self) -> Sequence[int]:
        """How many items each piece holds."""
        ...

    @property
    def facts(self) -> dict[str, Any]:
        """What the input is, for the plan: with a digest over the names and stamps of all that it holds."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out."""
        ...

    def task(self, first: int, count: int) -> dict[str, Any]:
        """Return what a worker needs to know of the items `first` to `first + count`, as plain JSON."""
        ...


@dataclass(frozen=True)
class Files:
    """An input of files or objects, one item each; `alone` where a single local file was given."""

    units: tuple[Unit, ...]
    source: str
    notes: tuple[str, ...] = ()
    alone: bool = False

    @property
    def pieces(self) -> Sequence[int]:
        """One piece: files are cut anywhere."""
        return (len(self.units),)

    @property
    def facts(self) -> dict[str, Any]:
        """Return how many files there are, and a digest over their names and stamps."""
        told = ((unit.id, unit.stamp, unit.reason) for unit in self.units)
        return {"holds": "files", "items": len(self.units), "digest": _digest(told)}

    def task(self, first: int, count: int) -> dict[str, Any]:
        """Return the units themselves."""
        units = [asdict(unit) for unit in self.units[first : first + count]]
        return {"units": units, "alone": self.alone}


@dataclass(frozen=True)
class Rows:
    """An input of rows in Parquet files: (name, place, stamp) of each file, and the rows of each of its row groups."""

    files: tuple[tuple[str, str, str], ...]
    groups: tuple[tuple[int, ...], ...]
    column: str
    notes: tuple[str, ...] = ()

    @property
    def pieces(self) -> Sequence[int]:
        """Row groups: no shard reaches over two."""
        return tuple(count for groups in self.groups for count in groups if count)

    @property
    def facts(self) -> dict[str, Any]:
        """Return how many rows there are, and a digest over the files' names and stamps."""
        told = ((name, stamp, groups) for (name, _, stamp), groups in zip(self.files, self.groups, strict=True))
        return {"holds": "rows", "items": sum(self.pieces), "column": self.column, "digest": _digest(told)}

    def task(self, first: int, count: int) -> dict[str, Any]:
        """Return file, row group and rows of it."""
        start, number, group, row = self._places[bisect_right(self._places, (first, len(self.files), 0, 0)) - 1]
        name, place, stamp = self.files[number]
        about = {"name": name, "file": place, "stamp": stamp, "group": group, "row": row}
        return {**about, "skip": first - start, "first": first, "count": count, "column": self.column}

    @cached_property
    def _places(self) -> list[tuple[int, int, int, int]]:
        """The first item of each row group that holds any, its file and group, and its first row in the file."""
        places, start = [], 0
        for number, groups in enumerate(self.groups):
            row = 0
            for group, size in enumerate(groups):
                places += [(start, number, group, row)] * bool(size)
                start, row = start + size, row + size
        return places


def listed(
    source: str,
    modality: str,
    *,
    part: Part = "test",
    recursive: bool = True,
    subset: int | None = None,
    column: str | None = None,
) -> Listing:
    """List what a folder, file, glob or URI holds of a modality, or an evenly spread subset of the files.

    Raises: DataError where that is nothing.
    """
    kind: FileKind = getattr(import_module(_KINDS[modality][0]), _KINDS[modality][1])
    if column is not None and modality == "series":
        raise DataError("a column holds images or recordings, and this is a model of time series: leave column= out")
    if modality != "series" and (column is not None or _means_parquet(source)):
        return _rows(source, column)
    if is_uri(source):
        return _spread(_objects(source, kind), subset)
    found = find_files(source, kind, "all" if modality == "series" else part, recursive)
    units = [
        Unit(number, name, str(path), _local_stamp(path), reason)
        for number, (name, path, reason) in enumerate(found.entries)
    ]
    return _spread(Files(tuple(units), source, found.notes, Path(source).expanduser().is_file()), subset)


def _spread(files: Files, subset: int | None) -> Files:
    if subset is None or subset >= len(files.units):
        return files
    places = np.linspace(0, len(files.units) - 1, subset).round().astype(int)
    kept = tuple(replace(files.units[place], number=number) for number, place in enumerate(places))
    note = f"subset: {subset} of {len(files.units)} taken, evenly spread"
    return replace(files, units=kept, notes=(*files.notes, note))


def is_uri(source: str) -> bool:
    """Return whether this is the address of a store that fsspec reads, and no local path."""
    return bool(_URI.match(source))


def opened_store(address: str) -> tuple[Any, str]:
    """Return the file system that fsspec has for an address, and the path in it.

    Raises: MissingExtraError without fsspec; DataError for an address or a store that cannot be used.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise MissingExtraError("reading from object stores", "dist") from None
    try:
        store, path = url_to_fs(address)
    except ImportError as error:  # of s3fs, gcsfs and the like: fsspec says what to install
        raise DataError(f"cannot read '{address}': {' '.join(str(error).split())}") from error
    except (OSError, ValueError) as error:
        _cannot_list(address, error)
    return store, str(path)


def _means_parquet(source: str) -> bool:
    """Return whether Parquet files are meant: by their ending, or as all that a folder holds."""
    if source.lower().endswith(_PARQUET.endings):
        return True
    if is_uri(source):
        store, path = opened_store(source)
        names = [str(name) for name in _below(store, path, source)]
        return bool(names) and all(name.lower().endswith(_PARQUET.endings) for name in names)
    folder = Path(source).expanduser()
    if not folder.is_dir():
        return False
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    return bool(entries) and all(_PARQUET.matches(entry) for entry in entries)


def _below(store: Any, path: str, source: str) -> list[str]:
    """Return all objects that an address means, in order. Raises: DataError where there are none."""
    try:
        if any(mark in path for mark in "*?["):
            found = [name for name in store.glob(path) if not store.isdir(name)]
        elif store.isfile(path):
            found = [path]
        else:
            found = store.find(path)
    except OSError as error:
        _cannot_list(source, error)
    if not found:
        raise DataError(f"there is nothing at '{source}': check the address, and what you may read there")
    return sorted(str(name) for name in found)


def _cannot_list(source: str, error: Exception) -> NoReturn:
    reason = " ".join(str(error).split()) or type(error).__name__
    raise DataError(f"cannot look into '{source}' ({reason}): check the address and what you may read") from error


def _objects(source: str, kind: FileKind) -> Files:
    store, path = opened_store(source)
    names = _below(store, path, source)
    chosen, others = kind.choose([Path(name) for name in names])
    shown = [name for name in names if Path(name) in set(chosen) and not _is_hidden(name, path)]
    if not shown:
        raise DataError(f"'{source}' holds no {kind.name}s: expected names ending in {', '.join(kind.endings)}")
    notes = (f"{len(others)} object(s) that are no {kind.name}s ignored",) if others else ()
    ids = unique_names(_ids(shown, path))
    places = (str(store.unstrip_protocol(name)) for name in shown)
    units = [
        Unit(number, own, place, _stamp(store, name))
        for number, (own, place, name) in enumerate(zip(ids, places, shown, strict=True))
    ]
    return Files(tuple(units), source, notes)


def _ids(names: Sequence[str], path: str) -> list[str]:
    """Name objects by their path below what was given; of a glob, below its first mark; one alone by its name."""
    if names == [path]:
        return [posixpath.basename(path)]
    first = min((path.index(mark) for mark in "*?[" if mark in path), default=len(path))
    root = path if first == len(path) else path[:first].rpartition("/")[0]
    return [posixpath.relpath(name, root) if root else name for name in names]


def _is_hidden(name: str, path: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name[len(path) :].split("/"))


def _rows(source: str, column: str | None) -> Rows:
    """List the row groups of Parquet files, local or not, and find the column."""
    found: Iterator[tuple[str, str, str]]
    if is_uri(source):
        files = _objects(source, _PARQUET)
        found, notes = ((unit.id, unit.place, unit.stamp) for unit in files.units), files.notes
    else:
        local = find_files(source, _PARQUET)
        found, notes = ((name, str(path), _local_stamp(path)) for name, path, _ in local.entries), local.notes
    kept, groups, name = [], [], ""
    for own in found:
        schema, sizes = _opened_parquet(own[1])
        name = column_of(schema, column, own[1])
        kept.append(own)
        groups.append(sizes)
    if not any(map(any, groups)):
        raise DataError(f"'{source}' holds no rows: give Parquet files with an image or a recording in each row")
    return Rows(tuple(kept), tuple(groups), name, notes)


def _opened_parquet(place: str) -> tuple[Any, tuple[int, ...]]:
    """Return the schema of a Parquet file and the rows of each row group; only its end is read."""
    try:
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("reading Parquet files", "dist") from None
    try:
        with open_place(place) as file:
            opened = parquet.ParquetFile(file)
            about = opened.metadata
            return opened.schema_arrow, tuple(about.row_group(i).num_rows for i in range(about.num_row_groups))
    except DataError:
        raise
    except Exception as error:  # pyarrow and stores have error classes of their own
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DataError(f"'{place}' is not a Parquet file that can be read ({reason}): write it again") from error


def open_place(place: str) -> Any:
    """Open a local file or an object to read its bytes. Raises: OSError; as `opened_store`."""
    if not is_uri(place):
        return Path(place).open("rb")
    store, path = opened_store(place)
    return store.open(path, "rb")


def stamp_of(place: str) -> str:
    """Return what the store says now of a file or object. Raises: OSError, DataError."""
    if not is_uri(place):
        return _local_stamp(Path(place))
    store, path = opened_store(place)
    return _stamp(store, path)


def _local_stamp(path: Path) -> str:
    try:
        about = path.stat()
    except OSError:
        return "unknown"
    return f"{about.st_size}:{about.st_mtime_ns}"


def _stamp(store: Any, name: str) -> str:
    try:
        about = store.info(name)
    except (OSError, NotImplementedError):
        return "unknown"
    tags = (
        "ETag",
        "etag",
        "md5Hash",
        "crc32c",
        "checksum",
        "LastModified",
        "last_modified",
        "updated",
        "mtime",
        "created",
    )
    tag = next((about[key] for key in tags if about.get(key)), "")
    return f"{about.get('size')}:{tag}"


def _digest(told: Any) -> str:
    content = hashlib.blake2b(digest_size=32)
    for each in told:
        content.update(repr(each).encode())
    return content.hexdigest()
