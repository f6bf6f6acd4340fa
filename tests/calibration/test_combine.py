"""Combined p-values: valid under dependence where they say so, exact in known cases, refusing what is none."""

import numpy as np
import pytest
from scipy import stats

from oddwave.calibration.combine import METHODS, combined, shares
from oddwave.errors import ConfigError


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95, -0.3])
@pytest.mark.parametrize("method", ["cauchy", "harmonic"])
def test_false_alarms_hold_however_the_senses_depend(method, correlation):
    rng, alpha = np.random.default_rng(0), 0.01
    covariance = np.full((3, 3), correlation) + (1 - correlation) * np.eye(3)
    p_values = stats.norm.sf(rng.multivariate_normal(np.zeros(3), covariance, 10_000))
    rate = np.mean([combined(own, method) <= alpha for own in p_values])
    assert rate <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / len(p_values))


def test_fisher_holds_for_independent_senses_and_breaks_for_dependent_ones():
    rng, alpha = np.random.default_rng(1), 0.05
    apart = rng.uniform(size=(400, 3))
    assert abs(np.mean([combined(own, "fisher") <= alpha for own in apart]) - alpha) < 0.03
    same = np.repeat(rng.uniform(size=(400, 1)), 3, 1)
    assert np.mean([combined(own, "fisher") <= alpha for own in same]) > 2 * alpha


def test_known_values():
    assert combined([0.02, 0.02], "cauchy") == pytest.approx(0.02)
    assert combined([0.5, 0.5], "cauchy") == pytest.approx(0.5)
    assert combined([0.01, 0.03], "harmonic") == pytest.approx(2 * 0.015)
    assert combined([0.01, 0.03], "fisher") == pytest.approx(stats.combine_pvalues([0.01, 0.03]).pvalue)
    for method in METHODS:
        assert combined([0.2], method) == 0.2
        assert 0.0 <= combined([0.0, 1.0], method) < 1e-3
        assert combined([1.0, 1.0], method) == pytest.approx(1.0)
    assert combined([1e-30, 0.4], "cauchy") == pytest.approx(2e-30)


@pytest.mark.parametrize("others", [[1.0], [0.99], [1.0, 1.0], [0.999, 0.9]])
def test_a_sense_that_sees_nothing_vetoes_none(others):
    """Without a bound, p = 1 of a stream without events would make p = 0.5 of any other sense's finding."""
    assert 0.001 < combined([0.001, *others]) <= 0.001 * (1 + len(others)) * 1.01
    assert combined([0.9, *others]) >= 0.5


def test_combining_is_monotone_around_the_bound():
    grid = np.linspace(0.01, 1.0, 100)
    for other in (0.01, 0.4, 0.6, 1.0):
        values = [combined([p, other]) for p in grid]
        assert (np.diff(values) >= -1e-12).all()


@pytest.mark.parametrize("method", METHODS)
def test_shares_are_those_of_what_is_rare(method):
    own = shares([0.001, 0.5, 0.9], method)
    assert sum(own) == pytest.approx(1.0)
    assert own[0] > 0.8
    assert sorted(own, reverse=True) == own


@pytest.mark.parametrize("given", [[], [float("nan")], [0.1, 1.2], [-0.1], [[0.1]]])
def test_what_is_no_p_value_is_refused(given):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        combined(given)
    with pytest.raises(ConfigError, match="cauchy, harmonic, fisher"):
        combined([0.1], "median")
