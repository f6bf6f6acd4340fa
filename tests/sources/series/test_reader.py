"""Every kind of source, and the same data read the same from each of them."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.sources.base import Item
from oddwave.sources.series.items import SeriesItem, match_channels
from oddwave.sources.series.reader import read_series

VALUES = np.array([[1.0, 10.0], [2.0, np.nan], [4.0, 30.0], [8.0, 40.0]])
TIMES = np.datetime64("2014-07-01", "ns") + np.arange(4) * np.timedelta64(30, "m")


def frame():
    return pd.DataFrame({"timestamp": TIMES, "a": VALUES[:, 0], "b": VALUES[:, 1]})


def one(source, **options):
    series = read_series(source, **options)
    assert series.kind == "stream"
    (item,) = series.items
    return item


def test_files_and_frames_hold_the_same_data(tmp_path):
    frame().to_csv(tmp_path / "x.csv", index=False)
    frame().to_csv(tmp_path / "x.tsv", index=False, sep="\t")
    frame().to_parquet(tmp_path / "x.parquet")
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "x.csv.gz").write_bytes(gzip.compress((tmp_path / "x.csv").read_bytes()))
    sources = [tmp_path / "x.csv", str(tmp_path / "x.tsv"), tmp_path / "x.parquet", tmp_path / "y" / "x.csv.gz"]
    assert [one(source).id for source in sources] == ["x.csv", "x.tsv", "x.parquet", "x.csv.gz"]
    opened = [source.open("rb") for source in map(Path, sources)]
    assert len({read_series({"x": file}).fingerprint for file in opened}) == 1
    for file in opened:
        file.close()
    for source in [*sources, frame(), frame().set_index("timestamp")]:
        item = one(source)
        np.testing.assert_array_equal(item.values, VALUES)
        np.testing.assert_array_equal(item.timestamps, TIMES)
        assert item.channel_names == ("a", "b")
        assert item.sample_period_s == 1800
        assert "1 missing value kept as missing" in item.notes
        np.testing.assert_array_equal(item.observed, ~np.isnan(VALUES))


def test_numpy_files_and_arrays_hold_the_same_data(tmp_path):
    np.save(tmp_path / "series.npy", VALUES)
    np.savez(tmp_path / "series.npz", VALUES)
    for source in (VALUES, tmp_path / "series.npy", tmp_path / "series.npz", VALUES.astype(np.float32)):
        item = one(source)
        assert item.id == (source.name if isinstance(source, Path) else "series")
        assert item.values.dtype == np.float64
        assert item.channel_names == ("channel_0", "channel_1")
        np.testing.assert_array_equal(item.values, VALUES)
    assert one(np.arange(5)).values.shape == (5, 1)
    assert one(np.array([True, False, True])).values[0, 0] == 1.0
    assert one([1, 2, 3]).values.shape == (3, 1)


def test_pandas_kinds_of_index_and_column():
    series = pd.Series([1, 2, None, 4], index=pd.date_range("2014-01-01", periods=4, freq="h", tz="Europe/Berlin"))
    item = one(series)
    assert item.channel_names == ("value",)
    assert item.timestamps[0] == np.datetime64("2013-12-31T23:00")
    nullable = pd.DataFrame({"n": pd.array([1, None, 3], dtype="Int64"), "ok": pd.array([True, None, False])})
    np.testing.assert_array_equal(one(nullable).values, [[1, 1], [np.nan, np.nan], [3, 0]])
    monthly = pd.DataFrame({"v": [1.0, 2.0, 3.0]}, index=pd.period_range("2014-01", periods=3, freq="M"))
    assert one(monthly).timestamps[1] == np.datetime64("2014-02-01")
    text = pd.DataFrame({"when": ["2014-01-01", "2014-01-02"], "v": ["1.5", "2.5"]})
    np.testing.assert_array_equal(one(text).values, [[1.5], [2.5]])
    assert "unnamed index" in one(pd.DataFrame({"v": [1, 2, 3]}, index=[5, 7, 9])).notes[0]


def test_dicts_and_lists_are_many_streams():
    series = read_series({"pump": VALUES, "fan": VALUES[:3]})
    assert [item.id for item in series.items] == ["pump", "fan"]
    assert [item.id for item in read_series([VALUES, VALUES[:2]]).items] == ["series_0", "series_1"]
    assert [item.n_timepoints for item in read_series(iter([np.ones(3), np.arange(4)])).items] == [3, 4]


def test_a_folder_is_many_streams_with_stable_ids(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.csv", "sub/a.csv", "a.csv"):
        frame().to_csv(tmp_path / name, index=False)
    frame().to_parquet(tmp_path / "a.parquet")
    for name in ("README.txt", "notes.md", ".hidden.csv", "labels.json"):
        (tmp_path / name).write_text("not a series")
    series = read_series(tmp_path)
    assert [item.id for item in series.items] == ["a.csv", "a.parquet", "b.csv", "sub/a.csv"]
    assert "3 file(s) that are no data files ignored: README.txt, labels.json, notes.md" in series.notes
    listed = read_series([tmp_path / "b.csv", tmp_path / "sub" / "a.csv"])
    assert [item.id for item in listed.items] == ["b.csv", "sub/a.csv"]


def test_channels_are_matched_by_name_across_files(tmp_path):
    (tmp_path / "1.csv").write_text("a,b\n1,10\n2,20\n")
    (tmp_path / "2.csv").write_text("b,a\n30,3\n40,4\n")
    series = read_series(tmp_path)
    np.testing.assert_array_equal(series.items[1].values, [[3, 30], [4, 40]])
    assert series.channel_names == ("a", "b")
    assert series.n_channels == 2
    with pytest.raises(ShapeError, match=r"'2.csv' has no channel c: it has a, b, expected a, b, c"):
        match_channels(series.items[1], ("a", "b", "c"))
    (tmp_path / "3.csv").write_text("a\n1\n2\n")
    with pytest.raises(ShapeError, match=r"'3.csv' has no channel b"):
        read_series(tmp_path)
    (tmp_path / "3.csv").write_text("a,b,c\n1,2,3\n2,3,4\n")
    with pytest.raises(
        ShapeError,
        match=r"'3\.csv' has c, which '1\.csv' has not: .* with columns=",
    ):
        read_series(tmp_path)


def test_every_original_row_gets_its_score_back(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(
        "t,v\n2014-01-01 00:02,2\n2014-01-01 00:00,0\n,9\n2014-01-01 00:02,4\n2014-01-01 00:01,1\n2014-01-01 00:04,5\n"
        "2014-01-01 00:05,6\n"
    )
    item = one(path)
    np.testing.assert_array_equal(item.values[:, 0], [0, 1, 3, np.nan, 5, 6])
    np.testing.assert_array_equal(item.per_row(item.values[:, 0]), [3, 0, np.nan, 3, 1, 5, 6])
    assert item.per_row(np.zeros((6, 2))).shape == (7, 2)
    assert item.row_timestamps[0] == np.datetime64("2014-01-01T00:02")
    with pytest.raises(ShapeError, match=r"7 point values for 'x\.csv', which has 6 points"):
        item.per_row(np.zeros(7))


def test_constant_and_empty_channels_are_kept_and_noted():
    item = one(pd.DataFrame({"a": [1.0, 2.0], "flat": [3, 3], "gone": [np.nan, np.nan]}))
    assert item.n_channels == 3
    assert "not monitored, no value at all: gone" in item.notes
    assert "constant, not monitored unless it changes later: flat" in item.notes


def test_infinities_are_missing_with_a_note():
    item = one(np.array([1.0, np.inf, -np.inf, 2.0]))
    np.testing.assert_array_equal(item.observed[:, 0], [True, False, False, True])
    assert "2 infinite values taken as missing" in item.notes


def test_columns_select_channels_of_arrays_and_frames():
    np.testing.assert_array_equal(one(VALUES, columns=["channel_1"]).values, VALUES[:, 1:])
    np.testing.assert_array_equal(one(VALUES, columns=[1, 0]).values, VALUES[:, ::-1])
    assert one(frame(), columns=["b"]).channel_names == ("b",)
    with pytest.raises(DataError, match="the columns channel_0, channel_1"):
        read_series(VALUES, columns=["channel_2"])


def test_a_wide_array_is_noted_and_items_keep_the_contract():
    item = one(np.arange(12.0).reshape(2, 6))
    assert any("else transpose" in note for note in item.notes)
    assert isinstance(item, Item)
    assert isinstance(item, SeriesItem)


def test_fingerprint_follows_the_data_only():
    base = read_series(VALUES).fingerprint
    assert base == read_series(VALUES.copy()).fingerprint
    assert base != read_series(VALUES + 1).fingerprint
    assert base != read_series({"other": VALUES}).fingerprint
    assert read_series(np.array([0.0, 1.0])).fingerprint == read_series(np.array([-0.0, 1.0])).fingerprint
    later = frame().assign(timestamp=TIMES + np.timedelta64(1, "D"))
    assert read_series(frame()).fingerprint != read_series(later).fingerprint


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/file.csv", "no such file or folder"),
        (np.array([]), "at least one point"),
        (np.empty((0, 3)), "at least one point"),
        (np.array(["a", "b"]), "expected numbers"),
        (np.array([1 + 2j]), "expected numbers"),
        (np.array([None, "1"], dtype=object), "expected numbers"),
        (np.array([None, np.ones(2)], dtype=object), "expected numbers"),
        (np.ones((2, 2, 2, 2)), "expected"),
        (np.full((4, 2), np.nan), "no number at all"),
        ({}, "holds no series"),
        ([], "holds no series"),
        (3.5, "cannot read a series from float"),
        (None, "cannot read a series from NoneType"),
        (pd.DataFrame({"a": []}), "0 rows"),
        (pd.DataFrame({"a": ["x", "y"], "b": ["u", "v"]}), "no column holds numbers: a"),
        ([np.ones((3, 1)), np.ones((2, 3, 4))], "mixes streams and panels"),
        ({1: np.ones(3), "1": np.ones(3)}, "two series are called '1'"),
    ],
)
def test_bad_sources_are_refused_in_one_line(source, message):
    with pytest.raises(DataError, match=message) as caught:
        read_series(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.parquet", "a.csv", "a.xlsx"])
def test_damaged_files_are_refused_by_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04 nothing of the kind \x00\x00")
    with pytest.raises(DataError, match=name) as caught:
        read_series(path)
    assert "\n" not in str(caught.value)


def test_truncated_and_pickled_arrays_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(1000.0))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"a\.npy"):
        read_series(path)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy"):
        read_series(path)


def test_a_folder_without_data_and_bad_options_are_refused(tmp_path):
    with pytest.raises(DataError, match="holds no data file"):
        read_series(tmp_path)
    with pytest.raises(ConfigError, match="kind is 'streams'"):
        read_series(VALUES, kind="streams")
    with pytest.raises(ConfigError, match="max_gap is -1"):
        read_series(VALUES, max_gap=-1)
    with pytest.raises(ConfigError, match="timestamp="):
        read_series(VALUES, timestamp="t")


def test_importing_the_reader_imports_neither_torch_nor_pandas():
    code = "import sys, oddwave; oddwave.read_series([1, 2]); print({'torch', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
