"""Processes killed at every rename and flush of a save: what is read afterwards is old or new, never neither or both.

A child process replaces a model, or the files of a scoring run, and kills itself at the n-th call that changes or
flushes names on the disk, for every n; then at random moments, killed from outside.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oddwave.detection.model_folder import read_model, write_model
from oddwave.errors import CheckpointError
from oddwave.files import OWN_FOLDER
from oddwave.folders import atomic_directory

pytestmark = [pytest.mark.faults, pytest.mark.skipif(os.name == "nt", reason="SIGKILL")]

CHILD = """
import os, signal, sys
from pathlib import Path
import oddwave.folders as folders
from oddwave.detection.model_folder import write_model
from oddwave.folders import atomic_directory

nth, before = int(sys.argv[1]), sys.argv[2] == "before"
calls = 0

def counted(function):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == nth and before:
            os.kill(os.getpid(), signal.SIGKILL)
        mine = calls == nth
        try:
            return function(*arguments, **options)
        finally:
            if mine:
                os.kill(os.getpid(), signal.SIGKILL)
    return call

for name in ("rename", "replace", "fsync", "link", "unlink", "rmdir", "mkdir"):
    setattr(os, name, counted(getattr(os, name)))
folders._exchange = counted(folders._exchange)
if sys.argv[5] == "one by one":
    folders._exchange = lambda one, other: False

def model(folder, mark):
    write_model(folder, {"mark": mark}, {f"{n}.bin": f"{mark}{n}".encode() * 1000 for n in range(3)})

def outputs(folder, mark):
    with atomic_directory(folder, owns=("clips.csv", "stale.html", "audio")) as beside:
        names = ["scores.csv", "clips.csv", *(["stale.html"] if mark == "old" else [])]
        for name in names:
            (beside / name).write_text(mark)
        (beside / "audio").mkdir()
        (beside / "audio" / "a.wav").write_text(mark)
        (beside / "summary.json").write_text(f'{{"oddwave_version": "1", "mark": "{mark}"}}')

