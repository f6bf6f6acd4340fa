"""A shard's items on the machine that scores them: local files where they lie, all else in a passing folder.

Bytes of a table and objects of a store become files for as long as the shard is scored, so that the readers of one
process read them, and find the same faults. Read `shards.py` next.
"""

import posixpath
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from oddwave.dist.columns import cell_of, place_of
from oddwave.dist.listing import Unit, is_uri, open_place, opened_store, stamp_of
from oddwave.errors import DataError
from oddwave.sources.files import unique_names

__all__ = ["Placed", "placed", "units_of"]

_TRIES, _PAUSE_S = 3, 1.0
_AT_ONCE = 8  # objects; fetching waits for the network
_LONGEST_ENDING = 10
_CHANGED = "has changed since the plan was made: give another output folder once nobody writes to it"


@dataclass(frozen=True, slots=True)
class Placed:
    """An item's file on this machine; `passing` where it is a copy, `reason` where there is none."""

    unit: Unit
    path: Path
    passing: bool = False
    reason: str = ""


def units_of(task: Mapping[str, Any]) -> list[Unit]:
    """Return the items of a task, those of a table with their bytes. Raises: DataError for a table that has changed."""
    if "units" in task:
        return [Unit(**own) for own in task["units"]]
    if stamp_of(task["file"]) != task["stamp"]:
        raise DataError(f"'{task['file']}' {_CHANGED}")
    units: list[Unit] = []
    for offset, value in enumerate(_cells(task)):
        own = f"{task['name']}#{task['row'] + task['skip'] + offset}"
        content, name = cell_of(value)
        reason = "" if content is not None or name else "holds nothing: the cell is empty"
        place = own if content is not None or reason else place_of(name, task["file"])
        units.append(Unit(task["first"] + offset, name or own, place, "", reason, content))
    if len(units) != task["count"]:
        raise DataError(f"'{task['file']}' {_CHANGED}")
    names = unique_names([unit.id for unit in units])
    return [replace(unit, id=name) for unit, name in zip(units, names, strict=True)]


def _cells(task: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the cells of a run of rows within one row group, without holding more of it than must be."""
    from pyarrow import parquet

    skip, left = task["skip"], task["count"]
    with open_place(task["file"]) as file:
        opened = parquet.ParquetFile(file)
        size = max(64, min(1024, skip + left))
        for batch in opened.iter_batches(size, row_groups=[task["group"]], columns=[task["column"]]):
            if skip >= batch.num_rows:
                skip -= batch.num_rows
                continue
            own = batch.column(0).slice(skip, left)
            yield from own.to_pylist()
            left, skip = left - len(own), 0
            if not left:
                return


@contextmanager
def placed(units: Sequence[Unit]) -> Iterator[list[Placed]]:
    """Bring items to this machine for as long as the block lasts.

    Raises: DataError where a store cannot be reached; what is not there, or must not be read, is put down as such.
    """
    with TemporaryDirectory(prefix="oddwave-") as name:
        folder = Path(name)
        remote = any(unit.content is None and is_uri(unit.place) for unit in units)
        with ThreadPoolExecutor(_AT_ONCE if remote else 1) as pool:
            yield list(pool.map(lambda pair: _placed(pair[1], folder / f"{pair[0]:06d}"), enumerate(units)))


def _placed(unit: Unit, copy: Path) -> Placed:
    path = copy.with_name(copy.name + _ending(unit.id))
    if unit.reason:
        return Placed(unit, Path(unit.place), reason=unit.reason)
    if unit.content is not None:
        path.write_bytes(unit.content)
        return Placed(unit, path, passing=True)
    if is_uri(unit.place):
        reason = _fetched(unit, path)
        return Placed(unit, path, passing=True, reason=reason)
    local = Path(unit.place).expanduser()
    changed = unit.stamp not in ("", "unknown", stamp_of(unit.place)) and local.exists()
    return Placed(unit, local, reason=_CHANGED if changed else "")


def _fetched(unit: Unit, path: Path) -> str:
    """Copy an object to a file; return why it cannot be had, or nothing."""
    store, name = opened_store(unit.place)
    for attempt in range(_TRIES):
        try:
            if unit.stamp and unit.stamp != stamp_of(unit.place) and store.exists(name):
                return _CHANGED
            store.get_file(name, str(path))
            return ""
        except FileNotFoundError:
            return "does not exist (any more): read the source again once nobody writes to it"
        except PermissionError:
            return "cannot be read (permission denied): check what you may read"
        except (OSError, TimeoutError) as error:
            if attempt + 1 == _TRIES:
                reason = " ".join(str(error).split()) or type(error).__name__
                raise DataError(
                    f"cannot fetch '{unit.place}' ({reason}): once the store can be reached, the same command goes on"
                ) from error
            time.sleep(_PAUSE_S * 2**attempt)
    return ""


def _ending(name: str) -> str:
    """Return a file's ending, or endings, where a name has one: readers may look at it."""
    base = posixpath.basename(name.replace("\\", "/"))
    ending = "".join(Path(base).suffixes[-2:]) if base.lower().endswith(".gz") else Path(base).suffix
    return ending if len(ending) <= _LONGEST_ENDING and ending.isascii() and "#" not in ending else ""
