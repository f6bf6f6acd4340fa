"""`read_series`: any source of time series to a `SeriesSet`, every decision noted, nothing silently wrong.

Sources: a delimited text file (gzipped or not), Parquet, NPY, NPZ, a folder of these, an array, a pandas DataFrame or
Series, a dict of name -> array, a sequence of arrays. Read `series_items.py` for what comes out, then `series_text.py`
(files), `series_table.py` (columns), `series_clock.py` (timestamps) and `series_panel.py` (instances).
"""

import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from oddwave.errors import ConfigError, DataError, OddwaveError, ShapeError
from oddwave.modalities.series_clock import MAX_GAP, align_rows
from oddwave.modalities.series_frames import frame_table, is_frame, read_parquet_table
from oddwave.modalities.series_items import (
    SeriesItem,
    SeriesSet,
    channel_notes,
    fingerprint_items,
    match_channels,
    plain_item,
)
from oddwave.modalities.series_long import read_parts
from oddwave.modalities.series_panel import LabelColumn, array_panel, looks_like_panel, table_panel
from oddwave.modalities.series_table import Table, TableContent
from oddwave.modalities.series_text import read_text_table

__all__ = ["DATA_ENDINGS", "Kind", "read_series"]

Kind = Literal["stream", "panel"]
_TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
DATA_ENDINGS = (*_TEXT_ENDINGS, ".parquet", ".pq", ".npy", ".npz")
_PROSE = ("readme", "license", "licence", "notes", "requirements", "changelog")  # .txt files that hold no data


def read_series(
    source: Any,
    *,
    timestamp: str | int | None = None,
    columns: str | Sequence[str | int] | None = None,
    exclude: str | Sequence[str | int] = (),
    delimiter: str | None = None,
    decimal: str | None = None,
    day_first: bool | None = None,
    header: bool | None = None,
    kind: Literal["auto", "stream", "panel"] = "auto",
    label_column: LabelColumn = "auto",
    max_gap: int = MAX_GAP,
) -> SeriesSet:
    """Read streams or a panel of instances.

    An array of one axis is one channel; of two, (n_timepoints, n_channels); of three, a panel (instance, channel,
    point). `timestamp` names the clock column (or its position), `columns` the channels, `exclude` those that are none,
    by name, glob or position; all are found if not given. `decimal` is the decimal sign of text ("." or ","), and
    `day_first` the order of dates such as 01/02/2024 in files that do not prove it.
    `kind="panel"` takes each row of a table as one instance; "auto" does so only for headerless .tsv and .txt files of
    16 columns or more whose first column is a class (see `looks_like_panel`), and for arrays of three axes.
    `label_column` says whether a panel's first column is its class. Gaps of up to `max_gap` points are filled with
    missing points.
    Raises: DataError for what cannot be read, in one line that names file, line and column; ConfigError for an option.
    """
    if kind not in ("auto", "stream", "panel"):
        raise ConfigError(f"kind is {kind!r}: give 'auto', 'stream' or 'panel'")
    if max_gap < 0:
        raise ConfigError(f"max_gap is {max_gap}: give 0 or more points")
    text = {"delimiter": delimiter, "header": header, "decimal": decimal}
    reader = _Reader(timestamp, columns, exclude, text, day_first, kind, label_column, max_gap)
    kinds, items, notes = reader.read(source)
    if not items:
        raise DataError("the source holds no series: give at least one stream or instance")
    if len(kinds) > 1:
        raise DataError("the source mixes streams and panels: read them apart, or set kind= to 'stream' or 'panel'")
    (found,) = kinds
    matched = _same_channels(items)
    if found == "panel":
        _check_lengths(matched)
    return SeriesSet(found, matched, tuple(notes), fingerprint_items(matched))


