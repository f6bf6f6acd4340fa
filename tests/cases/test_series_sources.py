"""Frames with an index or a zone, open files, tensors, links, globs: each read right, or refused in one line."""

import datetime
import gzip
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from oddwave.errors import DataError
from oddwave.sources.series.reader import read_series

N = 8
TIMES = pd.date_range("2024-06-01", periods=N, freq="10min")
VALUES = np.arange(N) * 1.5
FRAME = pd.DataFrame({"time": TIMES, "v": VALUES})
TWO = pd.MultiIndex.from_product([["m1", "m2"], TIMES], names=["machine", "time"])
ZONED = TIMES.tz_localize("Europe/Berlin")


@pytest.mark.parametrize(
    "index",
    [
        TIMES,
        TIMES.rename("when"),
        TIMES.rename("v"),
        pd.Index(TIMES.to_pydatetime(), dtype=object),
        pd.Index([str(time) for time in TIMES]),
        pd.PeriodIndex(TIMES, freq="min"),
        pd.Index(
            TIMES.astype("int64[pyarrow]").astype("int64") // 10**6 if TIMES.unit == "us" else TIMES.asi8 // 10**9
        ),
        pd.CategoricalIndex([str(time) for time in TIMES]),
    ],
    ids=["times", "named", "named like the column", "datetimes", "text", "periods", "epoch", "categories"],
)
def test_an_index_of_times_is_the_clock(index) -> None:
    for source in (pd.DataFrame({"v": VALUES}, index=index), pd.Series(VALUES, index=index, name="v")):
        (item,) = read_series(source).items
        assert item.channel_names == ("v",)
        np.testing.assert_array_equal(item.values[:, 0], VALUES)
        np.testing.assert_array_equal(item.timestamps, TIMES.to_numpy("datetime64[ns]"))


def test_spans_of_time_are_a_clock_too() -> None:
    (item,) = read_series(pd.DataFrame({"v": VALUES}, index=pd.to_timedelta(np.arange(N) * 10, unit="min"))).items
    assert item.sample_period_s == 600
    assert any("elapsed" in note for note in item.notes)


@pytest.mark.parametrize(
    "index", [pd.RangeIndex(N), pd.Index(range(5, 5 + N)), pd.Index(range(5, 5 + N), name="row"), list("abcdefgh")]
)
def test_an_index_that_only_counts_or_names_is_no_channel(index) -> None:
    (item,) = read_series(pd.DataFrame({"v": VALUES}, index=index)).items
    assert item.channel_names == ("v",)
    assert item.timestamps is None


@pytest.mark.parametrize(
    ("index", "ids"),
    [
        (TWO, ["m1", "m2"]),
        (TWO.set_names([None, None]), ["m1", "m2"]),
        (pd.MultiIndex.from_tuples([("hall", *key) for key in TWO]), ["hall/m1", "hall/m2"]),
        (pd.MultiIndex.from_product([[1, 2], [str(time) for time in TIMES]]), ["1", "2"]),
    ],
    ids=["named", "without names", "three levels", "text"],
)
@pytest.mark.parametrize("time_first", [False, True])
def test_an_index_of_entities_and_times_makes_a_stream_of_each(index, ids, time_first, tmp_path) -> None:
    frame = pd.DataFrame({"v": np.r_[VALUES, 50 + VALUES]}, index=index)
    if time_first:
        frame = frame.swaplevel(-1, 0).sort_index()
    frame.to_parquet(tmp_path / "x.parquet")
    for source in (frame, frame["v"], tmp_path / "x.parquet"):
        series = read_series(source)
        assert [sorted(item.id.split("/")) for item in series.items] == [name.split("/") for name in ids]
        for item, values in zip(series.items, (VALUES, 50 + VALUES), strict=True):
            np.testing.assert_array_equal(item.values[:, 0], values)
            np.testing.assert_array_equal(item.timestamps, TIMES.to_numpy("datetime64[ns]"))


def test_an_index_of_entities_alone_is_refused() -> None:
    with pytest.raises(DataError, match="none of them times"):
        read_series(pd.DataFrame({"v": VALUES}, index=pd.MultiIndex.from_tuples([(i, -i) for i in range(N)])))
    with pytest.raises(DataError, match=r"several index levels of times \(a, b\)"):
        read_series(pd.DataFrame({"v": VALUES}, index=pd.MultiIndex.from_arrays([TIMES, TIMES], names=["a", "b"])))


