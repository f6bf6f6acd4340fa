"""What an input holds: files, objects of a store, rows of Parquet; the same names, places and order every time."""

import io
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from oddwave.dist.columns import cell_of, column_of, place_of
from oddwave.dist.fetching import placed, units_of
from oddwave.dist.listing import is_uri, listed
from oddwave.dist.plan import cut
from oddwave.errors import DataError


def png(shade: int) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(np.full((8, 8), shade, np.uint8)).save(sink, "png")
    return sink.getvalue()


def all_units(listing, size=2):
    return [unit for first, count in cut(listing.pieces, size) for unit in units_of(listing.task(first, count))]


@pytest.fixture
def store():
    """Give a store in memory, empty before and after."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    for name in ("parts/b.png", "parts/sub/a.png", "parts/notes.txt", "parts/.hidden.png"):
        memory.pipe_file(f"/{name}", png(len(name)))
    yield memory
    memory.store.clear()


def test_objects_are_named_by_their_place_below_the_address(store) -> None:
    listing = listed("memory://parts", "image")
    units = all_units(listing)
    assert [(unit.number, unit.id) for unit in units] == [(0, "b.png"), (1, "sub/a.png")]
    assert "1 object(s)" in listing.notes[0]
    with placed(units) as found:
        assert [own.path.read_bytes() for own in found] == [png(11), png(15)]
        assert all(own.passing and own.path.suffix == ".png" for own in found)
        kept = [own.path for own in found]
    assert not any(path.exists() for path in kept)
    assert [unit.id for unit in all_units(listed("memory://parts/*/*.png", "image"))] == ["sub/a.png"]
    assert [unit.id for unit in all_units(listed("memory://parts/b.png", "image"))] == ["b.png"]


def test_an_object_that_went_or_changed_is_told_in_its_place(store) -> None:
    listing = listed("memory://parts", "image")
    before = listing.facts
    assert listed("memory://parts", "image").facts == before
    store.rm_file("/parts/b.png")
    store.pipe_file("/parts/sub/a.png", png(1) + b"more")
    with placed(all_units(listing)) as found:
        assert ["does not exist" in found[0].reason, "has changed" in found[1].reason] == [True, True]
    assert listed("memory://parts", "image").facts != before


@pytest.mark.parametrize(
    "address", ["memory://nothing", "memory://parts/*.wav", "nosuchstore://x", "memory://parts/notes.txt"]
)
def test_addresses_without_images_are_refused(store, address) -> None:
    with pytest.raises(DataError):
        listed(address, "image")


def test_addresses_are_told_from_paths() -> None:
    assert [is_uri(text) for text in ("s3://b/x", "memory://x", "simplecache::s3://b", "C:\\x", "a/b:c", "x.png")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("place", ["local", "memory"])
def test_rows_of_parquet_hold_bytes_or_paths(tmp_path, place) -> None:
    (tmp_path / "one.png").write_bytes(png(200))
    tables = {
        "a.parquet": pa.table({"image": [png(1), png(2), None, b"no image", png(5)], "label": range(5)}),
        "b.parquet": pa.table({"image": [png(6)], "label": [0]}),
    }
    for name, table in tables.items():
        pq.write_table(table, tmp_path / name, row_group_size=3)
    source = str(tmp_path / "*.parquet")
    if place == "memory":
        memory = fsspec.filesystem("memory")
        memory.store.clear()
        for name in tables:
            memory.pipe_file(f"/t/{name}", (tmp_path / name).read_bytes())
        source = "memory://t"
    listing = listed(source, "image")
    assert (listing.pieces, listing.column) == ((3, 2, 1), "image")
    units = all_units(listing)
    assert [unit.id for unit in units] == [*(f"a.parquet#{i}" for i in range(5)), "b.parquet#0"]
    assert [unit.number for unit in units] == list(range(6))
    with placed(units) as found:
        assert [own.path.read_bytes() if not own.reason else own.reason[:13] for own in found] == [
            png(1), png(2), "holds nothing", b"no image", png(5), png(6),
        ]  # fmt: skip
    pq.write_table(pa.table({"path": ["one.png", None, str(tmp_path / "one.png")]}), tmp_path / "paths.parquet")
    with placed(all_units(listed(str(tmp_path / "paths.parquet"), "image", column="path"))) as found:
        assert [own.path for own in found if not own.reason] == [tmp_path / "one.png"] * 2
        assert [own.unit.id for own in found] == ["one.png", "paths.parquet#1", str(tmp_path / "one.png")]


def test_the_column_is_found_or_asked_for() -> None:
    bytes_and_name = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    assert column_of(pa.schema([("picture", bytes_and_name), ("path", pa.string())]), None, "x") == "picture"
    assert column_of(pa.schema([("File_Name", pa.string()), ("size", pa.int64())]), None, "x") == "File_Name"
    two = pa.schema([("left", pa.binary()), ("right", pa.binary()), ("n", pa.int64())])
    assert column_of(two, "right", "x") == "right"
    for schema, wanted in ((two, None), (two, "n"), (two, "up"), (pa.schema([("n", pa.int64())]), None)):
        with pytest.raises(DataError, match="column"):
            column_of(schema, wanted, "x")
    assert cell_of({"bytes": b"x", "path": "a.png"}) == (b"x", "a.png")
    assert cell_of({"bytes": None, "path": "a.png"}) == (None, "a.png")
    assert place_of("a.png", "s3://d/t.parquet") == "s3://d/a.png"
    assert place_of("s3://b/a.png", "d/t.parquet") == "s3://b/a.png"


def test_local_files_are_those_of_one_process(tmp_path) -> None:
    for name in ("train/good/a.png", "test/good/b.png", "test/bad/c.png", "ground_truth/bad/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png(9))
    listing = listed(str(tmp_path), "image")
    assert [unit.id for unit in all_units(listing)] == ["test/bad/c.png", "test/good/b.png"]
    with placed(all_units(listing)) as found:
        assert [(own.passing, own.reason) for own in found] == [(False, "")] * 2
    Path(tmp_path / "test/bad/c.png").write_bytes(png(9) + b"more")
    with placed(all_units(listing)) as found:
        assert "has changed" in found[0].reason
    assert len(listed(str(tmp_path), "image", part="all", subset=2).units) == 2
