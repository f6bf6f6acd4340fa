"""Periods of a stream, and window lengths that follow from them.

A period is a lag at which the autocorrelation peaks significantly, peaks again at twice the lag, and at which (or at
whose harmonics) the spectrum stands out from its surroundings. Without one, lengths follow from the decorrelation time
and the number of points, never from a fixed number. Legend: n points, C channels. Read `series_windows.py` next.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.errors import ConfigError
from oddwave.tensors.series_scale import fill_missing, robust_scale

__all__ = ["MIN_WINDOW", "PeriodEstimate", "find_periods", "window_sizes"]

MIN_WINDOW = 8  # points: fewer cannot show a shape
_MIN_POINTS = 16
_CYCLES = 4  # a period must be seen this often
_CLIP = 5.0  # robust deviations beyond which a spike is cut, so that it cannot be mistaken for a season
_MIN_PEAK = 0.1  # autocorrelation below which a season explains too little to build windows on
_SIGMAS = 4.0  # standard errors of the autocorrelation a peak must reach
_REPEAT = 0.5  # share of its height that a peak must keep at twice the lag
_SHARE_OF_BEST = 0.5  # a period weaker than this share of the strongest is a harmonic or an echo of it
_GAIN = 0.05  # autocorrelation that a multiple of a period must add to count as a period of its own
_FALSE_ALARM = 1e-3  # probability that noise alone stands out from the spectrum as much as required
SHORTEST_BASE = 32  # points: the shortest window that shows a shape and what surrounds it
_REPEATS = 12  # a period that carries windows must be seen this often
_USABLE_STRENGTH = 0.2  # autocorrelation of such a period
_SHARE_OF_LENGTH = 64
_DISJOINT_WINDOWS = 12  # non-overlapping windows that the longest length must leave
_DECORRELATION_TIMES = 10  # points that are nearly independent, in a window of a stream without a period


@dataclass(frozen=True)
class PeriodEstimate:
    """What was found: `periods` in points, the shortest strong one first, empty where there is none.

    `strength` in [0, 1] is the mean autocorrelation at the first period and its multiples, 0 without one. `length` is
    the length to build windows on: the first period, or ten decorrelation times, which hold about ten independent
    points, enough for a window's mean to show a shift. `method` is "autocorrelation" or "decorrelation"; `evidence`
    holds the figures.
    """

    periods: tuple[int, ...]
    strength: float
    method: str
    length: int
    evidence: Mapping[str, Any] = field(default_factory=dict)


def find_periods(values: Float[np.ndarray, "n C"], *, max_period: int | None = None) -> PeriodEstimate:
    """Find the periods that the channels share.

    Missing points are filled, spikes cut, a cubic trend removed; autocorrelation and spectrum are averaged over the
    channels that vary. `max_period` defaults to a quarter of the points, so that every period was seen four times.
    Raises: ConfigError for a `max_period` below 2.
    """
    if max_period is not None and max_period < 2:
        raise ConfigError(f"max_period is {max_period}: a period has 2 points or more")
    series = values[:, None] if values.ndim == 1 else values
    n = len(series)
    prepared = _prepare(series)
    if n < _MIN_POINTS or not prepared.shape[1]:
        reason = f"{n} points are too few" if n < _MIN_POINTS else "no channel varies"
        return PeriodEstimate((), 0.0, "decorrelation", max(1, min(n, MIN_WINDOW)), {"reason": reason})
    correlation = _autocorrelation(prepared)
    time = _decorrelation_time(correlation)
    threshold = _peak_threshold(correlation, n)
    candidates = _candidates(correlation, min(n // _CYCLES, max_period or n), threshold)
    ratio = _spectral_ratio(prepared)
    checked = [replace(c, log10_p=_spectral_log10_p(ratio, c.period, n)) for c in candidates]
    supported = [c for c in checked if c.log10_p <= np.log10(_FALSE_ALARM)]
    periods = _distinct(supported, gain=max(_GAIN, threshold / 2))
    evidence = {
        "threshold": threshold,
        "decorrelation_time": time,
        "autocorrelation": {round(c.period): c.strength for c in periods},
        "spectral_log10_p": {round(c.period): c.log10_p for c in periods},
        "rejected_by_spectrum": [round(c.period) for c in checked if c.log10_p > np.log10(_FALSE_ALARM)][:10],
    }
    if not periods:
        length = int(np.clip(round(_DECORRELATION_TIMES * time), MIN_WINDOW, max(MIN_WINDOW, n // 8)))
        return PeriodEstimate((), 0.0, "decorrelation", length, {**evidence, "reason": "no significant peak"})
    found = tuple(round(c.period) for c in periods)
    return PeriodEstimate(found, float(np.clip(periods[0].strength, 0, 1)), "autocorrelation", found[0], evidence)


def window_sizes(estimate: PeriodEstimate, n: int, num: int = 3, longest: int | None = None) -> tuple[int, ...]:
    """Return up to `num` window lengths for streams of n points in all: one, two, four ... times a base length.

    The base is the first period that repeats at least 12 times, or as many whole ones as make 32 points. Without such a
    period it is a 64th of the points, so that the shortest windows can be compared with 64 others and the longest with
    16, or less where the longest would not fit. No length exceeds a twelfth of the points, nor `longest`; lengths that
    become equal are given once. Raises: ConfigError.
    """
    if n < 1 or num < 1:
        raise ConfigError(f"n is {n} and num {num}: both must be 1 or more")
    most = max(min(n, MIN_WINDOW), min(n // _DISJOINT_WINDOWS, longest or n))
    repeated = [p for p in estimate.periods if p * _REPEATS <= n and estimate.strength >= _USABLE_STRENGTH]
    unit = repeated[0] if repeated else max(1, min(n // _SHARE_OF_LENGTH, most // 2 ** (num - 1)))
    base = unit * max(1, -(-SHORTEST_BASE // unit))
    return tuple(sorted({min(most, base * 2**i) for i in range(num)}))


def _prepare(series: Float[np.ndarray, "n C"]) -> Float[np.ndarray, "n K"]:
    """Return the varying channels without spikes and trend, at unit variance."""
    filled, _ = fill_missing(series)
    n, channels = len(filled), []
    if n < 2:
        return np.empty((n, 0))
    time = np.linspace(-1, 1, n)
    for channel in filled.T:
        centre, scale = robust_scale(channel)
        channel = np.clip(channel, centre - _CLIP * scale, centre + _CLIP * scale)
        spread = channel.std()
        if spread <= 1e-9 * max(abs(centre), 1e-300):
            continue
        standard = (channel - channel.mean()) / spread
        basis = np.polynomial.legendre.legvander(time, min(3, n // _MIN_POINTS))
        rest = standard - basis @ np.linalg.lstsq(basis, standard, rcond=None)[0]
        if rest.std() > 1e-6:
            channels.append(rest / rest.std())
    return np.stack(channels, axis=1) if channels else np.empty((n, 0))


def _autocorrelation(x: Float[np.ndarray, "n K"]) -> Float[np.ndarray, " lags"]:
    """Mean autocorrelation for lags up to half the points, each over the pairs there are (no taper with the lag)."""
    n = len(x)
    size = 1 << (2 * n - 1).bit_length()
    power = np.abs(np.fft.rfft(x, size, axis=0)) ** 2
    products = np.fft.irfft(power, size, axis=0)[: n // 2 + 1].mean(axis=1)
    correlation: np.ndarray = products / (n - np.arange(n // 2 + 1)) * (n / products[0])
    return correlation


def _decorrelation_time(correlation: Float[np.ndarray, " lags"]) -> float:
    """Integral time 1 + 2 sum r_k up to the first lag where the autocorrelation is no longer positive."""
    ends = np.flatnonzero(correlation <= 0)
    return float(1 + 2 * correlation[1 : ends[0] if ends.size else None].sum())


def _peak_threshold(correlation: Float[np.ndarray, " lags"], n: int) -> float:
    """Four standard errors by Bartlett's formula, with the memory of the first, falling stretch of the curve only."""
    ends = np.flatnonzero(correlation <= 0)
    memory = correlation[1 : ends[0] if ends.size else None]
    return float(min(0.9, max(_MIN_PEAK, _SIGMAS * np.sqrt((1 + 2 * (memory**2).sum()) / n))))


