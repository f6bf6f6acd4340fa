"""Columns that count rows, tell the date or count the time are left out and named, unless they are asked for."""

import numpy as np
import pytest

from oddwave.errors import DataError
from oddwave.sources.series.columns import split_names
from oddwave.sources.series.reader import read_series

N = 24 * 20
TIMES = np.datetime64("2024-01-01T00:00") + np.arange(N) * np.timedelta64(1, "h")
VALUES = np.round(np.random.default_rng(0).normal(50, 5, N), 3)


def read(tmp_path, beside, times=TIMES, **options):
    names = [*(["time"] if times is not None else []), *beside, "v"]
    cells = [*([times] if times is not None else []), *beside.values(), VALUES]
    lines = [",".join(str(cell[i]) for cell in cells) for i in range(len(VALUES))]
    (tmp_path / "x.csv").write_text("\n".join([",".join(f'"{name}"' for name in names), *lines]))
    (item,) = read_series(tmp_path / "x.csv", **options).items
    return item


HOURS = np.arange(N)
BOOKS = {
    "unnamed index": ("", HOURS),
    "a slice's index": ("", HOURS + 600),
    "every second row": ("", HOURS * 2 + 7),
    "a filtered index": ("", np.cumsum(1 + HOURS % 3)),
    "joined files": ("index", np.r_[0:240, 0:240]),
    "record number": ("RECORD", HOURS + 100_000),
    "falling id": ("id", HOURS[::-1] + 5),
    "year": ("year", np.full(N, 2024)),
    "month": ("Month", np.full(N, 1)),
    "hour": ("hour", HOURS % 24),
    "hour in another zone": ("hour", (HOURS + 5) % 24),
    "weekday": ("day_of_week", HOURS // 24 % 7),
    "weekday from Sunday": ("weekday", (HOURS // 24 + 1) % 7),
    "hour under another name": ("h", HOURS % 24),
    "day of year": ("dayofyear", HOURS // 24 + 1),
    "is_weekend": ("is_weekend", (HOURS // 24 % 7 > 4).astype(int)),
    "sine of the hour": ("hour_sin", np.round(np.sin(HOURS % 24 / 24 * 2 * np.pi), 4)),
    "uptime": ("uptime", 1000 + 3600 * HOURS),
    "seconds with jitter": ("elapsed_s", np.round(HOURS * 3600 + np.sin(HOURS), 2)),
    "an even ramp": ("x", HOURS * 0.25),
    "a countdown": ("remaining", (N - HOURS) * 5),
    "epoch beside the clock": ("received", 1_704_067_200 + 3600 * HOURS),
}


@pytest.mark.parametrize(("name", "numbers"), BOOKS.values(), ids=BOOKS)
def test_what_measures_nothing_is_left_out_and_can_be_asked_for(tmp_path, name, numbers):
    item = read(tmp_path, {name: numbers})
    assert item.channel_names == ("v",)
    shown = name or "column_1"
    assert any(f"'{shown}'" in note and "not monitored" in note for note in item.notes)
    if name:
        chosen = read(tmp_path, {name: numbers}, columns=[name])
        np.testing.assert_array_equal(chosen.values[:, 0], numbers)


MEASURED = {
    "a meter that rises unevenly": ("kwh", np.round(np.cumsum(np.random.default_rng(1).gamma(0.5, 1, N)), 3)),
    "whole numbers": ("count", np.random.default_rng(2).integers(0, 24, N)),
    "a counter that restarts": ("uptime", HOURS % 37 * 10),
    "a state": ("day", np.where(HOURS % 50 < 20, 1, 40)),
}


@pytest.mark.parametrize(("name", "numbers"), MEASURED.values(), ids=MEASURED)
def test_what_measures_something_stays(tmp_path, name, numbers):
    assert read(tmp_path, {name: numbers}).channel_names == (name, "v")


def test_calendar_columns_are_the_clock_where_there_is_no_other(tmp_path):
    day = HOURS // 24 + 1
    item = read(tmp_path, {"year": np.full(N, 2024), "month": np.ones(N, int), "day": day, "hour": HOURS % 24}, None)
    assert item.channel_names == ("v",)
    np.testing.assert_array_equal(item.timestamps, TIMES)
    assert item.sample_period_s == 3600


@pytest.mark.parametrize("header", [",0,1", "time,0,1"])
def test_a_numbered_header_is_no_row(tmp_path, header):
    rows = [f"{i if header[0] == ',' else TIMES[i]},{VALUES[i]},{-VALUES[i]}" for i in range(N)]
    (tmp_path / "x.csv").write_text("\n".join([header, *rows]))
    (item,) = read_series(tmp_path / "x.csv").items
    assert item.channel_names == ("0", "1")
    assert len(item.row_index) == N


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ["a", "b"]),
        (" a , b ", ["a", "b"]),
        ('"flow, m3/h"', ["flow, m3/h"]),
        ("'flow, m3/h',temp", ["flow, m3/h", "temp"]),
        (r"flow\, m3/h,temp", ["flow, m3/h", "temp"]),
        ("it's,b", ["it's", "b"]),
        ('5" pipe,b', ['5" pipe', "b"]),
        (r"C:\temp,b", [r"C:\temp", "b"]),
        ("a,,b,", ["a", "b"]),
    ],
)
def test_names_are_split_at_commas_outside_quotes(text, names):
    assert split_names(text) == names


def test_columns_by_name_glob_and_position(tmp_path):
    columns = {"flow, m3/h": VALUES + 1, "flow_b": VALUES + 2, "temp": VALUES + 3}
    for keys, expected in (
        ("flow, m3/h", ("flow, m3/h",)),
        ("flow*", ("flow, m3/h", "flow_b")),
        (["temp", "flow_*"], ("temp", "flow_b")),
        ("1,3", ("flow, m3/h", "temp")),
        ([3], ("temp",)),
    ):
        assert read(tmp_path, columns, columns=keys).channel_names == expected
    assert read(tmp_path, columns, exclude=["flow*", 4]).channel_names == ("temp",)
    assert read(tmp_path, columns, columns="*", exclude="time,temp,v,flow*b").channel_names == ("flow, m3/h",)
    with pytest.raises(DataError, match="columns names 'pressure'"):
        read(tmp_path, columns, columns=["pressure"])
    assert any("no column here" in note for note in read(tmp_path, columns, exclude=["pressure"]).notes)
