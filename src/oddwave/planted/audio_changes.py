"""What each kind of anomaly does to the stretch of a clip in which it is planted.

A change takes a `Stretch` and returns the changed samples; amounts are relative to the clip's own level, for tones and
noise to its level near their frequency, drawn from hardly audible to plain. Legend: s samples of a stretch, n of a
clip. Read `audio.py` next: it plants them.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

__all__ = [
    "Samples",
    "Stretch",
    "band_noise",
    "clicks",
    "drop_out",
    "level_change",
    "missing_band",
    "squeal",
    "tone",
]

Samples = Float[np.ndarray, " s"]

_LOWEST_HZ = 80.0
_FADE_S = 0.008
_QUIETEST = 1e-3  # of the clip's level: a band without any sound counts as this loud


@dataclass(frozen=True, eq=False)
class Stretch:
    """What a change sees: the whole clip, where the stretch lies in it, the sample rate."""

    clip: Float[np.ndarray, " n"]
    start: int
    end: int
    sample_rate: float | int
    rng: np.random.Generator

    @property
    def values(self) -> Samples:
        return self.clip[self.start : self.end]

    @property
    def size(self) -> int:
        return self.end - self.start

    @cached_property
    def level(self) -> float:
        """Root mean square of the clip about its mean, at least 3e-4 of full scale."""
        return max(float(self.clip.std()), 3e-4)

    @cached_property
    def time_s(self) -> Samples:
        return np.arange(self.size) / self.sample_rate

    @cached_property
    def fade(self) -> Samples:
        """From 0 to 1 and back, over 8 ms or a quarter of the stretch."""
        size = max(1, min(round(_FADE_S * self.sample_rate), self.size // 4))
        ramp = np.sin(0.5 * np.pi * (np.arange(size) + 0.5) / size) ** 2
        return np.concatenate((ramp, np.ones(max(0, self.size - 2 * size)), ramp[::-1]))[: self.size]

    @cached_property
    def _spectrum(self) -> np.ndarray:
        """Mean square of the clip in each bin of its spectrum."""
        spectrum = np.abs(np.fft.rfft(self.clip - self.clip.mean())) ** 2
        return np.asarray(2 * spectrum / len(self.clip) ** 2)

    def level_near(self, low_hz: float, high_hz: float) -> float:
        """Root mean square between two frequencies, at least a thousandth of the clip's and 3e-5 of full scale."""
        bin_hz = self.sample_rate / len(self.clip)
        band = self._spectrum[int(low_hz / bin_hz) : int(high_hz / bin_hz) + 1]
        return max(float(np.sqrt(band.sum())), _QUIETEST * self.level, 3e-5)

    def frequency_hz(self, highest: float = 0.45) -> float:
        """Draw a frequency, each octave as often, from 80 Hz to `highest` of the sample rate."""
        top = max(highest * self.sample_rate, 1.001 * _LOWEST_HZ)
        return float(np.exp(self.rng.uniform(np.log(min(_LOWEST_HZ, top / 2)), np.log(top))))

    def band_hz(self, narrowest: float, widest: float) -> tuple[float, float]:
        """Draw a band by its middle and its width in octaves, inside the spectrum."""
        middle, octaves = self.frequency_hz(0.4), self.rng.uniform(narrowest, widest)
        return middle * 2 ** (-octaves / 2), min(middle * 2 ** (octaves / 2), 0.49 * self.sample_rate)

    def times(self, low_db: float, high_db: float) -> float:
        """Draw a factor between two levels."""
        return float(10 ** (self.rng.uniform(low_db, high_db) / 20))

    def filtered(self, values: Samples, low_hz: float, high_hz: float) -> Samples:
        """Keep what lies between two frequencies, with edges a sixth of an octave wide."""
        hz = np.maximum(np.fft.rfftfreq(len(values), 1 / self.sample_rate), 1e-3)
        inside = np.minimum(np.log2(hz / low_hz), np.log2(high_hz / hz)) * 6 + 0.5
        response = np.sin(0.5 * np.pi * np.clip(inside, 0.0, 1.0)) ** 2
        return np.asarray(np.fft.irfft(np.fft.rfft(values) * response, len(values)))


