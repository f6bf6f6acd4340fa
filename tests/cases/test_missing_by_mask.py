"""What is masked, or stands for nothing, is missing: never the filling below the mask."""

import decimal
import io

import numpy as np
import pandas as pd
import pytest

from oddwave.errors import DataError
from oddwave.sources.series.reader import read_series

MASK = np.array([False, True, False, False, True, False])
FILLED = np.where(MASK, 9.96921e36, np.arange(6.0))
MASKED = np.ma.masked_array(FILLED, MASK)
SOURCES = {
    "array": MASKED,
    "whole numbers": np.ma.masked_array(np.where(MASK, -999, np.arange(6)), MASK),
    "column": MASKED[:, None],
    "objects": np.ma.masked_array(FILLED.astype(object), MASK),
    "list of arrays": [MASKED],
    "dict": {"pump": MASKED},
    "list of numbers": list(MASKED),
    "frame": pd.DataFrame({"v": MASKED}),
    "None": [None if gone else value for gone, value in zip(MASK, FILLED, strict=True)],
    "None in an array": np.array([None if gone else value for gone, value in zip(MASK, FILLED, strict=True)]),
    "pandas' NA": [pd.NA if gone else value for gone, value in zip(MASK, FILLED, strict=True)],
    "pandas' array": pd.array(np.where(MASK, None, np.arange(6)), dtype="Int64"),
    "pandas' column": pd.Series(np.where(MASK, None, np.arange(6)), dtype="Float64"),
    "Arrow's column": pd.Series(np.where(MASK, None, np.arange(6)), dtype="int64[pyarrow]"),
    "decimals": pd.Series([None if gone else decimal.Decimal(i) for i, gone in enumerate(MASK)]),
    "category": pd.Series([None if gone else i for i, gone in enumerate(MASK)], dtype="category"),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_one_channel(source) -> None:
    (item,) = read_series(source).items
    np.testing.assert_array_equal(item.values[:, 0], np.where(MASK, np.nan, np.arange(6.0)))
    np.testing.assert_array_equal(item.observed[:, 0], ~MASK)


def test_several_channels_and_panels() -> None:
    mask = np.column_stack([MASK, ~MASK])
    (item,) = read_series(np.ma.masked_array(np.full((6, 2), 1e30), mask)).items
    np.testing.assert_array_equal(item.observed, ~mask)
    panel = read_series(np.ma.masked_array(np.full((2, 1, 6), 1e30), np.array([[MASK], [~MASK]])))
    np.testing.assert_array_equal([item.observed[:, 0] for item in panel.items], [~MASK, MASK])
    stacked = read_series([MASKED, MASKED + 1], kind="panel")
    np.testing.assert_array_equal(stacked.items[1].values[:, 0], np.where(MASK, np.nan, np.arange(6.0) + 1))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.ma.masked_array(FILLED, True), "no number at all"),
        (np.ma.array([(1, 2.0)], dtype=[("a", int), ("b", float)]), "has the fields a, b"),
        (np.array(["2024-01-01"], dtype="datetime64[s]"), "holds times"),
        (np.ma.array([1j, 2], mask=[True, False]), "expected numbers"),
        (np.array([1.0, "x", None], dtype=object), "expected numbers"),
    ],
)
def test_what_holds_no_numbers_is_refused(source, message) -> None:
    with pytest.raises(DataError, match=message):
        read_series(source)


@pytest.mark.parametrize("dtype", [">f8", "<f4", "f2", "longdouble", "u1", ">i4", "bool"])
def test_every_type_of_number(dtype, tmp_path) -> None:
    values = np.array([0, 1, 1, 0, 1], dtype=dtype)
    np.testing.assert_array_equal(read_series(values).items[0].values[:, 0], [0, 1, 1, 0, 1])
    if dtype != "longdouble":
        buffer = io.BytesIO()
        np.save(buffer, values)
        np.testing.assert_array_equal(read_series(buffer.getvalue()).items[0].values[:, 0], [0, 1, 1, 0, 1])
    mapped = np.memmap(tmp_path / "map", dtype=dtype, mode="w+", shape=(5,))
    mapped[:] = values
    np.testing.assert_array_equal(read_series(mapped).items[0].values[:, 0], [0, 1, 1, 0, 1])


def test_beyond_a_double_is_missing() -> None:
    (item,) = read_series(np.array(["1", "1e4000", "2"], dtype=np.longdouble)).items
    np.testing.assert_array_equal(item.observed[:, 0], [True, np.finfo(np.longdouble).max < 1e308, True])