@pytest.mark.parametrize(
    ("times", "zone"),
    [
        (ZONED, "Europe/Berlin"),
        (TIMES.tz_localize("UTC"), "UTC"),
        (TIMES.tz_localize(datetime.timezone(datetime.timedelta(hours=5, minutes=30))), "+05:30"),
        (pd.Index(ZONED.to_pydatetime(), dtype=object), "Europe/Berlin"),
    ],
    ids=str,
)
def test_a_zone_is_kept_and_said(times, zone, tmp_path) -> None:
    column = pd.DataFrame({"time": times, "v": VALUES})
    sources = [column, column.set_index("time"), column.set_index("time")["v"]]
    column.to_parquet(tmp_path / "x.parquet")
    for source in (*sources, tmp_path / "x.parquet"):
        (item,) = read_series(source).items
        assert item.timezone == zone
        assert item.timestamps[0] == pd.Timestamp(times[0]).tz_convert("UTC").tz_localize(None).to_datetime64()
        assert any("UTC" in note for note in item.notes)
    assert read_series(FRAME).items[0].timezone is None


@pytest.mark.parametrize("unit", ["s", "us"])
def test_dates_beyond_what_can_be_kept_are_refused(unit) -> None:
    late = pd.date_range("2300-01-01", periods=N, unit=unit)
    objects = pd.Index([datetime.datetime(2300, 1, 1 + i) for i in range(N)], dtype=object)
    for index in (late, objects):
        with pytest.raises(DataError, match="1678 to 2262"):
            read_series(pd.DataFrame({"v": VALUES}, index=index))


def test_repeated_names_are_numbered_and_nested_ones_joined() -> None:
    frame = pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=["a", "a", "a_2"])
    (item,) = read_series(frame).items
    assert len(set(item.channel_names)) == 3
    assert any("numbered" in note for note in item.notes)
    np.testing.assert_array_equal(item.values, frame.to_numpy())
    nested = pd.DataFrame(np.ones((4, 2)), columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]))
    assert read_series(nested).items[0].channel_names == ("a_x", "a_y")


def frames_of_other_makes() -> dict[str, object]:
    import pyarrow

    table = pyarrow.Table.from_pandas(FRAME)
    return {
        "Arrow table": table,
        "Arrow batch": table.to_batches()[0],
        "Arrow reader": table.to_reader(),
        "Arrow types": FRAME.convert_dtypes(dtype_backend="pyarrow"),
        "list": [FRAME],
    }


@pytest.mark.parametrize("name", ["Arrow table", "Arrow batch", "Arrow reader", "Arrow types", "list"])
def test_frames_of_other_makes(name) -> None:
    (item,) = read_series(frames_of_other_makes()[name]).items
    np.testing.assert_array_equal(item.values[:, 0], VALUES)
    np.testing.assert_array_equal(item.timestamps, TIMES.to_numpy("datetime64[ns]"))


def test_polars() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"time": TIMES.to_pydatetime().tolist(), "v": VALUES})
    for source in (frame, frame.lazy(), [frame], {"x": frame}):
        (item,) = read_series(source).items
        np.testing.assert_array_equal(item.values[:, 0], VALUES)
        np.testing.assert_array_equal(item.timestamps, TIMES.to_numpy("datetime64[ns]"))
    assert read_series(frame["v"]).items[0].channel_names == ("v",)


def test_xarray() -> None:
    xarray = pytest.importorskip("xarray")
    array = xarray.DataArray(VALUES, coords={"time": TIMES}, dims="time", name="v")
    for source in (array, xarray.Dataset({"v": array})):
        (item,) = read_series(source).items
        assert item.channel_names == ("v",)
        np.testing.assert_array_equal(item.timestamps, TIMES.to_numpy("datetime64[ns]"))
    sites = xarray.Dataset(
        {"v": (("site", "time"), np.stack([VALUES, -VALUES]))}, coords={"time": TIMES, "site": ["a", "b"]}
    )
    assert [item.id for item in read_series(sites).items] == ["a", "b"]
    assert read_series(xarray.DataArray(np.ones((2, 3, 4)))).kind == "panel"


def tensors() -> dict[str, object]:
    import torch

    plain = torch.arange(6.0)
    return {
        "in a graph": plain.clone().requires_grad_(),
        "bfloat16": plain.bfloat16(),
        "half": plain.half(),
        "sparse": plain[:, None].to_sparse(),
        "list": [plain.clone().requires_grad_()],
        "dict": {"a": plain.bfloat16().requires_grad_()},
        "numbers": [torch.tensor(float(i), requires_grad=True) for i in range(6)],
    }


@pytest.mark.parametrize("name", ["in a graph", "bfloat16", "half", "sparse", "list", "dict", "numbers"])
def test_tensors(name) -> None:
    (item,) = read_series(tensors()[name]).items
    np.testing.assert_array_equal(item.values[:, 0], np.arange(6.0))


def test_what_only_looks_like_an_array_is_refused() -> None:
    import torch

    class Broken:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("two\nlines")

    for source in (
        torch.ones(3, device="meta"),
        torch.ones(3, dtype=torch.complex64),
        Broken(),
        {"a": Broken()},
        [[1, [2]]],
    ):
        with pytest.raises(DataError) as caught:
            read_series(source)
        assert "\n" not in str(caught.value)