def tone(s: Stretch) -> Samples:
    """A steady tone, half the time with a few harmonics, up to 25 dB above what is there near its frequency."""
    hz = s.frequency_hz()
    wave = _harmonics(s, hz * s.time_s, hz, int(s.rng.integers(1, 5)) if s.rng.random() < 0.5 else 1)
    return _added(s, wave, s.level_near(hz / 1.2, hz * 1.2) * s.times(0.0, 25.0))


def squeal(s: Stretch) -> Samples:
    """A tone that glides and trembles, with harmonics."""
    hz = max(s.frequency_hz(0.2), min(400.0, 0.1 * s.sample_rate))
    glide = 2 ** (s.rng.uniform(-0.7, 0.7) * np.linspace(0.0, 1.0, s.size))
    tremble = s.rng.uniform(0.0, 0.04) * np.sin(2 * np.pi * s.rng.uniform(3.0, 12.0) * s.time_s)
    course = hz * (glide + tremble)
    wave = _harmonics(s, np.cumsum(course) / s.sample_rate, float(course.max()), 3)
    return _added(s, wave, s.level_near(course.min() / 1.2, course.max() * 1.2) * s.times(0.0, 22.0))


def clicks(s: Stretch) -> Samples:
    """A few or many short, broad-band bursts, regular or not, each with a resonance of its own kind."""
    every_s = np.exp(s.rng.uniform(np.log(0.03), np.log(0.6)))
    jitter = s.rng.choice([0.0, 0.5])
    decay = s.sample_rate * np.exp(s.rng.uniform(np.log(0.0005), np.log(0.006)))
    length = min(s.size, int(6 * decay) + 4)
    hz = s.frequency_hz(0.4)
    ring = np.exp(-np.arange(length) / decay) * np.sin(2 * np.pi * hz * np.arange(length) / s.sample_rate)
    peak = s.level * s.times(6.0, 32.0)
    changed, at = s.values.copy(), 0.0
    while at <= s.size - length:
        burst = 0.5 * ring + 0.5 * s.rng.normal(size=length) * np.exp(-np.arange(length) / decay)
        changed[int(at) : int(at) + length] += peak * s.rng.uniform(0.6, 1.0) * burst
        at += max(length, every_s * s.sample_rate * (1 + jitter * s.rng.uniform(-1, 1)))
    return changed


def drop_out(s: Stretch) -> Samples:
    """The sound is gone, or nearly so."""
    left = 0.0 if s.rng.random() < 0.5 else s.times(-50.0, -20.0)
    return np.asarray(s.values * (1 - s.fade * (1 - left)))


def band_noise(s: Stretch) -> Samples:
    """Noise in a band of a third of an octave to two and a half, up to 18 dB above what is there."""
    low, high = s.band_hz(1 / 3, 2.5)
    noise = s.filtered(s.rng.normal(size=s.size), low, high)
    return _added(s, noise, s.level_near(low, high) * s.times(0.0, 18.0))


def level_change(s: Stretch) -> Samples:
    """The stretch is louder or quieter by 4 to 16 dB."""
    factor = s.times(4.0, 16.0) ** s.rng.choice([-1.0, 1.0])
    return np.asarray(s.values * (1 + s.fade * (factor - 1)))


def missing_band(s: Stretch) -> Samples:
    """A band of half an octave to three is gone, or nearly so."""
    low, high = s.band_hz(0.5, 3.0)
    missing = s.filtered(s.values, low, high) * (1 - s.times(-30.0, -5.0))
    return np.asarray(s.values - s.fade * missing)


def _harmonics(s: Stretch, cycles: Samples, hz: float, count: int) -> Samples:
    """Sum `count` harmonics of falling strength, as far as they lie below half the sample rate."""
    wave = np.zeros(s.size)
    for number in range(1, count + 1):
        if number == 1 or number * hz < 0.49 * s.sample_rate:
            wave += 0.6 ** (number - 1) * np.sin(2 * np.pi * (number * cycles + s.rng.random()))
    return wave


def _added(s: Stretch, wave: Samples, level: float) -> Samples:
    size = float(np.sqrt(np.mean(wave**2)))
    return np.asarray(s.values + s.fade * wave * (level / max(size, 1e-12)))
