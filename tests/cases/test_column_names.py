"""Columns by name, pattern and position, and lists of them as they are typed."""

import numpy as np
import pytest

from oddwave.errors import DataError
from oddwave.sources.series.cells import Column, Table
from oddwave.sources.series.columns import resolve_columns, split_names

NAMES = ["time", "flow, m3/h", "temp", "temp_2", "pump*"]
TABLE = Table("x.csv", tuple(Column(name, np.arange(3.0)) for name in NAMES), np.arange(3))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ["a", "b"]),
        (" a , b ,", ["a", "b"]),
        ('"flow, m3/h",temp', ["flow, m3/h", "temp"]),
        ("'flow, m3/h' , temp", ["flow, m3/h", "temp"]),
        (r"flow\, m3/h,temp", ["flow, m3/h", "temp"]),
        (r"5\" pipe,C:\x", ['5" pipe', r"C:\x"]),
        ("Bob's,Eve's", ["Bob's", "Eve's"]),
        ('" a "', [" a "]),
        ("", []),
    ],
)
def test_lists_of_names_are_split_at_their_own_commas(text: str, names: list[str]) -> None:
    assert split_names(text) == names


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        ("flow, m3/h", (1,)),
        ('"flow, m3/h",temp', (1, 2)),
        ("TEMP", (2,)),
        ("temp*", (2, 3)),
        ("temp_?,temp", (3, 2)),
        ("pump*", (4,)),
        ("1,3", (1, 3)),
        ([1, -1], (1, 4)),
        (["temp", "t*"], (2, 0, 3)),
    ],
)
def test_columns_are_chosen_by_name_pattern_and_position(keys: str | list[str | int], chosen: tuple[int, ...]) -> None:
    assert resolve_columns(TABLE, keys) == chosen


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("wind", "columns names 'wind', but x.csv has the columns time, flow, m3/h, temp, temp_2, pump.: choose among"),
        ("9", "columns names '9'"),
        ("wind*", "columns names 'wind.'"),
        ("temp,temp", "columns is .'temp', 'temp'. for x.csv: name one or more columns, each once"),
        (" , ", "columns is .* name one or more columns"),
    ],
)
def test_columns_that_are_not_there_are_refused(keys: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        resolve_columns(TABLE, keys)
