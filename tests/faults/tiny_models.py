"""One tiny model of each kind, and the data that it is asked to score; each is fitted in seconds."""

from pathlib import Path

import numpy as np

from oddwave.config import preset
from oddwave.detector import Detector

RATE = 4000
KINDS = ("stream", "panel", "images", "pixels", "retrieved", "sound")  # "retrieved": images by retrieval

_SERIES = (
    "training.num_steps=4", "training.batch_size=8", "training.num_validation_draws=8", "network.base_channels=8",
    "network.channel_mult=[1, 2]", "scoring.memory_size=60", "series.max_windows=60", "series.tensor_length=16",
    "reconstruction.num_inference_steps=2", "calibration.alpha=0.2",
)  # fmt: skip
_STREAM = ("series.window_sizes=[16, 24]", "scoring.noise_levels=[0.15, 0.5]")
_IMAGES = (
    "training.num_steps=4", "training.batch_size=4", "training.num_validation_draws=4", "network.base_channels=4",
    "scoring.memory_size=50", "image.size_px=32",
    "maps.memory_grid=4", "maps.denoiser_grid=4", "maps.pixel_size_px=16", "maps.taps=[0]",
    "reconstruction.num_inference_steps=2", "calibration.alpha=0.2", "network.num_heads=2",
)  # fmt: skip
_AUDIO = (
    f"audio.sample_rate={RATE}", "audio.clip_s=1.0", "audio.columns=128", "audio.num_rows=32",
    "audio.num_background=8", "training.num_steps=4", "training.batch_size=4", "training.num_validation_draws=4",
    "scoring.memory_size=50", "network.base_channels=4",
    "maps.memory_grid=8", "maps.denoiser_grid=8", "maps.taps=[0]", "reconstruction.num_inference_steps=2",
    "calibration.alpha=0.2", "network.num_heads=2",
)  # fmt: skip


def waves(n: int, seed: int) -> np.ndarray:
    rng, time = np.random.default_rng(seed), np.arange(n)
    return np.stack([np.sin(2 * np.pi * time / 16 + c) + 0.1 * rng.normal(size=n) for c in range(2)], axis=1)


def beats(num: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(24) / 3 + rng.uniform(0, 0.4, size=(num, 1, 1)))
    return wave + 0.05 * rng.normal(size=(num, 1, 24))


def gratings(num: int, seed: int) -> list[np.ndarray]:
    rng, x = np.random.default_rng(seed), np.mgrid[:32, :32][1]
    return [
        np.clip(0.5 + 0.2 * np.sin(np.pi * (x + rng.uniform(0, 2)) / 4) + rng.normal(0, 0.02, x.shape), 0, 1)
        for _ in range(num)
    ]


def hums(num: int, seed: int) -> dict[str, tuple[np.ndarray, int]]:
    rng, time = np.random.default_rng(seed), np.arange(2 * RATE) / RATE
    return {
        f"hum_{i:02d}": (
            (0.1 * np.sin(2 * np.pi * 60 * time + rng.uniform(0, 6)) + 0.02 * rng.normal(size=len(time))).astype("f4"),
            RATE,
        )
        for i in range(num)
    }


def fitted(kind: str) -> Detector:
    """Fit the tiny model of this kind; "denoised" ones are series by a denoiser."""
    method = f"series.method={'denoiser' if kind.startswith('denoised') else 'retrieval'}"
    if kind.endswith("stream"):
        return Detector(preset("fast").with_overrides([*_SERIES, *_STREAM, method])).fit(waves(400, 0))
    if kind.endswith("panel"):
        settings = [*_SERIES, "scoring.noise_levels=[0.5]", method]
        return Detector(preset("fast").with_overrides(settings)).fit(beats(30, 0))
    if kind == "sound":
        return Detector(preset("fast", "audio").with_overrides(_AUDIO)).fit(hums(12, 0))
    method = f"image.method={'retrieval' if kind == 'retrieved' else 'denoiser'}"
    more = ("maps.space=pixel", "maps.statistics=true") if kind == "pixels" else ()
    return Detector(preset("fast", "image").with_overrides([*_IMAGES, method, *more])).fit(gratings(16, 0))


def new_data(kind: str) -> object:
    """Give data of which some is odd, the same at every call."""
    if kind == "stream":
        values = waves(60, 1)
        values[30:36, 0] += 2.0
        return values
    if kind == "panel":
        items = beats(6, 1)
        items[3, 0, 10:14] += 1.5
        return items
    if kind == "sound":
        return hums(2, 1)
    images = gratings(3, 1)
    images[1][8:20, 8:20] = 0.95
    return images


def outcome(model: Path, kind: str) -> list[list[float]]:
    """Load a model and let it score the new data: scores, p-values and labels."""
    result = Detector.load(model).score(new_data(kind), alpha=0.3)
    p_values = np.concatenate([item.p_values for item in result.items])
    return [result.scores.tolist(), p_values.tolist(), result.labels.tolist()]
