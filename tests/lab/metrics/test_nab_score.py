"""The NAB score against a literal, threshold-by-threshold reading of its rule."""

import math

import numpy as np
import pytest

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.lab.metrics import NAB_PROFILES, nab_score


def _s(y):
    return -1.0 if y >= 3 else 2 / (1 + math.exp(5 * y)) - 1


def _slow_raw(scores, windows, profile, threshold):
    weights, raw = NAB_PROFILES[profile], 0.0
    for score, spans in zip(scores, windows, strict=True):
        probation = min(math.floor(0.15 * len(score)), 750)
        best = dict.fromkeys(spans, -weights.fn)
        for i in range(probation, len(score)):
            if score[i] < threshold:
                continue
            inside = [span for span in spans if span[0] <= i <= span[1]]
            before = [span for span in spans if span[1] < i]
            if inside:
                start, end = inside[0]
                worth = weights.tp * _s(-(end - i + 1) / (end - start + 1)) / _s(-1)
                best[inside[0]] = max(best[inside[0]], worth)
            elif before:
                start, end = max(before)
                raw += weights.fp * _s((i - end) / max(end - start, 1))
            else:
                raw -= weights.fp
        raw += sum(best.values())
    return raw


def _normalised(raw, windows, profile):
    weights, count = NAB_PROFILES[profile], sum(map(len, windows))
    null, perfect = -weights.fn * count, weights.tp * count
    return 100 * (raw - null) / (perfect - null)


def _corpus(seed, ties):
    rng = np.random.default_rng(seed)
    windows = [[(20, 29), (40, 40), (41, 52)], [(60, 75)], []]
    scores = [rng.random(n) for n in (70, 80, 40)]
    for score, spans in zip(scores, windows, strict=True):
        for start, end in spans:
            score[start : end + 1] += 0.6 * rng.random(end - start + 1)
    return [np.round(score, 1) if ties else score for score in scores], windows


@pytest.mark.parametrize("profile", NAB_PROFILES)
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_rule_at_every_threshold_and_finds_the_best(profile, ties, seed):
    scores, windows = _corpus(seed, ties)
    thresholds = [math.inf, *sorted({float(value) for score in scores for value in score}, reverse=True)]
    slow = [_normalised(_slow_raw(scores, windows, profile, t), windows, profile) for t in thresholds]
    fixed = [nab_score(scores, windows, profile, t) for t in thresholds]
    np.testing.assert_allclose([result.value for result in fixed], slow, atol=1e-9)
    best = nab_score(scores, windows, profile)
    assert best.value == pytest.approx(max(slow))
    assert best.threshold in thresholds
    assert nab_score(scores, windows, profile, best.threshold).value == pytest.approx(best.value)
    assert best.uses_labels
    assert not fixed[0].uses_labels


def test_perfect_is_100_and_silence_is_0():
    score = np.zeros(100)
    score[30] = 1.0
    perfect = nab_score([score], [[(30, 40)]])
    assert (perfect.value, perfect.num_detected, perfect.num_false_alarms) == (pytest.approx(100.0), 1, 0)
    silent = nab_score([score], [[(50, 60)]], threshold=2.0)
    assert (silent.value, silent.num_detected, silent.num_false_alarms) == (0.0, 0, 0)


def test_earlier_detection_earns_more_and_the_probationary_part_is_free():
    def value(row):
        score = np.zeros(100)
        score[row] = 1.0
        return nab_score([score], [[(30, 40)]], threshold=1.0).value

    assert value(30) > value(35) > value(40) > value(5) == 0.0 > value(41) > value(20)
    assert value(20) == pytest.approx(-0.11 * 50)


def test_refuses_what_does_not_fit():
    score = np.zeros(50)
    with pytest.raises(ConfigError, match="profile is 'kind'"):
        nab_score([score], [[(20, 30)]], "kind")
    with pytest.raises(ShapeError, match="1 score arrays with 2 window lists"):
        nab_score([score], [[], []])
    with pytest.raises(DataError, match="overlaps another"):
        nab_score([score], [[(20, 30), (30, 35)]])
    with pytest.raises(DataError, match=r"leaves rows 0\.\.49"):
        nab_score([score], [[(20, 50)]])
    with pytest.raises(DataError, match="at least one"):
        nab_score([score], [[]])
    with pytest.raises(DataError, match="NaN"):
        nab_score([np.full(50, np.nan)], [[(20, 30)]])
