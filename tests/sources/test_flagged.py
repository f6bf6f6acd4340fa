"""Copies of flagged files: under their names, for every modality, and never upon or among anybody's files."""

import json
from pathlib import Path

import numpy as np
import pytest

from oddwave.errors import CheckpointError, DataError
from oddwave.results import CalibrationSummary, DetectionResult, ImageResult
from oddwave.sources.flagged import check_copies, copy_flagged

FOUND = {"a.png": True, "line 1/a.png": True, "line 1/b.png": False, "line 2/c.wav/channel_1": True, "d.csv/cpu": True}


def result_of(**flagged: bool) -> DetectionResult:
    """Make a result of items by name."""
    one, heat = np.array([1.0]), np.zeros((2, 2), np.float32)
    items = [ImageResult(name, one, one / 10, np.array([int(yes)]), (8, 8), heat) for name, yes in flagged.items()]
    calibration = CalibrationSummary(0.05, 2.0, 49, 49, 1, "", np.linspace(0, 1, 49))
    return DetectionResult("image", "image", tuple(items), calibration)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("a.png", "line 1/a.png", "line 1/b.png", "line 2/c.wav", "d.csv"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"contents of {name}")
    return tmp_path / "data"


def test_copies_lie_under_their_names_once_each(data: Path, tmp_path: Path) -> None:
    found = result_of(**FOUND, **{"line 2/c.wav/channel_2": True})
    copied = copy_flagged(found, data, tmp_path / "flagged")
    names = ["a.png", "d.csv", "line 1/a.png", "line 2/c.wav"]
    assert sorted(path.relative_to(tmp_path / "flagged").as_posix() for path in copied) == names
    assert files(tmp_path / "flagged") == sorted([*names, "flagged.json"])
    assert (tmp_path / "flagged/line 1/a.png").read_text() == "contents of line 1/a.png"
    assert files(data) == ["a.png", "d.csv", "line 1/a.png", "line 1/b.png", "line 2/c.wav"]


def test_a_later_run_replaces_the_earlier_ones_and_nothing_else(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "flagged"
    copy_flagged(result_of(**FOUND), data, folder)
    copy_flagged(result_of(**{"line 1/b.png": True}), data, folder)
    assert files(folder) == ["flagged.json", "line 1/b.png"]
    copy_flagged(result_of(**{"line 1/b.png": False}), data, folder)
    assert files(folder) == ["flagged.json"]
    copy_flagged(result_of(**FOUND), data, folder)
    (folder / "line 1" / "note.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"line 1/note\.txt"):
        copy_flagged(result_of(**{"a.png": True}), data, folder)
    (folder / "line 1" / "note.txt").unlink()
    (folder / "a.png").write_text("painted over")
    before = files(folder)
    with pytest.raises(CheckpointError, match=r"did not copy there \('a\.png'\): give a new or an empty folder"):
        copy_flagged(result_of(**FOUND), data, folder)
    assert files(folder) == before
    assert (folder / "a.png").read_text() == "painted over"


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("data", "lies within the data"),
        ("data/sub/flagged", "lies within the data"),
        (".", "the data lie within it"),
        ("link/flagged", "lies within the data"),
        ("out", "the results go there"),
        ("out/annotated", "the results need that name"),
        ("out/audio/x", "the results need that name"),
        ("a file", "a folder was expected"),
        ("full", "did not copy there"),
    ],
)
def test_places_where_copies_would_mix_are_refused(data: Path, tmp_path: Path, where: str, reason: str) -> None:
    (tmp_path / "link").symlink_to(data)
    (tmp_path / "a file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "flagged.json").write_text(json.dumps({"format": "mine", "files": {}}))
    with pytest.raises(CheckpointError, match=reason):
        check_copies(str(data), tmp_path / where, out=tmp_path / "out")
    assert files(tmp_path / "full") == ["flagged.json"]
    assert check_copies(data, tmp_path / "out" / "flagged", out=tmp_path / "out") == set()


def test_globs_files_lists_and_mappings(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "flagged"
    copy_flagged(result_of(**{"line 1/a.png": True}), str(data / "*" / "*.png"), out)
    assert files(out) == ["flagged.json", "line 1/a.png"]
    with pytest.raises(CheckpointError, match="it holds the data"):
        check_copies(str(data / "*" / "*.png"), data / "line 1")
    check_copies(str(data / "*.png"), data / "other")  # which that glob does not look into
    with pytest.raises(CheckpointError, match="lies within the data"):
        check_copies(str(data / "**" / "*.png"), data / "new")
    copy_flagged(result_of(cpu=True, disk=True), data / "d.csv", out)
    assert files(out) == ["d.csv", "flagged.json"]
    listed = [data / "line 1/a.png", data / "a.png", data / "a.png"]
    copy_flagged(result_of(**{"a.png": True, "a.png (2)": True, "line 1/a.png": True}), listed, out)
    assert files(out) == ["a.png", "flagged.json", "line 1/a.png"]
    copy_flagged(result_of(**{"../one": True}), {"../one": data / "a.png", "array": np.zeros(3)}, out)
    assert files(out) == ["a.png", "flagged.json"]
    with pytest.raises(DataError, match=r"no files to copy.*give paths"):
        copy_flagged(result_of(a=True), np.zeros((2, 8, 8)), out)
    assert files(out) == ["a.png", "flagged.json"]


def test_a_file_that_has_gone_or_is_none_is_told_and_the_rest_is_copied(data: Path, tmp_path: Path) -> None:
    (data / "line 1" / "a.png").chmod(0o400)
    (tmp_path / "up.png").write_text("not asked for")
    found = result_of(**{"a.png": True, "../up.png": True, "line 1/a.png": True})
    with pytest.warns(UserWarning, match=r"no file for 1 flagged item\(s\), such as '../up.png'"):
        copied = copy_flagged(found, data, tmp_path / "flagged")
    assert [path.name for path in copied] == ["a.png", "a.png"]
    copy_flagged(result_of(**{"a.png": True}), data, tmp_path / "flagged")  # the read-only copy can be replaced
    assert files(tmp_path / "flagged") == ["a.png", "flagged.json"]
