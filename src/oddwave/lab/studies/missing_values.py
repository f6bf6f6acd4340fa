"""False alarms on healthy made-up streams while values are missing: `python -m oddwave.lab.studies.missing_values`.

Three channels (noisy sines), seeds 0 to 3, alpha 0.05: the mean share of judged points that is flagged. Run it with an
older checkout's `src` on PYTHONPATH to compare. About half a minute on one core.
"""

import warnings

import numpy as np

from oddwave.config import preset
from oddwave.detector import Detector

__all__ = ["main"]

ALPHA = 0.05
SETTINGS = [
    "series.window_sizes=[16,24,48]",
    "series.max_windows=250",
    "training.num_steps=40",
    "training.batch_size=8",
    "network.base_channels=8",
    "network.channel_mult=[1,2]",
    "series.tensor_length=16",
    "scoring.noise_levels=[0.5]",
]


def waves(num_points: int, seed: int) -> np.ndarray:
    """Make a noisy sine of period 16 per channel, (num_points, 3)."""
    rng, time = np.random.default_rng(seed), np.arange(num_points)
    return np.stack([np.sin(2 * np.pi * time / 16 + c) + 0.1 * rng.normal(size=num_points) for c in range(3)], axis=1)


def variants(clean: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Make the same healthy data with values taken away in several ways."""
    rng, found = np.random.default_rng(1000 + seed), {"nothing missing": clean}
    for share in (0.01, 0.05, 0.2):
        found[f"{share:.0%} of entries"] = np.where(rng.random(clean.shape) < share, np.nan, clean)
    for rows in (8, 40, 200):
        found[f"{rows} rows empty"] = clean.copy()
        found[f"{rows} rows empty"][300 : 300 + rows] = np.nan
    one = {"one channel gone for 200 rows": slice(200, 400), "one channel gone throughout": slice(None)}
    for name, rows_gone in one.items():
        found[name] = clean.copy()
        found[name][rows_gone, 1] = np.nan
    found["one channel at a quarter of the rate"] = clean.copy()
    found["one channel at a quarter of the rate"][np.arange(len(clean)) % 4 > 0, 2] = np.nan
    return found


def main() -> None:
    """Print one row per way of missing."""
    warnings.simplefilter("ignore")
    shares: dict[str, list[float]] = {}
    for seed in range(4):
        detector = Detector(preset("fast").with_overrides([*SETTINGS, f"seed={seed}"])).fit(waves(1200, 10 + seed))
        for name, data in variants(waves(800, 50 + seed), seed).items():
            result = detector.score(data, alpha=ALPHA)
            judged = np.isfinite(result.scores)
            shares.setdefault(name, []).append(float((result.labels[judged] == 1).mean()))
    print(f"| healthy data | flagged at alpha {ALPHA} |\n|---|---:|")
    for name, values in shares.items():
        print(f"| {name} | {np.mean(values):.3f} |")


if __name__ == "__main__":
    main()
