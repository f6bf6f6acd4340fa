"""Files and folders that are whole or not there, whatever goes wrong while they are written."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from oddwave.errors import CheckpointError
from oddwave.files import read_json, write_json_atomic
from oddwave.folders import atomic_directory
from oddwave.training.checkpoint import load_training_state, save_training_state, tensor_bytes


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def one_line(caught) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_tensors_come_back_as_they_were_in_any_layout():
    given = {
        "plain": torch.randn(3, 4),
        "last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "turned": torch.arange(6).reshape(2, 3).T,
        "weight": torch.nn.Parameter(torch.randn(2, dtype=torch.bfloat16)),
        "empty": torch.zeros(0, 3),
    }
    found = load(tensor_bytes(given, {"format": "1"}))
    assert found.keys() == given.keys()
    for name, tensor in given.items():
        assert torch.equal(found[name], tensor)
        assert found[name].dtype == tensor.dtype


def test_a_state_comes_back_as_it_was(tmp_path):
    state = {"step": 3, "best": None, "loss": float("inf"), "nested": {"a": [1, (2.5, "x")]}, "t": torch.arange(3)}
    save_training_state(tmp_path / "state.pt", state)
    found = load_training_state(tmp_path / "state.pt")
    assert torch.equal(found.pop("t"), state.pop("t"))
    assert found == state


def test_json_is_readable_and_refuses_what_json_cannot_say(tmp_path):
    path = tmp_path / "a.json"
    write_json_atomic(path, {"name": "pümpe", "levels": [0.5, 1]})
    assert json.loads(path.read_text("utf-8")) == read_json(path) == {"name": "pümpe", "levels": [0.5, 1]}
    assert "pümpe" in path.read_text("utf-8")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_atomic(path, {"loss": float("nan")})
    assert read_json(path)["levels"] == [0.5, 1]


WRITERS = {
    "json": (lambda path: write_json_atomic(path, {"w": list(range(50))}), read_json),
    "state": (lambda path: save_training_state(path, {"w": torch.randn(400)}), load_training_state),
}
kinds = pytest.mark.parametrize(("write", "read"), WRITERS.values(), ids=WRITERS.keys())


@kinds
@pytest.mark.parametrize("share", [0.0, 0.3, 0.97])
def test_a_file_cut_short_is_refused_in_one_line(write, read, share, tmp_path):
    path = tmp_path / "file"
    write(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match="damaged") as caught:
        read(path)
    assert str(path) in one_line(caught)


@kinds
def test_a_missing_file_and_a_folder_in_its_place_are_refused(write, read, tmp_path):
    for path, reason in [(tmp_path / "none", "missing"), (tmp_path, "cannot read")]:
        with pytest.raises(CheckpointError, match=reason) as caught:
            read(path)
        one_line(caught)


@kinds
@pytest.mark.parametrize("failing", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.open"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(write, read, failing, tmp_path, monkeypatch):
    path = tmp_path / "file"
    write(path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(failing, full_disk)
        with pytest.raises(CheckpointError, match="No space left") as caught:
            write(path)
    assert str(path) in one_line(caught)
    assert path.read_bytes() == before
    assert names(tmp_path) == ["file"]


def test_an_interrupt_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    write_json_atomic(tmp_path / "a.json", {"a": 1})

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_json_atomic(tmp_path / "a.json", {"a": 2})
    assert read_json(tmp_path / "a.json") == {"a": 1}
    assert names(tmp_path) == ["a.json"]


def test_other_kinds_of_files_are_told_apart(tmp_path):
    path = tmp_path / "state.pt"
    torch.save({"w": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="no oddwave training state"):
        load_training_state(path)
    torch.save({"format": "oddwave-training-state", "version": 99, "state": {}}, path)
    with pytest.raises(CheckpointError, match="version 99"):
        load_training_state(path)
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(CheckpointError, match="list, an object"):
        read_json(tmp_path / "list.json")


def test_a_state_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "owned"),))

    torch.save({"format": "oddwave-training-state", "version": 1, "state": Evil()}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError) as caught:
        load_training_state(tmp_path / "state.pt")
    one_line(caught)
    assert names(tmp_path) == ["state.pt"]


def fill(folder: Path, mark: str = "new") -> None:
    (folder / "weights").write_text(mark)
    (folder / "parts").mkdir()
    (folder / "parts" / "a").write_text(mark)


def build(target: Path, then=lambda folder: None, owns=()) -> None:
    with atomic_directory(target, owns=owns) as folder:
        fill(folder)
        then(folder)


def test_a_new_directory_appears_whole_with_its_parents(tmp_path):
    with atomic_directory(tmp_path / "deep" / "model") as folder:
        fill(folder)
        assert names(tmp_path / "deep" / "model") == [".oddwave"]
    assert names(tmp_path / "deep") == ["model"]
    assert (tmp_path / "deep" / "model" / "parts" / "a").read_text() == "new"


def test_an_old_directory_is_renewed_and_what_is_not_ours_stays(tmp_path):
    target = tmp_path / "out"
    with atomic_directory(target) as folder:
        fill(folder, "old")
        (folder / "report").write_text("old")
    (target / "notes.txt").write_text("mine")
    with atomic_directory(target, owns={"report", "weights"}) as folder:
        fill(folder)
        assert (target / "weights").read_text() == "old"
    assert names(target) == ["notes.txt", "parts", "weights"]  # the stale report is gone
    assert (target / "weights").read_text() == (target / "parts" / "a").read_text() == "new"


@pytest.mark.parametrize("existed", [True, False])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), ValueError()])
def test_a_failure_inside_leaves_everything_as_it_was(existed, error, tmp_path):
    target = tmp_path / "deep" / "out"
    if existed:
        target.mkdir(parents=True)
        (target / "weights").write_text("old")
    expected = CheckpointError if isinstance(error, OSError) else type(error)

    def fail(_):
        raise error

    with pytest.raises(expected):
        build(target, fail)
    if existed:
        assert names(target) == ["weights"]
        assert (target / "weights").read_text() == "old"
    assert names(tmp_path) == (["deep"] if existed else [])


@pytest.mark.parametrize("nth", range(1, 5))
def test_a_failure_while_moving_in_puts_every_old_file_back(nth, tmp_path, monkeypatch):
    target = tmp_path / "out"
    with atomic_directory(target) as folder:
        fill(folder, "old")
        (folder / "stale").write_text("old")
    (target / "notes.txt").write_text("mine")  # so that the folder cannot be exchanged as a whole
    rename, replace, calls = Path.rename, Path.replace, []

    def failing(call):
        def counted(self, to):
            if ".json" not in Path(to).name:
                calls.append(to)
                if len(calls) == nth:
                    full_disk()
            return call(self, to)

        return counted

    def begin_to_fail(patch):
        patch.setattr(Path, "rename", failing(rename))
        patch.setattr(Path, "replace", failing(replace))

    with monkeypatch.context() as patch, pytest.raises(CheckpointError, match="No space left") as caught:
        build(target, lambda _: begin_to_fail(patch), owns=["stale"])
    one_line(caught)
    assert len(calls) >= nth
    assert names(target) == ["notes.txt", "parts", "stale", "weights"]
    assert (target / "weights").read_text() == (target / "parts" / "a").read_text() == "old"


def test_errors_name_the_place_asked_for_not_the_passing_one(tmp_path, monkeypatch):
    target = tmp_path / "out"

    def fail_to_write(folder):
        monkeypatch.setattr("os.fsync", full_disk)
        write_json_atomic(folder / "config.json", {})

    with pytest.raises(CheckpointError) as caught:
        build(target, fail_to_write)
    assert f"cannot write {target / 'config.json'}: No space left" in one_line(caught)


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    for target in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(CheckpointError) as caught, atomic_directory(target):
            pytest.fail("the block must not run")
        one_line(caught)
    assert (tmp_path / "out").read_text() == "mine"


def test_a_read_only_parent_is_refused_in_one_line(tmp_path, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(CheckpointError, match="Read-only file system") as caught, atomic_directory(tmp_path / "out"):
        pytest.fail("the block must not run")
    assert str(tmp_path / "out") in one_line(caught)
    assert names(tmp_path) == []


def test_the_current_directory_is_a_place_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text("1")
    with atomic_directory(Path()) as folder:
        fill(folder)
    with atomic_directory(Path("model")) as folder:
        fill(folder)
    assert names(tmp_path) == ["mine.csv", "model", "parts", "weights"]


def test_settings_and_files_do_not_import_torch():
    code = (
        "import sys, oddwave.files, oddwave.folders; from oddwave.training import TrainingConfig;"
        "TrainingConfig(); assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
