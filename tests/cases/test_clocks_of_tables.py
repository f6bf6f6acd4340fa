"""Clocks as files write them: bad cells are named, zones kept, repeats counted once, nothing wraps around."""

import numpy as np
import pytest

from oddwave.errors import DataError
from oddwave.sources.series.clock import align_rows
from oddwave.sources.series.reader import read_series

N = 60
EPOCH = 1_711_800_000 + 600 * np.arange(N)


def one(tmp_path, rows, head="time,v", **options):
    path = tmp_path / "x.csv"
    path.write_text("\n".join([head, *rows]))
    (item,) = read_series(path, **options).items
    return item


def readings(stamps):
    return [f"{stamp},{i * 7 % 11}.5" for i, stamp in enumerate(stamps)]


@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("bad", [0, -1, 2**32 - 1, 10**18 + 1])
@pytest.mark.parametrize("row", [0, 30])
def test_one_bad_cell_among_epoch_times_is_named(tmp_path, factor, bad, row):
    stamps = (EPOCH * factor).tolist()
    assert one(tmp_path, readings(stamps)).sample_period_s == 600
    stamps[row] = bad if bad * factor != 10**18 + 1 else 0
    if factor == 10**9 and bad == 10**18 + 1:
        return  # 2001, an hour like any other
    with pytest.raises(DataError, match=f"line {row + 2}, time column 'time'"):
        one(tmp_path, readings(stamps))


@pytest.mark.parametrize(
    "bad", ["9999-12-31", "0001-01-01 00:00:00", "2500-01-01T00:00:00Z", "1 July 2500", "2024-02-30"]
)
def test_dates_that_no_clock_holds_are_named_and_do_not_wrap(tmp_path, bad):
    stamps = [f"2024-01-01 {i // 60:02d}:{i % 60:02d}" for i in range(N)]
    with pytest.raises(DataError, match=f"line 12, time column 'time': '{bad}'"):
        one(tmp_path, readings([*stamps[:10], bad, *stamps[10:]]))


def test_milliseconds_among_seconds_are_named(tmp_path):
    with pytest.raises(DataError, match="line 42"):
        one(tmp_path, readings([*EPOCH[:40], *(EPOCH[40:] * 1000)]))


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("+02:00", "+02:00"), ("Z", "UTC"), (" UTC", "UTC"), ("-0530", "-05:30"), (" CET", "+01:00"),
     ("+02:00[Europe/Rome]", "Europe/Rome")],
)  # fmt: skip
def test_the_zone_is_kept_and_times_are_utc(tmp_path, zone, expected):
    item = one(tmp_path, readings([f"2024-05-01T{i:02d}:00:00{zone}" for i in range(20)]))
    assert item.timezone == expected
    hours = {"+02:00": 2, "-05:30": -5.5, "+01:00": 1, "Europe/Rome": 2}.get(expected, 0)
    assert item.timestamps[0] == np.datetime64("2024-05-01") - np.timedelta64(int(hours * 60), "m")
    assert any(expected in note for note in item.notes)


def test_offsets_that_change_with_the_season_name_a_place(tmp_path):
    stamps = [f"2024-03-31T{h:02d}:00:00+0{1 if h < 3 else 2}:00" for h in (0, 1, 3, 4, 5, 6, 7, 8)]
    item = one(tmp_path, readings(stamps))
    assert item.timezone == "Europe/Berlin"
    assert item.sample_period_s == 3600
    assert item.n_timepoints == 8


def test_the_order_of_dates_is_a_fact_that_can_be_told(tmp_path):
    proved = one(tmp_path, readings([f"{d:02d}/02/2024" for d in range(1, 29)]))
    assert proved.day_first is True
    unclear = readings(["03/04/2024 00:00"])
    assert one(tmp_path, unclear, day_first=True).timestamps[0] == np.datetime64("2024-04-03")
    assert one(tmp_path, unclear, day_first=False).timestamps[0] == np.datetime64("2024-03-04")
    assert one(tmp_path, readings([f"{d:02d}/02/2024" for d in range(1, 29)]), day_first=False).day_first is True


def times(count, start="2024-01-01", step=10):
    return np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(step, "m")


@pytest.mark.parametrize("first", [0, 5, 35, 59])
def test_rows_alike_are_one_row_whatever_their_share(first):
    t, v = times(60), np.sin(np.arange(60.0))[:, None]
    v[7] = np.nan
    rows = align_rows(np.concatenate([t, t[first:]]), np.concatenate([v, v[first:]]), "x")
    np.testing.assert_array_equal(rows.values, v)
    assert rows.sample_period_s == 600
    np.testing.assert_array_equal(rows.row_index, [*range(60), *range(first, 60)])
    assert any("alike in time and values counted once" in note for note in rows.notes)


def test_a_coarse_clock_keeps_equal_readings_and_drops_a_second_export():
    t = np.repeat(times(10), 6)
    v = np.tile([5.0, 5.0, 6.0, 5.0, 7.0, 6.0], 10)[:, None]
    rows = align_rows(t, v, "x")
    np.testing.assert_array_equal(rows.values, v)
    again = align_rows(np.concatenate([t, t]), np.concatenate([v, v]), "x")
    np.testing.assert_array_equal(again.values, v)


def test_rows_of_one_time_that_differ_are_averaged():
    rows = align_rows(np.insert(times(8), 3, times(8)[3]), np.arange(9.0)[:, None], "x")
    assert rows.values[3, 0] == 3.5


@pytest.mark.parametrize("step", [10, 30, 60])
@pytest.mark.parametrize("night", ["2024-10-27T03:00", "2024-11-03T02:00", "2025-04-06T03:00"])
def test_the_hour_that_comes_twice_is_two_hours(step, night):
    before = np.datetime64(night, "ns") - np.arange(60, 0, -1) * np.timedelta64(step, "m")
    after = np.datetime64(night, "ns") - np.timedelta64(1, "h") + np.arange(60) * np.timedelta64(step, "m")
    t, v = np.concatenate([before, after]), np.arange(120.0)[:, None]
    rows = align_rows(t, v, "x", local=True)
    np.testing.assert_array_equal(rows.values, v)
    np.testing.assert_array_equal(rows.timestamps, t)
    assert rows.sample_period_s == step * 60
    assert any("comes twice" in note for note in rows.notes)
    assert len(align_rows(t, v, "x").values) < 120
    shifted = align_rows(t + np.timedelta64(1, "D"), v, "x", local=True)
    assert len(shifted.values) < 120  # no Sunday: rows out of order
