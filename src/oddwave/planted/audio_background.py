"""Sounds of every sort, made up by rule: what the world sounds like when nothing is known of it.

A recording is odd not where it is far from the normal ones, but where it is farther from them than from everything else
(`detection/density_ratio.py`). "Everything else" needs examples; no recording may be looked at that is not known to be
normal, so they are synthesised: one to three layers of noise, tones, notes or sweeps under an envelope, over faint
noise. They imitate no particular thing, and need not: they only have to spread wherever sound can lie.

Legend: N sounds, n samples of a sound.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

__all__ = ["make_background_audio"]

_MOST_LAYERS = 3
_CONTROL_POINTS = 64

Samples = Float[np.ndarray, " n"]


def make_background_audio(
    num_clips: int, num_samples: int, sample_rate: float, rng: np.random.Generator
) -> Float[np.ndarray, "N n"]:
    """Synthesise sounds with peaks between -30 dB and full scale."""
    clips = np.empty((num_clips, num_samples), np.float32)
    for clip in clips:
        t = np.arange(num_samples) / sample_rate
        layers = [
            _layer(t, sample_rate, rng) * 10 ** rng.uniform(-1.5, 0) for _ in range(rng.integers(1, _MOST_LAYERS + 1))
        ]
        mixed = np.sum(layers, axis=0) + rng.normal(size=num_samples) * 10 ** rng.uniform(-4, -1)
        clip[:] = mixed / np.abs(mixed).max() * 10 ** rng.uniform(-1.5, 0)
    return clips


def _layer(t: Samples, sample_rate: float, rng: np.random.Generator) -> Samples:
    source = _SOURCES[rng.integers(len(_SOURCES))](t, sample_rate, rng)
    shaped = source * _ENVELOPES[rng.integers(len(_ENVELOPES))](t, rng)
    level: Samples = shaped / (shaped.std() + 1e-9)
    return level


# What sounds


def _noise(t: Samples, sample_rate: float, rng: np.random.Generator) -> Samples:
    return rng.normal(size=len(t))


def _band_noise(t: Samples, sample_rate: float, rng: np.random.Generator) -> Samples:
    from scipy.signal import butter, sosfilt

    low = sample_rate * 10 ** rng.uniform(-2.5, -0.65)
    high = min(low * 2 ** rng.uniform(0.3, 4), 0.49 * sample_rate)
    return np.asarray(sosfilt(butter(2, [low, high], "band", fs=sample_rate, output="sos"), rng.normal(size=len(t))))


def _dull_noise(t: Samples, sample_rate: float, rng: np.random.Generator) -> Samples:
    from scipy.signal import lfilter

    return np.asarray(lfilter([1.0], [1.0, -rng.uniform(0.8, 0.995)], rng.normal(size=len(t))))


def _steady_tone(t: Samples, sample_rate: float, rng: np.random.Generator) -> Samples:
    vibrato = rng.uniform(0, 0.05) * np.sin(2 * np.pi * rng.uniform(0.5, 8) * t)
    glide = rng.choice([0.0, rng.uniform(-1, 1)]) * t / t[-1]
    return _harmonics(10 ** rng.uniform(1.7, 3.3) * 2 ** (vibrato + glide), sample_rate, rng)


def _notes(t: Samples, sample_rate: float, rng: np.random.Generator) -> Samples:
    pitches = 10 ** rng.uniform(2, 3) * 2 ** rng.uniform(-1, 1, rng.integers(3, 16))
    return _harmonics(pitches[(np.arange(len(t)) * len(pitches)) // len(t)], sample_rate, rng)


def _sweeps(t: Samples, sample_rate: float, rng: np.random.Generator) -> Samples:
    lowest = 10 ** rng.uniform(2.3, 3)
    up_and_down = np.abs(((t / 10 ** rng.uniform(-0.5, 0.5)) % 1) * 2 - 1)
    return _harmonics(lowest * 2 ** (rng.uniform(0.3, 2) * up_and_down), sample_rate, rng)


def _harmonics(frequency_hz: Samples, sample_rate: float, rng: np.random.Generator) -> Samples:
    """Add up to 24 harmonics, those that stay below half the sample rate."""
    phase = 2 * np.pi * np.cumsum(frequency_hz) / sample_rate
    most = int(max(1, min(rng.integers(1, 25), 0.5 * sample_rate // frequency_hz.max())))
    falls_by = rng.uniform(0.3, 2)
    tone: Samples = np.sum(
        [np.sin(h * phase + rng.uniform(0, 2 * np.pi)) / h**falls_by for h in range(1, most + 1)], axis=0
    )
    return tone


# When it sounds


def _always(t: Samples, rng: np.random.Generator) -> Samples:
    return np.ones(len(t))


def _bursts(t: Samples, rng: np.random.Generator) -> Samples:
    envelope = np.zeros(len(t))
    for start in rng.uniform(0, t[-1], rng.integers(1, 12)):
        envelope += (t >= start) * np.exp(-np.maximum(t - start, 0) / 10 ** rng.uniform(-2, 0))
    return envelope


def _beating(t: Samples, rng: np.random.Generator) -> Samples:
    rate_hz = 10 ** rng.uniform(-0.3, 1.7)
    return rng.uniform(0.15, 0.5) * (1 + np.cos(2 * np.pi * (rate_hz * t + rng.uniform()))) + 0.01


def _impacts(t: Samples, rng: np.random.Generator) -> Samples:
    rate_hz = 10 ** rng.uniform(-0.2, 1.5)
    since_last_s = ((t * rate_hz + rng.uniform()) % 1) / rate_hz
    envelope: Samples = np.exp(-since_last_s / 10 ** rng.uniform(-2.3, -0.7))
    return envelope


def _wandering(t: Samples, rng: np.random.Generator) -> Samples:
    walk = np.cumsum(rng.normal(size=_CONTROL_POINTS))
    return np.asarray(np.exp(np.interp(t, np.linspace(0, t[-1], _CONTROL_POINTS), walk - walk.max())))


_SOURCES: tuple[Callable[[Samples, float, np.random.Generator], Samples], ...] = (
    _noise,
    _band_noise,
    _dull_noise,
    _steady_tone,
    _notes,
    _sweeps,
)
_ENVELOPES: tuple[Callable[[Samples, np.random.Generator], Samples], ...] = (
    _always,
    _bursts,
    _beating,
    _impacts,
    _wandering,
)
