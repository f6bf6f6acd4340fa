"""UCR accuracy: the peak's place, and nothing else."""

import numpy as np
import pytest

from oddwave.errors import DataError, ShapeError
from oddwave.lab.metrics import ucr_accuracy, ucr_hit


def _peak(n, at):
    score = np.zeros(n)
    score[at] = 1.0
    return score


@pytest.mark.parametrize(("at", "hit"), [(899, False), (900, True), (1005, True), (1109, True), (1110, False)])
def test_short_windows_have_100_points_of_slack(at, hit):
    assert ucr_hit(_peak(2000, at), (1000, 1009)) is hit


@pytest.mark.parametrize(("at", "hit"), [(749, False), (750, True), (1499, True), (1500, False)])
def test_long_windows_have_their_own_length_of_slack(at, hit):
    assert ucr_hit(_peak(2000, at), (1000, 1249)) is hit


def test_scores_of_the_training_part_do_not_count():
    score = _peak(1000, 10)
    score[700] = 0.5
    assert not ucr_hit(score, (690, 710))
    assert ucr_hit(score, (690, 710), train_end=300)


def test_accuracy_is_the_share_of_hits():
    scores = [_peak(1000, 500), _peak(1000, 10)]
    assert ucr_accuracy(scores, [(480, 520), (480, 520)]) == 0.5
    assert ucr_accuracy(scores, [(480, 520), (480, 520)], [0, 11]) == 0.5
    assert ucr_accuracy(scores[:1], [(480, 520)]) == 1.0


def test_refuses_what_does_not_fit():
    with pytest.raises(DataError, match="does not lie within"):
        ucr_hit(np.zeros(10), (5, 10))
    with pytest.raises(DataError, match="does not lie within"):
        ucr_hit(np.zeros(10), (5, 6), train_end=10)
    with pytest.raises(ShapeError, match="one a stream"):
        ucr_accuracy([np.zeros(10)], [])
    with pytest.raises(ShapeError, match="0 score arrays"):
        ucr_accuracy([], [])
