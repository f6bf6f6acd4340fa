"""Runs of flagged points, and the events they become."""

import numpy as np
import pytest
from scipy.signal import find_peaks

from oddwave.scoring.calibration import Calibration
from oddwave.scoring.events import find_events, peak_prominences, runs

CALIBRATION = Calibration.fit([np.arange(20.0)], 5, "tests")  # block maxima 4, 9, 14, 19


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
    events = find_events("pump", scores, (scores > 9).astype(int), CALIBRATION)
    assert [(e.item, e.start, e.end, e.peak, e.score) for e in events] == [
        ("pump", 8, 8, 8, 30.0),
        ("pump", 6, 6, 6, 15.0),
        ("pump", 2, 3, 2, 12.0),  # 10 lies below half of 12 above the usual 9.5
    ]
    assert [e.p_value for e in events] == [1 / 5, 2 / 5, 3 / 5]


def test_points_without_a_score_inside_an_event_are_no_peak():
    scores = np.array([0.0, 12, np.nan, 11])
    (event,) = find_events("pump", scores, np.array([0, 1, 0, 1]), CALIBRATION, max_gap=1)
    assert (event.start, event.end, event.peak) == (1, 3, 1)


def test_no_flag_no_event():
    assert find_events("pump", np.zeros(5), np.zeros(5, int), CALIBRATION) == ()


def test_two_peaks_in_one_run_are_two_events_of_half_height():
    scores = np.array([20.0, 40, 60, 40, 25, 22, 25, 45, 70, 30, 20])
    strong, weak = find_events("pump", scores, np.ones(11, int), CALIBRATION)
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
