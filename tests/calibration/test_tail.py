"""The tail beyond all calibration scores: against the distribution it estimates, and where it says nothing."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import expon, genpareto, gumbel_r, lognorm, norm, t

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.calibration.tail import Tail


def score_of(tail, rate):
    """Return the score whose `p_value` is `rate`."""
    return brentq(lambda score: tail.p_value(score) - rate, tail.start + 1e-12, tail.start + 1e4, xtol=1e-6)


@pytest.mark.parametrize("shape", [0.0, 0.3, -0.1])
def test_a_tail_is_that_of_the_distribution_it_was_drawn_from(shape):
    tail = Tail.fit(genpareto.rvs(shape, size=20_000, random_state=1))
    for rate in (0.01, 0.001, 1e-4):
        assert tail.p_value(genpareto.isf(rate, shape)) == pytest.approx(rate, rel=0.5)
        low, high = tail.interval(genpareto.isf(rate, shape))
        assert 0.8 * low <= rate <= 1.2 * high
        assert tail.median(tail.score(rate)) == pytest.approx(rate, rel=1e-6)


def test_it_is_the_mean_over_shapes_and_scales_by_their_likelihood():
    scores = np.random.default_rng(4).exponential(size=40)
    tail = Tail.fit(scores)
    over = np.sort(scores)[::-1][:19] - np.sort(scores)[::-1][19]
    shapes, scales = np.linspace(-0.5, 0.7, 121), over.mean() * np.exp(np.linspace(-2.5, 2.5, 201))
    log = genpareto.logpdf(over[:, None, None], shapes[:, None], scale=scales).sum(0)
    log += norm.logpdf(shapes, -0.1, 0.15)[:, None]
    weights = np.exp(log - log.max())
    reached = genpareto.sf(3.0, shapes[:, None], scale=scales)
    expected = 19 / 41 * (weights * reached).sum() / weights.sum()
    assert tail.p_value(tail.start + 3.0) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("normal", [expon(), gumbel_r(), t(8), lognorm(0.5)], ids=["expon", "gumbel", "t", "lognorm"])
def test_healthy_scores_are_as_rare_as_it_says_within_a_factor_of_three(normal):
    rng, rates = np.random.default_rng(1), (1e-2, 1e-3, 1e-4)
    tails = [Tail.fit(normal.rvs(400, random_state=rng)) for _ in range(30)]
    for rate in rates:
        reached = np.mean([normal.sf(score_of(tail, rate)) for tail in tails])
        assert rate / 3 < reached < 3 * rate


@pytest.mark.parametrize("num_normals", [20, 36, 100])
@pytest.mark.parametrize(
    "normal", [norm(), expon(), gumbel_r(), lognorm(0.5)], ids=["norm", "expon", "gumbel", "lognorm"]
)
def test_few_scores_err_on_the_safe_side(normal, num_normals):
    rng = np.random.default_rng(1)
    tails = [Tail.fit(normal.rvs(num_normals, random_state=rng)) for _ in range(30)]
    for rate in (1e-2, 1e-3, 1e-4):
        assert np.mean([normal.sf(score_of(tail, rate)) for tail in tails]) < 3 * rate


def test_stronger_findings_are_rarer_where_p_values_end():
    blocks = np.random.default_rng(0).gumbel(size=36)
    calibration = Calibration(blocks, blocks, 10, "tests")
    strengths = [calibration.strength(float(peak)) for peak in blocks.max() + np.array([0.5, 1, 2, 4, 8, 16])]
    assert (np.diff([own.p_tail for own in strengths]) < 0).all()
    assert (np.diff([own.deviations for own in strengths]) > 0).all()
    assert all(own.p_tail_low <= own.p_tail <= own.p_tail_high for own in strengths)
    assert {own.num_normals for own in strengths} == {36}
    assert calibration.strength(float(np.median(blocks))).p_tail == pytest.approx(0.5, abs=0.05)


def test_of_many_blocks_one_is_more_easily_as_high():
    blocks = np.random.default_rng(0).gumbel(size=60)
    calibration, peak = Calibration(blocks, blocks, 1, "tests"), float(blocks.max()) + 3.0
    one, twenty = calibration.strength(peak), calibration.strength(peak, 20)
    assert 1 - (1 - one.p_tail) ** 20 < twenty.p_tail < 5 * (1 - (1 - one.p_tail) ** 20)
    assert calibration.event_p_value(peak, 20) == 1 / 4  # three stretches of twenty
    assert calibration.event_p_value(peak) == 1 / 61


def test_it_falls_as_scores_grow_and_says_nothing_below_its_threshold():
    tail = Tail.fit(np.random.default_rng(0).gumbel(size=60))
    rates = [tail.p_value(score) for score in np.linspace(tail.start + 0.01, 30, 50)]
    assert (np.diff(rates) <= 0).all()
    assert rates[-1] < 1e-3
    assert tail.p_value(tail.start - 1.0) == 1.0
    assert np.isnan(tail.p_value(float("nan")))


@pytest.mark.parametrize("maxima", [np.zeros(0), np.arange(5.0), np.zeros(50)])
def test_too_few_or_equal_maxima_have_no_tail(maxima):
    assert Tail.fit(maxima) is None


def test_an_event_below_what_blocks_support_must_be_rare_by_the_tail_too():
    blocks = np.random.default_rng(3).gumbel(size=20)
    calibration = Calibration(blocks, blocks, 1, "tests")
    assert not calibration.is_event(float(np.sort(blocks)[-2]), Rule(0.01))
    assert not calibration.is_event(float(blocks.max()) + 0.01, Rule(0.01))  # above all, and no more than that
    assert calibration.is_event(float(blocks.max()) + 10.0, Rule(0.01))
    assert calibration.is_event(float(blocks.max()) + 0.01, Rule(0.1))  # 1/21 is enough where a tenth was asked for


def test_no_block_judges_itself():
    blocks = np.arange(20.0)
    calibration = Calibration(blocks, blocks, 10, "tests")
    assert calibration.event_p_value(19.0) == pytest.approx(1 / 19)
    assert calibration.event_p_value(19.5) == pytest.approx(1 / 21)


@pytest.mark.parametrize(("law", "most"), [(norm(), 0.01), (gumbel_r(), 0.015), (t(3), 0.06)])
def test_long_recordings_raise_few_false_alarms_even_with_heavy_tails(law, most):
    """240 clips calibrate, a recording has 200, alpha 0.01: only the tail tells. By the median share, 0.19 with t."""
    rates = []
    for seed in range(30):
        scores = law.rvs(240, random_state=np.random.default_rng([3, seed]))
        calibration = Calibration(scores, scores, 1, "tests")
        threshold = calibration.threshold(Rule(0.01), 200)
        assert calibration.is_event(threshold * (1 + 1e-6), Rule(0.01), 200)
        assert not calibration.is_event(threshold * (1 - 1e-6), Rule(0.01), 200)
        rates.append(-np.expm1(200 * np.log1p(-law.sf(threshold))))
    assert np.mean(rates) <= most
