"""The tail beyond all calibration scores: against the distribution it estimates, and where it says nothing."""

import numpy as np
import pytest
from scipy.stats import genpareto

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.tail import Tail


@pytest.mark.parametrize("shape", [0.0, 0.3, -0.1])
def test_a_tail_is_that_of_the_distribution_it_was_drawn_from(shape):
    maxima = genpareto.rvs(shape, size=20_000, random_state=1)
    tail = Tail.fit(maxima)
    for rate in (0.1, 0.01, 0.001):
        assert tail.p_value(genpareto.isf(rate, shape)) == pytest.approx(rate, rel=0.25)


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
    assert not calibration.is_event(float(np.sort(blocks)[-2]), 0.01)
    assert not calibration.is_event(float(blocks.max()) + 0.01, 0.01)  # above all, and no more than that
    assert calibration.is_event(float(blocks.max()) + 10.0, 0.01)
    assert calibration.is_event(float(blocks.max()) + 0.01, 0.1)  # 1/21 is enough where a tenth was asked for


def test_no_block_judges_itself():
    blocks = np.arange(20.0)
    calibration = Calibration(blocks, blocks, 1, "tests")
    assert calibration.event_p_value(19.0) == pytest.approx(1 / 19)
    assert calibration.event_p_value(19.5) == pytest.approx(1 / 21)
