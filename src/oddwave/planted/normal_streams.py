"""Synthetic normal streams: what the shipped prior of series learns from, without any downloaded data.

    base signal (periodic, calendar, autoregressive, telegraph, shots, counts, smooth) per channel
    -> slow drift, trend, noise -> what sensors do (saturate, round, hold) and units (skewed, one-sided)
    -> scaled as `tensors/series_scale.py` scales

Everything follows from the generator that is handed in. Read `series_streams.py` next: it plants anomalies in them, and
`lab/prior/`, which trains on them.

Legend: n points, C channels, P points of a period, N instances, L points of one.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from oddwave.tensors.series_scale import robust_scale

__all__ = ["normal_panel", "normal_stream"]

Values = Float[np.ndarray, " n"]

_TINY = 1e-6
_SHORTEST_PERIOD, _LONGEST_PERIOD = 10, 200
_SPREAD = 3.0  # robust deviations that the scale of series maps to 1


def normal_stream(rng: np.random.Generator, n: int, num_channels: int = 1) -> Float[np.ndarray, "n C"]:
    """Return a stream of normal behaviour, scaled channel by channel; channels may share their cycle."""
    clock = _cycles(rng, n) if rng.uniform() < 0.7 else None
    channels = []
    for _ in range(num_channels):
        own = clock if clock is not None and rng.uniform() < 0.8 else None
        if own is None and rng.uniform() < 0.45:
            own = _cycles(rng, n)
        base = _periodic(rng, *own) if own is not None else _APERIODIC[rng.integers(len(_APERIODIC))](rng, n)
        channels.append(_scaled(_sensed(rng, _disturbed(rng, _standard(base)))))
    return np.stack(channels, axis=1)


def normal_panel(
    rng: np.random.Generator, num: int, length: int
) -> tuple[Float[np.ndarray, "N L"], Float[np.ndarray, "N L"]]:
    """Return aligned or shifted instances of one class, and as many of another class, each standardised by itself."""
    jitter, warp, noise = rng.choice([0.0, 0.02, 0.1, 0.5]), rng.choice([0.0, 0.03, 0.1]), _log_uniform(rng, 0.01, 0.6)
    swing, smooth = rng.choice([0.0, 0.1, 0.4]), rng.uniform(1.0, 6.0)
    first = [_shape(rng, 4 * length) for _ in range(int(rng.integers(1, 3)))]
    mix = rng.uniform(0.15, 1.0)  # how much of the other class is its own
    other = [(1 - mix) * first[0] + mix * _standard(_shape(rng, 4 * length))]
    sides = []
    for shapes in (first, other):
        instances = []
        for _ in range(num):
            shape = shapes[rng.integers(len(shapes))]
            at = np.arange(length) / length + jitter * rng.normal() * 0.3
            at = at + warp * _smooth(rng.normal(size=length), length / 4)
            at = np.mod(at, 1.0) if jitter >= 0.5 else np.clip(at, 0.0, 1.0)
            own = np.interp(at * (len(shape) - 1), np.arange(len(shape)), shape)
            own = own + swing * _smooth(rng.normal(size=length), length / smooth)
            instances.append(_standard(own + noise * rng.normal(size=length)))
        sides.append(np.stack(instances) / _SPREAD)
    return sides[0], sides[1]


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _standard(values: Values) -> Values:
    standard: Values = (values - values.mean()) / (values.std() + _TINY)
    return standard


def _smooth(values: Values, width: float) -> Values:
    """Return values averaged over about `width` points, of deviation 1."""
    from scipy.ndimage import gaussian_filter1d

    return _standard(gaussian_filter1d(values, max(width, 1e-3), mode="nearest"))


def _shape(rng: np.random.Generator, num: int) -> Values:
    """Return one cycle: harmonics, pulses, bumps, a sawtooth, a closed random walk, or half waves."""
    t = np.arange(num) / num
    kind = rng.integers(6)
    if kind == 0:
        order = np.arange(1, rng.integers(2, 9))[:, None]
        size = rng.normal(size=order.shape) / order ** rng.uniform(0.3, 1.5)
        waves: Values = (size * np.sin(2 * np.pi * (order * t + rng.uniform(size=order.shape)))).sum(0)
        return waves
    if kind == 1:
        edges = np.sort(rng.uniform(size=2 * rng.integers(1, 4))).reshape(-1, 2)
        pulses: Values = np.sum([(1 + rng.normal()) * ((t >= a) & (t < b)) for a, b in edges], axis=0)
        return pulses
    if kind == 2:
        bumps = np.zeros(num)
        for _ in range(rng.integers(1, 7)):
            away = np.abs(t - rng.uniform())
            bumps += rng.normal() * np.exp(-0.5 * (np.minimum(away, 1 - away) / _log_uniform(rng, 0.01, 0.2)) ** 2)
        return bumps
    if kind == 3:
        saw: Values = np.mod(t + rng.uniform(), 1.0) * rng.choice([-1, 1])
        return saw
    if kind == 4:
        walk = np.cumsum(rng.normal(size=num))
        return walk - np.linspace(walk[0], walk[-1], num)
    half: Values = np.maximum(0.0, np.sin(2 * np.pi * (t + rng.uniform()))) ** rng.uniform(0.3, 3.0)
    return half


def _cycles(rng: np.random.Generator, n: int) -> tuple[Values, int]:
    """Return the running phase in points, with jitter and slow warps, and the period."""
    period = int(_log_uniform(rng, _SHORTEST_PERIOD, min(_LONGEST_PERIOD, n / 6)))
    phase = np.cumsum(1 + rng.choice([0.0, 0.0, 0.01, 0.03, 0.1]) * rng.normal(size=n)) + rng.uniform(0, period)
    if rng.uniform() < 0.4:
        knots = n // period + 2
        warp = np.cumsum(rng.normal(size=knots)) * period * rng.uniform(0.0, 0.05)
        phase = phase + np.interp(np.arange(n), np.linspace(0, n, knots), warp)
    return phase, period


def _periodic(rng: np.random.Generator, phase: Values, period: int) -> Values:
    """Repeat a shape; cycles differ in size and level, and every m-th one may be another shape (a calendar)."""
    cycle = (phase // period).astype(int)
    cycle -= cycle.min()
    values = _at_phase(_standard(_shape(rng, period)), phase)
    if rng.uniform() < 0.35:
        share, every = rng.uniform(0.3, 1.0), rng.integers(2, 8)
        other = (1 - share) * values + share * _at_phase(_standard(_shape(rng, period)), phase)
        days = np.isin(cycle % every, rng.integers(every, size=rng.integers(1, 3)))  # such as weekends
        values = np.where(days, other, values)
    size = 1 + rng.choice([0.0, 0.03, 0.1, 0.25]) * rng.normal(size=cycle[-1:].max() + cycle.max() + 1)
    level = rng.choice([0.0, 0.03, 0.1, 0.3]) * rng.normal(size=len(size))
    if rng.uniform() < 0.25:  # sizes drift instead of jumping
        size, level = (_smooth(v, 3.0) * v.std() + v.mean() if v.std() > 0 else v for v in (size, level))
    repeated: Values = size[cycle] * values + level[cycle]
    return repeated


def _at_phase(shape: Values, phase: Values) -> Values:
    period = len(shape)
    values: Values = np.interp(np.mod(phase, period), np.arange(period + 1), np.append(shape, shape[0]))
    return values


def _autoregressive(rng: np.random.Generator, n: int) -> Values:
    from scipy.signal import lfilter

    radius, angle = rng.uniform(0.3, 0.99), rng.choice([0.0, rng.uniform(0.05, 1.5)])
    values: Values = lfilter([1.0], [1.0, -2 * radius * np.cos(angle), radius**2], rng.normal(size=n))
    return values


def _telegraph(rng: np.random.Generator, n: int) -> Values:
    switches = np.cumsum(rng.uniform(size=n) < _log_uniform(rng, 0.002, 0.05))
    levels: Values = rng.normal(size=rng.integers(2, 5))[switches % 2 if rng.uniform() < 0.5 else switches % 3 % 2]
    return levels


def _shots(rng: np.random.Generator, n: int) -> Values:
    from scipy.signal import lfilter

    times = (rng.uniform(size=n) < _log_uniform(rng, 0.003, 0.05)) * rng.exponential(size=n)
    values: Values = lfilter([1.0], [1.0, -rng.uniform(0.3, 0.95)], times)
    return values


def _smooth_noise(rng: np.random.Generator, n: int) -> Values:
    return _smooth(rng.normal(size=n), rng.uniform(1.0, 20.0))


def _counts(rng: np.random.Generator, n: int) -> Values:
    rate = rng.uniform(0.2, 8.0) * np.exp(0.5 * _smooth(rng.normal(size=n), n / rng.uniform(5, 50)))
    return rng.poisson(rate).astype(float)


def _ramps(rng: np.random.Generator, n: int) -> Values:
    """A tank that fills and empties, at rates that differ a little from time to time."""
    lengths = np.maximum(4, rng.normal(1.0, rng.choice([0.02, 0.1, 0.3]), size=n // 8) * _log_uniform(rng, 16, 120))
    knots = np.append(0.0, np.cumsum(lengths))
    knots = knots[: np.searchsorted(knots, n) + 2]
    return np.interp(np.arange(n), knots, np.arange(len(knots)) % 2 + 0.1 * rng.normal(size=len(knots)))


_APERIODIC: tuple[Callable[[np.random.Generator, int], Values], ...] = (
    _autoregressive, _telegraph, _shots, _smooth_noise, _counts, _ramps,
)  # fmt: skip


def _disturbed(rng: np.random.Generator, values: Values) -> Values:
    """Add a slow drift, a trend and noise, whose size may follow the signal."""
    n = len(values)
    if rng.uniform() < 0.35:
        values = values + rng.uniform(0.1, 1.0) * _smooth(rng.normal(size=n), n / rng.uniform(4, 40))
    if rng.uniform() < 0.15:
        values = values + rng.uniform(-1, 1) * np.linspace(-1.0, 1.0, n)
    noise = rng.normal(size=n) if rng.uniform() < 0.7 else rng.standard_t(3, size=n)
    if rng.uniform() < 0.3:
        noise = noise * (1 + np.abs(values))
    return values + (_log_uniform(rng, 0.002, 0.5) if rng.uniform() < 0.93 else 0.0) * noise


def _sensed(rng: np.random.Generator, values: Values) -> Values:
    """Do what sensors and units do: saturate, round, hold, and squeeze."""
    kind = rng.uniform()
    if kind < 0.1:
        low, high = np.quantile(values, [rng.uniform(0, 0.3), rng.uniform(0.7, 1)])
        clipped: Values = np.clip(values, low, high)
        return clipped
    if kind < 0.2:
        step = rng.uniform(0.05, 0.6)
        rounded: Values = np.round(values / step) * step
        return rounded
    if kind < 0.27:
        skewed: Values = np.exp(np.clip(values, -3, 3))
        return skewed
    if kind < 0.33:
        folded: Values = np.abs(values)
        return folded
    if kind < 0.38:
        every = int(rng.integers(2, 9))
        held: Values = np.repeat(values[::every], every)[: len(values)]
        return held
    return values


def _scaled(values: Values) -> Values:
    centre, scale = robust_scale(values)
    return (values - centre) / (_SPREAD * scale)
