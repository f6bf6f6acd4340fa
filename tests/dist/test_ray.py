"""`oddwave score --engine ray` on a local Ray: as one process, in order, through killed workers and a killed driver."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from oddwave.cli import app
from oddwave.dist import engine
from oddwave.dist.plan import kept_plan
from oddwave.dist.shards import read_shard, whole_shards
from oddwave.files import folder_kind
from oddwave.lab.studies.killed_ray import Run, encoded, small_model, weaves

pytestmark = pytest.mark.slow
NUM = 240
BAD = (0, 1, 2, 3, 100)  # the whole of the first shard of four


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Give a model, images in a folder, and the same in a Parquet file, some of them damaged."""
    root = tmp_path_factory.mktemp("ray")
    small_model(root, 0)
    images = weaves(NUM, np.random.default_rng(1))
    images[7, :, 8:20, 8:20] = 0.9
    cells = [b"damaged" if number in BAD else encoded(image) for number, image in enumerate(images)]
    (root / "images").mkdir()
    for number, cell in enumerate(cells):
        (root / "images" / f"{number:04d}.png").write_bytes(cell)
    pq.write_table(pa.table({"image": cells}), root / "images.parquet", row_group_size=100)
    done = run(root, "images", "one")
    assert done.returncode == 3, done.stderr
    return root


def command(root, data, out, *more) -> list[str]:
    own = [sys.executable, "-m", "oddwave", "score", str(root / "weave.model"), str(data), "-o", str(root / out)]
    return [*own, "--alpha", "0.05", "-q", *more]


def run(root, data, out, *more) -> subprocess.CompletedProcess[str]:
    place = data if "://" in data else root / data
    return subprocess.run(command(root, place, out, *more), capture_output=True, text=True, check=False)


def table(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def rows(out: Path) -> dict[str, np.ndarray]:
    plan = kept_plan(out)
    assert whole_shards(out, plan) == list(range(len(plan.shards)))
    parts = [read_shard(out, plan, number) for number in range(len(plan.shards))]
    return {name: np.concatenate([own[name] for own in parts]) for name in parts[0]}


def same_as_one_process(root, out, *, named: bool = True) -> None:
    head, *expected = table(root / "one" / "scores.csv")
    found = rows(root / out)
    assert found["number"].tolist() == list(range(NUM))
    for name, values in zip(head, zip(*expected, strict=True), strict=True):
        if name in ("score", "p_value", "p_tail", "deviations"):
            wanted = np.array([float(value or "nan") for value in values])
            np.testing.assert_allclose(found[name], wanted, rtol=1e-6, atol=1e-6)
        elif name in ("label", "status") or named:
            assert [str(value) for value in found[name]] == list(values)
    assert np.flatnonzero(found["label"] == -1).tolist() == list(BAD)


def test_a_killed_worker_and_a_killed_driver_lose_nothing(root) -> None:
    own = command(root, root / "images", "killed", "--engine", "ray", "--workers", "2", "--shard-size", "4")
    first = Run(own, root / "killed", root / "log.txt")
    assert first.wait_for(3), (root / "log.txt").read_text()
    assert first.kill_worker()
    assert first.wait_for(10)
    before = first.kill_driver()
    second = Run(own, root / "killed", root / "log.txt")
    assert second.process.wait() == 3, (root / "log.txt").read_text()
    assert all(second.whole()[name] == moment for name, moment in before.items())
    same_as_one_process(root, "killed")
    told = (root / "log.txt").read_text()
    assert "a worker was lost" in told
    assert "raylet" not in told
    summary = json.loads((root / "killed" / "summary.json").read_text())
    assert summary["counts"]["items"] == NUM
    assert (summary["counts"]["failed"], summary["counts"]["told"]) == (len(BAD), 200 + len(BAD))
    assert f"of {NUM - len(BAD)} images" in summary["verdict"]["headline"]
    assert "0007.png" in summary["verdict"]["detail"]
    written = second.whole()
    again = run(root, "images", "killed", "--engine", "ray")
    assert (again.returncode, again.stderr) == (3, "")
    assert second.whole() == written
    left = list(Path("/proc").glob("[0-9]*/cmdline"))
    assert not [path for path in left if str(root).encode() in _bytes(path)]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_rows_of_parquet_at_an_address_are_scored_alike(root) -> None:
    done = run(
        root, f"file://{root / 'images.parquet'}", "table", "--engine", "ray", "--workers", "2", "--shard-size", "40"
    )
    assert done.returncode == 3, done.stderr
    same_as_one_process(root, "table", named=False)
    assert rows(root / "table")["item"][7] == "images.parquet#7"


def test_a_run_that_is_told_to_end_says_so_and_goes_on_later(root) -> None:
    own = command(root, root / "images", "stopped", "--engine", "ray", "--workers", "1", "--shard-size", "4")
    first = Run(own, root / "stopped", root / "stopped.txt")
    assert first.wait_for(3)
    first.process.terminate()
    assert first.process.wait() == 128 + signal.SIGTERM
    assert (root / "stopped.txt").read_text() == "oddwave: stopped\n"
    assert folder_kind(root / "stopped") == "shards"
    assert run(root, "images", "stopped", "--engine", "ray", "--workers", "1").returncode == 3
    same_as_one_process(root, "stopped")


def test_a_shard_at_which_every_worker_dies_ends_the_run(root, monkeypatch) -> None:
    """Workers die at one item again and again: the run ends with the reason, and the other shards are kept."""
    poison = root / "sitecustomize"
    poison.mkdir()
    (poison / "sitecustomize.py").write_text(
        "import os, signal\n"
        "if os.environ.get('ODDWAVE_TEST_POISON'):\n"
        "    from PIL import Image\n"
        "    kept = Image.open\n"
        "    def opened(file, *rest, **more):\n"
        "        if '0150.png' in str(getattr(file, 'name', file)): os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return kept(file, *rest, **more)\n"
        "    Image.open = opened\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(poison), *sys.path]))
    monkeypatch.setenv("ODDWAVE_TEST_POISON", "1")
    done = run(root, "images", "poison", "--engine", "ray", "--workers", "1", "--shard-size", "30")
    assert done.returncode == 2
    assert "workers died amid part-0000005.parquet" in done.stderr
    monkeypatch.delenv("ODDWAVE_TEST_POISON")
    assert run(root, "images", "poison", "--engine", "ray", "--workers", "1").returncode == 3
    same_as_one_process(root, "poison")


def test_what_does_not_go_together_is_refused(root, monkeypatch) -> None:
    def refused(*more: str) -> str:
        own = ["score", str(root / "weave.model"), str(root / "images"), "-o", str(root / "no"), *more]
        done = CliRunner().invoke(app, own)
        assert (done.exit_code, done.stdout) == (2, "")
        assert not (root / "no").exists()
        return done.stderr

    assert "give --engine ray with it" in refused("--workers", "2")
    assert "--flag needs all items" in refused("--engine", "ray", "--flag", "3")
    assert "--annotate is for the files of this machine" in refused("--engine", "ray", "--annotate")
    assert "give ray" in refused("--engine", "spark")
    assert "1 or more" in refused("--engine", "ray", "--workers", "0")
    assert "no Parquet files" in refused("--engine", "ray", "--column", "x")
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    assert "pip install 'oddwave[dist]'" in refused("--engine", "ray")
