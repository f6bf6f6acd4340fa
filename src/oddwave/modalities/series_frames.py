"""pandas frames and Parquet files to a `Table`; pandas is imported only when one of them is read.

Read `series_table.py` next: it decides what the columns mean.
"""

from pathlib import Path
from typing import Any

import numpy as np

from oddwave.errors import DataError, MissingExtraError
from oddwave.modalities.series_table import Column, Table, parse_cells

__all__ = ["frame_table", "is_frame", "read_parquet_table"]


def read_parquet_table(path: Path) -> Table:
    """Read a Parquet file. Raises: DataError for a damaged file; MissingExtraError without pandas and pyarrow."""
    try:
        import pandas as pd
        import pyarrow  # noqa: F401  (pandas' own message would name neither the extra nor the command)
    except ImportError:
        raise MissingExtraError("reading Parquet files", "parquet") from None
    try:
        frame = pd.read_parquet(path, engine="pyarrow")
    except Exception as error:  # pyarrow has its own error classes, one per way a file can be broken
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"'{path}' is not a Parquet file that can be read ({reason}): write it again") from error
    return frame_table(frame, f"'{path}'")


def is_frame(source: Any) -> bool:
    """Say whether the source is a data frame or a named column of one, without importing pandas."""
    return not isinstance(source, np.ndarray) and (hasattr(source, "to_frame") or hasattr(source, "columns"))


def frame_table(frame: Any, origin: str = "the DataFrame") -> Table:
    """Return a DataFrame's or Series' columns; an index of times, or one with a name, becomes the first column.

    Raises: DataError for a frame without rows or columns.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError("reading data frames", "series") from None
    if hasattr(frame, "to_pandas"):  # other libraries' frames offer this door
        frame = frame.to_pandas()
    if isinstance(frame, pd.Series):
        frame = frame.to_frame(name="value" if frame.name is None else frame.name)
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"cannot read a series from {type(frame).__name__}: pass a pandas DataFrame or an array")
    notes: tuple[str, ...] = ()
    if isinstance(frame.index, pd.PeriodIndex):
        frame = frame.set_axis(frame.index.to_timestamp())
    columns = [_column(_name(name), frame.iloc[:, i]) for i, name in enumerate(frame.columns)]
    names = [column.name for column in columns]
    if isinstance(frame.index, pd.DatetimeIndex):
        name = _name(frame.index.name or "timestamp")
        columns.insert(0, _column(name if name not in names else "index", frame.index.to_series()))
    elif frame.index.name is not None:
        columns.insert(0, _column(_name(frame.index.name), frame.index.to_series()))
    elif not isinstance(frame.index, pd.RangeIndex):
        notes = ("the frame's unnamed index is not used",)
    if not columns or not len(frame):
        raise DataError(f"{origin} has {len(frame)} rows and {len(columns)} columns: expected at least one of each")
    if len({column.name for column in columns}) < len(columns):
        raise DataError(f"{origin} repeats a column name: rename them so that each is there once")
    return Table(origin, tuple(columns), np.arange(len(frame)), "row", True, notes)


def _name(name: Any) -> str:
    return "_".join(str(part) for part in name) if isinstance(name, tuple) else str(name)


def _column(name: str, series: Any) -> Column:
    import pandas as pd

    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    if pd.api.types.is_datetime64_dtype(series.dtype):
        times = series.to_numpy(dtype="datetime64[ns]")
        return Column(name, np.full(len(series), np.nan), times=times)
    if pd.api.types.is_complex_dtype(series.dtype):
        raise DataError(f"column '{name}' holds complex numbers: expected real ones")
    if pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype):
        return Column(name, series.to_numpy(dtype=np.float64, na_value=np.nan))
    cells = ["" if missing else str(cell) for cell, missing in zip(series, series.isna(), strict=True)]
    return Column(name, *parse_cells(cells))
