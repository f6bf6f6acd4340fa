"""`read_series`: any source of time series to a `SeriesSet`, every decision noted, nothing silently wrong.

Sources: a delimited text file (gzipped or not), Parquet, NPY, NPZ, as a path, an open file or bytes; a folder, a glob
or a list of these; arrays and tensors; data frames of pandas, polars, Arrow or xarray; a dict of name -> any of these.
What a file is, its first bytes say. Read `items.py` for what comes out, `sources/files.py` and `sources/bounded.py`
for which files are read and how much of them, then `text.py`, `frames.py` and `arrays.py`
(contents), `table.py` (columns), `clock.py` (timestamps) and `panel.py` (instances).
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from jaxtyping import Float

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.sources.arrays import is_tensor
from oddwave.sources.base import Candidate, check_option, read_entries
from oddwave.sources.bounded import (
    MAX_BYTES,
    MAX_RATIO,
    Limits,
    is_result_table,
    name_of,
    open_file,
    read_opened,
    unpacked,
)  # fmt: skip
from oddwave.sources.files import FileKind, FoundFiles, OnError, find_files, find_listed
from oddwave.sources.foreign import HEAD_BYTES, foreign_data
from oddwave.sources.series.arrays import (
    array_columns,
    is_scalar,
    numbers_of,
    read_npy,
    read_npz,
    scalars_of,
    stacked,
)
from oddwave.sources.series.clock import MAX_GAP, align_rows
from oddwave.sources.series.frames import frame_parts, is_frame
from oddwave.sources.series.items import (
    SeriesFailure,
    SeriesItem,
    SeriesSet,
    channel_notes,
    check_ids,
    check_lengths,
    fingerprint_items,
    match_channels,
    plain_item,
    same_channels,
)  # fmt: skip
from oddwave.sources.series.long import read_parts
from oddwave.sources.series.options import Kind, ReadOptions
from oddwave.sources.series.panel import LabelColumn, array_panel, looks_like_panel, table_panel
from oddwave.sources.series.parquet import read_parquet
from oddwave.sources.series.table import Table, TableContent
from oddwave.sources.series.text import read_text_table

__all__ = ["DATA_ENDINGS", "SERIES_FILES", "Kind", "read_series"]

DATA_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet", ".pq", ".npy", ".npz")
_PROSE = ("readme", "license", "licence", "notes", "requirements", "changelog")  # .txt files that hold no data
_BINARY = {".npy": "an NPY file", ".npz": "an NPZ file", ".parquet": "a Parquet file", ".pq": "a Parquet file"}
_Items = tuple[Kind, Sequence[SeriesItem | SeriesFailure]]


class _SeriesFiles(FileKind):
    """Files of series; text that is known to be prose is none."""

    def matches(self, path: Path) -> bool:
        """Return whether a file's name is one of a series'."""
        name = path.name.lower()
        return super().matches(path) and not (name.endswith(".txt") and name.startswith(_PROSE))


SERIES_FILES = _SeriesFiles("data file", DATA_ENDINGS, layout=False)


def read_series(
    source: Any,
    *,
    timestamp: str | int | None = None,
    columns: str | Sequence[str | int] | None = None,
    exclude: str | Sequence[str | int] | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    day_first: bool | None = None,
    header: bool | None = None,
    kind: Literal["auto", "stream", "panel"] = "auto",
    label_column: LabelColumn = "auto",
    max_gap: int = MAX_GAP,
    on_error: OnError = "stop",
    max_bytes: int = MAX_BYTES,
    max_ratio: float = MAX_RATIO,
    like: Sequence[str] = (),
) -> SeriesSet:
    """Read streams or a panel of instances.

    An array of one axis is one channel; of two, (n_timepoints, n_channels); of three, a panel (instance, channel,
    point). `timestamp` names the clock column (or its position), `columns` the channels, `exclude` those that are none,
    by name, glob or position; both are found if not given. `decimal` is the decimal sign of text, "." or ",", and
    `day_first` the order of dates such as 01/02/2024, where the text proves neither. A table whose label columns tell
    several series apart is a stream of each. `kind="panel"` takes each row of a table as one instance; "auto" does so
    only for headerless .tsv and .txt files of 16 columns or more whose first column is a class (see
    `looks_like_panel`), and for arrays of three axes. `label_column` says whether a panel's first column is its class.
    Gaps of up to `max_gap` points are filled with missing points.

    `on_error` stops at the first of several series that cannot be read, or skips it (see `SeriesSet.failures`); a
    single one always stops. `max_bytes` and `max_ratio` say what one file may unpack to. `like` are the channels of a
    model: they alone are read, by their names, whatever else there is.
    Raises: DataError for what cannot be read, in one line that names file, line and column; ConfigError for an option.
    """
    check_option("on_error", on_error, "skip", "stop")
    limits = Limits(max_bytes, max_ratio)
    reader = _Reader(
        timestamp, columns, exclude, delimiter, decimal, day_first, header, kind, label_column, max_gap, limits,
        tuple(like),
    )  # fmt: skip
    return _read_all(reader.find(source), on_error, reader.like)


@dataclass(frozen=True)
class _Found:
    entries: Sequence[Candidate[_Items]]
    notes: tuple[str, ...] = ()
    named: bool = False  # by whoever gave it, who must not name two alike


class _OwnResultsError(DataError):
    """Results of oddwave were given as data."""


def _read_all(found: _Found, on_error: OnError, like: tuple[str, ...]) -> SeriesSet:
    """Read every entry, in the order given, and put down those that cannot be where they are to be skipped."""
    notes, alone = list(found.notes), len(found.entries) == 1

    def reading(entry: Candidate[_Items]) -> _Items | None:
        try:
            kind, items = entry.read()
        except _OwnResultsError:
            if alone:
                raise
            notes.append(f"'{entry.id}' holds results that oddwave wrote, no data: passed over")
            return None
        matched = [match_channels(item, like) if like and isinstance(item, SeriesItem) else item for item in items]
        return kind, matched

    kinds: dict[Kind, None] = {}
    entries: list[SeriesItem | SeriesFailure] = []
    candidates = [Candidate(entry.id, entry.path, partial(reading, entry)) for entry in found.entries]
    for outcome in read_entries(candidates, "stop" if alone else on_error, SeriesFailure):
        if isinstance(outcome, SeriesFailure):
            entries.append(outcome)
        elif isinstance(outcome, tuple):
            kinds[outcome[0]] = None
            entries += outcome[1]
    items = [entry for entry in entries if isinstance(entry, SeriesItem)]
    failures = [replace(entry, place=i) for i, entry in enumerate(entries) if isinstance(entry, SeriesFailure)]
    if failures and (on_error == "stop" or not items):
        raise DataError(failures[0].reason)
    if not items:
        raise DataError("the source holds no series: give at least one stream or instance")
    if len(kinds) > 1:
        raise DataError("the source mixes streams and panels: read them apart, or set kind= to 'stream' or 'panel'")
    if found.named:
        check_ids(items)
    (found_kind,) = kinds
    matched = tuple(items) if like else same_channels(items)
    if found_kind == "panel":
        check_lengths(matched)
    return SeriesSet(found_kind, matched, tuple(notes), fingerprint_items(matched), tuple(failures))


class _Reader(ReadOptions):
    """The options of one `read_series` call, and one method per kind of source."""

    def find(self, source: Any) -> _Found:
        """Return the parts of a source, in order, each of which may turn out to be unreadable."""
        if isinstance(source, str | os.PathLike):
            path = _plain_path(source)
            found = find_files(path, SERIES_FILES)
            return self._files(found, alone=os.path.isfile(Path(path).expanduser()))  # noqa: PTH113
        if _is_single(source):
            return _Found([self._entry("series", source)])
        if isinstance(source, Mapping):
            return _Found([self._entry(str(key), value, f"{key}/") for key, value in source.items()], named=True)
        if isinstance(source, Iterable):
            return self._sequence(list(source))
        raise DataError(
            f"cannot read a series from {type(source).__name__}: give a path, array, DataFrame, dict or list of arrays"
        )

    def _files(self, found: FoundFiles, alone: bool) -> _Found:
        """Name the items in a file after it; those of the only file there is, by what they are called in it."""
        single = alone and len(found.entries) == 1

        def entry(identifier: str, path: Path, reason: str) -> Candidate[_Items]:
            prefix = "" if single else f"{identifier}/"
            return Candidate(identifier, path, lambda: self._file(path, identifier, prefix, reason))

        return _Found([entry(*each) for each in found.entries], found.notes)

    def _sequence(self, source: list[Any]) -> _Found:
        """Numbers are one channel; paths, arrays or frames are one stream each, or with kind="panel" its instances."""
        if source and all(isinstance(entry, str | os.PathLike) for entry in source):
            return self._files(find_listed([_plain_path(entry) for entry in source]), alone=False)
        if source and all(is_scalar(entry) for entry in source):
            return _Found([Candidate("series", None, lambda: self._array("series", scalars_of(source, "series"), ""))])
        if self.kind == "panel":
            return _Found(
                [Candidate("series", None, lambda: self._array("series", stacked(source), ""))] if source else []
            )
        return _Found([self._entry(f"series_{i}", entry, f"series_{i}/") for i, entry in enumerate(source)])

    def _entry(self, identifier: str, value: Any, prefix: str = "") -> Candidate[_Items]:
        if isinstance(value, str | os.PathLike):
            path = Path(_plain_path(value))
            return Candidate(identifier, path, lambda: self._file(path.expanduser(), identifier, prefix))
        return Candidate(identifier, None, lambda: self._value(identifier, value, prefix))

    def _value(self, identifier: str, value: Any, prefix: str) -> _Items:
        """Read one thing in memory, or an open file."""
        if hasattr(value, "read_bytes"):  # a path within an archive
            value = BytesIO(value.read_bytes())
        if isinstance(value, bytes | bytearray | memoryview):
            value = BytesIO(value)
        if hasattr(value, "read"):
            name = name_of(value) or identifier
            return self._content(read_opened(value, name, self.limits), f"'{name}'", Path(name), identifier, prefix)
        if is_frame(value):
            return self._frame(identifier, value, prefix)
        return self._array(identifier, numbers_of(value, identifier), prefix)

    def _file(self, path: Path, identifier: str, prefix: str, reason: str = "") -> _Items:
        if reason:
            raise DataError(f"'{path}' {reason}")
        with open_file(path, self.limits) as file:
            return self._content(file, f"'{path}'", path, identifier, prefix)

    def _content(self, file: BinaryIO, origin: str, path: Path, identifier: str, prefix: str) -> _Items:
        """Read a file as what its first bytes say it is; its name decides between kinds of text only."""
        head = file.read(HEAD_BYTES)
        file.seek(0)
        if head.startswith(b"\x93NUMPY"):
            return self._array(identifier, numbers_of(read_npy(file, origin, self.limits), identifier), prefix)
        if head.startswith(b"PK"):
            return self._arrays(read_npz(file, origin, self.limits), identifier, prefix)
        if head.startswith(b"PAR1"):
            frame, notes = read_parquet(file, origin, self.limits)
            return self._frame(identifier, frame, prefix, origin, notes)
        foreign = foreign_data(head)
        if foreign:
            raise DataError(f"{origin} is {foreign[0]}: {foreign[1]}")
        named = _BINARY.get(path.suffix.lower())
        if named and head:
            raise DataError(f"{origin} is not {named}, as its name says, nor any other that can be read: save it again")
        raw = unpacked(file, origin, self.limits)
        if is_result_table(raw):
            raise _OwnResultsError(f"{origin} holds results that oddwave wrote: give the data they were made of")
        return self._text(
            read_text_table(path, delimiter=self.delimiter, decimal=self.decimal, header=self.header, raw=raw),
            path,
            identifier,
            prefix,
        )

    def _text(self, table: Table, path: Path, identifier: str, prefix: str) -> _Items:
        bare = path.name.lower().removesuffix(".gz").endswith((".tsv", ".txt"))
        auto = self.kind == "auto" and bare and self.columns is None and self.timestamp is None
        if self.kind == "panel" or (auto and looks_like_panel(table)):
            return self._panel(table, prefix)
        return "stream", self._streams(identifier, table, prefix)

    def _frame(
        self, identifier: str, frame: Any, prefix: str, origin: str = "the DataFrame", notes: tuple[str, ...] = ()
    ) -> _Items:
        panel = self.kind == "panel"
        parts = frame_parts(frame, origin, clock=self.timestamp, split=not panel)
        if panel:
            return self._panel(parts[0].table, prefix)
        named = [(prefix + part.entity if part.entity else identifier, part) for part in parts]
        within = [prefix if len(parts) == 1 else f"{name}/" for name, _ in named]
        items = [
            item
            for (name, part), inner in zip(named, within, strict=True)
            for item in self._streams(name, part.table, inner)
        ]
        return "stream", [replace(item, notes=notes + item.notes) for item in items]

    def _panel(self, table: Table, prefix: str) -> _Items:
        if self.columns is not None or self.timestamp is not None or self.exclude is not None:
            raise ConfigError(
                "a panel's columns are its points: columns=, exclude= and timestamp= do not apply with kind='panel'"
            )
        return "panel", table_panel(table, self.label_column, prefix)

    def _streams(self, identifier: str, table: Table, prefix: str) -> list[SeriesItem]:
        """Read a table as one stream, or as those that its label columns tell apart."""
        parts = read_parts(table, self)
        return [self._stream(prefix + label if label else identifier, part, content) for label, part, content in parts]

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

    def _arrays(self, arrays: Mapping[str, np.ndarray], identifier: str, prefix: str) -> _Items:
        """Read the arrays of one file: a single one by the file's name, several by their own."""
        if len(arrays) == 1:
            return self._array(identifier, numbers_of(next(iter(arrays.values())), identifier), prefix)
        read = [
            self._array(prefix + key, numbers_of(array, prefix + key), f"{prefix}{key}/")
            for key, array in arrays.items()
        ]
        kinds = {kind for kind, _ in read}
        if len(kinds) != 1:
            raise DataError(f"'{identifier}' holds streams beside panels: save them apart")
        return kinds.pop(), [item for _, items in read for item in items]

    def _array(self, identifier: str, values: Float[np.ndarray, "..."], prefix: str) -> _Items:
        if self.timestamp is not None:
            raise ConfigError("an array has no columns to take timestamp= from: pass a DataFrame or a file")
        if values.ndim == 3 and self.kind == "stream":
            raise ShapeError(f"'{identifier}' has shape {values.shape}: a stream is (n_timepoints, n_channels)")
        if values.ndim == 3 or (values.ndim == 2 and self.kind == "panel"):
            if self.columns is not None or self.exclude is not None:
                raise ConfigError(
                    "columns= and exclude= do not apply to a panel given as an array: select its channels"
                )
            return "panel", array_panel(values, prefix)
        if values.ndim not in (1, 2) or self.kind == "panel":
            raise ShapeError(
                f"'{identifier}' has shape {values.shape}: expected (n_timepoints,), (n_timepoints, n_channels) or a "
                "panel (instances, channels, points)"
            )
        values = values[:, None] if values.ndim == 1 else values
        item = plain_item(identifier, *array_columns(values, self.columns, self.exclude))
        if values.shape[1] > values.shape[0]:
            note = f"{values.shape[1]} channels but {values.shape[0]} points: rows are points in time; else transpose"
            item = replace(item, notes=(*item.notes, note))
        return "stream", [item]


def _plain_path(source: Any) -> str:
    """Return a path's text, whatever its kind. Raises: DataError for an empty one, or one that is none."""
    try:
        path = os.fsdecode(source)
    except Exception as error:  # a path's own code is asked
        raise DataError(f"a {type(source).__name__} gives no path ({error}): pass a text or pathlib.Path") from error
    if not path:
        raise DataError("the source is an empty path: give a file, a folder or a glob")
    return path


def _is_single(source: Any) -> bool:
    """Return whether this is one array, frame or open file, rather than many of them."""
    if isinstance(source, bytes | bytearray | memoryview) or hasattr(source, "read") or hasattr(source, "read_bytes"):
        return True
    return is_frame(source) or is_tensor(source) or hasattr(source, "__array__")
