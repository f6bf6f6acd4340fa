"""Drift of scores: healthy ones hardly ever alarm, few or dependent; a shift is found soon; anomalies are no drift."""

import numpy as np
import pytest
from scipy.stats import betabinom, kstest

from oddwave.calibration.drift import (
    block_values,
    excess_p_value,
    find_drift,
    independent_blocks,
    log_martingale,
    online_p_values,
    share_unlike,
)


@pytest.mark.parametrize("num", [10, 200])
def test_online_p_values_are_uniform_and_independent_however_few_calibrate(num):
    rng = np.random.default_rng(0)
    p = np.array([online_p_values(rng.normal(size=20), rng.normal(size=num), seed) for seed in range(300)])
    assert kstest(p.ravel(), "uniform").pvalue > 0.01
    assert abs(np.corrcoef(p[:, 10], p[:, 11])[0, 1]) < 0.15


def test_equal_scores_are_no_evidence():
    constant = online_p_values(np.zeros(500), np.zeros(50))
    assert kstest(constant, "uniform").pvalue > 0.01
    assert find_drift(np.zeros(500), np.zeros(50)) is None


def test_the_martingale_is_the_sum_of_all_bets():
    p = np.random.default_rng(1).random(12)
    stakes, bets = (0.25, 0.5, 0.75, 1.0), 0.0
    for k in range(12):
        weight = 1 / ((k + 1) * (k + 2))
        bets += weight * np.mean([np.prod(1 + e * (1 - 2 * p[k:])) for e in stakes])
    assert np.exp(log_martingale(p)[-1]) == pytest.approx(bets + 1 / 13)  # and what is not yet bet


def test_the_martingale_expects_what_it_had():
    """The mean of a bet over all p-values is 1, whatever came before."""
    before, grid = np.array([0.1, 0.4, 0.05]), (np.arange(2000) + 0.5) / 2000
    now = np.exp(log_martingale(before)[-1])
    after = np.mean([np.exp(log_martingale(np.append(before, p))[-1]) for p in grid[::40]])
    assert after == pytest.approx(now, rel=0.02)


def test_healthy_scores_hardly_ever_alarm():
    rng = np.random.default_rng(2)
    alarms = [find_drift(rng.normal(size=400), rng.normal(size=num)) for num in [10, 40, 200] * 15]
    assert sum(own is not None for own in alarms) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("num", [20, 100, 1000])
def test_one_false_alarm_at_most_in_a_hundred_runs_of_ten_thousand(num):
    rng = np.random.default_rng(num)
    runs = [find_drift(rng.normal(size=10_000), rng.normal(size=num)) for _ in range(100)]
    assert sum(own is not None for own in runs) <= 1


@pytest.mark.parametrize("before", [0, 150, 1500])
def test_a_shift_of_one_deviation_is_found_within_200(before):
    rng = np.random.default_rng(3)
    found = []
    for _ in range(12 if before < 1000 else 4):
        scores = np.append(rng.normal(size=before), 1 + rng.normal(size=200))
        found.append(find_drift(scores, rng.normal(size=150)))
    assert sum(own is not None for own in found) >= len(found) - 1
    since = [own.since for own in found if own is not None]
    assert abs(np.median(since) - before) <= 20
    assert all(own.share_since > 0.4 for own in found if own is not None)


@pytest.mark.parametrize("share", [0.05, 0.25])
def test_scattered_anomalies_are_no_drift(share):
    rng = np.random.default_rng(4)
    scores = rng.normal(size=300) + 50 * (rng.random(300) < share)
    assert find_drift(scores, rng.normal(size=100)) is None


def test_a_few_anomalies_in_a_row_are_no_drift():
    rng = np.random.default_rng(5)
    scores = rng.normal(size=300)
    scores[100:108] += 50
    assert find_drift(scores, rng.normal(size=100)) is None


def test_a_batch_beyond_a_small_calibration_is_found():
    rng = np.random.default_rng(6)
    found = find_drift(5 + rng.normal(size=8), rng.normal(size=12))
    assert found.since == 0
    assert found.share == 1.0
    assert find_drift(np.full(4, 5.0), rng.normal(size=12)) is None  # too few to say so


def test_the_batch_is_counted_by_a_beta_binomial():
    rng = np.random.default_rng(7)
    new, old = rng.normal(size=30) + 0.5, rng.normal(size=49)
    above = (new > np.sort(old)[-10]).sum()
    assert excess_p_value(new, old) == pytest.approx(betabinom.sf(above - 1, 30, 10, 40))


def test_the_share_of_unlike_ones_is_estimated():
    rng = np.random.default_rng(8)
    scores = np.append(rng.normal(size=7000), 9 + rng.normal(size=3000))
    assert share_unlike(scores, rng.normal(size=10_000)) == pytest.approx(0.3, abs=0.03)
    assert share_unlike(rng.normal(size=1000) - 3, rng.normal(size=1000)) == 0.0


def test_missing_scores_are_passed_over():
    rng = np.random.default_rng(9)
    scores = 3 + rng.normal(size=100)
    scores[:40] = np.nan
    assert find_drift(scores, rng.normal(size=100)).since == 40


def test_blocks_have_their_maximum_and_median():
    values = np.arange(25.0)
    values[10:18] = np.nan
    highest, middle = block_values(values, 10)
    np.testing.assert_array_equal(highest, [9.0, np.nan, 24.0])
    np.testing.assert_array_equal(middle, [4.5, np.nan, 22.0])


def autoregressive(phi, num, rng):
    from scipy.signal import lfilter

    return lfilter([1.0], [1.0, -phi], rng.normal(size=num + 500))[500:] * np.sqrt(1 - phi**2)


def test_blocks_grow_with_dependence():
    rng = np.random.default_rng(10)
    sizes = [independent_blocks(autoregressive(phi, 4000, rng), 20) for phi in (0.0, 0.99)]
    assert sizes[0] <= 40 < sizes[1]
    assert independent_blocks(np.zeros(100), 20) == 20


@pytest.mark.parametrize("phi", [0.0, 0.6, 0.95])
def test_autocorrelated_healthy_streams_hardly_ever_alarm(phi):
    rng, alarms = np.random.default_rng(11), 0
    for _ in range(30):
        old, new = autoregressive(phi, 3000, rng), autoregressive(phi, 3000, rng)
        size = independent_blocks(old, 40)
        pairs = zip(block_values(new, size), block_values(old, size), strict=True)
        alarms += any(find_drift(*pair, num_tests=2) is not None for pair in pairs)
    assert alarms <= 1
