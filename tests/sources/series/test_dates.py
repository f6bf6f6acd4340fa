"""Text and numbers to points in time."""

import numpy as np
import pytest

from oddwave.sources.series.dates import is_date_text, parse_numeric_times, parse_text_times


def when(text):
    return np.datetime64(text, "ns")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2014-07-01", "2014-07-01"),
        ("2014-07-01 00:30:00", "2014-07-01T00:30"),
        ("2014-7-1T5:30", "2014-07-01T05:30"),
        ("2014/07/01 00:30:00.250", "2014-07-01T00:30:00.250"),
        ("2014-07-01T00:30:00,123456789", "2014-07-01T00:30:00.123456789"),
        ("2014-07-01T02:00:00Z", "2014-07-01T02:00"),
        ("2014-07-01T02:00:00+02:00", "2014-07-01T00:00"),
        ("2014-06-30 22:00:00-0230", "2014-07-01T00:30"),
        ("25.12.2014 18:00", "2014-12-25T18:00"),
        ("12/25/2014 06:00 PM", "2014-12-25T18:00"),
        ("12/25/2014 12:15 AM", "2014-12-25T00:15"),
        ("1969-12-31 23:59:59.5", "1969-12-31T23:59:59.5"),
        ("Jul 1, 2014 05:00", "2014-07-01T05:00"),
        ("1 July 2014", "2014-07-01"),
    ],
)
def test_one_date_in_many_spellings(cell, expected):
    assert is_date_text(cell)
    times, *_ = parse_text_times([cell])
    assert times[0] == when(expected)


@pytest.mark.parametrize("cell", ["pump", "3.14", "1,5", "12", "", "2014", "1.2.3", "10:30", "may", "2014-07-01 noon"])
def test_other_text_is_no_date(cell):
    assert not is_date_text(cell)


@pytest.mark.parametrize("cell", ["2014-02-30", "2014-13-01", "9999-12-31", "2014-07-01 25:00", "2014-07-01 13:00 PM"])
def test_impossible_dates_are_missing_and_do_not_hide_the_others(cell):
    times, *_ = parse_text_times([cell, "2014-07-01"])
    assert np.isnat(times[0])
    assert times[1] == when("2014-07-01")


def test_day_or_month_first_is_proved_by_the_file_or_noted():
    proved, notes, *_ = parse_text_times(["01/02/2014", "13/02/2014"])
    assert proved[0] == when("2014-02-01")
    assert notes == ()
    proved, notes, *_ = parse_text_times(["01/02/2014", "01/13/2014"])
    assert proved[0] == when("2014-01-02")
    assert notes == ()
    months, notes, *_ = parse_text_times([f"{day:02d}/03/2014" for day in range(1, 10)])
    assert (np.diff(months) == np.timedelta64(1, "D")).all()
    assert "day first, which the file does not prove" in notes[0]
    american, *_ = parse_text_times([f"03/{day:02d}/2014" for day in range(1, 10)])
    np.testing.assert_array_equal(american, months)
    assert parse_text_times(["03/04/2014"])[0][0] == when("2014-03-04")
    assert parse_text_times(["03.04.2014"])[0][0] == when("2014-04-03")


def test_zones_become_utc_with_a_note():
    times, notes, *_ = parse_text_times(["2014-03-30T01:30:00+01:00", "2014-03-30T03:00:00+02:00"])
    assert np.diff(times)[0] == np.timedelta64(30, "m")
    assert "UTC" in notes[0]


@pytest.mark.parametrize(("unit", "factor"), [("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)])
def test_epoch_units_are_told_by_their_size(unit, factor):
    seconds = np.array([1_404_172_800.0, np.nan, 1_404_174_600.0])
    found = parse_numeric_times(seconds * factor)
    assert found is not None
    times, notes, *_ = found
    assert abs(times[0] - when("2014-07-01")) <= np.timedelta64(256, "ns")
    assert np.isnat(times[1])
    assert f"epoch {unit}" in notes[0]


def test_fractions_of_an_epoch_second_are_kept():
    found = parse_numeric_times(np.array([1_404_172_800.25, 1_404_172_800.5]))
    assert found is not None
    assert np.diff(found[0])[0] == np.timedelta64(250, "ms")


def test_compact_dates_and_what_is_no_time():
    found = parse_numeric_times(np.array([20140701.0, 20140702.0]))
    assert found is not None
    assert found[0][1] == when("2014-07-02")
    found = parse_numeric_times(np.array([20140701123000.0]))
    assert found is not None
    assert found[0][0] == when("2014-07-01T12:30")
    assert parse_numeric_times(np.array([20141399.0])) is None
    assert parse_numeric_times(np.array([0.0, 1.0, 2.0])) is None
    assert parse_numeric_times(np.array([np.nan])) is None


def test_elapsed_seconds_only_when_asked_for():
    found = parse_numeric_times(np.array([0.0, 0.5, 1.0]), elapsed=True)
    assert found is not None
    assert found[0][1] == when("1970-01-01T00:00:00.5")
    assert "taken as seconds" in found[1][0]