@dataclass(frozen=True)
class _Candidate:
    """A lag that may be a period: refined to a fraction of a point; `strength` is the mean autocorrelation at its
    multiples, `log10_p` the probability that noise has so much power at its frequency."""

    period: float
    strength: float
    log10_p: float = 0.0


def _candidates(correlation: Float[np.ndarray, " lags"], limit: int, threshold: float) -> list[_Candidate]:
    """Find peaks that reach the threshold, stand out as much from the valleys beside them, and come again later."""
    from scipy.signal import find_peaks  # here: only a fit looks for periods

    peaks, _ = find_peaks(correlation, height=threshold, prominence=threshold)
    refined = [_refined(correlation, int(peak)) for peak in peaks[peaks <= limit]]
    return [candidate for candidate in refined if candidate is not None and candidate.strength >= threshold]


def _refined(correlation: Float[np.ndarray, " lags"], peak: int) -> _Candidate | None:
    """Follow a peak to twice, four times, ... its lag, each time halving the error; None where it does not come again.

    A single lag of a noisy curve is off by a few points; the same error at sixteen times the lag counts a sixteenth.
    """
    period, times, reach = float(peak), 1, max(1, round(0.08 * peak))
    while (centre := round(2 * times * period)) + reach < len(correlation):
        near = correlation[centre - reach : centre + reach + 1]
        if near.max() < _REPEAT * correlation[peak]:
            break
        times *= 2
        period = (centre - reach + int(np.argmax(near))) / times
    if times == 1:
        return None
    multiples = np.rint(period * np.arange(1, times + 1)).astype(int)
    return _Candidate(period, float(correlation[multiples].mean()))


