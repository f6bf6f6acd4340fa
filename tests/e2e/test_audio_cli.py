"""Sound on the command line as a maintenance engineer meets it: what works, what is refused, what is kept.

Every refusal is one line on standard error, exit code 2, nothing half-written. Read `test_image_cli.py` for images.
"""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from oddwave.cli import app

RATE = 8000
TINY = [
    "--preset=fast",
    "--quiet",
    f"--set=audio.sample_rate={RATE}",
    "--set=audio.clip_s=2.0",
    "--set=audio.columns=128",
    "--set=audio.num_rows=64",
    "--set=audio.num_background=10",
    "--set=maps.memory_grid=8",
    "--set=maps.denoiser_grid=8",
    "--set=training.num_steps=4",
    "--set=training.batch_size=8",
    "--set=training.num_validation_draws=4",
    "--set=scoring.memory_size=100",
    "--set=network.base_channels=8",
]


def machine(seed: int, seconds: float = 4.0, tone: bool = False) -> np.ndarray:
    rng, t = np.random.default_rng(seed), np.arange(int(seconds * RATE)) / RATE
    audio = sum(np.sin(2 * np.pi * 70 * h * t + rng.uniform(0, 6)) / h for h in range(1, 9)) * 0.05
    audio = audio + 0.02 * rng.normal(size=len(t))
    return audio + tone * 0.2 * np.sin(2 * np.pi * 2200 * t) * ((t > 1.5) & (t < 2.2))


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(result: Result) -> str:
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stderr.startswith("oddwave: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound") / "gesunde Läufe"
    for number in range(14):
        write(folder / f"lauf {number:02d}.wav", machine(number))
    return folder


@pytest.fixture(scope="module")
def model(healthy: Path) -> Path:
    out = healthy.parent / "model"
    result = run("fit", "audio", healthy, "-o", out, *TINY)
    assert result.exit_code == 0, (result.stderr, result.exception)
    assert "trained on: 14 recordings" in result.stdout
    return out


def test_from_a_folder_to_a_report(model: Path, tmp_path: Path) -> None:
    write(tmp_path / "new" / "good.flac", machine(100))
    write(tmp_path / "new" / "odd.wav", machine(101, tone=True))
    (tmp_path / "new" / "notes.wav").write_text("no sound at all")
    result = run("score", model, tmp_path / "new", "-o", tmp_path / "out", "--alpha=0.3")
    assert result.exit_code == 3, (result.stderr, result.exception)
    assert "odd" in result.stdout
    lines = (tmp_path / "out" / "scores.csv").read_text(encoding="utf-8").splitlines()
    rows = {row["item"]: row for row in csv.DictReader(lines)}
    assert float(rows["odd.wav"]["score"]) > float(rows["good.flac"]["score"])
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["modality"] == "audio"
    assert "notes.wav" in json.dumps(summary)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<audio" in page
    samples, rate = soundfile.read(tmp_path / "out" / "audio" / "odd_odd.wav")
    assert rate == RATE
    assert len(samples) == 4 * RATE
    inside = slice(int(1.6 * RATE), int(2.1 * RATE))
    outside = slice(int(3.0 * RATE), int(3.5 * RATE))
    assert np.std(samples[inside]) > 3 * np.std(samples[outside])


def test_info_tells_what_was_learnt(model: Path) -> None:
    result = run("info", model)
    assert result.exit_code == 0
    assert "clips of 2 s at 8000 Hz" in result.stdout
    assert "clip weight" in result.stdout or "clip_weight" in result.stdout


def test_choices_stand_in_the_settings_file(model: Path) -> None:
    choices = json.loads(next(model.glob("*/config.json")).read_text(encoding="utf-8"))["choices"]
    assert {"clip_weight", "terms", "weights", "top_share"} <= set(choices)
    assert choices["clip_weight"]["synthetic_auroc"]


def test_another_rate_and_more_channels_are_taken(model: Path, tmp_path: Path) -> None:
    stereo = np.stack([np.repeat(machine(7), 2)] * 2, axis=1)
    write(tmp_path / "stereo.wav", stereo, 2 * RATE)
    result = run("score", model, tmp_path / "stereo.wav", "-o", tmp_path / "out", "--alpha=0.3")
    assert result.exit_code == 0, (result.stderr, result.exception)
    assert (tmp_path / "out" / "report.html").exists()


def test_bad_recordings_stop_the_run_when_asked_to(healthy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    for path in sorted(healthy.iterdir()):
        (folder / path.name).parent.mkdir(exist_ok=True)
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.wav").write_bytes(b"RIFF")
    line = refused(run("fit", "audio", folder, "-o", tmp_path / "model", "--on-error=stop", *TINY))
    assert "broken.wav" in line
    assert not (tmp_path / "model").exists()


def test_too_little_audio_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "few" / "one.wav", machine(0))
    line = refused(run("fit", "audio", tmp_path / "few", "-o", tmp_path / "model", *TINY))
    assert "give at least 10" in line
    assert not (tmp_path / "model").exists()


def test_a_folder_without_audio_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nowhere"):
        line = refused(run("fit", "audio", tmp_path / name, "-o", tmp_path / "model", *TINY))
        assert name in line
    assert not (tmp_path / "model").exists()


def test_settings_that_cannot_work_are_refused(healthy: Path, tmp_path: Path) -> None:
    line = refused(run("fit", "audio", healthy, "-o", tmp_path / "model", *TINY, "--set=audio.f_min_hz=6000"))
    assert "f_min" in line


@pytest.mark.slow
def test_detect_finds_the_odd_recording_of_a_folder(healthy: Path, tmp_path: Path) -> None:
    for path in healthy.iterdir():
        write(tmp_path / "all" / path.name, soundfile.read(path)[0])
    write(tmp_path / "all" / "odd.wav", machine(101, tone=True))
    result = run(
        "detect", tmp_path / "all", "-o", tmp_path / "out", "--modality=audio", "--alpha=0.1", "--exit-code", *TINY
    )
    assert result.exit_code == 1, (result.stderr, result.exception)
    with (tmp_path / "out" / "scores.csv").open(newline="") as file:
        rows = {row["item"]: row for row in csv.DictReader(file)}
    assert len(rows) == 15
    assert max(rows, key=lambda name: float(rows[name]["score"])) == "odd.wav"
    assert rows["odd.wav"]["label"] == "1"
    assert "odd.wav" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_detect_finds_the_odd_moment_of_one_long_recording(tmp_path: Path) -> None:
    long = write(tmp_path / "minute.wav", machine(5, seconds=60.0, tone=True))
    result = run("detect", long, "-o", tmp_path / "out", "--modality=audio", "--alpha=0.1", "--exit-code", *TINY)
    assert result.exit_code == 1, (result.stderr, result.exception)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["items"][0]["duration_s"] == 60.0
    strongest = max(summary["events"], key=lambda event: event["score"])
    assert strongest["start_s"] < 2.2
    assert strongest["end_s"] > 1.5
    assert (tmp_path / "out" / "clips.csv").is_file()
