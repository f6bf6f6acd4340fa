"""Give cases to whole detectors and to the command line, as users do: the readers' faults must not come out there.

One tiny detector per modality is fitted when it is first needed.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from input_cases import Case
from seeds import RATE

from oddwave import Detector
from oddwave.config import preset
from oddwave.errors import OddwaveError

__all__ = ["open_door", "through_command", "through_detector"]

_MODALITIES = {"series": "series", "images": "image", "audio": "audio"}
_FEW = ("training.num_steps=4", "training.batch_size=8", "training.num_validation_draws=8")
_TINY = {
    "series": (
        *("series.max_windows=60", "series.tensor_length=16", "series.window_sizes=[16]", "scoring.noise_levels=[0.5]"),
        "network.channel_mult=[1, 2]",
    ),
    "image": (
        *("image.size_px=64", "maps.memory_grid=8", "maps.denoiser_grid=8", "maps.pixel_size_px=32"),
        "scoring.memory_size=100",
    ),
    "audio": (
        *(f"audio.sample_rate={RATE}", "audio.clip_s=2.0", "audio.columns=128", "audio.num_rows=64"),
        *("audio.num_background=10", "scoring.memory_size=100"),
    ),
}


def _fitted(reader: str) -> Detector:
    modality = _MODALITIES[reader]
    settings = [*_TINY[modality], *_FEW, "network.base_channels=8", "calibration.alpha=0.2"]
    rng = np.random.default_rng(0)
    if reader == "series":
        source: Any = np.sin(np.arange(300) / 3)[:, None] + 0.1 * rng.normal(size=(300, 3))
    elif reader == "images":
        source = [np.clip(0.5 + 0.1 * rng.normal(size=(48, 56, 3)), 0, 1) for _ in range(24)]
    else:
        source = {str(i): (0.1 * rng.normal(size=4 * RATE).astype(np.float32), RATE) for i in range(14)}
    return Detector(preset("fast", modality).with_overrides(settings)).fit(source)


@cache
def open_door(reader: str, folder: Path) -> tuple[Path, Detector]:
    """Return a tiny model's folder and the detector loaded from it; fitted once for all processes."""
    path = folder / f"model of {reader}"
    if not path.exists():
        _fitted(reader).save(path)
    return path, Detector.load(path)


def through_detector(case: Case, folder: Path) -> str:
    """Score the case's source; check that there is a row per item and that nothing unjudged is called good."""
    _, detector = open_door(case.reader, folder.parent)
    scores = detector.decision_function(case.source)
    labels = detector.predict(case.source)
    if np.shape(scores) != np.shape(labels):
        raise ValueError(f"{np.shape(scores)} scores and {np.shape(labels)} labels")
    if (np.asarray(labels)[np.isnan(scores)] != -1).any():
        raise ValueError("a label for what has no score")
    return f"{len(scores)} score(s)"


def through_command(case: Case, folder: Path) -> str:
    """Run `oddwave score` on the case's path; a refusal is one line and status 2."""
    from typer.testing import CliRunner

    from oddwave.cli import app

    source = case.source[0] if isinstance(case.source, list) else case.source
    model, _ = open_door(case.reader, folder.parent)
    result = CliRunner().invoke(app, ["score", str(model), str(source), "-o", str(folder / "out"), "--quiet"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code == 2:
        line = result.stderr.rstrip("\n")
        if "\n" in line or not line.startswith("oddwave: "):
            raise ValueError(f"not one line: {line[:300]}")
        raise OddwaveError(line)
    if result.exit_code not in (0, 3):
        raise ValueError(f"exit status {result.exit_code}: {result.output[:300]}")
    rows = (folder / "out" / "scores.csv").read_text(encoding="utf-8").count("\n")
    return f"status {result.exit_code}, {rows} line(s)"
