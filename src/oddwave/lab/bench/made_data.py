"""Generated data to measure on: the demonstration's parts and machine, and streams; half of what is scored is faulty.

What is planted here is not what a fit plants to choose its settings by, except for series, where the generators are
the same and the seeds others. Equal seeds give equal data. Read `speed_cell.py` next, which fits and scores them.

Legend: n points, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from oddwave.demo.gear_defects import GEAR_DEFECTS
from oddwave.demo.gear_image import draw_part
from oddwave.demo.machine_audio import MACHINE_FAULTS, SAMPLE_RATE, make_machine_audio
from oddwave.planted.normal_streams import normal_stream
from oddwave.planted.series_streams import plant_in_stream

__all__ = ["MadeData", "make_data", "make_images", "make_panel", "make_recordings", "make_stream"]

_STRENGTH = (1.0, 4.0)  # units of change, of anomalies in streams
_POINTS_PER_ANOMALY = 500
_PERIOD = 48  # points: every stream has a cycle, as machines have


@dataclass(frozen=True, eq=False)
class MadeData:
    """Normal data to fit on, data to score, whose labels are 1 where something was planted, and single requests."""

    train: Any
    test: Any
    gt_label: Int[np.ndarray, " n"]
    requests: Sequence[Any]


def make_data(modality: str, folder: Path, sizes: dict[str, int], seed: int = 0) -> MadeData:
    """Return data of a modality: files in `folder`, arrays of series.

    `sizes`: `train` and `test` are numbers of points, images or recordings; `requests` of single ones to score.
    """
    num = sizes["train"], sizes["test"], sizes["requests"]
    if modality == "series":
        return _streams(*num, sizes["request_points"], seed)
    make = make_images if modality == "image" else make_recordings
    train, _ = make(folder / "train", num[0], seed=seed, faulty=0.0)
    test, label = make(folder / "test", num[1], seed=seed + 1, faulty=0.5)
    return MadeData(train, test, label, [[path] for path in (test * num[2])[: num[2]]])


def _streams(num_train: int, num_test: int, num_requests: int, request_points: int, seed: int) -> MadeData:
    values, label = make_stream(num_train + num_test, 1, seed=seed, clean=num_train)
    test = values[num_train:]
    starts = np.linspace(0, num_test - request_points, num_requests).astype(int)
    return MadeData(values[:num_train], test, label[num_train:], [test[at : at + request_points] for at in starts])


def make_stream(
    n: int, num_channels: int, *, seed: int, clean: int | None = None
) -> tuple[Float[np.ndarray, "n C"], Int[np.ndarray, " n"]]:
    """Return a stream with a cycle, with anomalies behind its first `clean` points (None: it has none), and labels."""
    rng = np.random.default_rng([seed, num_channels])
    cycle = np.sin(2 * np.pi * np.arange(n) / _PERIOD)[:, None] * rng.uniform(0.5, 1.0, num_channels)
    values = cycle + 0.3 * normal_stream(rng, n, 1) + 0.05 * rng.normal(size=(n, num_channels))
    if clean is None or clean >= n:
        return values, np.zeros(n, np.int64)
    num = max(1, (n - clean) // _POINTS_PER_ANOMALY)
    planted, mask = plant_in_stream(values, rng, num=num, strength=_STRENGTH, region=(clean, n))
    return planted, np.asarray(mask.any(axis=1), np.int64)


def make_panel(num: int, length: int, *, seed: int, faulty: float) -> tuple[np.ndarray, Int[np.ndarray, " N"]]:
    """Return instances (N, 1, length) of one kind of stream, a share of them with an anomaly planted, and labels."""
    rng = np.random.default_rng([seed, length])
    label = (np.arange(num) < round(faulty * num)).astype(np.int64)
    instances = []
    for odd in label:
        phase = rng.uniform(0, 0.1)
        cycle = np.sin(2 * np.pi * (np.arange(length) / _PERIOD + phase))
        one = (cycle + 0.15 * rng.normal() + 0.08 * rng.normal(size=length))[:, None]
        instances.append(plant_in_stream(one, rng, num=1, strength=_STRENGTH)[0] if odd else one)
    return np.stack(instances).transpose(0, 2, 1), label


def make_images(
    folder: Path, num: int, *, seed: int, faulty: float, size_px: int = 256
) -> tuple[list[Path], Int[np.ndarray, " N"]]:
    """Write parts as PNG files, a share of them with a defect; those that are there already are kept."""
    from PIL import Image

    label = (np.arange(num) < round(faulty * num)).astype(np.int64)
    kinds, paths = list(GEAR_DEFECTS), []
    for number, odd in enumerate(label):
        paths.append(folder / f"part_{size_px}_{seed}_{number:05d}_{'odd' if odd else 'good'}.png")
        if not paths[-1].exists():
            defect = kinds[number % len(kinds)] if odd else None
            drawn = draw_part(np.random.default_rng([seed, number]), size_px, defect)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(drawn.image).save(paths[-1])
    return paths, label


def make_recordings(
    folder: Path, num: int, *, seed: int, faulty: float, seconds: float = 8.0
) -> tuple[list[Path], Int[np.ndarray, " N"]]:
    """Write recordings of a machine as WAV files, a share of them with a faint fault; those that are there are kept."""
    from scipy.io import wavfile

    label = (np.arange(num) < round(faulty * num)).astype(np.int64)
    kinds, paths = list(MACHINE_FAULTS), []
    for number, odd in enumerate(label):
        paths.append(folder / f"machine_{seconds:g}_{seed}_{number:05d}_{'odd' if odd else 'good'}.wav")
        if not paths[-1].exists():
            fault = kinds[number % len(kinds)] if odd else None
            audio = make_machine_audio(np.random.default_rng([seed, number]), seconds, fault, "faint").samples
            folder.mkdir(parents=True, exist_ok=True)
            wavfile.write(paths[-1], SAMPLE_RATE, (audio.clip(-1, 1) * 32767).astype(np.int16))
    return paths, label
