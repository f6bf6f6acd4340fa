"""Timestamped rows to points on a grid."""

import numpy as np
import pytest

from oddwave.errors import DataError
from oddwave.sources.series.clock import align_rows

START = np.datetime64("2014-07-01", "ns")


def at(minutes):
    return START + np.round(np.asarray(minutes, dtype=float) * 60e9).astype("timedelta64[ns]")


def column(*numbers):
    return np.array(numbers, dtype=float)[:, None]


def test_regular_rows_pass_through_without_a_note():
    rows = align_rows(at(np.arange(6) * 5), column(*range(6)), "x")
    np.testing.assert_array_equal(rows.values[:, 0], range(6))
    np.testing.assert_array_equal(rows.row_index, range(6))
    assert rows.sample_period_s == 300.0
    assert rows.notes == ()


def test_unsorted_rows_are_sorted_and_can_be_found_again():
    rows = align_rows(at([10, 0, 5]), column(2, 0, 1), "x")
    np.testing.assert_array_equal(rows.values[:, 0], [0, 1, 2])
    np.testing.assert_array_equal(rows.row_index, [2, 0, 1])
    assert "sorted" in rows.notes[0]


def test_repeated_timestamps_are_averaged_over_what_was_measured():
    rows = align_rows(at([0, 5, 5, 5, 10, 15]), column(0, 1, 3, np.nan, 4, 5), "x")
    np.testing.assert_array_equal(rows.values[:, 0], [0, 2, 4, 5])
    np.testing.assert_array_equal(rows.row_index, [0, 1, 1, 1, 2, 3])
    assert rows.notes == ("2 rows repeat a timestamp: rows that share one were averaged",)


def test_a_clock_coarser_than_the_rows_keeps_every_row():
    rows = align_rows(at(np.repeat([0, 1, 2], 60)), np.arange(180.0)[:, None], "x")
    np.testing.assert_array_equal(rows.values[:, 0], range(180))
    assert rows.sample_period_s is None
    assert "coarser" in rows.notes[0]


def test_small_gaps_are_filled_with_missing_points_and_long_ones_are_breaks():
    minutes = np.r_[0:10, 13:20, 200:210] * 5
    rows = align_rows(at(minutes), np.arange(27.0)[:, None], "x", max_gap=3)
    assert len(rows.values) == 30
    assert np.isnan(rows.values[10:13]).all()
    assert rows.timestamps[11] == at([55])[0]
    np.testing.assert_array_equal(rows.row_index[8:12], [8, 9, 13, 14])
    assert rows.breaks == (20,)
    assert "3 missing point(s) added in 1 small gap(s)" in rows.notes[0]
    assert "1 gap(s) in time too long" in rows.notes[1]
    assert align_rows(at(minutes), np.arange(27.0)[:, None], "x", max_gap=0).breaks == (10, 17)


def test_jitter_fits_the_grid_and_real_times_are_kept():
    rng = np.random.default_rng(0)
    times = at(np.arange(100) * 5 + rng.uniform(-0.4, 0.4, 100))
    rows = align_rows(times, np.arange(100.0)[:, None], "x")
    np.testing.assert_array_equal(rows.timestamps, times)
    assert rows.sample_period_s == pytest.approx(300, rel=0.05)


def test_months_are_even_enough_and_random_times_are_not():
    months = np.arange("2010-01", "2014-01", dtype="datetime64[M]").astype("datetime64[ns]")
    assert align_rows(months, np.arange(48.0)[:, None], "x").sample_period_s == 31 * 86400
    random = at(np.cumsum(np.random.default_rng(0).exponential(5, 200)))
    rows = align_rows(random, np.arange(200.0)[:, None], "x")
    assert rows.sample_period_s is None
    np.testing.assert_array_equal(rows.values[:, 0], range(200))
    assert "irregular" in rows.notes[0]
    assert "sample index" in rows.notes[0]


def test_bursts_with_long_pauses_are_not_filled_beyond_what_was_measured():
    minutes = np.concatenate([np.arange(3) + 11 * k for k in range(20)])
    rows = align_rows(at(minutes), np.arange(60.0)[:, None], "x", max_gap=10)
    assert len(rows.values) == 60
    assert "mostly gaps" in rows.notes[0]


def test_rows_without_a_timestamp_are_dropped_if_few_and_refused_if_many():
    times = at(np.arange(10))
    times[3] = np.datetime64("NaT")
    rows = align_rows(times, np.arange(10.0)[:, None], "x")
    assert rows.row_index[3] == -1
    assert rows.notes[0] == "1 row without a timestamp dropped"
    assert np.isnan(rows.values[3, 0])
    times[:5] = np.datetime64("NaT")
    with pytest.raises(DataError, match="5 of 10 rows of x have no timestamp"):
        align_rows(times, np.arange(10.0)[:, None], "x")


def test_one_row_has_no_period():
    assert align_rows(at([0]), column(1), "x").sample_period_s is None
