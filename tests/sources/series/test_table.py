"""Which column is the clock, which are channels, and what is refused."""

import numpy as np
import pytest

from oddwave.errors import DataError
from oddwave.sources.series.table import read_table
from oddwave.sources.series.text import parse_text


def read(text, timestamp=None, columns=None):
    return read_table(parse_text(text, "'a.csv'"), timestamp, columns)


@pytest.mark.parametrize(
    "name", ["timestamp", "Time", "DATE", "DateTime", "ts", "time_stamp", "Date/Time", "Time (UTC)"]
)
def test_a_time_column_is_found_by_name(name):
    content = read(f"value,{name}\n1,2014-07-01\n2,2014-07-02\n")
    assert content.channel_names == ("value",)
    assert content.times is not None
    assert content.times[1] == np.datetime64("2014-07-02")


def test_a_time_column_is_found_by_content_and_without_header():
    for text in ("v,when was it\n1,2014-07-01\n2,2014-07-02\n", "1,2014-07-01\n2,2014-07-02\n"):
        content = read(text)
        assert content.times is not None
        np.testing.assert_array_equal(content.values, [[1], [2]])


def test_epoch_numbers_need_the_name_of_a_time():
    named = read("ts,value\n1404172800,1\n1404172860,2\n")
    assert named.times is not None
    assert named.channel_names == ("value",)
    assert read("bytes,value\n1404172800,1\n1404172860,2\n").channel_names == ("bytes", "value")


def test_a_rising_column_called_time_is_left_out_with_a_note_and_a_duration_is_kept():
    rising = read("time,value\n0,1\n0.5,2\n1,3\n")
    assert rising.times is None
    assert rising.channel_names == ("value",)
    assert any("timestamp=" in note for note in rising.notes)
    assert read("time,value\n3,1\n1,2\n2,3\n").channel_names == ("time", "value")
    chosen = read("time,value\n0,1\n0.5,2\n1,3\n", timestamp="time")
    assert chosen.times is not None
    assert np.diff(chosen.times)[0] == np.timedelta64(500, "ms")


def test_named_columns_are_used_in_the_given_order_and_never_as_clock():
    content = read("a,b,t\n1,2,2014-07-01\n3,4,2014-07-02\n", timestamp=2, columns=["b", "A"])
    assert content.channel_names == ("b", "a")
    np.testing.assert_array_equal(content.values, [[2, 1], [4, 3]])
    content = read("ts,value\n1404172800,1\n1404172860,2\n", columns=["ts"])
    assert content.times is None
    assert content.channel_names == ("ts",)


def test_date_and_time_of_day_in_two_columns_are_joined():
    content = read("date,time,v\n2014-07-01,00:30,1\n2014-07-01,01:00,2\n")
    assert content.times is not None
    assert content.times[0] == np.datetime64("2014-07-01T00:30")
    assert content.channel_names == ("v",)
    assert any("joined" in note for note in content.notes)


def test_booleans_integers_and_infinities_become_numbers():
    content = read("on,n,x\ntrue,1,inf\nFalse,2,-inf\n,3,1\n")
    np.testing.assert_array_equal(content.values, [[1, 1, np.nan], [0, 2, np.nan], [np.nan, 3, 1]])
    assert any("2 infinite values" in note for note in content.notes)


@pytest.mark.parametrize("missing", ["", "NA", "NaN", "null", "None", "-", "?", "#N/A"])
def test_missing_cells_stay_missing(missing):
    content = read(f"a,b\n1,2\n{missing},3\n")
    assert np.isnan(content.values[1, 0])


def test_counters_and_empty_columns_are_not_channels():
    content = read(",value,\n0,5,\n1,6,\n2,9,\n")
    assert content.channel_names == ("value",)
    assert any("counts the rows" in note for note in content.notes)


@pytest.mark.parametrize(
    ("text", "options", "parts"),
    [
        ("a,b\n1,2\n3,oops\n4,5\n", {}, ["'a.csv' line 3", "'b'", "'oops'"]),
        ("a,b\n1,2\n3,1_000\n4,5\n", {}, ["line 3", "'1_000'"]),
        ("host,b\nx,2\ny,3\n", {"columns": ["host"]}, ["line 2", "'host'", "'x'"]),
        ("host,b\nx,u\ny,v\n", {}, ["no column holds numbers"]),
        ("a,b\n1,2\n", {"timestamp": "when"}, ["timestamp names 'when'", "columns a, b"]),
        ("a,b\n1,2\n", {"columns": ["c"]}, ["columns names 'c'", "columns a, b"]),
        ("a,b\n1,2\n", {"columns": [7]}, ["columns names 7", "columns a, b"]),
        ("a,b\n1,2\n", {"columns": []}, ["one or more columns"]),
        ("a,b\nx,2\ny,3\n", {"timestamp": "a"}, ["'a'", "no dates"]),
        ("t,b\n2014-01-01,2\n", {"timestamp": "t", "columns": ["t"]}, ["'t'", "once"]),
        ("t\n2014-01-01\n2014-01-02\n", {}, ["no number column"]),
        ("t,b\n" + "2014-01-01,2\n" * 12 + "soon,3\n", {}, ["line 14", "'t'", "'soon'", "no date"]),
        ("t,b\n" + "2014-01-01,2\n" * 12 + "2014-02-30,3\n", {}, ["line 14", "'2014-02-30'"]),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(text, options, parts):
    with pytest.raises(DataError) as caught:
        read(text, **options)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_column_of_words_is_left_out_and_named():
    content = read("mode,b\nauto,2\nhand,3\n")
    assert content.channel_names == ("b",)
    assert "column of text not monitored: mode ('auto')" in content.notes
