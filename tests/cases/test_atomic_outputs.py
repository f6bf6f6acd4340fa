"""A folder is replaced as one: whole, alone in it, and without a trace of who was killed at it before."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

import oddwave.folders as folders
from oddwave.detection.model_folder import read_model, write_model
from oddwave.detection.training_folder import training_folder
from oddwave.errors import CheckpointError
from oddwave.files import read_json, write_bytes_atomic
from oddwave.folders import at_work, atomic_directory
from oddwave.report.outputs import write_outputs


def fill(target: Path, mark: str, *names: str) -> None:
    with atomic_directory(target, owns=("stale.html",)) as folder:
        for name in names or ("scores.csv", "summary.json"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(mark)


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


WAYS = pytest.mark.parametrize("way", ["at once", "one by one"])


def take(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "one by one":
        monkeypatch.setattr(folders, "_exchange", lambda one, other: False)


@WAYS
def test_a_folder_is_renewed_without_a_trace(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take(way, monkeypatch)
    fill(tmp_path / "out", "old", "scores.csv", "stale.html", "audio/a.wav", "audio/b.wav")
    (tmp_path / "out").chmod(0o750)
    fill(tmp_path / "out", "new", "scores.csv", "audio/a.wav")
    assert contents(tmp_path / "out") == {"scores.csv": "new", "audio/a.wav": "new"}
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o750
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_old_folder_goes_at_once_where_it_holds_nothing_else(tmp_path: Path) -> None:
    fill(tmp_path / "out", "old")
    before = (tmp_path / "out").stat().st_ino
    fill(tmp_path / "out", "new")
    if sys.platform in ("linux", "darwin"):
        assert (tmp_path / "out").stat().st_ino != before
        before = (tmp_path / "out").stat().st_ino
    (tmp_path / "out" / "notes.txt").write_text("mine")
    fill(tmp_path / "out", "third")
    assert (tmp_path / "out").stat().st_ino == before  # somebody's file: the folder stays where it is
    assert contents(tmp_path / "out") == {"notes.txt": "mine", "scores.csv": "third", "summary.json": "third"}


def test_the_current_folder_stays_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    for mark in ("old", "new"):
        fill(Path(), mark)
        assert Path("scores.csv").read_text() == mark
    assert contents(Path.cwd()) == {"scores.csv": "new", "summary.json": "new"}


def test_a_linked_folder_is_written_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "disk" / "out").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "out")
    for mark in ("old", "new"):
        fill(tmp_path / "out", mark)
    assert (tmp_path / "out").is_symlink()
    assert contents(tmp_path / "disk" / "out") == {"scores.csv": "new", "summary.json": "new"}
    assert len(list((tmp_path / "disk").iterdir())) == 1


@pytest.mark.skipif(
    os.name == "nt" or (sys.platform != "linux" and os.geteuid() == 0), reason="the superuser may write everywhere"
)
def test_a_parent_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    code = (
        "import ctypes, os, sys; from pathlib import Path; from oddwave.folders import atomic_directory\n"
        "if os.geteuid() == 0 and len(sys.argv) == 2:\n"  # run again without the right to write everywhere
        "    assert ctypes.CDLL(None).prctl(24, 1, 0, 0, 0) == 0  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE\n"
        "    os.execv(sys.executable, [*sys.orig_argv, 'again'])\n"
        "assert not os.access(Path(sys.argv[1]).parent, os.W_OK)\n"
        "with atomic_directory(Path(sys.argv[1])) as folder:\n"
        "    [(folder / name).write_text('new') for name in ('scores.csv', 'summary.json')]\n"
    )
    fill(tmp_path / "deep" / "out", "old")
    (tmp_path / "deep").chmod(0o555)
    try:
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "deep" / "out")], check=True)
    finally:
        (tmp_path / "deep").chmod(0o755)
    assert contents(tmp_path / "deep" / "out") == {"scores.csv": "new", "summary.json": "new"}


@WAYS
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_killed_writer_leaves_the_old_or_the_new_and_the_next_one_cleans_up(way: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill(out, "old")
    code = (
        "import os, signal, sys; from pathlib import Path; import oddwave.folders as folders\n"
        "die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "exchange, flush = folders._exchange, folders.flush_folder\n"
        "if sys.argv[2] == 'one by one': folders._exchange, folders._move_one = (lambda *_: False), die\n"
        "else: folders._exchange = lambda *paths: exchange(*paths) and die()\n"
        "with folders.atomic_directory(Path(sys.argv[1])) as folder:\n"
        "    [(folder / name).write_text('new') for name in ('scores.csv', 'summary.json')]\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(out), way], check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    expected = "new" if way == "at once" else "old"
    assert {contents(out)[name] for name in ("scores.csv", "summary.json")} == {expected}
    with at_work(out):
        assert {contents(out)[name] for name in ("scores.csv", "summary.json")} == {"new"}
    assert contents(tmp_path) == {"out/scores.csv": "new", "out/summary.json": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_second_process_gets_one_clear_line(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from oddwave.folders import at_work\n"
        "from oddwave.errors import CheckpointError\n"
        "for place in sys.argv[1:]:\n"
        "    try:\n        with at_work(Path(place)): print('in')\n"
        "    except CheckpointError as error: print(error)\n"
    )
    with training_folder(tmp_path / "out", False):
        places = [str(tmp_path / name) for name in ("out", "o")]
        second = subprocess.run([sys.executable, "-c", code, *places], check=True, capture_output=True, text=True)
    refused, free = second.stdout.splitlines()
    assert refused.startswith("another oddwave process is writing into ")
    assert free == "in"
    assert list(tmp_path.iterdir()) == []


def test_a_second_thread_is_another_writer_and_a_nested_block_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def enter() -> None:
        try:
            with at_work(tmp_path / "out"):
                lines.append("in")
        except CheckpointError as error:
            lines.append(str(error))

    with at_work(tmp_path / "out") as room:
        with at_work(tmp_path / "out") as inner:
            assert inner == room
        assert room.exists()
        other = threading.Thread(target=enter)
        other.start()
        other.join()
    assert len(lines) == 1
    assert "another oddwave process is writing" in lines[0]
    assert not (tmp_path / "out").exists()


def test_the_state_goes_with_the_folder_that_the_result_replaces(tmp_path: Path) -> None:
    for resume in (False, True):
        try:
            with training_folder(tmp_path / "out", resume) as room:
                (room / "training_state.pt").write_bytes(b"state")
                if not resume:
                    raise KeyboardInterrupt
                fill(tmp_path / "out", "new")
        except KeyboardInterrupt:
            assert sorted(contents(tmp_path / "out")) == [".oddwave/owner.json", ".oddwave/training_state.pt"]
    assert contents(tmp_path) == {"out/scores.csv": "new", "out/summary.json": "new"}


def test_results_written_beside_a_stopped_training_leave_it_alone(tmp_path: Path) -> None:
    room = tmp_path / "out" / ".oddwave"
    with suppress(KeyboardInterrupt), training_folder(tmp_path / "out", False):
        (room / "training_state.pt").write_bytes(b"state")
        raise KeyboardInterrupt
    fill(tmp_path / "out", "new")
    assert (room / "training_state.pt").read_bytes() == b"state"
    assert (tmp_path / "out" / "scores.csv").read_text() == "new"


def test_the_summary_tells_which_files_belong_together(tmp_path: Path, stream_detector, waves) -> None:
    write_outputs(stream_detector.score(waves(100, channels=2)), tmp_path / "out")
    table = json.loads((tmp_path / "out" / "summary.json").read_text())["files"]
    assert set(table) == {path.name for path in (tmp_path / "out").iterdir()} - {"summary.json"}
    for name, about in table.items():
        content = (tmp_path / "out" / name).read_bytes()
        assert about == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def saved(folder: Path, mark: str) -> None:
    write_model(folder, {"mark": mark}, {name: mark.encode() * 500 for name in ("a.bin", "b.bin")})


def test_a_reader_whose_data_are_taken_away_reads_the_new_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import oddwave.detection.model_folder as model_folder

    saved(tmp_path / "m", "old")
    read_meta, calls = model_folder.read_meta, []

    def read_and_lose(directory: Path) -> dict[str, object]:
        meta = read_meta(directory)
        if not calls:
            calls.append(directory)
            saved(directory, "new")
        return meta

    monkeypatch.setattr(model_folder, "read_meta", read_and_lose)
    meta, files = read_model(tmp_path / "m")
    assert meta["mark"] == "new"
    assert files == {"a.bin": b"new" * 500, "b.bin": b"new" * 500}


@pytest.mark.parametrize("damage", ["swapped", "cut", "longer", "missing", "a folder", "a pipe", "a device", "meta"])
def test_data_that_are_not_what_was_saved_are_refused_in_one_line(damage: str, tmp_path: Path) -> None:
    write_model(tmp_path / "m", {}, {"a.bin": b"a" * 100, "b.bin": b"b" * 100})
    place = next((tmp_path / "m").glob("data-*")) / "a.bin"
    place.unlink()
    {
        "swapped": lambda: shutil.copy(place.with_name("b.bin"), place),
        "cut": lambda: place.write_bytes(b"a" * 50),
        "longer": lambda: place.write_bytes(b"a" * 101),
        "missing": lambda: None,
        "a folder": place.mkdir,
        "a pipe": lambda: os.mkfifo(place),
        "a device": lambda: place.symlink_to("/dev/zero"),
        "meta": lambda: (tmp_path / "m" / "meta.json").write_text('{"format": "oddwave model", "a": ' + "[" * 10**5),
    }[damage]()
    started = time.monotonic()
    with pytest.raises(CheckpointError) as caught:
        read_model(tmp_path / "m")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 5


def test_a_failed_save_keeps_the_old_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path / "m", "old")
    before = contents(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("oddwave.detection.model_folder._write_data", full)
        with pytest.raises(CheckpointError, match="No space left on device"):
            saved(tmp_path / "m", "new")
    assert contents(tmp_path) == before


def test_a_model_of_the_first_format_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    for name in ("model.safetensors", "config.json", "calibration.json", "notes.txt"):
        (tmp_path / "m" / name).write_text("{}")
    (tmp_path / "m" / "meta.json").write_text(
        '{"format": "oddwave model", "format_version": 3, "package_version": "0.1.0"}'
    )
    with pytest.raises(CheckpointError, match=r"format 3, this oddwave reads 4: use the version .*0\.1\.0"):
        read_model(tmp_path / "m")
    saved(tmp_path / "m", "new")
    assert sorted(path.name.partition("-")[0] for path in (tmp_path / "m").iterdir()) == [
        "data",
        "meta.json",
        "notes.txt",
    ]


@pytest.mark.parametrize(
    "text",
    ["[" * 10**5, '{"a":' * 500 + "1" + "}" * 500, '{"a": NaN}', '{"a": ' + "9" * 5000 + "}", "\xff", "", "[1]"],
    ids=["brackets", "deep", "NaN", "digits", "bytes", "empty", "list"],
)
def test_json_of_any_shape_is_read_or_refused_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError) as caught:
        read_json(tmp_path / "a.json")
    assert "\n" not in str(caught.value)


def test_a_file_of_the_longest_name_is_written(tmp_path: Path) -> None:
    write_bytes_atomic(tmp_path / ("x" * 255), b"1")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]
