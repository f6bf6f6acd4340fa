"""Healthy data for the studies of how sure verdicts are: simulated streams, and real ones that hold no known fault.

Legend: n points, C channels.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float

from oddwave.lab.datasets.nab import load_nab
from oddwave.lab.metrics.inputs import label_runs

__all__ = ["SEASON", "healthy_stream", "normal_stretches", "share_with_bounds"]

SEASON = 48  # points
_LEAST_POINTS, _MOST_POINTS = 1500, 6000


def healthy_stream(n: int, phi: float, seed: int, *, season: bool = True) -> Float[np.ndarray, " n"]:
    """Return an autoregressive stream of deviation 0.3 about a season of amplitude 1, or about nothing."""
    from scipy.signal import lfilter

    rng = np.random.default_rng([seed, zlib.crc32(f"{phi:g}".encode())])
    noise = np.sqrt(1.0 - phi**2) * lfilter([1.0], [1.0, -phi], rng.normal(size=n + 500))[500:]
    stream: Float[np.ndarray, " n"] = 0.3 * noise
    return stream + np.sin(2 * np.pi * np.arange(n) / SEASON) if season else stream


def normal_stretches(data: Path, most: int) -> Iterator[tuple[str, Float[np.ndarray, "n C"]]]:
    """Yield the longest stretch outside labelled windows of up to `most` NAB files, evenly spread."""
    files = [(own, *label_runs(1 - own.gt_label)) for own in load_nab(data)]
    long = [(own, starts, ends) for own, starts, ends in files if (ends - starts).max() >= _LEAST_POINTS]
    for place in np.unique(np.linspace(0, len(long) - 1, min(most, len(long))).round().astype(int)):
        own, starts, ends = long[place]
        best = int(np.argmax(ends - starts))
        yield own.name, own.values[starts[best] : ends[best] + 1][:_MOST_POINTS]


def share_with_bounds(num: int, total: int) -> dict[str, float]:
    """Return a share and its 95 % bounds (Clopper and Pearson 1934)."""
    from scipy.stats import binomtest

    bounds = binomtest(num, total).proportion_ci(0.95)
    return {"num": num, "of": total, "share": num / total, "low": float(bounds.low), "high": float(bounds.high)}
