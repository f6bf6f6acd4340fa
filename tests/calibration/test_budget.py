"""What people ask for instead of a rate: counts over time and items, thresholds, the strongest findings."""

import numpy as np
import pytest

from oddwave.calibration.budget import Asked, Budget, Verdict, settled
from oddwave.calibration.conformal import Calibration
from oddwave.errors import ConfigError

IMAGE, RECORDING = Verdict("image"), Verdict("recording", seconds=10.0)
BLOCK = Verdict("point", points=12, seconds=3600.0)  # an hour, of 5 minutes a point
UNTIMED = Verdict("point", points=50)


def calibration(num_scores, block_size=1):
    scores = np.random.default_rng(0).gumbel(size=num_scores)
    return Calibration.fit([scores], block_size, "tests")


@pytest.mark.parametrize(
    ("text", "verdict", "alpha"),
    [
        ("1 per week", BLOCK, 1 / 168),
        ("weekly", BLOCK, 1 / 168),
        ("once a day", BLOCK, 1 / 24),
        ("2 per 3 days", BLOCK, 2 / 72),
        ("One  per Month", BLOCK, 3600 / 2629746),
        ("0.5/day", BLOCK, 1 / 48),
        ("1 per 10000 points", BLOCK, 12 / 10000),
        ("3 per 10,000 rows", UNTIMED, 150 / 10000),
        ("2 per 1000 images", IMAGE, 0.002),
        ("1 in 50 items", IMAGE, 0.02),
        ("1 per hour", RECORDING, 10 / 3600),
        ("1 per 100 recordings", RECORDING, 0.01),
    ],
)
def test_a_budget_is_a_rate_of_verdicts(text, verdict, alpha):
    assert Budget.parse(text).alpha(verdict) == pytest.approx(alpha)


@pytest.mark.parametrize(
    "text", ["", "often", "per week", "1 week", "0 per week", "-1 per day", "nan per day", 3, None, True]
)
def test_what_is_no_budget_is_refused_with_examples(text):
    with pytest.raises(ConfigError, match=r"false_alarms is .*: expected .* '1 per week'"):
        Budget.parse(text)


@pytest.mark.parametrize(
    ("text", "verdict", "told"),
    [
        ("1 per week", IMAGE, "the images have no times: say how many of them instead, '1 per 1000 images'"),
        ("1 per week", UNTIMED, "the points have no times"),
        ("1 per 1000 images", BLOCK, "count images, and what is judged here are points: say .* or '1 per week'"),
        ("1 per 100 parsecs", IMAGE, "count parsecs, and what is judged here are images"),
    ],
)
def test_a_budget_in_foreign_units_says_which_would_do(text, verdict, told):
    with pytest.raises(ConfigError, match=told):
        Budget.parse(text).alpha(verdict)


def test_more_false_alarms_than_verdicts_are_refused():
    with pytest.raises(ConfigError, match="more than there are verdicts"):
        settled(Asked(false_alarms="30 per day"), calibration(99), 0.01, BLOCK)


def test_a_budget_that_items_cannot_support_is_lifted_and_says_so():
    rule = settled(Asked(false_alarms="2 per 1000 images"), calibration(99), 0.01, IMAGE)
    assert rule.alpha == pytest.approx(0.01)
    assert (
        rule.asked
        == "2 per 1000 images was asked for, which is alpha 0.002; 99 calibration scores support no less than 0.01"
    )


def test_a_budget_below_what_blocks_confirm_rests_on_the_tail():
    known = calibration(360, block_size=12)
    rule = settled(Asked(false_alarms="1 per week"), known, 0.05, BLOCK)
    assert rule.alpha == pytest.approx(1 / 168)
    assert not known.summary(rule).confirmed
    assert known.blocks.max() < known.threshold(rule) < np.inf
    assert known.is_event(known.threshold(rule) + 1e-6, rule)
    assert not known.is_event(known.threshold(rule) - 1e-3, rule)


def test_a_threshold_is_taken_as_it_is():
    known = calibration(99)
    rule = settled(Asked(threshold=2.5), known, 0.01, IMAGE)
    assert known.labels(np.array([2.4, 2.5, np.nan, 9.0]), rule).tolist() == [0, 1, -1, 1]
    assert rule.alpha == known.event_p_value(2.5)
    assert known.threshold(rule) == 2.5
    assert "2.5" in known.summary(rule).asked


@pytest.mark.parametrize("flag", [1, 3, 100])
def test_the_strongest_findings_are_flagged_whatever_their_rate(flag):
    known, scores = calibration(99), np.array([0.1, 5.0, 0.3, 2.0, 0.2])
    rule = settled(Asked(flag=flag), known, 0.01, IMAGE, scores.tolist())
    assert known.labels(scores, rule).sum() == min(flag, 5)
    assert known.labels(scores, rule)[1] == 1


def test_of_nothing_nothing_is_flagged():
    assert calibration(99).labels(np.array([1e9]), settled(Asked(flag=1), calibration(99), 0.01, IMAGE)).tolist() == [0]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"threshold": "3"}, "threshold is '3'"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"flag": 0}, "flag is 0"),
        ({"flag": 2.5}, "flag is 2.5"),
        ({"flag": True}, "flag is True"),
        ({"alpha": 0.1, "flag": 3}, "alpha and flag are given"),
        ({"threshold": 0.1, "false_alarms": "1 per day"}, "threshold and false_alarms are given"),
    ],
)
def test_one_wish_at_a_time_and_within_its_range(asked, told):
    with pytest.raises(ConfigError, match=told):
        Asked(**asked)
