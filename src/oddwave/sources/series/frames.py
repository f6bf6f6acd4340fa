"""Data frames of any make to a `Table` per stream; pandas is imported only when one of them is read.

pandas frames, series and indexes, and whatever turns into one: polars, Arrow, xarray, dask. An index of times is the
clock; an index of entities and times, such as (machine, time), makes one stream of each entity. Read `table.py`
next: it decides what the columns mean.
"""

import datetime
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from oddwave.errors import DataError, MissingExtraError
from oddwave.sources.series.columns import distinct_names
from oddwave.sources.series.dates import is_date_text, parse_numeric_times
from oddwave.sources.series.table import Column, Table, cells_column

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FramePart", "frame_parts", "is_frame"]

_LONGEST_CELL = 200  # what a cell of text may tell; a cell repeated a million times must not be copied whole
_SAMPLED_CELLS = 1000


@dataclass(frozen=True, eq=False)
class FramePart:
    """One stream's table; `entity` is "" where the frame is one stream."""

    table: Table
    entity: str = ""


def is_frame(source: Any) -> bool:
    """Return whether the source is a data frame, a named column or an index of one, without importing its library."""
    if isinstance(source, np.ndarray | type) or getattr(source, "ndim", 0) in range(3, 99):
        return False
    doors = ("to_frame", "to_pandas", "to_dataframe", "columns", "read_pandas", "__arrow_c_stream__")
    return any(hasattr(type(source), door) for door in doors) or hasattr(source, "toPandas")


def frame_parts(
    frame: Any, origin: str = "the DataFrame", *, clock: str | int | None = None, split: bool = True
) -> list[FramePart]:
    """Return the tables of a frame's streams: the columns, and before them the index where it tells the time.

    An index that only counts is left out, unless `clock` names it. Without `split`, as for a panel, the index is not
    looked at. Raises: DataError for a frame without rows or columns, or an index that tells no time of its entities.
    """
    table = _as_pandas(frame)
    if not len(table) or not (table.shape[1] or split):
        raise DataError(f"{origin} has {len(table)} rows and {table.shape[1]} columns: expected at least one of each")
    if not split:
        return [_part(table, origin, None, ())]
    if table.index.nlevels == 1:
        index, notes = _clock_of(table.index, origin, clock)
        return [_part(table, origin, index, notes)]
    return _entities(table, origin)


def _as_pandas(frame: Any) -> "pd.DataFrame":
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError("reading data frames", "series") from None
    try:
        if not isinstance(frame, pd.DataFrame | pd.Series | pd.Index):
            frame = _converted(frame)
    except Exception as error:  # whatever the frame's own library raises
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"a {type(frame).__name__} does not turn into a pandas DataFrame: {reason}") from error
    if isinstance(frame, pd.MultiIndex):
        frame = frame.to_frame(index=False)
    if isinstance(frame, pd.Index):
        frame = frame.to_series().reset_index(drop=True)
    if isinstance(frame, pd.Series):
        frame = frame.to_frame(name="value" if frame.name is None else frame.name)
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"cannot read a series from {type(frame).__name__}: pass a pandas DataFrame or an array")
    return frame


def _converted(frame: Any) -> Any:
    """Turn another library's frame into pandas': by its own doors, else through Arrow."""
    for door in ("collect", "compute"):  # of lazy frames
        if hasattr(type(frame), door):
            frame = getattr(frame, door)()
    if hasattr(type(frame), "data_vars"):  # xarray's Dataset: all its dimensions go into the index
        return frame.to_dataframe()
    for door in ("to_pandas", "toPandas", "read_pandas"):
        if hasattr(frame, door):
            return getattr(frame, door)()
    if hasattr(type(frame), "__arrow_c_stream__"):
        import pyarrow

        return pyarrow.table(frame).to_pandas()
    return frame