class _Reader:
    """The options of one `read_series` call, and one method per kind of source."""

    def __init__(
        self,
        timestamp: str | int | None,
        columns: str | Sequence[str | int] | None,
        exclude: str | Sequence[str | int],
        text: dict[str, Any],
        day_first: bool | None,
        kind: Literal["auto", "stream", "panel"],
        label_column: LabelColumn,
        max_gap: int,
    ) -> None:
        self.timestamp, self.columns, self.exclude, self.text, self.day_first = (
            timestamp,
            columns,
            exclude,
            text,
            day_first,
        )
        self.kind, self.label_column, self.max_gap = kind, label_column, max_gap

    def read(self, source: Any) -> tuple[set[Kind], list[SeriesItem], list[str]]:
        """Return the kinds met, the items in order, and notes on the source as a whole."""
        if isinstance(source, str | os.PathLike):
            path = Path(source).expanduser()
            if path.is_dir():
                return self._folder(path)
            return _collect([self._file(path, _stem(path))])
        if is_frame(source):
            return _collect([self._table("series", frame_table(source), panel=self.kind == "panel")])
        if hasattr(source, "__array__"):
            return _collect([self._array("series", np.asarray(source))])
        if isinstance(source, Mapping):
            return _collect(self._named(source.items()))
        if isinstance(source, Iterable):
            return self._sequence(list(source))
        raise DataError(
            f"cannot read a series from {type(source).__name__}: give a path, array, DataFrame, dict or list of arrays"
        )

    def _folder(self, folder: Path) -> tuple[set[Kind], list[SeriesItem], list[str]]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        data = [path for path in files if _is_data(path, folder)]
        if not data:
            raise DataError(f"folder '{folder}' holds no data file: expected {', '.join(DATA_ENDINGS)}")
        ids = [path.relative_to(folder).parent.joinpath(_stem(path)).as_posix() for path in data]
        ids = [i if ids.count(i) == 1 else p.relative_to(folder).as_posix() for i, p in zip(ids, data, strict=True)]
        kinds, items, notes = _collect(self._file(p, i, within=True) for i, p in sorted(zip(ids, data, strict=True)))
        if len(files) > len(data):
            ignored = [path.relative_to(folder).as_posix() for path in files if path not in set(data)]
            shown = ", ".join(ignored[:5]) + (", ..." if len(ignored) > 5 else "")
            notes.append(f"{len(ignored)} file(s) that hold no series ignored: {shown}")
        return kinds, items, notes

    def _file(self, path: Path, identifier: str, within: bool = False) -> tuple[Kind, list[SeriesItem]]:
        """Read one file; `within` a folder, the ids of several items in one file begin with the file's own."""
        if not path.exists():
            raise DataError(f"no such file or folder: '{path}'")
        name = path.name.lower()
        prefix = f"{identifier}/" if within else ""
        if name.endswith((".npy", ".npz")):
            arrays = _load_numpy(path)
            if len(arrays) == 1:
                return self._array(identifier, next(iter(arrays.values())), prefix)
            kinds, items, _ = _collect(self._named((f"{prefix}{key}", array) for key, array in arrays.items()))
            if len(kinds) != 1:
                raise DataError(f"'{path}' holds no arrays, or streams beside panels: save them apart")
            return kinds.pop(), items
        if name.endswith((".parquet", ".pq")):
            return self._table(identifier, read_parquet_table(path), panel=self.kind == "panel", prefix=prefix)
        table = read_text_table(path, **self.text)
        bare = name.removesuffix(".gz").endswith((".tsv", ".txt"))
        auto = self.kind == "auto" and bare and self.columns is None and self.timestamp is None
        panel = self.kind == "panel" or (auto and looks_like_panel(table))
        return self._table(identifier, table, panel=panel, prefix=prefix)

    def _table(self, identifier: str, table: Table, *, panel: bool, prefix: str = "") -> tuple[Kind, list[SeriesItem]]:
        if not panel:
            parts = read_parts(table, self.timestamp, self.columns, self.exclude, self.day_first)
            return "stream", [
                self._stream(prefix + label if label else identifier, part, content) for label, part, content in parts
            ]
        if self.columns is not None or self.timestamp is not None:
            raise ConfigError(
                "a panel's columns are its points: columns= and timestamp= do not apply with kind='panel'"
            )
        return "panel", table_panel(table, self.label_column, prefix)

    def _stream(self, identifier: str, table: Table, content: TableContent) -> SeriesItem:
        if content.times is None:
            item = plain_item(identifier, content.values, content.channel_names)
            return replace(item, notes=content.notes + item.notes)
        rows = align_rows(content.times, content.values, table.origin, self.max_gap, local=content.is_local)
        notes = content.notes + rows.notes + channel_notes(identifier, content.values, content.channel_names)
        return SeriesItem(
            identifier,
            rows.values,
            content.channel_names,
            rows.row_index,
            rows.timestamps,
            content.times,
            rows.sample_period_s,
            rows.breaks,
            notes,
            timezone=content.timezone,
            day_first=content.day_first,
        )

    def _array(self, identifier: str, array: np.ndarray, prefix: str = "") -> tuple[Kind, list[SeriesItem]]:
        values = _as_float(array, identifier)
        if self.timestamp is not None:
            raise ConfigError("an array has no columns to take timestamp= from: pass a DataFrame or a file")
        if values.ndim == 3 and self.kind == "stream":
            raise ShapeError(f"'{identifier}' has shape {values.shape}: a stream is (n_timepoints, n_channels)")
        if values.ndim == 3 or (values.ndim == 2 and self.kind == "panel"):
            if self.columns is not None:
                raise ConfigError("columns= does not apply to a panel given as an array: select its channels first")
            return "panel", array_panel(values, prefix)
        if values.ndim not in (1, 2) or self.kind == "panel":
            raise ShapeError(
                f"'{identifier}' has shape {values.shape}: expected (n_timepoints,), (n_timepoints, n_channels) or a "
                "panel (instances, channels, points)"
            )
        values = values[:, None] if values.ndim == 1 else values
        names = self._array_columns(values.shape[1])
        item = plain_item(identifier, values[:, list(names.values())], tuple(names))
        if values.shape[1] > values.shape[0]:
            note = f"{values.shape[1]} channels but {values.shape[0]} points: rows are points in time; else transpose"
            item = replace(item, notes=(*item.notes, note))
        return "stream", [item]

    def _array_columns(self, num_channels: int) -> dict[str, int]:
        names = {f"channel_{i}": i for i in range(num_channels)}
        if self.columns is None:
            return names
        keys = [self.columns] if isinstance(self.columns, str) else self.columns
        chosen = [f"channel_{key}" if isinstance(key, int) else key for key in keys]
        unknown = [name for name in chosen if name not in names]
        if unknown or not chosen:
            raise DataError(
                f"columns names {', '.join(unknown) or 'nothing'}, but the array has channel_0 to "
                f"channel_{num_channels - 1}: choose among them"
            )
        return {name: names[name] for name in chosen}

    def _named(self, pairs: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Kind, list[SeriesItem]]]:
        for key, value in pairs:
            if is_frame(value):
                yield self._table(str(key), frame_table(value), panel=self.kind == "panel", prefix=f"{key}/")
            else:
                yield self._array(str(key), np.asarray(value), f"{key}/")

    def _sequence(self, source: list[Any]) -> tuple[set[Kind], list[SeriesItem], list[str]]:
        """Numbers are one channel; paths, arrays or frames are one stream each, or with kind="panel" its instances."""
        if source and all(np.ndim(entry) == 0 and not isinstance(entry, str | os.PathLike) for entry in source):
            return _collect([self._array("series", np.asarray(source))])
        if source and all(isinstance(entry, str | os.PathLike) for entry in source):
            paths = [Path(entry).expanduser() for entry in source]
            return _collect(self._file(path, path.with_name(_stem(path)).as_posix(), within=True) for path in paths)
        if self.kind == "panel":
            try:
                return _collect([self._array("series", np.stack([np.asarray(entry) for entry in source]))])
            except ValueError as error:
                if isinstance(error, OddwaveError):
                    raise
                raise ShapeError("the instances of a panel differ in shape: make them equally long") from error
        return _collect(self._named((f"series_{i}", entry) for i, entry in enumerate(source)))


