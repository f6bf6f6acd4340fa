"""What conformal calibration promises, on many draws; tolerances are four standard deviations of the binomial count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oddwave.calibration.conformal import Calibration, block_maxima, conformal_p_values
from oddwave.calibration.rule import Rule
from oddwave.results import are_discoveries

DRAWS = 20_000
SCORES = arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6))
TIED = arrays(np.float64, st.integers(1, 40), elements=st.integers(0, 6).map(float))
ALPHAS = st.floats(0.001, 0.999)


def calibrated(scores, block_size=1):
    return Calibration.fit([scores], block_size, "tests")


def four_sigma(rate, n):
    return 4 * np.sqrt(rate * (1 - rate) / n)


def first_p_values(draw, n):
    """p of the first of n + 1 exchangeable scores among the others, once per draw."""
    rows = draw(np.random.default_rng(0), (DRAWS, n + 1))
    return (1 + (rows[:, 1:] >= rows[:, :1]).sum(1)) / (n + 1), rows


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, shape: rng.normal(size=shape),
        lambda rng, shape: rng.standard_cauchy(size=shape),
        lambda rng, shape: rng.integers(0, 5, size=shape).astype(float),
        lambda rng, shape: rng.normal(size=shape) + 3 * rng.normal(size=(shape[0], 1)),  # exchangeable, not independent
        lambda rng, shape: np.zeros(shape),
    ],
    ids=["normal", "heavy_tailed", "tied", "dependent", "constant"],
)
@pytest.mark.parametrize("n", [9, 60])
def test_p_values_of_exchangeable_normals_are_super_uniform(draw, n):
    p, rows = first_p_values(draw, n)
    for row in range(0, DRAWS, 4000):  # the vectorised draws above are what the package computes
        assert conformal_p_values(rows[row, :1], rows[row, 1:])[0] == p[row]
    for alpha in (0.02, 0.05, 0.1, 0.25, 0.5, 0.9):
        assert (p <= alpha).mean() <= alpha + four_sigma(alpha, DRAWS)


@pytest.mark.parametrize("n", [9, 99])
def test_without_ties_the_false_alarm_rate_is_met_exactly(n):
    p, _ = first_p_values(lambda rng, shape: rng.normal(size=shape), n)
    for alpha in (0.1, 0.5):
        assert (p <= alpha).mean() == pytest.approx(alpha, abs=four_sigma(alpha, DRAWS))


def test_the_threshold_keeps_the_false_alarm_rate_on_new_normals():
    rng, flagged = np.random.default_rng(1), 0
    for _ in range(2000):
        flagged += rng.normal() >= calibrated(rng.normal(size=49)).threshold(Rule(0.1))
    assert flagged / 2000 == pytest.approx(0.1, abs=four_sigma(0.1, 2000))


def test_discoveries_keep_the_false_discovery_rate():
    rng, proportions = np.random.default_rng(2), []
    for _ in range(400):
        scores = np.concatenate([rng.normal(size=80), rng.normal(size=20) + 4])
        flagged = are_discoveries(conformal_p_values(scores, rng.normal(size=500)), 0.2)
        proportions.append(flagged[:80].sum() / max(flagged.sum(), 1))
    # expected: 0.2 * 80 / 100; the tolerance is four standard errors of the mean proportion
    assert np.mean(proportions) <= 0.16 + 4 * np.std(proportions) / 20
    assert np.mean(proportions) > 0.08


@given(TIED | SCORES, ALPHAS | st.sampled_from([0.01, 0.05, 0.1, 0.2, 0.25, 0.5, 0.7]), st.data())
def test_at_or_above_the_threshold_is_exactly_p_at_most_alpha(scores, alpha, data):
    calibration = calibrated(scores)
    threshold = calibration.threshold(Rule(alpha))
    queries = np.concatenate(
        [
            scores,
            np.nextafter(scores, np.inf),
            np.nextafter(scores, -np.inf),
            data.draw(SCORES),
            [threshold, np.nextafter(threshold, -np.inf)],
        ]
    )
    queries = queries[np.isfinite(queries)]  # scores are; the threshold of an alpha that is too small is not
    np.testing.assert_array_equal(queries >= threshold, calibration.p_values(queries) <= alpha)


@given(st.integers(1, 300), st.integers(1, 300))
def test_the_threshold_agrees_where_alpha_is_itself_a_p_value(n, k):
    calibration = calibrated(np.arange(float(n)))
    alpha = min(k, n) / (n + 1)
    threshold = calibration.threshold(Rule(alpha))
    assert calibration.p_values(np.array([threshold]))[0] == alpha


@given(SCORES, SCORES)
def test_p_values_fall_as_scores_rise_and_only_ranks_matter(scores, queries):
    calibration, ordered = calibrated(scores), np.sort(queries)
    p = calibration.p_values(ordered)
    assert (np.diff(p) <= 0).all()
    assert ((p >= calibration.smallest_alpha) & (p <= 1)).all()
    scale = 2.0**10  # exact, so that no two scores are merged
    np.testing.assert_array_equal(calibrated(scores * scale).p_values(ordered * scale), p)


@given(SCORES, ALPHAS, ALPHAS)
def test_a_larger_alpha_never_flags_less(scores, first, second):
    low, high = sorted((first, second))
    assert calibrated(scores).threshold(Rule(high)) <= calibrated(scores).threshold(Rule(low))


@given(SCORES, st.integers(1, 50))
def test_block_maxima_are_the_maxima_of_blocks_that_share_nothing(scores, block_size):
    maxima = block_maxima(scores, block_size)
    assert len(maxima) == max(1, len(scores) // block_size)
    for number, maximum in enumerate(maxima):
        last = number == len(maxima) - 1
        assert maximum == scores[number * block_size : None if last else (number + 1) * block_size].max()


@given(SCORES, st.integers(1, 10))
def test_an_event_is_judged_no_milder_than_its_peak(scores, block_size):
    calibration = calibrated(scores, block_size)
    peak = float(np.median(scores))
    assert calibration.event_p_value(peak) >= 1 / (len(calibration.blocks) + 1)
    assert calibration.event_p_value(peak) >= calibration.event_p_value(peak + 1)


@settings(max_examples=50)
@given(
    arrays(np.float64, st.integers(1, 30), elements=st.floats(0.001, 1.0)), ALPHAS, st.randoms(use_true_random=False)
)
def test_discoveries_are_the_smallest_whatever_their_order(p, rate, random):
    flagged = are_discoveries(p, rate)
    if flagged.any():
        assert p[flagged].max() <= rate * flagged.sum() / len(p) * (1 + 1e-12)
        assert p[flagged].max() < p[~flagged].min(initial=2.0)
    order = np.array(random.sample(range(len(p)), len(p)))
    np.testing.assert_array_equal(are_discoveries(p[order], rate), flagged[order])
    assert flagged.sum() <= are_discoveries(p, min(1.0, rate * 1.5)).sum()
