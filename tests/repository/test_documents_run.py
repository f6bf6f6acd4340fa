"""README and tutorials run as they stand: every Python and console block, in order, in an empty folder.

Three things differ from a reader's run. A watch looks once. The presets train for four steps instead of hundreds; their
names, settings and paths are used as written. `make demo` is `oddwave demo` with the part that the document needs, so
the files that the tutorials use are the demonstration's own. What is not run is listed below with the reason;
`test_documents.py` parses those lines.
"""

import re
import shlex
import warnings
import wave
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from oddwave.cli import app
from oddwave.presets import PRESETS

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "docs/tutorial_series.md",
    "docs/tutorial_images.md",
    "docs/tutorial_audio.md",
    "docs/watch.md",
    "docs/howto/data_drift.md",
)

DEMO = {"docs/tutorial_series.md": "series", "docs/tutorial_images.md": "images"}  # elsewhere no file of it is used
BEFORE = {"docs/howto/data_drift.md": "oddwave fit series healthy.csv -o pump.model"}  # what a page takes for granted
OUTSIDE = {  # commands other than oddwave's
    "make setup": "installs packages",
    "make demo": "run as `oddwave demo` where its files are used; tests/demo runs all of it",
    "make test": "runs these tests",
    "pip install": "installs packages",
}
PARSED_ONLY = {
    "oddwave fit series demo/normal.csv -o store.model --preset accurate": "tries several representations: minutes",
    "oddwave fit image demo/images/data/train/good -o gears.model": "a third fit of the same images",
    "oddwave fit image demo/images/data/train/good -o gears.model --seed 1": "a fourth",
    "oddwave fit image demo/images/data/train/good -o gears.model --set image.method=denoiser": "a fifth",
    "oddwave fit image good_parts/ -o parts.model --set maps.perceptual=timm:resnet18": "downloads weights",
    "oddwave detect one_long_recording.wav -o results --modality audio": "tests/e2e/test_audio_cli.py runs it",
}
QUICK = {
    "training": {"num_steps": 4, "batch_size": 8, "warmup_steps": 1},
    "network": {"base_channels": 8, "channel_mult": (1, 2)},
}
QUICKER = {
    "series": {"series": {"max_windows": 300}, "scoring": {"memory_size": 300}},
    "image": {"image": {"size_px": 64}, "scoring": {"memory_size": 200}},
    "audio": {"audio": {"num_background": 8, "columns": 128, "num_rows": 32}, "scoring": {"memory_size": 100}},
}


def blocks(document: str) -> list[tuple[str, str]]:
    """Give (language, text) of the fenced blocks of code, in order; the README's table of commands comes first."""
    text = (ROOT / document).read_text(encoding="utf-8")
    table = "\n".join(re.findall(r"`(oddwave [^`]* -o [^`]*)`", text)) if document == "README.md" else ""
    return [("console", table), *re.findall(r"^```(console|python)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)]


def test_every_command_is_run_parsed_or_listed() -> None:
    lines = {
        line
        for document in DOCUMENTS
        for kind, text in blocks(document)
        if kind == "console"
        for line in text.split("\n")
    }
    strangers = {line for line in lines if line and not line.startswith(("oddwave ", *OUTSIDE))}
    assert strangers == set()
    assert set(PARSED_ONLY) <= lines


def test_every_block_has_a_language_that_is_run_or_is_text() -> None:
    for document in DOCUMENTS:
        opened = re.findall(r"^```(\w+)$", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE)
        assert set(opened) <= {"console", "python", "text"}, document


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_document_runs(
    document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for modality, presets in PRESETS.items():
        quick = deepcopy(presets["fast"])
        for sections in (QUICK, QUICKER[modality]):
            for section, values in sections.items():
                quick[section] = {**quick.get(section, {}), **values}
        for name in presets:
            monkeypatch.setitem(presets, name, quick)
    monkeypatch.chdir(tmp_path)
    write_files()
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so little training, and so few files, are warned of
        if document in BEFORE:
            run(BEFORE[document], None)
        for language, text in blocks(document):
            if language == "python":
                exec(text, names)
                continue
            for line in filter(None, text.split("\n")):
                run(line, DEMO.get(document))
    if document == "README.md":
        assert "score" in capsys.readouterr().out
        scores = names["scores"]
        assert isinstance(scores, np.ndarray)
        assert 450 <= int(np.nanargmax(scores)) <= 610  # where the fault is


def run(line: str, demo: str | None) -> None:
    if line == "make demo" and demo:
        line = f"oddwave demo --only {demo} -o demo"
    if line in PARSED_ONLY or line.startswith(tuple(OUTSIDE)):
        return
    if line.startswith("oddwave watch ") and "--once" not in line:
        line += " --once"  # what goes on for ever is looked at once
    done = CliRunner().invoke(app, shlex.split(line)[1:], catch_exceptions=False)
    assert done.exit_code == 0, f"{line}: {done.output}"


def write_files() -> None:
    """Write the files that the documents take for granted, small."""
    rng = np.random.default_rng(0)
    values = np.sin(np.arange(6000) / 8) + 0.1 * rng.normal(size=6000)
    values[5500:5560] = 0.0
    for name, part in (("healthy", values[:5000]), ("today", values[5000:]), ("metrics", values[4000:])):
        Path(f"{name}.csv").write_text("temperature\n" + "\n".join(f"{value:.4f}" for value in part) + "\n")
    june = 0.5 + np.sin(np.arange(5000) / 8) + 0.1 * np.random.default_rng(1).normal(size=5000)
    Path("healthy_june.csv").write_text("temperature\n" + "\n".join(f"{value:.4f}" for value in june) + "\n")
    beats = np.sin(np.arange(24) / 3 + rng.uniform(0, 0.4, size=(40, 1))) + 0.05 * rng.normal(size=(40, 24))
    np.savetxt("beats.csv", beats, fmt="%.4f", delimiter=",")
    for folder in ("good", "new", "good_parts", "boards"):
        Path(folder).mkdir()
        for number in range(12):
            pixels = 120 + 40 * np.sin(np.arange(600) / 20 + rng.uniform(0, 1)) + rng.normal(0, 4, size=(600, 600))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(f"{folder}/{number:02d}.png")
    mask = np.zeros((600, 600), dtype=np.uint8)
    mask[100:500, 100:500] = 255
    Image.fromarray(mask).save("mask.png")
    for folder, number in (("healthy", 12), ("later", 2), ("new_recordings", 2), ("recordings", 12)):
        Path(folder).mkdir()
        for place in range(number):
            hum = 3000 * np.sin(np.arange(64000) / 20 + rng.uniform(0, 6)) + 300 * rng.normal(size=64000)
            with wave.open(f"{folder}/{place:02d}.wav", "wb") as file:
                file.setparams((1, 2, 16000, len(hum), "NONE", ""))
                file.writeframes(hum.astype("<i2").tobytes())
