"""Small files that unpack to much, and headers that promise much: refused before memory or time is spent on them."""

import contextlib
import gzip
import io
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

from oddwave.errors import ConfigError, DataError
from oddwave.sources.bounded import MAX_RATIO, Limits
from oddwave.sources.series.reader import read_series


def header(shape: object, descr: str = "<f8") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def npz(method: int, num_arrays: int, num_values: int, descr: str = "<f8") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for i in range(num_arrays):
            archive.writestr(f"x{i}.npy", header((num_values,), descr) + bytes(num_values * np.dtype(descr).itemsize))
    return buffer.getvalue()


def parquet(num_rows: int, columns: dict[str, object]) -> bytes:
    import pyarrow
    from pyarrow import parquet as files

    buffer = io.BytesIO()
    made = {
        name: pyarrow.array([value], type=kind).take(pyarrow.array(np.zeros(num_rows, np.int32)))
        for name, (value, kind) in columns.items()
    }
    files.write_table(pyarrow.table(made), buffer, compression="zstd")
    return buffer.getvalue()


BOMBS = {
    "one gzip member": lambda: gzip.compress(b"0,1\n" * 1_000_000),
    "many gzip members": lambda: gzip.compress(b"0,1\n" * 1_000_000) * 20,
    "one array": lambda: npz(zipfile.ZIP_DEFLATED, 1, 10_000_000),
    "many arrays": lambda: npz(zipfile.ZIP_DEFLATED, 10, 1_000_000),
    "small numbers": lambda: npz(zipfile.ZIP_DEFLATED, 1, 10_000_000, "|b1"),
    "LZMA": lambda: npz(zipfile.ZIP_LZMA, 1, 10_000_000),
    "Parquet": lambda: parquet(5_000_000, {"a": (0.0, "float64"), "b": (1, "int8")}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_in_little_memory_and_time(tmp_path, name) -> None:
    raw = BOMBS[name]()
    (tmp_path / "x.csv.gz").write_bytes(raw)
    for source in (raw, tmp_path / "x.csv.gz", io.BytesIO(raw)):
        tracemalloc.start()
        begin = time.process_time()
        with pytest.raises(DataError, match=r"unpacks from .* over 100 times its size"):
            read_series(source)
        assert time.process_time() - begin < 5
        assert tracemalloc.get_traced_memory()[1] < 40e6
        tracemalloc.stop()


def test_what_compresses_well_is_read_all_the_same(tmp_path) -> None:
    times = np.datetime64("2024-01-01T00:00") + np.arange(100_000)
    text = "time,v\n" + "\n".join(f"{time},0" for time in times)
    assert read_series(gzip.compress(text.encode())).items[0].n_timepoints == 100_000
    np.savez_compressed(tmp_path / "zeros.npz", np.zeros(1_000_000))
    assert read_series(tmp_path / "zeros.npz").items[0].n_timepoints == 1_000_000


def test_the_limits_are_settings() -> None:
    raw = npz(zipfile.ZIP_DEFLATED, 1, 10_000_000)
    assert read_series(raw, max_ratio=2000).items[0].n_timepoints == 10_000_000
    with pytest.raises(DataError, match="at most 1 MB are read"):
        read_series(np.arange(200_000.0).tobytes(), max_bytes=1_000_000)
    with pytest.raises(ConfigError, match="max_ratio"):
        Limits(max_ratio=0)
    assert MAX_RATIO >= 50


@pytest.mark.parametrize(
    "raw",
    [
        header((10**12,)) + bytes(100),
        header((10**30, 2)),
        header((-5,)) + bytes(100),
        header((0, 10**12)),
        header((10**12,), "<V0"),
        header((3,), "|S1000000000"),
        header((3,), "|O") + b"\x80\x05N.",
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 5001) + b"(" * 5000 + b"\n",
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 9) + b"{'descr':",
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
        b"\x93NUMPY\x09\x00",
        b"\x93NUMPY",
    ],
)
def test_headers_that_promise_too_much_or_nonsense(raw, tmp_path) -> None:
    (tmp_path / "x.npy").write_bytes(raw)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", raw)
    for source in (tmp_path / "x.npy", tmp_path / "x.npz", raw):
        with pytest.raises(DataError) as caught:
            read_series(source)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_archives(method) -> None:
    whole = bytearray(npz(method, 2, 500))
    rng = np.random.default_rng(0)
    for _ in range(40):
        damaged = whole.copy()
        for place in rng.integers(4, len(whole), 6):
            damaged[place] ^= int(rng.integers(1, 256))
        with contextlib.suppress(DataError):  # some damage does not show; what shows is refused as it should be
            assert np.isfinite(read_series(bytes(damaged)).items[0].values).any()
        with pytest.raises(DataError):
            read_series(bytes(damaged[: len(damaged) // 2]))
