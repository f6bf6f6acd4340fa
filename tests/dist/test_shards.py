"""A shard's rows are those of one process, whatever is in it; its file is whole, or not there. Without Ray."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oddwave.detector import Detector
from oddwave.dist.fetching import units_of
from oddwave.dist.listing import listed
from oddwave.dist.plan import ShardPlan, cut
from oddwave.dist.shards import read_shard, scored_rows, tried, whole_shards, write_shard
from oddwave.errors import CheckpointError, DataError
from oddwave.result_rows import score_columns

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
import tiny_models as tiny

ASKED = {"alpha": 0.3}
pytestmark = pytest.mark.slow  # a model is fitted


@pytest.fixture(scope="module")
def images() -> Detector:
    return tiny.fitted("retrieved")


@pytest.fixture
def folder(tmp_path) -> Path:
    """Give images, some odd, among files that cannot be read."""
    for number, image in enumerate(tiny.gratings(7, 3)):
        image[8:20, 8:20] = 0.95 if number == 2 else image[8:20, 8:20]
        Image.fromarray((255 * image).astype(np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "3b.png").write_bytes(b"")
    (tmp_path / "9.png").write_bytes(b"no image")
    return tmp_path


def rows_in_shards(detector, source, size):
    listing, rows = listed(source, detector.config.modality), []
    for first, count in cut(listing.pieces, size):
        rows.append(scored_rows(detector, units_of(listing.task(first, count)), ASKED))
    return {name: [value for own in rows for value in own[name]] for name in rows[0]}


def same(rows, detector, source) -> None:
    result = detector.score(source, **ASKED, explain="none")
    expected = score_columns(result.kind, result.items)
    for name, values in expected.items():
        found = rows[name]
        if isinstance(values[0], float):
            np.testing.assert_allclose(found, values, rtol=1e-6, atol=1e-6)
        else:
            assert found == values
    assert sum(rows["events"]) == len(result.events)


@pytest.mark.parametrize("size", [1, 4, 100])
def test_images_get_the_rows_of_one_process(images, folder, size) -> None:
    rows = rows_in_shards(images, str(folder), size)
    same(rows, images, str(folder))
    assert rows["number"] == list(range(9))
    assert [rows["item"][i] for i in range(9) if rows["label"][i] == -1] == ["3b.png", "9.png"]


def test_a_shard_of_nothing_but_damaged_files_keeps_their_rows(images, tmp_path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"x" * number)
    rows = rows_in_shards(images, str(tmp_path), 3)
    assert rows["label"] == [-1, -1, -1]
    assert f"'{tmp_path / '0.png'}' is empty (0 bytes): copy it again" in rows["reason"]
    images.read_options["on_error"] = "stop"
    try:
        with pytest.raises(DataError, match="is empty"):
            rows_in_shards(images, str(tmp_path), 3)
    finally:
        del images.read_options["on_error"]


def test_a_shard_is_whole_or_not_there(images, folder) -> None:
    listing = listed(str(folder), "image")
    plan = ShardPlan({"input": listing.facts}, 5, cut(listing.pieces, 5))
    out = folder / "out"
    (out / "shards").mkdir(parents=True)
    for number, (first, count) in enumerate(plan.shards):
        assert tried(out, number) == 1
        write_shard(out, plan, number, scored_rows(images, units_of(listing.task(first, count)), ASKED))
    assert whole_shards(out, plan) == [0, 1]
    assert sorted(path.name for path in (out / "shards").iterdir()) == [plan.file_name(0), plan.file_name(1)]
    assert read_shard(out, plan, 1, ("number",))["number"].tolist() == [4, 5, 6, 7, 8]
    path = out / "shards" / plan.file_name(1)
    whole = path.read_bytes()
    for damaged in (whole[:-9], whole[: len(whole) // 2], b"", whole[: len(whole) // 2] + b"PAR1"):
        path.write_bytes(damaged)
        assert whole_shards(out, plan) == [0]
        with pytest.raises(CheckpointError, match="remove it"):
            read_shard(out, plan, 1)
    path.write_bytes(whole)
    other = ShardPlan({"input": "another"}, 5, plan.shards)
    assert whole_shards(out, other) == []
    rows = scored_rows(images, units_of(listing.task(*plan.shards[0])), ASKED)
    with pytest.raises(CheckpointError, match="rows of"):
        write_shard(out, plan, 1, rows)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stream", "sound"])
def test_files_of_series_and_sound_get_the_rows_of_one_process(kind, tmp_path) -> None:
    import soundfile

    detector = tiny.fitted(kind)
    for number in range(4):
        if kind == "stream":
            values = tiny.waves(80, number)
            values[40:46, 0] += 3.0 * (number == 1)
            header = ",".join(detector.inner.channel_names)
            np.savetxt(tmp_path / f"s{number}.csv", values, delimiter=",", header=header, comments="")
        else:
            (samples, rate), *_ = tiny.hums(1, number).values()
            soundfile.write(tmp_path / f"s{number}.wav", samples, rate)
    (tmp_path / ("s1b.csv" if kind == "stream" else "s1b.wav")).write_bytes(b"\x00\x01")
    for size in (1, 2, 9):
        rows = rows_in_shards(detector, str(tmp_path), size)
        same(rows, detector, str(tmp_path))
        assert sorted(set(rows["number"])) == [0, 1, 2, 3, 4]
