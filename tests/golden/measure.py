"""What the golden files hold: scores, maps, p-values and events of all three modalities, at a fixed seed.

`python tests/golden/measure.py` writes `golden.npz` (generated data) and `golden_real.npz` (the real data of
ODDWAVE_DATA) anew; do that only in a commit that means to change numbers, and say so there.
"""

import csv
import os
import platform
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from oddwave import DetectionResult, Detector, preset

__all__ = ["GENERATED", "REAL", "machine", "measured"]

FOLDER = Path(__file__).parent
DATA = Path(os.environ.get("ODDWAVE_DATA", "."))
TINY_SERIES = ("training.num_steps=40", "series.max_windows=300", "training.dtype=float32")
TINY_MAPS = ("training.num_steps=8", "training.dtype=float32", "network.base_channels=8", "scoring.memory_size=200")
RATE = 8000
Arrays = dict[str, np.ndarray]


def machine() -> str:
    """Return what decides how floating-point sums are rounded."""
    model = next((line for line in _cpu_lines() if line.startswith("model name")), platform.processor())
    return f"{model.partition(':')[2].strip() or model}, torch {torch.__version__}"


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def measured(detector: Detector, source: object, alpha: float) -> Arrays:
    """Return everything of a result that a person acts on."""
    return {**of_result(detector.score(source, alpha=alpha)), "decision": detector.decision_function(source)}


def of_result(result: DetectionResult) -> Arrays:
    events = [(event.score, event.p_value) for event in result.events]
    arrays = {
        "scores": result.scores,
        "p_values": np.concatenate([item.p_values for item in result.items]),
        "labels": result.labels.astype(float),
        "events": np.array(events, float).reshape(-1, 2),
        "threshold": np.array([result.calibration.threshold]),
    }
    if result.kind == "image":
        arrays["maps"] = np.stack([image.anomaly_map[::8, ::8] for image in result.images])
    return arrays


def waves(n: int, seed: int, channels: int = 2) -> np.ndarray:
    rng, time = np.random.default_rng(seed), np.arange(n)
    return np.stack([np.sin(2 * np.pi * time / 48 + c) * 10 + rng.normal(0, 0.5, n) for c in range(channels)], 1)


def beats(num: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.sin(np.arange(40) / 4 + rng.uniform(0, 0.4, (num, 1, 1))) + 0.05 * rng.normal(size=(num, 1, 40))


def grating(seed: int, blot: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wave = 0.5 + 0.2 * np.sin(2 * np.pi * (np.mgrid[:64, :64][1] + rng.uniform(0, 2)) / 8)
    light = np.clip(wave + rng.normal(0, 0.02, (64, 64)), 0, 1)
    light[20:32, 20:32] += blot
    return np.clip(light, 0, 1)


def pump(seed: int, tone: float = 0.0) -> tuple[np.ndarray, int]:
    rng, time = np.random.default_rng(seed), np.arange(2 * RATE) / RATE
    hum = sum(np.sin(2 * np.pi * 60 * h * time + rng.uniform(0, 6)) / h for h in range(1, 9))
    noise = 0.02 * rng.normal(size=len(time))
    return (0.05 * hum + noise + tone * np.sin(2 * np.pi * 2500 * time) * (time > 1.2)).astype(np.float32), RATE


def stream() -> Arrays:
    values = waves(1000, 10)
    values[500:520, 0] += 8
    return measured(Detector(preset("fast").with_overrides(TINY_SERIES)).fit(waves(2000, 0)), values, 0.05)


def itself() -> Arrays:
    values = waves(1500, 3, channels=1)
    values[700:715] += 6
    return of_result(Detector(preset("fast").with_overrides(TINY_SERIES)).detect(values, alpha=0.05))


def panel() -> Arrays:
    items = beats(20, 1)
    items[5, 0, 10:14] += 1.5
    return measured(Detector(preset("fast").with_overrides(TINY_SERIES)).fit(beats(60, 0)), items, 0.1)


def images() -> Arrays:
    sizes = ("image.size_px=64", "maps.memory_grid=8", "maps.denoiser_grid=8", "maps.pixel_size_px=32")
    detector = Detector(preset("fast", "image").with_overrides([*TINY_MAPS, *sizes, "image.method=denoiser"]))
    detector.fit([grating(seed) for seed in range(30)])
    return measured(detector, [grating(100), grating(101, 0.3), grating(102), grating(103, -0.3)], 0.2)


def audio() -> Arrays:
    sizes = (f"audio.sample_rate={RATE}", "audio.clip_s=1.0", "audio.columns=128", "audio.num_rows=64")
    detector = Detector(preset("fast", "audio").with_overrides([*TINY_MAPS, *sizes, "audio.num_background=24"]))
    detector.fit({f"healthy_{seed:02d}": pump(seed) for seed in range(12)})
    return measured(detector, {"good": pump(100), "odd": pump(101, 0.15), "other": pump(102)}, 0.2)


def nab() -> Arrays:
    return of_result(Detector(preset("fast")).detect(next(DATA.glob("nab/**/nyc_taxi.csv"))))


def ecg200() -> Arrays:
    train, test = (np.loadtxt(DATA / f"ucr/ECG200/ECG200_{part}.tsv") for part in ("TRAIN", "TEST"))
    detector = Detector(preset("fast")).fit(train[train[:, 0] == 1, 1:][:, None, :])
    return measured(detector, test[:, 1:][:, None, :], 0.1)


def screws() -> Arrays:
    good = sorted((DATA / "mvtec_ad/screw/train/good").glob("*.png"))[:40]
    settings = ("image.method=denoiser", "training.num_steps=20")
    detector = Detector(preset("fast", "image").with_overrides(settings)).fit(good)
    return measured(detector, sorted((DATA / "mvtec_ad/screw/test").glob("*/*.png"))[::8], 0.2)


def clips() -> Arrays:
    with (DATA / "urbansound8k/metadata/UrbanSound8K.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    paths = {path.stem: path for path in (DATA / "urbansound8k").glob("**/*.ogg")}

    def of_class(name: str) -> list[Path]:
        stems = [Path(row["slice_file_name"]).stem for row in rows if row["class"] == name]
        return [paths[stem] for stem in stems if stem in paths]

    engines = of_class("engine_idling")[:30]
    detector = Detector(preset("fast", "audio").with_overrides(["training.num_steps=20"])).fit(engines)
    return measured(detector, [*engines[:4], *of_class("dog_bark")[:8]], 0.2)


GENERATED: dict[str, Callable[[], Arrays]] = {
    "stream": stream, "itself": itself, "panel": panel, "images": images, "audio": audio,
}  # fmt: skip
REAL: dict[str, Callable[[], Arrays]] = {"nab": nab, "ecg200": ecg200, "screws": screws, "clips": clips}


def write(file: Path, cases: dict[str, Callable[[], Arrays]]) -> None:
    arrays = {f"{name}.{key}": array for name, case in cases.items() for key, array in case().items()}
    np.savez_compressed(file, machine=np.array(machine()), **arrays)
    print(f"{file}: {len(arrays)} arrays, {file.stat().st_size / 1024:.0f} KiB", file=sys.stderr)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    write(FOLDER / "golden.npz", GENERATED)
    if (DATA / "nab").is_dir():
        write(FOLDER / "golden_real.npz", REAL)
