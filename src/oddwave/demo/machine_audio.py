"""The sound of the demonstration's machine, a pump with a gear, as it is and with one of six faults planted in it.

The shaft turns 24.7 times a second, a little faster or slower in each recording, and wanders. What it drives is heard
as harmonics; the mesh of the gear, swayed by the shaft; a resonant housing; flow noise; mains hum; and a relief valve
that opens now and then, which is normal. The same state of the random generator gives the same recording with and
without a fault, so the planted part is known exactly. The faults are not those that training plants to choose its
settings by. Read `audio.py` next: it writes recordings and trains on them. Legend: n samples, s those of a stretch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import signal
from scipy.interpolate import CubicSpline

from oddwave.errors import ConfigError

__all__ = ["GRADES", "MACHINE_FAULTS", "SAMPLE_RATE", "MachineAudio", "PlantedAudio", "make_machine_audio"]

SAMPLE_RATE = 16_000  # Hz
GRADES = {"clear": 0.0, "faint": -9.0}  # dB against the fault's full strength
_SHAFT_HZ = 24.7
_TEETH = 17
_HUM_HZ = 50.0
_FADE_S = 0.02
_LONGEST_SHARE = 0.8  # of a recording: a fault begins and ends within it

Samples = Float[np.ndarray, " s"]


@dataclass(frozen=True, slots=True)
class PlantedAudio:
    """One planted fault: its kind and grade, where it lies in seconds and in hertz."""

    kind: str
    grade: str
    start_s: float
    end_s: float
    low_hz: float
    high_hz: float


@dataclass(frozen=True, eq=False)
class MachineAudio:
    """A recording at 16 kHz, 1 being full scale, and what was planted in it; None for a healthy machine."""

    samples: Float[np.ndarray, " n"]
    planted: PlantedAudio | None


@dataclass(frozen=True, eq=False)
class _Stretch:
    """What a fault sees: the machine's sound and its rotation where the fault is planted, and how strong it is."""

    audio: Samples
    turns: Samples  # of the shaft, since the recording began
    times: float  # 1 is the fault's full strength
    rng: np.random.Generator

    @property
    def time_s(self) -> Samples:
        return np.arange(len(self.audio)) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class _Fault:
    """What a fault does to a stretch, how long it lasts, and the band in which it is heard."""

    change: Callable[[_Stretch], Samples]
    length_s: float
    low_hz: float
    high_hz: float


def make_machine_audio(
    rng: np.random.Generator, duration_s: float = 8.0, fault: str | None = None, grade: str = "clear"
) -> MachineAudio:
    """Record the machine for a while, healthy or with one fault.

    All but the fault is drawn before it: from the same state of `rng` comes the same machine, healthy and faulty.
    Raises: ConfigError for an unknown fault or grade, or less than two seconds.
    """
    if duration_s < 2.0:
        raise ConfigError(f"duration_s is {duration_s}: record the machine for 2 seconds or more")
    if fault is not None and fault not in MACHINE_FAULTS:
        raise ConfigError(f"fault is '{fault}': choose one of {', '.join(MACHINE_FAULTS)}, or None for a healthy one")
    if grade not in GRADES:
        raise ConfigError(f"grade is '{grade}': choose one of {', '.join(GRADES)}")
    num_samples = round(duration_s * SAMPLE_RATE)
    turns = _turns(rng, num_samples)
    audio = _healthy(rng, turns)
    if fault is None:
        return MachineAudio(audio.astype(np.float32), None)
    return _with_fault(audio, turns, fault, grade, rng)


def _with_fault(
    audio: Float[np.ndarray, " n"], turns: Float[np.ndarray, " n"], kind: str, grade: str, rng: np.random.Generator
) -> MachineAudio:
    fault = MACHINE_FAULTS[kind]
    size = min(round(fault.length_s * SAMPLE_RATE), round(_LONGEST_SHARE * len(audio)))
    start = int(rng.integers(round(0.05 * len(audio)), round(0.95 * len(audio)) - size + 1))
    here = slice(start, start + size)
    stretch = _Stretch(audio[here], turns[here], 10 ** (GRADES[grade] / 20), rng)
    changed = audio.copy()
    changed[here] += _fade(size) * (fault.change(stretch) - stretch.audio)
    times = start / SAMPLE_RATE, (start + size) / SAMPLE_RATE
    return MachineAudio(changed.astype(np.float32), PlantedAudio(kind, grade, *times, fault.low_hz, fault.high_hz))


