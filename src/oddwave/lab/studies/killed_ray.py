"""A run in shards whose workers and then whose driver are killed, and whose command is given again: is anything lost?

    python -m oddwave.lab.studies.killed_ray [--images 100000] [--shard-size 500] [--folder DIR] [-o RESULT.json]

Small images of a weave, one in a hundred with a defect planted in it and one in a thousand no image at all, lie as
bytes in Parquet files. `oddwave score --engine ray` is started; SIGKILL hits a worker each time another share of the
shards is there, then the driver; the command is given again, another worker is killed, and it comes to its end. Then
every row of every shard is counted, a sample is scored in one process, and the shards that were whole when the driver
died are looked at: they must not have been written anew. Everything is made from `--seed`.
"""

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from oddwave.config import preset
from oddwave.detector import Detector
from oddwave.dist.merge import Tally
from oddwave.dist.plan import kept_plan
from oddwave.dist.shards import read_shard
from oddwave.planted.image import make_synthetic_images

__all__ = ["descendants", "encoded", "main", "small_model", "weaves"]

SIDE_PX = 32
SETTINGS = ("image.size_px=32", "maps.memory_grid=8", "scoring.memory_size=500", "maps.taps=[0]")
PER_FILE, PER_GROUP, POOL = 5_000, 500, 400
ODD_EVERY, DAMAGED_EVERY = 100, 1_000
SAMPLE = 400
ALPHA = 0.02


