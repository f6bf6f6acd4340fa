"""Event F1 and edge errors against figures counted by hand."""

import numpy as np
import pytest

from oddwave.errors import DataError
from oddwave.lab.metrics import event_scores


def stream(n, *runs):
    """Return n zeros with the (start, end, value) runs set, ends included."""
    values = np.zeros(n)
    for start, end, value in runs:
        values[start : end + 1] = value
    return values


def test_exact_events_have_f1_one_and_no_error():
    label = stream(100, (20, 29, 1), (60, 63, 1))
    result = event_scores(label, stream(100, (20, 29, 5), (60, 63, 4)))
    assert (result.f1, result.start_error, result.end_error) == (1.0, 0.0, 0.0)
    assert result.threshold == 4.0


def test_found_missed_and_false_events_are_counted_once_each():
    label = stream(200, (20, 29, 1), (60, 69, 1), (120, 129, 1))
    score = stream(200, (22, 23, 9), (26, 31, 9), (58, 64, 8), (150, 151, 7))  # two found, one of them twice
    # at 8: two found, one missed, none false: 4 / 5; at 7: one false beside: 4 / 6; at 0 all would be flagged
    result = event_scores(label, score)
    assert result.f1 == pytest.approx(4 / 5)
    assert result.threshold == 8.0
    # starts 22 and 58 for 20 and 60: |+2|, |-2|; ends 31 and 64 for 29 and 69: 2 and 5; events of 10 points
    assert result.start_error == pytest.approx(0.2)
    assert result.end_error == pytest.approx(0.35)


def test_a_predicted_event_over_two_true_ones_finds_both_and_pays_at_the_edges():
    label = stream(300, (50, 59, 1), (70, 79, 1))
    result = event_scores(label, stream(300, (50, 79, 1)))
    assert result.f1 == 1.0
    assert (result.start_error, result.end_error) == (1.0, 1.0)  # medians of 0 and 20, over 10


def test_the_unit_of_an_error_is_the_median_length_of_all_true_events():
    label = stream(400, (50, 53, 1), (100, 107, 1), (200, 219, 1))
    result = event_scores(label, stream(400, (54 - 2, 53, 3)))  # only the first: 2 points late
    assert result.f1 == pytest.approx(2 / 4)
    assert (result.start_error, result.end_error) == (2 / 8, 0.0)


def test_of_thresholds_with_one_f1_that_with_the_better_points_is_taken():
    label = stream(200, (100, 119, 1))
    result = event_scores(label, stream(200, (95, 124, 1), (100, 119, 2), (110, 110, 3)))
    assert (result.f1, result.threshold, result.start_error, result.end_error) == (1.0, 2.0, 0.0, 0.0)


@pytest.mark.parametrize("score", [np.zeros(100), stream(100, (5, 60, 1))], ids=["constant", "too wide"])
def test_flagging_too_much_finds_nothing(score):
    result = event_scores(stream(100, (40, 49, 1)), score)
    assert (result.f1, result.threshold) == (0.0, np.inf)
    assert np.isnan([result.start_error, result.end_error]).all()


def test_no_overlap_is_no_event():
    result = event_scores(stream(100, (40, 49, 1)), stream(100, (10, 14, 1)))
    assert result.f1 == 0.0
    assert np.isnan(result.start_error)


def test_the_top_quantiles_are_all_tried():
    label, score = stream(1000, (500, 500, 1)), np.arange(1000.0)
    score[500] = 998.5  # the second of all: one false event before it
    assert event_scores(label, score).f1 == pytest.approx(2 / 3)


def test_unlike_arrays_and_single_labels_are_refused():
    with pytest.raises(DataError, match="needs both kinds"):
        event_scores(np.zeros(5), np.arange(5))