def _spectral_ratio(x: Float[np.ndarray, "n K"]) -> Float[np.ndarray, " bins"]:
    """Return the periodogram over its local background; noise alone gives about exponential values of mean 1.

    The background is the median from a third of the frequency to three times it, turned into a mean as for an
    exponential distribution; the mean of several channels scatters less, which makes the bound a careful one.
    """
    power = (np.abs(np.fft.rfft(x * np.hanning(len(x))[:, None], axis=0)) ** 2).mean(axis=1)
    bins = len(power)
    ratio, floor = np.zeros(bins), 1e-20 * max(float(power.max()), 1e-280)  # below it there is only rounding
    # Neighbouring bins share nearly the same surroundings: one median per twentieth of an octave is enough.
    edges = np.unique(np.rint(np.geomspace(1, bins, max(2, int(20 * np.log2(bins))))).astype(int))
    for low, high in itertools.pairwise(edges):
        around = np.median(power[max(1, low // 3) : 3 * high + 5])
        ratio[low:high] = power[low:high] * np.log(2) / max(float(around), floor)
    return ratio


def _spectral_log10_p(ratio: Float[np.ndarray, " bins"], period: float, n: int) -> float:
    """Return log10 of the probability that noise has this much power at the period's frequency and harmonics.

    The sum over the first H harmonics is gamma distributed; the best H of 1, 2, 4, 8 counts, because a sine has one
    harmonic and a train of pulses many. Corrected for the bins beside each harmonic and the number of frequencies.
    """
    heights = []
    for harmonic in range(1, 9):
        centre = round(harmonic * n / period)
        if centre >= len(ratio):
            break
        # The largest of three exponential values exceeds x about three times as often as one does.
        heights.append(max(0.0, float(ratio[max(1, centre - 1) : centre + 2].max()) - np.log(3)))
    sums = [(h, sum(heights[:h])) for h in (1, 2, 4, 8) if h <= len(heights)]
    from scipy.special import gammaincc

    best = min((float(gammaincc(h, total)) for h, total in sums), default=1.0)
    return float(min(0.0, np.log10(max(best, 1e-300)) + np.log10(len(sums) * len(ratio) or 1)))


def _distinct(candidates: Sequence[_Candidate], gain: float) -> list[_Candidate]:
    """Leave out weak echoes, and multiples of a shorter period that explain no more than it does."""
    best = max((c.strength for c in candidates), default=0.0)
    kept: list[_Candidate] = []
    for candidate in candidates:
        if candidate.strength < _SHARE_OF_BEST * best or any(round(candidate.period) == round(k.period) for k in kept):
            continue
        shorter = [k for k in kept if _is_multiple(candidate.period, k.period)]
        if all(candidate.strength > k.strength + gain for k in shorter):
            kept.append(candidate)
    return kept


def _is_multiple(period: float, shorter: float) -> bool:
    times = round(period / shorter)
    return abs(period - times * shorter) <= min(max(1.0, 0.04 * shorter) + 0.1 * times, 0.25 * shorter)
