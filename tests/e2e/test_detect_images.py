"""`oddwave detect` on a folder of images: each is judged by the others, and the strongest are named on request."""

import csv

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from oddwave.cli import app

SMALL = ("image.size_px=64", "maps.memory_grid=8", "maps.denoiser_grid=8", "scoring.memory_size=100")


@pytest.fixture
def folder(tmp_path):
    rng, parts = np.random.default_rng(0), tmp_path / "parts"
    parts.mkdir()
    for number in range(12):
        values = 0.5 + 0.2 * np.sin(2 * np.pi * np.mgrid[:64, :64][1] / 8) + rng.normal(0, 0.02, (64, 64))
        values[20:34, 20:34] += 0.4 * (number == 7)
        Image.fromarray((255 * np.clip(values, 0, 1)).astype(np.uint8)).save(parts / f"{number:02d}.png")
    return parts


def test_the_odd_one_of_a_folder_is_named(folder, tmp_path):
    settings = [word for own in SMALL for word in ("--set", own)]
    words = ["detect", str(folder), "-o", str(tmp_path / "out"), "--modality", "image", "--flag", "1", "-q", *settings]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    with (tmp_path / "out" / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["1" if row["item"].startswith("07") else "0" for row in rows]
    assert "flattered" not in done.output
    assert "flattered" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_another_modality_than_there_is_or_than_the_data_are_of_is_refused(folder, tmp_path):
    done = CliRunner().invoke(app, ["detect", str(folder), "-o", str(tmp_path / "out"), "--modality", "video"])
    assert done.exit_code == 2
    assert "expected series, image or audio" in done.output
    done = CliRunner().invoke(app, ["detect", str(folder), "-o", str(tmp_path / "out"), "--modality", "audio"])
    assert done.exit_code == 2
    assert "holds no recordings" in done.output