def weaves(num: int, rng: np.random.Generator) -> Float[np.ndarray, "N 1 H W"]:
    """Return small grey images of a weave, each at another phase and with noise of its own, in [-1, 1]."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    phases = rng.uniform(0, 2 * np.pi, (2, num, 1, 1))
    waves = np.sin(2 * np.pi * x / 8 + phases[0]) + np.sin(2 * np.pi * y / 8 + phases[1])
    images: Float[np.ndarray, "N 1 H W"] = np.clip(0.25 * waves + rng.normal(0, 0.04, waves.shape), -1, 1)[:, None]
    return images


def encoded(image: Float[np.ndarray, "1 H W"]) -> bytes:
    """Return an image as the bytes of a PNG file."""
    sink = io.BytesIO()
    Image.fromarray(np.uint8(np.round(127.5 * (image[0] + 1)))).save(sink, "png", compress_level=1)
    return sink.getvalue()


def small_model(folder: Path, seed: int) -> Path:
    """Fit a model of small images, the fastest there is."""
    normals = weaves(150, np.random.default_rng([seed, 1]))
    config = preset("fast", "image").with_overrides([*SETTINGS, f"seed={seed}"])
    detector = Detector(config).fit([(own[0] + 1) / 2 for own in normals])
    return detector.save(folder / "weave.model")


def write_tables(folder: Path, num: int, seed: int) -> tuple[set[int], set[int]]:
    """Write the images, and return the numbers of those with a planted defect and of those that are none."""
    import pyarrow as pa
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    defects = make_synthetic_images(weaves(POOL, np.random.default_rng([seed, 2])), np.random.default_rng([seed, 3]))
    odd = {number for number in range(num) if number % ODD_EVERY == 7}
    damaged = {number for number in range(num) if number % DAMAGED_EVERY == 11}
    for start in range(0, num, PER_FILE):
        rng = np.random.default_rng([seed, 4, start])
        images, cells = weaves(min(PER_FILE, num - start), rng), list[bytes]()
        for number, image in enumerate(images, start):
            if number in odd:
                image = np.clip(defects.images[number // ODD_EVERY % POOL] + rng.normal(0, 0.02, image.shape), -1, 1)
            cells.append(encoded(image) if number not in damaged else b"damaged" * (number // DAMAGED_EVERY % 2))
        table = pa.table({"image": pa.array(cells, pa.binary())})
        parquet.write_table(table, folder / f"part-{start // PER_FILE:04d}.parquet", row_group_size=PER_GROUP)
    return odd, damaged


def descendants(pid: int) -> Iterator[tuple[int, str]]:
    """Yield the processes below one, with their titles."""
    children: dict[int, list[int]] = {}
    titles: dict[int, str] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            titles[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (OSError, ValueError, IndexError):
            continue
        children.setdefault(parent, []).append(int(place.name))
    todo = list(children.get(pid, ()))
    while todo:
        own = todo.pop()
        todo += children.get(own, ())
        yield own, titles[own]


class Run:
    """One command, and what is done to it."""

    def __init__(self, command: list[str], out: Path, log: Path) -> None:
        self.out, self.started = out, time.monotonic()
        with log.open("ab") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file)

    def whole(self) -> dict[str, int]:
        """Return the shards that are there, with the moment they were written."""
        return {path.name: path.stat().st_mtime_ns for path in (self.out / "shards").glob("part-*.parquet")}

    def wait_for(self, num: int) -> bool:
        """Wait until so many shards are there; False where the command ended first."""
        while len(self.whole()) < num:
            if self.process.poll() is not None:
                return False
            time.sleep(0.05)
        return True

    def kill_worker(self) -> bool:
        """Kill a process that scores, as a full memory or a lost machine does."""
        for pid, title in descendants(self.process.pid):
            if title.startswith("ray::") and "ShardWorker" in title:
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    def kill_driver(self) -> dict[str, int]:
        """Kill the command itself, wait until nothing of it is left, and return the shards that are whole."""
        below = [pid for pid, _ in descendants(self.process.pid)]
        self.process.kill()
        self.process.wait()
        until = time.monotonic() + 120
        while any(Path(f"/proc/{pid}").exists() for pid in below) and time.monotonic() < until:
            time.sleep(0.2)
        return self.whole()


def killed_and_resumed(command: list[str], out: Path, log: Path, num_shards: int) -> dict[str, Any]:
    """Kill workers, the driver, and after the same command again one more worker; return what came of it."""
    first = Run(command, out, log)
    killed = [first.wait_for(max(1, round(share * num_shards))) and first.kill_worker() for share in (0.05, 0.15, 0.25)]
    if not first.wait_for(round(0.4 * num_shards)):
        raise SystemExit(f"the first run ended early, see {log}")
    before = first.kill_driver()
    spent = time.monotonic() - first.started
    second = Run(command, out, log)
    killed.append(second.wait_for(round(0.7 * num_shards)) and second.kill_worker())
    status = second.process.wait()
    after, spent = second.whole(), spent + time.monotonic() - second.started
    third = Run(command, out, log)  # there is nothing left to score
    again = third.process.wait()
    return {
        "workers_killed": sum(killed),
        "driver_killed_with_shards": len(before),
        "exit_status": [status, again],
        "seconds": round(spent, 1),
        "shards": len(after),
        "shards_written_anew": sum(after.get(name) != moment for name, moment in before.items()),
        "shards_written_by_a_third": sum(third.whole()[name] != moment for name, moment in after.items()),
    }


def counted(out: Path, num: int, odd: set[int], damaged: set[int]) -> dict[str, Any]:
    """Go through every row of every shard."""
    plan = kept_plan(out)
    assert plan is not None
    tally, seen = Tally(plan, 10), np.zeros(num, int)
    labels = np.full(num, -9)
    for shard in range(len(plan.shards)):
        rows = read_shard(out, plan, shard)
        tally.add(shard, rows)
        np.add.at(seen, rows["number"], 1)
        labels[rows["number"]] = rows["label"]
    is_odd, is_damaged = (np.isin(np.arange(num), list(own)) for own in (odd - damaged, damaged))
    return {
        "items": num,
        "lost": int((seen == 0).sum()),
        "twice": int((seen > 1).sum()),
        "not_judged": int((labels == -1).sum()),
        "damaged": int(is_damaged.sum()),
        "damaged_not_judged": int((labels[is_damaged] == -1).sum()),
        "planted_flagged": round(float((labels[is_odd] == 1).mean()), 4),
        "normal_flagged": round(float((labels[~is_odd & ~is_damaged] == 1).mean()), 4),
    }


def compared(model: Path, tables: Path, out: Path, num: int, seed: int) -> dict[str, Any]:
    """Score a sample in this process, and compare it with the shards."""
    from pyarrow import parquet

    plan = kept_plan(out)
    assert plan is not None
    rng = np.random.default_rng([seed, 5])
    chosen = np.sort(rng.choice(num, min(SAMPLE, num), replace=False))
    cells = {n: b for n, b in _cells(sorted(tables.glob("*.parquet")), parquet) if n in set(chosen.tolist())}
    with TemporaryDirectory() as folder:
        for number, cell in cells.items():
            (Path(folder) / f"{number:09d}.png").write_bytes(cell)
        result = Detector.load(model).score(folder, alpha=ALPHA, explain="none")
    mine = np.array([item.score for item in result.items])
    theirs = np.full(num, np.nan)
    for shard in range(len(plan.shards)):
        rows = read_shard(out, plan, shard, ("number", "score"))
        theirs[rows["number"]] = rows["score"]
    there = theirs[chosen]
    both = np.isfinite(mine) & np.isfinite(there)
    return {
        "sample": len(chosen),
        "same_not_judged": bool(np.array_equal(np.isnan(mine), np.isnan(there))),
        "largest_difference": float(np.max(np.abs(mine - there)[both] / np.maximum(1.0, np.abs(mine[both])))),
    }


def _cells(files: list[Path], parquet: Any) -> Iterator[tuple[int, bytes]]:
    number = 0
    for path in files:
        for cell in parquet.read_table(path).column("image").to_pylist():
            yield number, cell
            number += 1


def main(arguments: list[str] | None = None) -> None:
    """Make the images, kill and resume the run, count, and print or write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shard-size", type=int, default=PER_GROUP)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="keep everything there")
    parser.add_argument("-o", type=Path)
    asked = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="killed-") as passing:
        folder = asked.folder or Path(passing)
        tables, out = folder / "images", folder / "out"
        odd, damaged = write_tables(tables, asked.images, asked.seed)
        model = small_model(folder, asked.seed)
        command = [
            sys.executable,
            "-m",
            "oddwave",
            "score",
            str(model),
            str(tables),
            "-o",
            str(out),
            "--alpha",
            str(ALPHA),
        ]
        command += ["--engine", "ray", "--workers", str(asked.workers), "--shard-size", str(asked.shard_size)]
        found = killed_and_resumed(command, out, folder / "log.txt", -(-asked.images // asked.shard_size))
        found |= counted(out, asked.images, odd, damaged) | compared(model, tables, out, asked.images, asked.seed)
    found |= {"workers": asked.workers, "seed": asked.seed, "images_per_s": round(asked.images / found["seconds"], 1)}
    print(json.dumps(found, indent=2))
    if asked.o:
        asked.o.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
