"""VUS against a slow, literal reading of its definition, and against known corner cases."""

import time
from itertools import pairwise

import numpy as np
import pytest

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.lab.metrics.vus import vus


def _runs(label):
    runs, start = [], None
    for i, one in enumerate([*label, 0]):
        if one and start is None:
            start = i
        elif not one and start is not None:
            runs.append((start, i - 1))
            start = None
    return runs


def _merged(runs, reach, n):
    merged = [[max(runs[0][0] - reach, 0), runs[0][1] + reach]]
    for start, end in runs[1:]:
        if merged[-1][1] < start - reach:
            merged.append([start - reach, end + reach])
        else:
            merged[-1][1] = end + reach
    return [(a, min(b, n - 1)) for a, b in merged]


def _slow_areas(label, score, width, thresholds):
    n, runs, reach = len(label), _runs(label), width // 2
    widened = np.array(label, dtype=float)
    for start, end in runs:
        for d in range(1, reach + 1):
            for i in (start - d, end + d):
                if 0 <= i < n:
                    widened[i] += np.sqrt(1 - d / width)
    widened = np.minimum(widened, 1.0)
    segments = _merged(runs, reach, n)
    curve = [(0.0, 0.0, 1.0)]
    for threshold in thresholds:
        flagged = score >= threshold
        tp = widened[flagged].sum()
        reached = sum(flagged[a : b + 1].any() for a, b in segments) / len(segments)
        shown = np.where(np.array(label) == 1, 1.0, widened * flagged)  # a buffer point counts once it is flagged
        positives = (sum(label) + shown.sum()) / 2
        curve.append((min(tp / positives, 1) * reached, (flagged.sum() - tp) / (n - positives), tp / flagged.sum()))
    pr = sum((b[0] - a[0]) * b[2] for a, b in pairwise(curve))
    closed = [*curve, (1.0, 1.0, 0.0)]
    roc = sum((b[1] - a[1]) * (a[0] + b[0]) / 2 for a, b in pairwise(closed))
    return pr, roc


def _slow_vus(label, score, window_size, thresholds=None):
    score = np.asarray(score, dtype=float)
    if thresholds is None:
        thresholds = sorted(set(score.tolist()), reverse=True)
    return np.mean([_slow_areas(label, score, w, thresholds) for w in range(window_size + 1)], axis=0)


CASES = {
    "middle": [0] * 12 + [1] * 4 + [0] * 14,
    "touches_start": [1] * 3 + [0] * 20,
    "touches_end": [0] * 20 + [1] * 3,
    "touches_both": [1] * 2 + [0] * 15 + [1] * 3,
    "single_points": [0] * 5 + [1] + [0] * 9 + [1] + [0] * 4,
    "buffers_overlap": [0] * 6 + [1] * 2 + [0] * 3 + [1] * 2 + [0] * 8,
    "one_point_gap": [0] * 6 + [1, 0, 1, 0, 1] + [0] * 9,
    "buffers_meet_exactly": [0] * 5 + [1] + [0] * 4 + [1] + [0] * 7,
    "nearly_all": [1] * 9 + [0] + [1] * 5,
    "two_points": [0, 1],
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("window_size", [0, 1, 2, 7, 12, 40])
@pytest.mark.parametrize("kind", ["distinct", "ties", "constant", "perfect", "inverted"])
def test_equals_the_definition_at_all_distinct_thresholds(name, window_size, kind):
    label = np.array(CASES[name])
    rng = np.random.default_rng([len(name), window_size])
    score = {
        "distinct": rng.random(label.size),
        "ties": rng.integers(0, 4, label.size).astype(float),
        "constant": np.ones(label.size),
        "perfect": label.astype(float),
        "inverted": 1.0 - label,
    }[kind]
    got = vus(label, score, window_size)
    np.testing.assert_allclose((got.pr, got.roc), _slow_vus(label, score, window_size), rtol=0, atol=1e-12)


def test_one_case_worked_out_by_hand():
    # window_size 0, one anomaly of two points, ranking: hit, miss, hit, miss, miss
    got = vus(np.array([0, 1, 1, 0, 0]), np.array([0.5, 0.9, 0.4, 0.2, 0.1]), window_size=0)
    assert got.pr == pytest.approx(0.5 * 1.0 + 0.5 * 2 / 3)
    assert got.roc == pytest.approx(1 / 3 * 0.5 + 2 / 3 * 1.0)


def test_a_near_miss_earns_more_with_a_wider_buffer():
    label, score = np.zeros(100, dtype=int), np.zeros(100)
    label[50:55] = 1
    score[47:50] = 1.0
    assert vus(label, score, 20).pr > 3 * vus(label, score, 0).pr


def test_sampling_250_ranks_agrees_up_to_250_points_and_departs_beyond():
    rng = np.random.default_rng(3)
    for n, equal in ((240, True), (900, False)):
        label = np.zeros(n, dtype=int)
        label[n // 2 : n // 2 + 9] = 1
        score = rng.random(n) + 0.4 * label
        ranked = -np.sort(-score)
        sampled = ranked[np.linspace(0, n - 1, 250).astype(int)]
        gap = np.abs(_slow_vus(label, score, 4, sampled)[0] - vus(label, score, 4).pr)
        assert (gap < 1e-12) == equal


def test_long_series_is_fast():
    rng = np.random.default_rng(0)
    label = np.zeros(22_000, dtype=int)
    for start in range(500, 22_000, 3_000):
        label[start : start + 200] = 1
    score = rng.random(label.size)
    begun = time.process_time()
    vus(label, score, 100)
    assert time.process_time() - begun < 3.0


def test_refuses_what_has_no_value():
    score = np.arange(4.0)
    with pytest.raises(DataError, match="needs both kinds"):
        vus(np.zeros(4, dtype=int), score)
    with pytest.raises(DataError, match="needs both kinds"):
        vus(np.ones(4, dtype=int), score)
    with pytest.raises(DataError, match="NaN or infinite"):
        vus(np.array([0, 1, 0, 0]), np.array([0.0, np.nan, 1.0, 2.0]))
    with pytest.raises(DataError, match="besides 0 and 1"):
        vus(np.array([0, 2, 0, 0]), score)
    with pytest.raises(ShapeError, match="one shape"):
        vus(np.array([0, 1, 0]), score)
    with pytest.raises(ConfigError, match="window_size is -1"):
        vus(np.array([0, 1, 0, 0]), score, -1)