def test_open_files_and_bytes(tmp_path) -> None:
    text = FRAME.to_csv(index=False)
    path = tmp_path / "x.csv"
    path.write_text(text)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("in/x.csv", text)
    arrays = io.BytesIO()
    np.savez(arrays, VALUES)
    parquet = io.BytesIO()
    FRAME.to_parquet(parquet)
    with path.open() as as_text, path.open("rb") as as_bytes, zipfile.ZipFile(tmp_path / "x.zip") as archive:
        sources = [
            text.encode(), bytearray(text.encode()), memoryview(text.encode()), gzip.compress(text.encode()),
            io.StringIO(text), io.BytesIO(text.encode("utf-16")), as_text, as_bytes, archive.open("in/x.csv"),
            zipfile.Path(archive, "in/x.csv"), arrays.getvalue(), parquet.getvalue(),
        ]  # fmt: skip
        for source in sources:
            (item,) = read_series(source).items
            assert item.id == "series"
            np.testing.assert_array_equal(item.values[:, 0], VALUES)
        assert [item.id for item in read_series({"a": path, "b": str(path), "c": io.StringIO(text)}).items] == [
            "a",
            "b",
            "c",
        ]
        with pytest.raises(DataError, match="open ZIP"):
            read_series(archive)
    with pytest.raises(DataError, match=r"cannot read 'x\.csv'"):
        read_series(as_text)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an old Excel workbook"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
        (b"\x80\x05\x95" + bytes(99), "a Python pickle"),
        (b"ARROW1\0\0" + bytes(99), "a Feather or Arrow file"),
        (b"SQLite format 3\0" + bytes(99), "an SQLite database"),
        (b"BZh91AY" + bytes(99), "a bzip2 file"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b'[{"time": 1, "v": 2}]', "a JSON file"),
    ],
)
@pytest.mark.parametrize("name", ["x.csv", "x.bin", "x.npy"])
def test_files_are_named_as_what_they_are(tmp_path, content, expected, name) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=expected):
        read_series(tmp_path / name)


@pytest.mark.parametrize("header", ["MAC address,v", "time,ms,WAVE", "ID3,BM", "BM,v", "seconds,AVI "])
def test_a_header_may_begin_like_a_file_of_another_kind(tmp_path, header) -> None:
    (tmp_path / "x.csv").write_text(
        f"{header}\n" + "\n".join(",".join([str(i)] * len(header.split(","))) for i in range(9))
    )
    assert read_series(tmp_path / "x.csv").items[0].n_timepoints == 9


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ("xl/workbook.xml", "an Excel workbook"),
        ("data.csv", "a ZIP archive of 1 file"),
        ("word/document.xml", "an Office"),
    ],
)
def test_zip_files_are_named_as_what_they_are(tmp_path, member, expected) -> None:
    for name in ("x.xlsx", "x.csv", "x.zip", "x.npz"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(member, "x")
        with pytest.raises(DataError, match=expected):
            read_series(tmp_path / name)


def test_contents_say_what_a_file_is_not_its_ending(tmp_path) -> None:
    FRAME.to_parquet(tmp_path / "x.csv")
    with (tmp_path / "x.txt").open("wb") as file:
        np.save(file, VALUES)
    for name in ("x.csv", "x.txt"):
        np.testing.assert_array_equal(read_series(tmp_path / name).items[0].values[:, 0], VALUES)


def test_links_globs_and_brackets(tmp_path) -> None:
    data = tmp_path / "data"
    (data / "deep").mkdir(parents=True)
    for name in ("a1.csv", "a[1].csv", "deep/b.csv"):
        FRAME.assign(v=VALUES + len(name)).to_csv(data / name, index=False)
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "folder").symlink_to(data)
    (linked / "file.csv").symlink_to(data / "a1.csv")
    (linked / "back").symlink_to(linked)
    ids = [item.id for item in read_series(linked).items]
    assert ids == ["file.csv", "folder/a1.csv", "folder/a[1].csv", "folder/deep/b.csv"]
    (literal,) = read_series(data / "a[1].csv").items
    assert (literal.id, literal.values[0, 0]) == ("a[1].csv", 8.0)
    assert [item.id for item in read_series(str(data / "a*.csv")).items] == ["a1.csv", "a[1].csv"]
    assert [item.id for item in read_series(str(data / "**" / "*.csv")).items][-1] == "deep/b.csv"
    assert [item.id for item in read_series([data / "a1.csv"] * 2).items] == ["a1.csv", "a1.csv (2)"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such devices")
@pytest.mark.parametrize("place", ["/dev/zero", "/dev/null", "", "\0.csv", "x" * 5000])
def test_what_is_no_file_is_refused_at_once(place, tmp_path) -> None:
    with pytest.raises(DataError):
        read_series(place)
    if place.startswith("/dev/"):
        (tmp_path / "x.csv").symlink_to(place)
        with pytest.raises(DataError, match="a pipe or a device"):
            read_series(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path) -> None:
    import os

    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(DataError, match="a pipe or a device"):
        read_series(Path(tmp_path / "x.csv"))