def _collect(parts: Iterable[tuple[Kind, list[SeriesItem]]]) -> tuple[set[Kind], list[SeriesItem], list[str]]:
    kinds: set[Kind] = set()
    items: list[SeriesItem] = []
    for kind, more in parts:
        kinds.add(kind)
        items.extend(more)
    return kinds, items, []


def _stem(path: Path) -> str:
    ending = max((e for e in DATA_ENDINGS if path.name.lower().endswith(e)), key=len, default=path.suffix)
    return path.name[: len(path.name) - len(ending)] or path.name


def _is_data(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
    name = path.name.lower()
    prose = name.endswith(".txt") and name.startswith(_PROSE)
    return name.endswith(DATA_ENDINGS) and not hidden and not prose


def _load_numpy(path: Path) -> dict[str, np.ndarray]:
    """Return name -> array of an NPZ file, "" -> array of an NPY file; pickled objects are refused."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            return {"": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"'{path}' is not an array of numbers NumPy can read ({reason}): save it again") from error


def _as_float(array: np.ndarray, identifier: str) -> Float[np.ndarray, "..."]:
    if array.dtype.kind not in "biuf":
        raise DataError(f"'{identifier}' has dtype {array.dtype}: expected numbers (integer, float or bool)")
    if not array.size:
        raise DataError(f"'{identifier}' has shape {array.shape}: expected at least one point and one channel")
    return array.astype(np.float64)


def _same_channels(items: list[SeriesItem]) -> tuple[SeriesItem, ...]:
    ids = [item.id for item in items]
    if len(set(ids)) < len(ids):
        twice = next(identifier for identifier in ids if ids.count(identifier) > 1)
        raise DataError(f"two series are called '{twice}': give each its own name")
    return tuple(match_channels(item, items[0].channel_names) for item in items)


def _check_lengths(items: Sequence[SeriesItem]) -> None:
    lengths = {item.n_timepoints for item in items}
    if len(lengths) > 1:
        raise ShapeError(
            f"the instances of a panel have {min(lengths)} to {max(lengths)} points: make them equally long"
        )
