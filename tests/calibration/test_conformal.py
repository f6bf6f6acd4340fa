"""p-values, thresholds, and what a false-alarm rate may be, on small numbers that can be checked by hand."""

import numpy as np
import pytest

from oddwave.calibration.budget import Asked, Verdict, settled
from oddwave.calibration.conformal import Calibration, block_maxima, conformal_p_values
from oddwave.calibration.rule import Rule
from oddwave.errors import ConfigError, DataError

IMAGE = Verdict("image")


def calibrated(scores, block_size=1):
    return Calibration.fit([np.asarray(scores, float)], block_size, "tests")


def test_p_values_count_calibration_scores_at_or_above():
    scores = np.array([0.0, 1.0, 2.0, 2.5, 9.0, np.inf, -np.inf, np.nan])
    expected = [5 / 5, 5 / 5, 4 / 5, 2 / 5, 1 / 5, 1 / 5, 1.0, np.nan]
    np.testing.assert_allclose(conformal_p_values(scores, np.array([3.0, 1.0, 2.0, 2.0])), [1.0, *expected[1:]])


def test_the_smallest_p_value_is_one_over_n_plus_one():
    calibration = calibrated(np.arange(99.0))
    assert calibration.p_values(np.array([1e9]))[0] == calibration.smallest_alpha == 0.01


def test_block_maxima_with_the_rest_joined_to_the_last_block():
    scores = np.array([1.0, 5, 2, 0, 0, 3, 9])
    np.testing.assert_array_equal(block_maxima(scores, 2), [5, 2, 9])
    np.testing.assert_array_equal(block_maxima(scores, 7), [9])
    np.testing.assert_array_equal(block_maxima(scores, 50), [9])
    np.testing.assert_array_equal(block_maxima(scores, 1), scores)


def test_fit_leaves_out_points_without_a_score_and_keeps_blocks_within_streams():
    nan = np.nan
    streams = [np.array([1.0, nan, 2, 3]), np.array([nan, nan]), np.array([7.0, 6])]
    calibration = Calibration.fit(streams, 2, "tests")
    np.testing.assert_array_equal(calibration.scores, [1, 2, 3, 7, 6])
    np.testing.assert_array_equal(calibration.blocks, [3, 7])
    with pytest.raises(DataError, match="no held-out normal data is left"):
        Calibration.fit([np.full(3, nan)], 2, "tests")


def test_an_event_is_judged_by_the_blocks():
    calibration = calibrated([0.0, 4, 1, 6, 2, 2], block_size=2)
    assert calibration.event_p_value(5.0) == pytest.approx(2 / 4)
    assert calibration.event_p_value(7.0) == pytest.approx(1 / 4)


def test_a_given_alpha_is_checked_against_the_size():
    calibration = calibrated(np.arange(99.0))
    assert settled(Asked(0.2), calibration, 0.01, IMAGE).alpha == 0.2
    assert settled(Asked(0.01), calibration, 0.5, IMAGE).alpha == 0.01
    with pytest.raises(ConfigError, match=r"alpha 0.001 needs at least 999 calibration scores, this model has 99: use"):
        settled(Asked(0.001), calibration, 0.01, IMAGE)
    for alpha in (0.0, 1.0, -0.1, 7.0, float("nan")):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            Asked(alpha)


def test_the_default_alpha_is_raised_with_a_warning_where_the_size_supports_no_less():
    with pytest.warns(UserWarning, match=r"alpha raised from 0.01 to 0.1: 9 calibration scores"):
        rule = settled(Asked(), calibrated(np.arange(9.0)), 0.01, IMAGE)
    assert rule.alpha == pytest.approx(0.1)
    assert "raised from 0.01 to 0.1" in rule.asked
    assert settled(Asked(), calibrated(np.arange(99.0)), 0.01, IMAGE) == Rule(0.01)


def test_threshold_is_the_lowest_flagged_score():
    calibration = calibrated([1.0, 2, 3, 4, 4, 5, 6, 7, 8])
    for alpha in (0.1, 0.2, 0.25, 0.3, 0.5, 0.6, 0.7, 0.99):
        threshold = calibration.threshold(Rule(alpha))
        below = np.nextafter(threshold, -np.inf)
        assert calibration.p_values(np.array([threshold]))[0] <= alpha < calibration.p_values(np.array([below]))[0]


def test_an_alpha_below_the_smallest_flags_nothing():
    assert calibrated([1.0, 2.0, 3.0]).threshold(Rule(0.1)) == np.inf