{"model": model, "outputs": outputs}[sys.argv[3]](Path(sys.argv[4]), "new")
print(calls)
"""


def model(folder: Path, mark: str) -> None:
    write_model(folder, {"mark": mark}, {f"{n}.bin": f"{mark}{n}".encode() * 1000 for n in range(3)})


def model_mark(folder: Path) -> str:
    meta, files = read_model(folder)
    assert files == {f"{n}.bin": f"{meta['mark']}{n}".encode() * 1000 for n in range(3)}
    return str(meta["mark"])


def outputs(folder: Path, mark: str) -> None:
    with atomic_directory(folder, owns=("clips.csv", "stale.html", "audio")) as beside:
        for name in ["scores.csv", "clips.csv", *(["stale.html"] if mark == "old" else [])]:
            (beside / name).write_text(mark)
        (beside / "audio").mkdir()
        (beside / "audio" / "a.wav").write_text(mark)
        (beside / "summary.json").write_text(f'{{"oddwave_version": "1", "mark": "{mark}"}}')


def outputs_mark(folder: Path) -> str:
    mark = str(json.loads((folder / "summary.json").read_text())["mark"])
    found = {name.read_text() for name in folder.rglob("*") if name.is_file() and is_ours(name, folder)}
    assert found == {mark}
    names = {"scores.csv", "clips.csv", "summary.json", "audio", *(["stale.html"] if mark == "old" else [])}
    assert {entry.name for entry in folder.iterdir()} - {OWN_FOLDER, "notes.txt"} == names
    return mark


def is_ours(path: Path, folder: Path) -> bool:
    first = path.relative_to(folder).parts[0]
    return first not in (OWN_FOLDER, "notes.txt", "summary.json")


KINDS = {"model": (model, model_mark), "outputs": (outputs, outputs_mark)}


def child(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", CHILD, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_points(kind: str, folder: Path, how: str = "") -> int:
    """Count the calls of an undisturbed child."""
    out, err = child(10**9, "before", kind, folder, how).communicate(timeout=60)
    assert out, err
    return int(out)


def names_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def settle(kind: str, folder: Path) -> None:
    """Write once more, as the next run does, and check that nothing of the killed one is left."""
    write, mark_of = KINDS[kind]
    write(folder, "next")
    assert mark_of(folder) == "next"
    left = [name for name in names_below(folder.parent) if OWN_FOLDER in name or ".tmp" in name]
    assert left == []
    assert [entry.name for entry in folder.parent.iterdir()] == [folder.name]
    assert len(list(folder.glob("data-*"))) == (kind == "model")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("existed", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_at_any_step_leaves_old_or_new(kind: str, existed: bool, when: str, tmp_path: Path) -> None:
    write, mark_of = KINDS[kind]
    probe = tmp_path / "probe" / "out"
    if existed:
        write(probe, "old")
    seen = set()
    for nth in range(1, kill_points(kind, probe) + 1):
        folder = tmp_path / str(nth) / "out"
        if existed:
            write(folder, "old")
        killed = child(nth, when, kind, folder, "")
        killed.communicate(timeout=60)
        assert killed.returncode == -signal.SIGKILL
        seen.add(mark_or_nothing(kind, folder) if not existed else mark_of(folder))
        settle(kind, folder)
    assert seen == ({"old", "new"} if existed else {"nothing", "new"})


def mark_or_nothing(kind: str, folder: Path) -> str:
    first = folder / ("meta.json" if kind == "model" else "summary.json")
    return KINDS[kind][1](folder) if first.exists() else "nothing"


@pytest.mark.parametrize("obstacle", ["somebody's file beside", "no exchange of names"])
def test_where_folders_cannot_be_exchanged_the_next_run_finishes(obstacle: str, tmp_path: Path) -> None:
    def prepare(folder: Path) -> None:
        outputs(folder, "old")
        if obstacle == "somebody's file beside":
            (folder / "notes.txt").write_text("mine")

    how = "one by one" if obstacle == "no exchange of names" else ""
    prepare(tmp_path / "probe" / "out")
    for nth in range(1, kill_points("outputs", tmp_path / "probe" / "out", how) + 1):
        folder = tmp_path / str(nth) / "out"
        prepare(folder)
        child(nth, "before", "outputs", folder, how).communicate(timeout=60)
        for name in ("scores.csv", "clips.csv", "summary.json"):  # each by itself is there, old or new
            assert (folder / name).read_text().replace('{"oddwave_version": "1", "mark": "', "")[:3] in ("old", "new")
        settle_beside(folder)


def settle_beside(folder: Path) -> None:
    """Enter as the next run does: what was begun is finished or gone, and somebody's file is as it was."""
    from oddwave.folders import at_work

    with at_work(folder):
        assert outputs_mark(folder) in ("old", "new")
    assert not (folder / OWN_FOLDER).exists()
    if (folder / "notes.txt").exists():
        assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_random_kills(kind: str, tmp_path: Path) -> None:
    write, mark_of = KINDS[kind]
    folder = tmp_path / "out"
    write(folder, "old")
    loop = CHILD.replace('"new")\nprint(calls)', '"new")')
    loop = loop.replace('{"model"', 'while True: {"model"')
    draw = random.Random(14)
    for _ in range(50):
        process = subprocess.Popen(
            [sys.executable, "-c", loop, str(10**9), "before", kind, str(folder), ""], stderr=subprocess.PIPE, text=True
        )
        until = time.monotonic() + 60
        while not (folder / OWN_FOLDER).exists() and process.poll() is None and time.monotonic() < until:
            pass  # it has begun to write
        time.sleep(draw.uniform(0.0, 0.05))
        process.kill()
        _, err = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, err
        assert mark_of(folder) in ("old", "new")
    settle(kind, folder)


def test_readers_beside_a_writer_get_one_model_or_the_other(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model(folder, "old")
    done = threading.Event()

    def save() -> Iterator[None]:
        while not done.is_set():
            for mark in ("new", "old"):
                model(folder, mark)

    writer = threading.Thread(target=lambda: list(save() or ()))
    writer.start()
    try:
        seen = [model_mark(folder) for _ in range(150)]
    finally:
        done.set()
        writer.join()
    assert set(seen) <= {"old", "new"}


def test_two_writers_never_mix(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    failures: list[str] = []

    def save(mark: str) -> None:
        for _ in range(20):
            try:
                model(folder, mark)
            except CheckpointError as error:
                failures.append(str(error))

    threads = [threading.Thread(target=save, args=(mark,)) for mark in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("another oddwave process is writing" in line for line in failures)
    assert model_mark(folder) in ("one", "two")
    assert sorted(entry.name.partition("-")[0] for entry in folder.iterdir()) == ["data", "meta.json"]
    meta = json.loads((folder / "meta.json").read_text())
    for name, about in meta["files"].items():
        assert hashlib.sha256((folder / meta["folder"] / name).read_bytes()).hexdigest() == about["sha256"]
