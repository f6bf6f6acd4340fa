"""Runs of flagged points, and the events they become."""

import numpy as np
import pytest
from scipy.signal import find_peaks

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.detection.series.events import find_events, labels_of_events, peak_prominences, runs

CALIBRATION = Calibration.fit([np.arange(20.0)], 5, "tests")  # block maxima 4, 9, 14, 19
ALPHA = 0.7  # a peak of 12 has p 3/5 among them


def flags(text):
    return np.array([mark == "#" for mark in text], bool)


@pytest.mark.parametrize(
    ("text", "max_gap", "expected"),
    [
        ("......", 0, []),
        ("######", 0, [(0, 5)]),
        ("#....#", 0, [(0, 0), (5, 5)]),
        ("##.##.", 0, [(0, 1), (3, 4)]),
        ("##.##.", 1, [(0, 4)]),
        ("#..#..", 1, [(0, 0), (3, 3)]),
        ("#..#.#", 2, [(0, 5)]),
        ("", 3, []),
    ],
)
def test_runs_with_both_ends_included(text, max_gap, expected):
    assert runs(flags(text), max_gap=max_gap) == expected


def test_events_come_strongest_first_with_their_peak_and_block_p_value():
    scores = np.array([0.0, 10, 12, 11, 0, 0, 15, 0, 30])
    events = find_events("pump", scores, (scores > 9).astype(int), CALIBRATION, Rule(ALPHA))
    assert [(e.item, e.start, e.end, e.peak, e.score) for e in events] == [
        ("pump", 8, 8, 8, 30.0),
        ("pump", 6, 6, 6, 15.0),
        ("pump", 1, 3, 2, 12.0),  # a normal block reaches 12: the whole run
    ]
    assert [e.p_value for e in events] == [1 / 5, 2 / 5, 3 / 5]


def test_points_without_a_score_inside_an_event_are_no_peak():
    scores = np.array([0.0, 12, np.nan, 11])
    (event,) = find_events("pump", scores, np.array([0, 1, 0, 1]), CALIBRATION, Rule(ALPHA), max_gap=1)
    assert (event.start, event.end, event.peak) == (1, 3, 1)


def test_no_flag_no_event():
    assert find_events("pump", np.zeros(5), np.zeros(5, int), CALIBRATION, Rule(ALPHA)) == ()


def test_two_peaks_in_one_run_are_two_events_of_half_height():
    scores = np.array([20.0, 40, 60, 40, 25, 22, 25, 45, 70, 30, 20])
    strong, weak = find_events("pump", scores, np.ones(11, int), CALIBRATION, Rule(ALPHA))
    assert (strong.start, strong.end, strong.peak) == (7, 8, 8)
    assert (weak.start, weak.end, weak.peak) == (1, 3, 2)


def test_peaks_and_prominences_are_those_of_scipy():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        values = rng.integers(0, rng.integers(2, 9), size=rng.integers(3, 40)).astype(float)  # with plateaus and ties
        peaks, prominences = peak_prominences(values)
        expected, facts = find_peaks(values, prominence=0.0)
        np.testing.assert_array_equal(peaks, expected)
        np.testing.assert_array_equal(prominences, facts["prominences"])


def smeared(n=60, start=10, end=40, height=30.0):
    """Return scores that a window has spread over start..end, and what labels they get."""
    scores = np.zeros(n)
    scores[start : end + 1] = height
    return scores, (scores > 9).astype(int)


def evidence_of_points(n=60, spans=(), seed=0):
    points = np.random.default_rng(seed).normal(0, 0.1, n)
    for start, end, height in spans:
        points[start : end + 1] = height
    return points


def test_an_event_begins_and_ends_with_the_evidence_of_points():
    scores, labels = smeared()
    (wide,) = find_events("pump", scores, labels, CALIBRATION, Rule(ALPHA))
    assert (wide.start, wide.end) == (10, 40)
    points = evidence_of_points(spans=[(20, 24, 6.5), (23, 23, 9.0), (25, 27, 3.0)])
    (event,) = find_events("pump", scores, labels, CALIBRATION, Rule(ALPHA), points=points)
    assert (event.start, event.end) == (20, 24)  # 0.65 of the highest, which is 9; 3 is less than that
    assert event.score == 30.0


def test_evidence_of_points_that_does_not_stand_out_moves_no_edge():
    scores, labels = smeared()
    for points in (evidence_of_points(), np.full(60, np.nan), np.zeros(60), evidence_of_points(spans=[(50, 52, 5.0)])):
        (event,) = find_events("pump", scores, labels, CALIBRATION, Rule(ALPHA), points=points)
        assert (event.start, event.end) == (10, 40)


def test_a_stream_that_is_odd_almost_throughout_keeps_all_of_its_event():
    """What is usual is told by points that were not flagged: here the flagged ones are nearly all there are."""
    rng = np.random.default_rng(1)
    points = 5.0 + rng.normal(0, 0.1, 60)
    points[5] = 6.0  # stands out of the others, all of which are odd
    for quiet in (0, 6):
        scores, labels = smeared(start=quiet, end=59)
        own = np.where(np.arange(60) < quiet, rng.normal(0, 0.1, 60), points)
        (event,) = find_events("pump", scores, labels, CALIBRATION, Rule(ALPHA), points=own)
        assert (event.start, event.end) == (quiet, 59)


def test_each_peak_ends_with_its_own_points():
    scores = np.concatenate([np.zeros(10), np.full(10, 60.0), np.full(10, 12.0), np.full(10, 80.0), np.zeros(10)])
    points = evidence_of_points(50, [(13, 14, 4.0), (34, 36, 40.0)])
    strong, weak = find_events("pump", scores, (scores > 9).astype(int), CALIBRATION, Rule(ALPHA), points=points)
    assert (strong.start, strong.end) == (34, 36)
    assert (weak.start, weak.end) == (13, 14)


def test_labels_are_one_exactly_within_events():
    scores, labels = smeared()
    scores[[0, 22, 59]] = np.nan
    labels[[0, 22, 59]] = -1
    points = np.where(np.isnan(scores), np.nan, evidence_of_points(spans=[(20, 24, 5.0)]))
    events = find_events("pump", scores, labels, CALIBRATION, Rule(ALPHA), max_gap=2, points=points)
    found = labels_of_events(scores, events)
    assert found.dtype == np.int64
    assert np.flatnonzero(found == 1).tolist() == [20, 21, 23, 24]
    assert np.flatnonzero(found == -1).tolist() == [0, 22, 59]
    np.testing.assert_array_equal(labels_of_events(np.zeros(4), ()), np.zeros(4, int))


def test_what_is_common_among_normal_blocks_is_no_event():
    scores, labels = smeared(height=12.0)
    assert len(find_events("pump", scores, labels, CALIBRATION, Rule(0.6))) == 1
    assert find_events("pump", scores, labels, CALIBRATION, Rule(0.5)) == ()
    higher, labels = smeared(height=40.0)
    assert (
        len(find_events("pump", higher, labels, CALIBRATION, Rule(0.01))) == 1
    )  # above all of them: what four can say