def _entities(table: "pd.DataFrame", origin: str) -> list[FramePart]:
    """Split a frame by the levels of its index that do not tell the time."""
    levels = [table.index.get_level_values(i) for i in range(table.index.nlevels)]
    names = [str(name if name is not None else f"level {i}") for i, name in enumerate(table.index.names)]
    timed = [i for i, level in enumerate(levels) if _tells_time(level)]
    if len(timed) > 1:
        told = ", ".join(names[i] for i in timed)
        raise DataError(f"{origin} has several index levels of times ({told}): move all but one into columns")
    place = timed[0] if timed else len(levels) - 1
    others = [i for i in range(len(levels)) if i != place]
    keys = list(zip(*(map(str, levels[i]) for i in others), strict=True))
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    if not timed and len(rows) == len(table):
        raise DataError(
            f"{origin} has the index levels {', '.join(names)}, none of them times: reset_index(), or put times there"
        )
    note = f"one stream for each {' and '.join(names[i] for i in others)} of the index"
    parts = []
    for key, chosen in rows.items():
        index, notes = _clock_of(levels[place][chosen], origin, None) if timed else (None, ())
        if not timed and not levels[place][chosen].is_monotonic_increasing:
            raise DataError(f"{origin} is not sorted by its index level '{names[place]}': sort_index() first")
        parts.append(_part(table.iloc[chosen], origin, index, (note, *notes), "/".join(key), np.array(chosen)))
    return parts


def _part(
    table: "pd.DataFrame",
    origin: str,
    index: "pd.Index | None",
    notes: tuple[str, ...],
    entity: str = "",
    rows: np.ndarray | None = None,
) -> FramePart:
    names, more = distinct_names([_name(name) for name in table.columns], "frame")
    columns = [_column(name, table.iloc[:, i]) for i, name in enumerate(names)]
    if index is not None:
        name = _name(index.name if index.name is not None else "timestamp")
        name = name if name not in names else distinct_names([*names, "index"], "frame")[0][-1]
        columns.insert(0, _column(name, index.to_series().reset_index(drop=True)))
    if not columns:
        raise DataError(f"{origin} has {len(table)} rows and no columns: expected at least one of numbers")
    if zones := sorted({column.timezone for column in columns if column.timezone}):
        more += (f"timestamps with a zone ({', '.join(zones)}) are kept in UTC",)
    lines = np.arange(len(table)) if rows is None else rows
    return FramePart(Table(origin, tuple(columns), lines, "row", True, (*notes, *more)), entity)


def _tells_time(index: "pd.Index") -> bool:
    import pandas as pd

    if isinstance(index, pd.DatetimeIndex | pd.PeriodIndex | pd.TimedeltaIndex):
        return True
    if pd.api.types.is_numeric_dtype(index.dtype):
        return False
    some = [cell for cell in itertools.islice(index.unique(), _SAMPLED_CELLS) if not pd.isna(cell)]
    return bool(some) and all(_is_date(cell) for cell in some)


def _is_date(cell: Any) -> bool:
    if isinstance(cell, datetime.date | np.datetime64 | datetime.timedelta):  # datetime is a date, Timestamp a datetime
        return True
    return isinstance(cell, str) and is_date_text(cell)


def _clock_of(index: "pd.Index", origin: str, clock: str | int | None) -> "tuple[pd.Index | None, tuple[str, ...]]":
    """Return an index that tells the time, or is named as the one that does; else nothing, and a note."""
    import pandas as pd

    if isinstance(index, pd.TimedeltaIndex):
        return pd.Timestamp(0) + index, ("the frame's index holds elapsed times, counted from 1970-01-01",)
    if _tells_time(index) or (index.name is not None and index.name == clock):
        return index, ()
    if isinstance(index, pd.RangeIndex):
        return None, ()
    if pd.api.types.is_numeric_dtype(index.dtype):
        numbers = index.to_numpy(dtype=np.float64, na_value=np.nan)
        rising = len(index) > 1 and bool((np.diff(numbers) > 0).all())
        if rising and parse_numeric_times(numbers) is not None:
            return index.rename(index.name if index.name is not None else "timestamp"), ()
    if index.name is None:
        return None, ("the frame's unnamed index tells no time and is not used",)
    hint = "name it with timestamp= to take it as seconds"
    return None, (f"the frame's index '{_name(index.name)}' tells no time and is not used: {hint}",)


def _name(name: Any) -> str:
    return "_".join(str(part) for part in name) if isinstance(name, tuple) else str(name)