# -- the healthy machine -----------------------------------------------------------------------------------------------


def _turns(rng: np.random.Generator, num_samples: int) -> Float[np.ndarray, " n"]:
    """Count the shaft's turns: its speed differs by about 0.6 % between recordings and wanders by 0.2 % within one."""
    wander = 0.002 * _slow(rng, num_samples, period_s=1.5)
    speed_hz = _SHAFT_HZ * (1 + 0.006 * np.clip(rng.normal(), -2.5, 2.5) + wander)
    return np.asarray(rng.random() + np.cumsum(speed_hz) / SAMPLE_RATE)


def _slow(rng: np.random.Generator, num_samples: int, period_s: float) -> Float[np.ndarray, " n"]:
    """Wander smoothly about 0 with a deviation of about 1."""
    knots = np.arange(np.ceil(num_samples / SAMPLE_RATE / period_s) + 1)
    curve = CubicSpline(knots, rng.normal(size=len(knots)))
    return np.asarray(curve(np.arange(num_samples) / SAMPLE_RATE / period_s))


def _healthy(rng: np.random.Generator, turns: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Sum what is heard of a healthy machine under a load that differs a little from recording to recording."""
    size = len(turns)
    load = 10 ** ((0.8 * np.clip(rng.normal(), -2, 2) + 0.5 * _slow(rng, size, period_s=2.0)) / 20)
    sway = 1 + 0.25 * np.cos(2 * np.pi * turns + rng.uniform(0, 2 * np.pi))
    shaft = _harmonics(rng, turns, (0.050, 0.028, 0.016, 0.010, 0.006, 0.022))
    mesh = sway * _harmonics(rng, _TEETH * turns, (0.034, 0.016, 0.011, 0.004))
    flow = _coloured(rng.normal(size=size), 0.016) * (1 + 0.2 * np.cos(2 * np.pi * 6 * turns))
    housing = sum(
        _band(rng.normal(size=size), hz, hz / 12) * amount for hz, amount in ((930.0, 0.010), (2650.0, 0.007))
    )
    hum = _harmonics(rng, _HUM_HZ * np.arange(size) / SAMPLE_RATE, (0.004, 0.010))
    hiss = 0.0012 * rng.normal(size=size)  # of the microphone
    return np.asarray(load * (shaft + mesh + flow + housing) + hum + hiss + _valve(rng, size))


def _harmonics(
    rng: np.random.Generator, turns: Float[np.ndarray, " n"], amounts: tuple[float, ...]
) -> Float[np.ndarray, " n"]:
    """Sum the harmonics of a rotation, each with a phase and, within a decibel, a strength of its own."""
    wave = np.zeros(len(turns))
    for number, amount in enumerate(amounts, start=1):
        strength = amount * 10 ** (0.5 * np.clip(rng.normal(), -2, 2) / 20)
        wave += strength * np.sin(2 * np.pi * (number * turns + rng.random()))
    return wave


def _coloured(noise: Float[np.ndarray, " n"], deviation: float) -> Float[np.ndarray, " n"]:
    """Let noise fall by 6 dB per octave above 500 Hz and below 80 Hz."""
    sections = signal.butter(1, (80, 500), "bandpass", fs=SAMPLE_RATE, output="sos")
    return _levelled(signal.sosfilt(sections, noise), deviation)


def _band(noise: Float[np.ndarray, " n"], hz: float, width_hz: float, deviation: float = 1.0) -> np.ndarray:
    sections = signal.butter(2, (hz - width_hz, hz + width_hz), "bandpass", fs=SAMPLE_RATE, output="sos")
    return _levelled(signal.sosfilt(sections, noise), deviation)


def _levelled(values: np.ndarray, deviation: float) -> np.ndarray:
    return np.asarray(values * (deviation / max(float(values.std()), 1e-12)))


def _valve(rng: np.random.Generator, num_samples: int) -> Float[np.ndarray, " n"]:
    """Open the relief valve about every five seconds: a click, then a hiss that dies away."""
    wave = np.zeros(num_samples)
    size = round(0.4 * SAMPLE_RATE)
    time_s = np.arange(size) / SAMPLE_RATE
    for _ in range(rng.poisson(num_samples / SAMPLE_RATE / 5.0)):
        start = int(rng.integers(0, max(1, num_samples - size)))
        hiss = _band(rng.normal(size=size), 3400.0, 1400.0, 0.014) * np.minimum(time_s / 0.01, np.exp(-time_s / 0.09))
        click = 0.08 * np.exp(-time_s / 0.002) * np.sin(2 * np.pi * 1250 * time_s)
        room = min(size, num_samples - start)
        wave[start : start + room] += (rng.uniform(0.8, 1.2) * (hiss + click))[:room]
    return wave


# -- its faults --------------------------------------------------------------------------------------------------------


def _fade(size: int) -> Samples:
    """From 0 to 1 and back, over 20 ms at either end."""
    ramp = np.sin(0.5 * np.pi * (np.arange(size) + 0.5) / (_FADE_S * SAMPLE_RATE)) ** 2
    rising = np.where(np.arange(size) < _FADE_S * SAMPLE_RATE, ramp, 1.0)
    return np.asarray(rising * rising[::-1])


def _bearing_squeal(s: _Stretch) -> Samples:
    """A dry bearing: a tone about 3.3 kHz that glides up and trembles with the shaft."""
    course_hz = 3100 + 350 * np.linspace(0, 1, len(s.audio)) + 40 * np.sin(2 * np.pi * s.turns)
    phase = 2 * np.pi * np.cumsum(course_hz) / SAMPLE_RATE
    return np.asarray(s.audio + 0.012 * s.times * (np.sin(phase) + 0.3 * np.sin(2 * phase)))


def _lost_mesh(s: _Stretch) -> Samples:
    """The gear runs free: its mesh, and the housing that it shakes, are quieter by 20 dB (faint: by 11 dB)."""
    band_hz = (0.92 * _TEETH * _SHAFT_HZ, 4.1 * _TEETH * _SHAFT_HZ)
    sections = signal.butter(4, band_hz, "bandpass", fs=SAMPLE_RATE, output="sos")
    return np.asarray(s.audio - (1 - 0.1 / s.times) * signal.sosfiltfilt(sections, s.audio))


def _knocking(s: _Stretch) -> Samples:
    """A chipped tooth: one knock per turn of the shaft that rings at 2.1 kHz."""
    strokes = np.flatnonzero(np.diff(np.floor(s.turns)) > 0)
    train = np.zeros(len(s.audio))
    train[strokes] = s.rng.uniform(0.7, 1.0, len(strokes))
    time_s = np.arange(round(0.02 * SAMPLE_RATE)) / SAMPLE_RATE
    ring = np.exp(-time_s / 0.003) * np.sin(2 * np.pi * 2100 * time_s)
    return np.asarray(s.audio + 0.14 * s.times * np.convolve(train, ring)[: len(train)])


def _whine(s: _Stretch) -> Samples:
    """A converter's steady whine at 5.9 kHz."""
    return np.asarray(s.audio + 0.0045 * s.times * np.sin(2 * np.pi * 5900 * s.time_s + s.rng.uniform(0, 6)))


def _overload(s: _Stretch) -> Samples:
    """The pump labours: everything is louder by 7 dB (faint: by 3 dB)."""
    return np.asarray(s.audio * (1 + 1.24 * s.times))


def _rattle(s: _Stretch) -> Samples:
    """A loose cover: bursts of noise between 1.2 and 5 kHz, at no steady rate."""
    gate = np.zeros(len(s.audio))
    at = 0.0
    while at < len(gate):
        gate[int(at)] = s.rng.uniform(0.4, 1.0)
        at += SAMPLE_RATE * s.rng.uniform(0.03, 0.14)
    decay = np.exp(-np.arange(round(0.06 * SAMPLE_RATE)) / (0.012 * SAMPLE_RATE))
    noise = _band(s.rng.normal(size=len(gate)), 3100.0, 1900.0)
    return np.asarray(s.audio + 0.07 * s.times * noise * np.convolve(gate, decay)[: len(gate)])


MACHINE_FAULTS = {
    "bearing_squeal": _Fault(_bearing_squeal, 1.6, 3000.0, 3600.0),
    "lost_mesh": _Fault(_lost_mesh, 2.8, 386.0, 1720.0),
    "knocking": _Fault(_knocking, 2.0, 900.0, 4000.0),
    "whine": _Fault(_whine, 4.0, 5700.0, 6100.0),
    "overload": _Fault(_overload, 2.5, 20.0, 8000.0),
    "rattle": _Fault(_rattle, 1.5, 1200.0, 5000.0),
}
