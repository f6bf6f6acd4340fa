"""Rows to points as they arrive: gaps, late and repeated rows, another rate, a clock set back, a device away."""

import numpy as np
import pytest

from oddwave.sources.series.clock import align_rows
from oddwave.stream.clock import RowClock

MINUTE = 60 * 10**9
START = int(np.datetime64("2026-01-01", "ns").astype(np.int64))


def at(*minutes):
    return START + (np.array(minutes, float) * MINUTE).astype(np.int64)


def taken(clock, times, most=None):
    """Take rows whose values are their place; return the values, breaks and notices of all points together."""
    values, breaks, notices = [], [], []
    most = most or len(times)
    for first in range(0, len(times), most):
        part = times[first : first + most]
        made = clock.take(part, np.arange(first, first + len(part))[:, None].astype(float))
        breaks += [len(values) + place for place in made.breaks]
        values += [row[0] for row in made.values]
        notices += made.notices
    made = clock.rest()
    return np.array([*values, *(row[0] for row in made.values)]), breaks, [*notices, *made.notices]


def kinds(notices):
    return [notice.kind for notice in notices]


@pytest.mark.parametrize("most", [None, 1, 7])
def test_even_rows_are_points(most):
    values, breaks, notices = taken(RowClock(50), at(*range(40)), most)
    np.testing.assert_array_equal(values, np.arange(40))
    assert (breaks, notices) == ([], [])


@pytest.mark.parametrize("most", [None, 1, 7])
def test_gaps_become_what_a_table_makes_of_them(most):
    minutes = np.delete(np.arange(80.0), [20, 21, 22, 40, *range(60, 72)]) + 0.1 * np.sin(np.arange(64))
    whole = align_rows(at(*minutes).astype("datetime64[ns]"), np.arange(64.0)[:, None], "a test")
    values, breaks, notices = taken(RowClock(50), at(*minutes), most)
    np.testing.assert_array_equal(values, whole.values[:, 0])
    assert tuple(breaks) == whole.breaks
    assert set(kinds(notices)) == {"missing", "gap"}
    assert sum(notice.count for notice in notices if notice.kind == "missing") == 4
    assert next(notice.text for notice in notices if notice.kind == "gap").startswith(
        "12 points missing after 2026-01-01"
    )


def test_late_and_repeated_rows_are_dropped_and_counted():
    values, breaks, notices = taken(RowClock(50), at(*range(30), 12.5, 30, 30, 29, 31))
    np.testing.assert_array_equal(values, [*range(30), 31, 34])
    assert breaks == []
    assert {(notice.kind, notice.count) for notice in notices} == {("late", 1), ("repeated", 2)}


def test_late_rows_among_the_first_are_dropped_too():
    values, _, notices = taken(RowClock(50), at(0, 1, 2, 2, 1.5, *range(3, 20)))
    np.testing.assert_array_equal(values, [0, 1, 2, *range(5, 22)])
    assert {(notice.kind, notice.count) for notice in notices} == {("late", 1), ("repeated", 1)}


def test_a_clock_that_is_set_back_goes_on_from_there():
    values, breaks, notices = taken(RowClock(50), at(*range(1000, 1030), *range(500, 520)), 3)
    np.testing.assert_array_equal(values, np.arange(50))
    assert (breaks, kinds(notices)) == ([30], ["clock"])
    assert "back from 2026-01-01T17:09:00 to 2026-01-01T08:20:00" in notices[0].text


def test_a_row_from_the_future_and_the_clock_goes_on():
    values, breaks, notices = taken(RowClock(50), at(*range(30), 10**6, *range(30, 60)))
    np.testing.assert_array_equal(values, np.arange(61))
    assert (breaks, kinds(notices)) == ([30, 31], ["away", "clock"])


def test_a_device_that_comes_back_after_a_day_begins_anew():
    _, breaks, notices = taken(RowClock(50), at(*range(30), *range(30 + 24 * 60, 60 + 24 * 60)))
    assert (breaks, kinds(notices)) == ([30], ["away"])
    assert "nothing for 86460 s after 2026-01-01T00:29:00" in notices[0].text


@pytest.mark.parametrize("step", [0.5, 5.0, 60.0])
def test_another_rate_is_named_once_and_taken_over(step):
    clock = RowClock(50)
    _, breaks, notices = taken(clock, at(*range(40), *(40 + step * np.arange(60))), 9)
    rates = [notice for notice in notices if notice.kind == "rate"]
    assert len(rates) == 1
    assert f"every {60 * step:g} s" in rates[0].text
    assert clock.period == step * MINUTE
    assert len(breaks) >= 1


def test_uneven_times_are_an_axis_of_rows():
    minutes = np.cumsum(np.random.default_rng(0).uniform(0.2, 3.0, 60))
    values, breaks, notices = taken(RowClock(50), at(*minutes))
    np.testing.assert_array_equal(values, np.arange(60))
    assert (breaks, kinds(notices)) == ([], ["irregular"])


def test_rows_without_a_time_are_dropped_and_counted():
    times = at(*range(30))
    times[[3, 20]] = np.datetime64("NaT", "ns").astype(np.int64)
    values, _, notices = taken(RowClock(50), times)
    assert not np.isin([3, 20], values).any()
    assert {(notice.kind, notice.count) for notice in notices} == {("untimed", 2), ("missing", 2)}


def test_the_state_goes_on_at_any_row():
    minutes = [*range(20), 22, 23, 21.5, *range(24, 40), *range(100, 130), *range(60, 80), *range(80, 200, 5)]
    whole = taken(RowClock(50), at(*minutes))
    clock, values, notices = RowClock(50), [], []
    for place, time in enumerate(at(*minutes)):
        made = clock.take(np.array([time]), np.array([[float(place)]]))
        values += [row[0] for row in made.values]
        notices += made.notices
        known, clock = clock.state(), RowClock(50)
        clock.restore(known)
    made = clock.rest()
    np.testing.assert_array_equal([*values, *(row[0] for row in made.values)], whole[0])
    assert {(n.kind, n.point) for n in notices if n.kind not in ("late", "repeated", "missing")} == {
        (n.kind, n.point) for n in whole[2] if n.kind not in ("late", "repeated", "missing")
    }
