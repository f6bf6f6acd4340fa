"""The notebooks hold no outputs and run: their code cells, in order, in one namespace, in an empty folder.

No Jupyter is needed: the cells are plain Python, whose last expressions a notebook would show.
"""

import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def cells(name: str) -> list[dict[str, Any]]:
    """Give the cells of a notebook."""
    book = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    return book["cells"]


def code(name: str) -> list[str]:
    """Give the code cells of a notebook as text."""
    return ["".join(cell["source"]) for cell in cells(name) if cell["cell_type"] == "code"]


def run(name: str) -> dict[str, Any]:
    """Run a notebook in the current folder; return what it leaves."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few data are warned of
        for number, text in enumerate(code(name)):
            exec(compile(text, f"{name}.ipynb, code cell {number}", "exec"), names)
    return names


def test_there_is_one_notebook_for_each_modality() -> None:
    assert NOTEBOOKS == ["csv", "images", "sound"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_has_no_outputs_and_is_plain_python(name: str) -> None:
    assert len(code(name)) >= 4
    ids = [cell["id"] for cell in cells(name)]
    assert len(set(ids)) == len(ids)
    for cell in cells(name):
        assert cell["cell_type"] in ("markdown", "code")
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
    for text in code(name):
        compile(text, name, "exec")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_writes_below_one_folder_of_its_own(name: str) -> None:
    folders = set(re.findall(r'Path\("([^"]+)"', "\n".join(code(name))))
    assert folders == {f"notebook_{name}"}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_index_links_each_notebook(name: str) -> None:
    assert f"(notebooks/{name}.ipynb)" in (FOLDER.parent / "index.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_notebook_on_a_csv_file_finds_what_was_planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    left = run("csv")
    assert left["planted"]["found"].sum() >= 5
    assert (tmp_path / "notebook_csv" / "results" / "report.html").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["notebook_csv"]


@pytest.mark.slow
def test_the_notebook_on_images_marks_the_worst_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    left = run("images")
    flagged = [image.id for image in left["result"].images if image.labels[0] == 1]
    assert len(flagged) >= 3
    assert not any("good" in name for name in flagged)
    assert (255, 80, 0) in set(map(tuple, np.asarray(left["picture"]).reshape(-1, 3).tolist()))
    assert [path.name for path in tmp_path.iterdir()] == ["notebook_images"]


@pytest.mark.slow
def test_the_notebook_on_sound_hears_the_squeal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    left = run("sound")
    planted = left["later"].planted
    heard = [
        event
        for event in left["recording"].events
        if event.start_s < planted.end_s
        and event.end_s > planted.start_s
        and event.low_hz < planted.high_hz
        and event.high_hz > planted.low_hz
    ]
    assert heard
    assert [path.name for path in tmp_path.iterdir()] == ["notebook_sound"]
