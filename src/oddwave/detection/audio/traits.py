"""Plain measures of a clip as a whole, to tell another room, microphone or gain from faults: its levels in decibels.

Legend: n samples.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.fft import rfft  # of single precision in single precision, and twice as quick as NumPy's

__all__ = ["clip_traits", "mean_traits"]

_EDGES_HZ = (0.0, 250.0, 1000.0, 4000.0, float("inf"))
_SILENCE = 1e-12  # of full scale, as power: -120 dB


def clip_traits(samples: Float[np.ndarray, " n"], sample_rate: int) -> dict[str, float]:
    """Return the level of a clip, and those of the bands that its sample rate holds, in decibels of full scale."""
    spectrum = rfft(samples - samples.mean())
    power = (spectrum.real**2 + spectrum.imag**2) * (2.0 / len(samples) ** 2)
    edges = _edges(len(samples), sample_rate)
    found = {"level": _db(float(power.sum()))}
    for first, last, low, high in zip(edges, edges[1:], _EDGES_HZ, _EDGES_HZ[1:], strict=False):
        if last > first:
            found[f"level {_name(low, high)}"] = _db(float(power[first:last].sum()))
    return found


def mean_traits(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return a recording's measures: the medians of its clips'."""
    return {name: float(np.median([own[name] for own in found])) for name in (found[0] if found else ())}


@lru_cache(maxsize=8)
def _edges(num_samples: int, sample_rate: int) -> tuple[int, ...]:
    """Return the first bin of the spectrum in each band."""
    return tuple(np.searchsorted(np.fft.rfftfreq(num_samples, 1.0 / sample_rate), _EDGES_HZ).tolist())


def _name(low: float, high: float) -> str:
    if not low:
        return f"below {high:g} Hz"
    return f"above {low:g} Hz" if np.isinf(high) else f"from {low:g} to {high:g} Hz"


def _db(power: float) -> float:
    return 10.0 * float(np.log10(power + _SILENCE))
