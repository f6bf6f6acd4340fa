"""Images on the command line as an inspection engineer meets them: what works, what is refused, what is kept.

Every refusal is one line on standard error, exit code 2, nothing half-written. Read `test_bad_input.py` for series.
"""

import csv
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from oddwave.cli import app
from oddwave.sources.image.reader import read_images

TINY = [
    "--preset=fast",
    "--set=training.num_steps=6",
    "--set=training.batch_size=8",
    "--set=training.num_validation_draws=4",
    "--set=maps.taps=[0]",
    "--set=network.base_channels=8",
    "--set=scoring.memory_size=200",
    "--set=image.size_px=64",
    "--set=maps.memory_grid=8",
    "--set=maps.denoiser_grid=8",
    "--set=maps.pixel_size_px=32",
]
DENOISER = "--set=image.method=denoiser"  # trains, and can be stopped and resumed
NUM_GOOD = 14  # all of them calibrate: no alpha below 1 / 15
ALPHA = "--alpha=0.3"
FILES = ["events.csv", "report.html", "scores.csv", "summary.json"]


def grating(seed: int, blot: bool = False, side_px: int = 64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wave = 0.5 + 0.2 * np.sin(2 * np.pi * (np.arange(side_px) + rng.uniform(0, 2)) / 8)
    image = np.clip(wave + rng.normal(0, 0.02, (side_px, side_px)), 0, 1)
    if blot:
        image[24:38, 24:38] = 0.95
    return (255 * image).astype(np.uint8)


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def fit(data: str | Path, out: Path, *options: str | Path) -> Result:
    return run("fit", "image", data, "-o", out, *TINY, *options)


def succeeded(result: Result, status: int = 0) -> str:
    assert result.exit_code == status, (result.stderr, result.exception)
    assert result.stderr == ""
    return result.stdout


def refused(result: Result) -> str:
    """Check that a command failed as it should, and return its one line."""
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stdout == ""
    assert result.stderr.startswith("oddwave: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    return result.stderr


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "scores.csv").open(newline="", encoding="utf-8") as file:
        return {row["item"]: row for row in csv.DictReader(file)}


def summary(out: Path) -> dict:
    return json.loads((out / "summary.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good images, new ones (one with a blot), and a model that was fitted by the command line."""
    folder = tmp_path_factory.mktemp("images")
    for seed in range(NUM_GOOD):
        write(folder / "good" / f"{seed:03d}.png", grating(seed))
    write(folder / "new" / "fine one.png", grating(100))
    write(folder / "new" / "Prüfung 検査" / "größe №7.png", grating(101, blot=True))
    shown = succeeded(fit(folder / "good", folder / "model"))
    assert "14 images of 1 channel(s)" in shown
    return folder


@pytest.fixture(scope="module")
def readings(work: Path) -> Path:
    values = np.random.default_rng(0).normal(size=(300, 2))
    np.savetxt(work / "readings.csv", values, delimiter=",", header="flow,pressure", comments="")
    return work / "readings.csv"


def half(path: Path) -> bytes:
    content = path.read_bytes()
    return content[: len(content) // 2]


# What works


def test_spaces_and_non_latin_letters_come_through_to_every_file(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "Ergebnis für 検査"
    shown = succeeded(run("score", work / "model", work / "new", "-o", out, ALPHA))
    assert names(out) == FILES
    assert list(rows(out)) == ["Prüfung 検査/größe №7.png", "fine one.png"]
    assert [row["label"] for row in rows(out).values()] == ["1", "0"]
    assert "Prüfung 検査/größe №7.png  score" in shown
    for name in FILES:
        assert "größe №7" in (out / name).read_text(encoding="utf-8"), name


def test_flagged_images_are_copied_and_drawn_on_where_that_is_asked_for(work: Path, tmp_path: Path) -> None:
    out, rejects = tmp_path / "out", tmp_path / "rejects"
    asked = ("score", work / "model", work / "new", "-o", out, ALPHA, "-q", "--annotate", "--copy-flagged", rejects)
    for _ in range(2):
        succeeded(run(*asked))
        assert names(out) == sorted([*FILES, "annotated"])
        copy, drawn = (folder / "Prüfung 検査" / "größe №7.png" for folder in (rejects, out / "annotated"))
        assert copy.read_bytes() == (work / "new" / "Prüfung 検査" / "größe №7.png").read_bytes() != drawn.read_bytes()
        assert names(rejects) == ["Prüfung 検査", "flagged.json"]
    line = refused(
        run("score", work / "model", work / "new", "-o", tmp_path / "x", "--copy-flagged", work / "new" / "y")
    )
    assert "lies within the data" in line
    assert names(tmp_path) == ["out", "rejects"]


def test_info_says_what_the_model_was_trained_on(work: Path) -> None:
    shown = succeeded(run("info", work / "model"))
    for words in ("(image)", "14 images of 1 channel(s)", "64 x 64 px", "all 14 images", "0.067"):
        assert words in shown


def test_a_model_is_its_four_files_and_nothing_lies_beside_it(work: Path) -> None:
    files = [path for path in (work / "model").rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == ["calibration.json", "config.json", "meta.json", "model.safetensors"]
    assert not (work / "model.training").exists()


def test_without_alpha_the_smallest_supported_one_is_taken_and_said(work: Path, tmp_path: Path) -> None:
    result = run("score", work / "model", work / "new", "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert result.stderr.startswith("oddwave: warning: alpha raised from 0.01 to 0.0667")
    assert result.stderr.count("\n") == 1
    assert summary(tmp_path / "out")["alpha"] == pytest.approx(1 / 15)


def test_images_that_were_trained_on_are_pointed_out(work: Path, tmp_path: Path) -> None:
    shown = succeeded(run("score", work / "model", work / "good", "-o", tmp_path, ALPHA))
    assert f"Note: {NUM_GOOD} images: this very image was trained on: its score is flattered" in shown
    assert f"{NUM_GOOD} of the images were trained on" in (tmp_path / "summary.json").read_text()


def test_the_mvtec_layout_is_known_and_grey_goes_with_rgb(work: Path, tmp_path: Path) -> None:
    screw = tmp_path / "screw"
    for number, path in enumerate(sorted((work / "good").iterdir())):
        image = Image.open(path)
        wide = image.convert("RGB").resize((80, 64)) if number % 2 else image
        (screw / "train" / "good").mkdir(parents=True, exist_ok=True)
        wide.save(screw / "train" / "good" / path.name)
    write(screw / "test" / "blot" / "000.png", grating(101, blot=True))
    write(screw / "test" / "good" / "000.png", grating(100))
    write(screw / "ground_truth" / "blot" / "000_mask.png", grating(0))
    shown = succeeded(fit(screw, tmp_path / "m"))
    assert "14 images of 3 channel(s)" in shown
    assert "Note: MVTec layout: 14 image(s) taken from train/good, 2 left out" in shown
    shown = succeeded(run("score", tmp_path / "m", screw, "-o", tmp_path / "out", ALPHA))
    assert list(rows(tmp_path / "out")) == ["test/blot/000.png", "test/good/000.png"]
    assert "Note: MVTec layout: 2 image(s) taken from test, 14 left out" in shown


def test_a_quoted_glob_and_tiles(work: Path, tmp_path: Path) -> None:
    few = "--set=image.tile_px=48", "--set=image.tile_overlap=0.1", "--set=training.num_steps=3"
    assert "14 images" in succeeded(fit(f"{work}/good/0*.png", tmp_path / "m", *few))
    succeeded(run("score", tmp_path / "m", f"{work}/new/**/*.png", "-o", tmp_path / "out", ALPHA))
    scores = {name: float(row["score"]) for name, row in rows(tmp_path / "out").items()}
    assert scores["Prüfung 検査/größe №7.png"] > scores["fine one.png"]


@pytest.mark.parametrize("side_px", [1, pytest.param(64, marks=pytest.mark.slow)])
def test_images_without_anything_to_see_are_learnt_and_said(tmp_path: Path, side_px: int) -> None:
    for number in range(12):
        write(tmp_path / "in" / f"{number}.png", np.full((side_px, side_px), 128, np.uint8))
    shown = succeeded(fit(tmp_path / "in", tmp_path / "m", "--set=training.num_steps=3"))
    assert "Note: 11 image(s) are copies of others, such as '1.png' of '0.png'" in shown
    assert "Note: all training images look the same, or nearly so" in shown
    succeeded(run("score", tmp_path / "m", tmp_path / "in", "-o", tmp_path / "out", "--alpha=0.4"))
    assert all(np.isfinite(float(row["score"])) for row in rows(tmp_path / "out").values())


# Images that cannot be judged


@pytest.fixture(scope="module")
def mixed(work: Path) -> Path:
    """One fine image among those that cannot be read or do not go with the model."""
    folder = work / "mixed"
    fine = write(folder / "fine.png", grating(100))
    (folder / "cut.png").write_bytes(half(fine))
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no image at all")
    Image.fromarray(grating(1)).save(folder / "moving.gif", save_all=True, append_images=[Image.fromarray(grating(2))])
    Image.new("1", (15_000, 15_000)).save(folder / "bomb.png")
    write(folder / "colour.png", np.stack([grating(1), grating(2), grating(3)], axis=2))
    np.save(folder / "five.npy", np.zeros((64, 64, 5), np.uint8))
    np.save(folder / "bright.npy", np.full((64, 64), 255.0))
    write(folder / "dot.png", np.zeros((1, 1), np.uint8))
    write(folder / "wide.png", np.tile(grating(1), (1, 4)))
    return folder


REASONS = {
    "cut": "is damaged or cut off",
    "empty": "is empty (0 bytes)",
    "text": "is no image in a format that can be read",
    "moving": "animat",
    "bomb": "too ",
    "colour": "has 3 channel(s), the model was trained on grey images",
    "five": "has 5 channel(s), the model was trained on grey images",
    "bright": "divide by the value of white",
}


def test_what_cannot_be_judged_becomes_a_row_that_says_so(work: Path, mixed: Path, tmp_path: Path) -> None:
    shown = succeeded(run("score", work / "model", mixed, "-o", tmp_path, ALPHA), status=3)
    found = {Path(name).stem: row for name, row in rows(tmp_path).items()}
    assert list(rows(tmp_path)) == sorted(path.name for path in mixed.iterdir())
    assert set(found) == {"fine", "dot", "wide", *REASONS}
    told = summary(tmp_path)
    assert told["counts"]["failed"] == len(REASONS)
    errors = {Path(failure["item"]).stem: failure["error"] for failure in told["failures"]}
    for name, reason in REASONS.items():
        assert (found[name]["score"], found[name]["label"]) == ("", "-1")
        assert reason in errors[name]
        assert str(mixed / name) in errors[name]
    assert all(found[name]["score"] for name in ("fine", "dot", "wide"))
    assert "8 of 11 images could not be judged" in shown
    assert "wide.png: aspect ratio 4.00, training images have 1.00" in shown


@pytest.mark.parametrize("name", ["cut.png", "colour.png", "bright.npy"])
def test_stop_stops_at_the_first_of_them(work: Path, mixed: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(mixed / "fine.png", tmp_path)
    shutil.copy(mixed / name, tmp_path)
    line = refused(run("score", work / "model", tmp_path, "-o", tmp_path / "out", ALPHA, "--on-error=stop"))
    assert REASONS[name.partition(".")[0]] in line
    assert f"'{tmp_path / name}'" in line
    assert names(tmp_path) == sorted(["fine.png", name])


@pytest.mark.parametrize("name", ["cut.png", "moving.gif", "bomb.png", "colour.png", "five.npy"])
def test_nothing_but_one_of_them_is_refused(work: Path, mixed: Path, tmp_path: Path, name: str) -> None:
    line = refused(run("score", work / "model", mixed / name, "-o", tmp_path / "out", ALPHA))
    assert REASONS[name.partition(".")[0]] in line
    assert names(tmp_path) == []


def test_fit_leaves_out_what_cannot_be_read_or_stops_there(work: Path, mixed: Path, tmp_path: Path) -> None:
    data = tmp_path / "in"
    shutil.copytree(work / "good", data)
    for name in ("cut.png", "empty.png", "bright.npy"):
        shutil.copy(mixed / name, data)
    line = refused(fit(data, tmp_path / "m", "--on-error=stop"))
    assert any(reason in line for reason in (REASONS["cut"], REASONS["bright"]))
    assert names(tmp_path) == ["in"]
    shown = succeeded(fit(data, tmp_path / "m", "--set=training.num_steps=3"))
    assert "14 images of 1 channel(s)" in shown
    for name in ("cut", "empty", "bright"):
        assert REASONS[name] in shown
    assert names(tmp_path) == ["in", "m"]


# What is refused


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda folder: folder.mkdir(), "holds no images: expected files ending in .png"),
        (lambda folder: None, "no such file or folder"),
    ],
)
def test_too_few_images(tmp_path: Path, make: Callable[[Path], object], expected: str) -> None:
    make(tmp_path / "in")
    before = names(tmp_path)
    assert expected in refused(fit(tmp_path / "in", tmp_path / "deep" / "m"))
    assert names(tmp_path) == before


def test_channels_that_do_not_go_together(work: Path, mixed: Path, tmp_path: Path) -> None:
    shutil.copytree(work / "good", tmp_path / "in")
    shutil.copy(mixed / "five.npy", tmp_path / "in")
    line = refused(fit(tmp_path / "in", tmp_path / "m"))
    assert "'five.npy' 5: only grey (1) and RGB (3) images go together" in line
    assert names(tmp_path) == ["in"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--roi", "nowhere.png"], "nowhere.png' does not exist: give an image that is not black where to look"),
        (["--roi", "dot.png"], "the region of interest is too small to be seen at image.size_px=64"),
        (["--roi", "black.png"], "is zero everywhere"),
        (["--on-error", "ask"], "--on-error is 'ask': give skip or stop"),
        (["--set", "image.tile_px=0"], "image.tile_px"),
        (["--resume"], "there is no stopped training in"),
    ],
)
def test_options_that_cannot_work(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "black.png", np.zeros((64, 64), np.uint8))
    write(tmp_path / "dot.png", np.eye(640, 640, dtype=np.uint8) * (np.arange(640) == 0))
    assert expected in refused(fit(work / "good", tmp_path / "m", *options))
    assert names(tmp_path) == ["black.png", "dot.png"]


def test_an_alpha_that_cannot_be_had_is_refused_before_images_are_read(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*_: object, **__: object) -> None:
        raise AssertionError("the work had already begun")

    monkeypatch.setattr("oddwave.detection.image.detector.read_images", functools.wraps(read_images)(too_late))
    line = refused(run("score", work / "model", work / "new", "-o", tmp_path / "out", "--alpha=0.01"))
    assert "alpha 0.01 needs at least 99 calibration scores, this model has 14: use alpha >= 0.0667" in line
    assert names(tmp_path) == []


@pytest.mark.parametrize("place", ["/dev/full", "/dev/null/out"])
def test_an_output_that_cannot_be_is_refused_before_the_work(
    work: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def too_late(*_: object, **__: object) -> None:
        raise AssertionError("the work had already begun")

    monkeypatch.setattr("oddwave.detector.Detector.load", too_late)
    monkeypatch.setattr("oddwave.sources.image.reader.read_images", too_late)
    assert place in refused(run("score", work / "model", work / "new", "-o", place))
    assert place in refused(run("fit", "image", work / "good", "-o", place))


@pytest.mark.parametrize("name", ["model.safetensors", "calibration.json", "config.json", "meta.json"])
def test_a_model_with_a_file_cut_in_half(work: Path, tmp_path: Path, name: str, saved_files: Any) -> None:
    shutil.copytree(work / "model", tmp_path / "model")
    place = saved_files.place_of(tmp_path / "model", name)
    place.write_bytes(half(place))
    expected = f"{name} is damaged"
    assert expected in refused(run("score", tmp_path / "model", work / "new", "-o", tmp_path / "out", ALPHA))
    assert expected in refused(run("info", tmp_path / "model"))
    assert names(tmp_path) == ["model"]


def test_readings_do_not_go_into_a_image_model(work: Path, readings: Path, tmp_path: Path) -> None:
    line = refused(run("score", work / "model", readings, "-o", tmp_path / "out", ALPHA))
    assert "readings.csv' is no image in a format that can be read" in line
    assert "model is a model of images" in line
    assert names(tmp_path) == []


def test_only_images_are_drawn_on_and_tables_are_copied_whole(readings: Path, tmp_path: Path) -> None:
    line = refused(run("detect", readings, "-o", tmp_path / "out", "--annotate"))
    assert "--annotate draws on images, and these are time series: leave it out" in line
    line = refused(run("detect", readings, "-o", tmp_path / "out", "--copy-flagged", readings.parent))
    assert "it holds the data" in line
    assert names(tmp_path) == []


def test_images_do_not_go_into_a_series_model(work: Path, readings: Path, tmp_path: Path) -> None:
    few = "--preset=fast", "--set=training.num_steps=4", "--set=series.max_windows=64", "--set=network.base_channels=8"
    succeeded(run("fit", "series", readings, "-o", tmp_path / "m", *few))
    line = refused(run("score", tmp_path / "m", work / "new", "-o", tmp_path / "out"))
    assert "holds no data files: expected files ending in" in line
    assert "m is a model of time series" in line
    line = refused(run("score", tmp_path / "m", work / "new" / "fine one.png", "-o", tmp_path / "out"))
    assert "is a PNG image: fit a model of images" in line
    assert names(tmp_path) == ["m"]


# Stopping and going on, in a process of its own


@pytest.mark.slow  # series: test_stopped_trainings.py, by default
def test_ctrl_c_keeps_the_training_and_says_how_to_go_on(work: Path, tmp_path: Path) -> None:
    model = tmp_path / "m"
    options = ["-o", str(model), *TINY, DENOISER, "-q"]
    command = [sys.executable, "-m", "oddwave", "fit", "image", str(work / "good"), *options]
    slow = [*command, "--set=training.num_steps=100000", "--set=training.checkpoint_every=1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    fitting = subprocess.Popen(slow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    state = tmp_path / "m" / ".oddwave" / "training_state.pt"
    until = time.monotonic() + 90
    while not state.exists() and fitting.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    fitting.send_signal(signal.SIGINT)
    stdout, stderr = fitting.communicate(timeout=60)
    assert (fitting.returncode, stdout) == (130, ""), stderr
    assert stderr.startswith("oddwave: training stopped at step ")
    assert stderr.count("\n") == 1
    assert "--resume" in stderr
    assert names(tmp_path) == ["m"]
    assert names(tmp_path / "m") == [".oddwave"]


@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_same_model(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oddwave.training.run import TrainingRun

    advance = TrainingRun.advance

    def interrupted(training: TrainingRun) -> None:
        if training.step == 5:
            raise KeyboardInterrupt
        advance(training)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "advance", interrupted)
        assert fit(work / "good", tmp_path / "m", DENOISER).exit_code == 130
    assert names(tmp_path) == ["m"]
    assert names(tmp_path / "m") == [".oddwave"]
    succeeded(fit(work / "good", tmp_path / "m", DENOISER, "--resume"))
    assert names(tmp_path) == ["m"]
    succeeded(fit(work / "good", tmp_path / "whole", DENOISER))
    whole, again = (next(model.glob("*/model.safetensors")) for model in (tmp_path / "whole", tmp_path / "m"))
    assert again.read_bytes() == whole.read_bytes()
