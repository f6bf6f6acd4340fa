"""Periods of streams made with known ones, and the windows that follow."""

import numpy as np
import pytest
from scipy.signal import lfilter

from oddwave.errors import ConfigError
from oddwave.tensors.period import MIN_WINDOW, PeriodEstimate, find_periods, window_sizes

T = np.arange(2000)
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=2000)
SINE = np.sin(2 * np.pi * T / 50)
SPIKES = 50.0 * (RNG.random(2000) < 0.01)


def column(x):
    return np.asarray(x, dtype=float)[:, None]


@pytest.mark.parametrize(
    ("x", "period"),
    [
        (SINE, 50),
        (SINE + NOISE, 50),
        (np.sin(2 * np.pi * T / 47.3) + 0.1 * NOISE, 47),
        ((T % 100 < 30) + 0.05 * NOISE, 100),
        (0.1 * NOISE + (T % 60 == 0), 60),
        (SINE + SPIKES, 50),
        (0.01 * T + np.sin(2 * np.pi * T / 40) + 0.3 * NOISE, 40),
        (0.1 * np.cumsum(NOISE) + 3 * np.sin(2 * np.pi * T / 40), 40),
        (np.where(T % 7 == 3, np.nan, SINE), 50),
        (1e6 + SINE, 50),
        (np.tile([0.0, 1.0], 1000), 2),
        (np.tile([0.0, 1.0, 5.0], 600), 3),
    ],
)
def test_known_periods_are_found(x, period):
    estimate = find_periods(column(x))
    assert estimate.periods == (period,)
    assert estimate.length == period
    assert estimate.method == "autocorrelation"
    assert 0.1 < estimate.strength <= 1


def test_a_day_and_a_week_are_both_found():
    day = np.sin(2 * np.pi * np.arange(6720) / 48)
    week = 0.9 * np.isin((np.arange(6720) // 48) % 7, [5, 6])
    estimate = find_periods(column(day + week + 0.1 * np.random.default_rng(1).normal(size=6720)))
    assert estimate.periods == (48, 336)


def test_channels_share_their_period_and_constant_ones_do_not_count():
    values = np.stack([SINE + NOISE, np.ones(2000), np.cos(2 * np.pi * T / 50), np.full(2000, np.nan)], axis=1)
    assert find_periods(values).periods == (50,)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9, 0.98, 1.0])
def test_noise_with_any_memory_has_no_period(memory):
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=int(rng.integers(20, 2000)))
        found += bool(find_periods(column(lfilter([1.0], [1.0, -memory], noise))).periods)
    assert found <= 1


def test_without_a_period_the_decorrelation_time_sets_the_length():
    white, slow = (find_periods(column(lfilter([1.0], [1.0, -a], NOISE))) for a in (0.0, 0.8))
    for estimate in (white, slow):
        assert estimate.periods == ()
        assert estimate.strength == 0
        assert estimate.method == "decorrelation"
        assert estimate.length == pytest.approx(10 * estimate.evidence["decorrelation_time"], abs=1)
    assert slow.evidence["decorrelation_time"] == pytest.approx((1 + 0.8) / (1 - 0.8), rel=0.35)
    assert slow.length > 3 * white.length


def test_spikes_alone_and_constants_have_no_period():
    assert find_periods(column(NOISE + SPIKES)).periods == ()
    for values in (np.ones((500, 2)), np.full((500, 1), np.nan), np.zeros((500, 1))):
        estimate = find_periods(values)
        assert estimate.periods == ()
        assert estimate.evidence["reason"] == "no channel varies"


@pytest.mark.parametrize("n", [*range(1, 40), 64, 65])
def test_tiny_series_never_fail(n):
    for x in (np.sin(np.arange(n)), np.arange(n), np.ones(n), np.tile([0.0, 1.0], n)[:n]):
        estimate = find_periods(column(x))
        sizes = window_sizes(estimate, n)
        assert all(min(n, MIN_WINDOW) <= size <= n for size in sizes)
        if n < 16:
            assert estimate.periods == ()


def test_max_period_bounds_the_search():
    assert find_periods(column(SINE), max_period=40).periods == ()
    assert find_periods(column(SINE), max_period=60).periods == (50,)
    with pytest.raises(ConfigError, match="max_period is 1"):
        find_periods(column(SINE), max_period=1)


def estimate_of(*periods, strength=0.5):
    return PeriodEstimate(periods, strength * bool(periods), "autocorrelation", max(periods, default=8))


@pytest.mark.parametrize(
    ("estimate", "n", "num", "expected"),
    [
        (estimate_of(50), 4000, 3, (50, 100, 200)),
        (estimate_of(50), 4000, 1, (50,)),
        (estimate_of(50), 1000, 3, (50, 83)),
        (estimate_of(7), 4000, 3, (35, 70, 140)),
        (estimate_of(48, 336), 10000, 3, (48, 96, 192)),
        (estimate_of(900, 48), 10000, 3, (48, 96, 192)),
        (estimate_of(50, strength=0.1), 6400, 3, (100, 200, 400)),
        (estimate_of(1000), 6400, 3, (100, 200, 400)),
        (estimate_of(), 6400, 3, (100, 200, 400)),
        (estimate_of(), 640, 3, (40, 53)),
        (estimate_of(), 40, 3, (8,)),
        (estimate_of(), 5, 3, (5,)),
    ],
)
def test_window_sizes(estimate, n, num, expected):
    assert window_sizes(estimate, n, num) == expected


def test_window_sizes_keep_to_the_longest_and_refuse_nonsense():
    assert window_sizes(estimate_of(50), 4000, 3, longest=120) == (50, 100, 120)
    for n, num in ((0, 3), (10, 0)):
        with pytest.raises(ConfigError, match="must be 1 or more"):
            window_sizes(estimate_of(50), n, num)