def _column(name: str, series: "pd.Series") -> Column:
    import pandas as pd

    if isinstance(series.dtype, pd.ArrowDtype):
        import pyarrow

        series = pd.Series(pyarrow.array(series).to_pandas())
    if isinstance(series.dtype, pd.PeriodDtype):
        series = series.dt.to_timestamp()
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _categories(name, series)
    if pd.api.types.is_timedelta64_dtype(dtype):
        return Column(name, series.dt.total_seconds().to_numpy(dtype=np.float64))
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return _timed(name, series)
    if pd.api.types.is_complex_dtype(dtype):
        raise DataError(f"column '{name}' holds complex numbers: expected real ones")
    if pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype):
        with np.errstate(over="ignore", invalid="ignore"):
            return Column(name, np.array(series.to_numpy(dtype=np.float64, na_value=np.nan)))
    return _of_objects(name, series)


def _categories(name: str, series: "pd.Series") -> Column:
    """Read each category once."""
    import pandas as pd

    known = _column(name, pd.Series(series.cat.categories))
    codes = series.cat.codes.to_numpy()
    there = codes >= 0
    numbers = np.full(len(series), np.nan)
    numbers[there] = known.numbers[codes[there]]
    text = {int(row): known.text[int(codes[row])] for row in np.flatnonzero(there) if int(codes[row]) in known.text}
    times = None
    if known.times is not None:
        times = np.full(len(series), np.datetime64("NaT"), dtype="datetime64[ns]")
        times[there] = known.times[codes[there]]
    return Column(name, numbers, text, times, known.timezone)


def _of_objects(name: str, series: "pd.Series") -> Column:
    """Read a column of Python objects: dates, numbers, text, or nothing."""
    import pandas as pd

    missing = series.isna().to_numpy(dtype=bool)
    cells = series.to_numpy(dtype=object)
    known = list(itertools.islice(itertools.compress(cells, ~missing), _SAMPLED_CELLS))
    if known and all(isinstance(cell, datetime.date | np.datetime64) for cell in known):
        return _timed(name, _parsed(name, cells, missing))
    if known and all(isinstance(cell, datetime.timedelta | np.timedelta64) for cell in known):
        return _column(name, pd.Series(pd.to_timedelta(list(cells))))
    if any(isinstance(cell, complex | np.complexfloating) for cell in known):
        raise DataError(f"column '{name}' holds complex numbers: expected real ones")
    words = ["" if gone else str(cell)[:_LONGEST_CELL] for cell, gone in zip(cells, missing, strict=True)]
    return cells_column(name, words)


def _parsed(name: str, cells: Iterable[Any], missing: np.ndarray) -> "pd.Series":
    """Read dates and times of Python's or NumPy's own; where their zones differ, all of them are in UTC."""
    import pandas as pd

    given = [None if gone else cell for cell, gone in zip(cells, missing, strict=True)]
    zones = {getattr(cell, "tzinfo", None) for cell in given if cell is not None}
    try:
        return pd.Series(pd.to_datetime(pd.Series(given, dtype=object), utc=len(zones) > 1))
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"column '{name}' holds dates that cannot be read ({error}): expected 1678 to 2262") from error


def _timed(name: str, series: "pd.Series") -> Column:
    """Return times in UTC and put down their zone."""
    import pandas as pd

    zone = _zone_name(series)
    if zone is not None:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    try:
        times = series.dt.as_unit("ns")
    except (pd.errors.OutOfBoundsDatetime, OverflowError):
        raise DataError(f"column '{name}' holds dates beyond 1678 to 2262, which cannot be kept: mend them") from None
    return Column(name, np.full(len(series), np.nan), times=times.to_numpy(dtype="datetime64[ns]"), timezone=zone)


def _zone_name(series: "pd.Series") -> str | None:
    """Return the zone of times by its IANA name, or its offset such as +02:00; None where they have none."""
    zone = getattr(series.dtype, "tz", None)
    if zone is None:
        return None
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if name:
        return str(name)
    known = series.dropna()
    offset = known.iloc[0].strftime("%z") if len(known) else "+0000"
    return "UTC" if offset == "+0000" else f"{offset[:3]}:{offset[3:5]}"
