"""What concerns all items of a run in shards is what one process says: discoveries, and rows before the series."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oddwave.dist import run as running
from oddwave.dist.engine import ShardWorker
from oddwave.dist.plan import kept_plan
from oddwave.dist.run import Request, score_in_shards
from oddwave.dist.shards import read_shard
from oddwave.errors import CheckpointError, ConfigError, DataError

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
import tiny_models as tiny

pytestmark = pytest.mark.slow  # models are fitted
RATES = (0.1, 0.5, 0.9)


@pytest.fixture(autouse=True)
def without_ray(monkeypatch):
    """Let one worker, in this process, score all shards."""

    def run_shards(job, numbers, task_of, workers, report):
        found = ShardWorker(job)({"shard": np.array(numbers), "task": np.array([task_of(n) for n in numbers])})
        if any(found["error"]):
            raise DataError(next(filter(None, found["error"])))

    monkeypatch.setattr(running, "run_shards", run_shards)
    monkeypatch.setattr(running, "require_engine", lambda engine: None)


def write_images(folder):
    for number, image in enumerate(tiny.gratings(9, 3)):
        image[8:20, 8:20] = 0.95 if number in (2, 5) else image[8:20, 8:20]
        Image.fromarray((255 * image).astype(np.uint8)).save(folder / f"{number}.png")
    (folder / "3b.png").write_bytes(b"no image")


def write_streams(folder):
    for number in range(5):
        values = tiny.waves(90, number + 1)
        values[40:46] += 4.0 * (number == 3)
        np.savetxt(folder / f"{number}.csv", values, delimiter=",", header="channel_0,channel_1", comments="")


def write_panels(folder):
    for number in range(3):
        values = tiny.beats(4, number + 1)
        values[1] += 3.0 * (number == 1)
        np.save(folder / f"{number}.npy", values)


WRITE = {"retrieved": write_images, "stream": write_streams, "panel": write_panels}


@pytest.mark.parametrize("kind", WRITE)
@pytest.mark.parametrize("most", [2, 100])  # items that are told of: few, all
def test_discoveries_are_those_among_all_items(kind, most, tmp_path, monkeypatch):
    detector, data = tiny.fitted(kind), tmp_path / "data"
    monkeypatch.setattr(running, "MOST_TOLD", dict.fromkeys(running.MOST_TOLD, most))
    data.mkdir()
    WRITE[kind](data)
    model = detector.save(tmp_path / "model")
    one = detector.score(str(data), alpha=0.3, explain="none")
    found = set()
    for rate in RATES:  # the second asks other things of the same shards
        request = Request(model, str(data), tmp_path / "out", asked={"alpha": 0.3}, shard_size=2, fdr=rate)
        whole, _, _ = score_in_shards(detector, request, lambda result, title: [])
        assert whole.discovered(rate) == tuple(item.id for item in one.discoveries(rate))
        found.add(len(whole.discovered(rate)))
    assert len(found) > 1  # the rates tell items apart
    plain, _, _ = score_in_shards(
        detector, Request(model, str(data), tmp_path / "out", asked={"alpha": 0.3}), lambda *_: []
    )
    with pytest.raises(ConfigError, match="ask for it in the run itself"):
        plain.discovered(0.1)


def test_rows_before_the_series_are_looked_at_by_every_worker_and_belong_to_the_plan(tmp_path):
    detector, before = tiny.fitted("stream"), tmp_path / "before.csv"
    (data := tmp_path / "data").mkdir()
    whole = tiny.waves(200, 5)
    whole[-6:] += 3.0
    head = {"delimiter": ",", "header": "channel_0,channel_1", "comments": ""}
    np.savetxt(before, whole[:150], **head)
    for number, rows in enumerate((whole[150:], whole[180:])):
        np.savetxt(data / f"{number}.csv", rows, **head)
    model = detector.save(tmp_path / "model")
    one = detector.score(str(data), history=str(before), alpha=0.3, explain="none")
    assert not np.allclose(one.scores, detector.score(str(data), alpha=0.3, explain="none").scores)

    def scored(history, out="out"):
        request = Request(
            model, str(data), tmp_path / out, asked={"alpha": 0.3}, options={"history": str(history)}, shard_size=1
        )
        return score_in_shards(type(detector).load(model), request, lambda result, title: [])[0]

    result = scored(before)
    plan = kept_plan(tmp_path / "out")
    shards = np.concatenate([read_shard(tmp_path / "out", plan, number)["score"] for number in range(2)])
    np.testing.assert_allclose(shards, one.scores, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(result.scores, one.scores, rtol=1e-6, atol=1e-6)
    (tmp_path / "elsewhere").mkdir()
    moved = before.rename(tmp_path / "elsewhere" / before.name)
    scored(moved)  # the same rows
    np.savetxt(moved, whole[10:160], **head)
    with pytest.raises(CheckpointError, match="holds results of another history"):
        scored(moved)
    with pytest.raises(DataError, match=r"none\.csv"):
        scored(tmp_path / "none.csv", out="new")
    assert not (tmp_path / "new" / "shards").exists()
