"""From window scores to points, against plain loops."""

import numpy as np
import pytest

from oddwave.errors import ShapeError
from oddwave.scoring.aggregate import window_to_point
from oddwave.tensors.series_windows import window_starts


@pytest.mark.parametrize(
    ("n", "window_size", "stride"), [(10, 10, 1), (10, 3, 1), (10, 3, 2), (11, 4, 3), (23, 7, 7), (5, 1, 1), (50, 8, 5)]
)
def test_points_get_the_mean_over_the_windows_that_cover_them(n, window_size, stride):
    starts = window_starts(n, window_size, stride)
    scores = np.random.default_rng(n).normal(size=len(starts))
    expected = [scores[(starts <= i) & (i < starts + window_size)].mean() for i in range(n)]
    np.testing.assert_allclose(window_to_point(scores, starts, window_size, n), expected, atol=1e-12)


def test_points_that_no_window_covers_get_no_score():
    points = window_to_point(np.array([1.0, 3.0, -2.0]), np.array([1, 2, 7]), 2, 10)
    np.testing.assert_array_equal(points, [np.nan, 1, 2, 3, np.nan, np.nan, np.nan, -2, -2, np.nan])
    assert np.isnan(window_to_point(np.zeros(0), np.zeros(0, np.int64), 4, 3)).all()


def test_equal_scores_stay_exactly_equal_and_in_range():
    starts = window_starts(1000, 64)
    assert set(window_to_point(np.full(len(starts), 0.1), starts, 64, 1000)) == {0.1}
    spiky = np.random.default_rng(0).random(len(starts))
    spiky[500] = 1e9
    points = window_to_point(spiky, starts, 64, 1000)
    assert points.min() >= spiky.min()
    np.testing.assert_allclose(points[700:], window_to_point(spiky[637:], starts[637:] - 637, 64, 363)[63:], atol=1e-4)


def test_refuses_windows_that_do_not_fit_the_series():
    starts = window_starts(20, 5, 5)
    for n, moved in ((19, starts), (20, starts - 1), (20, starts + 1)):
        with pytest.raises(ShapeError, match=f"do not fit in {n} points"):
            window_to_point(np.zeros(4), moved, 5, n)
    with pytest.raises(ShapeError, match="one start per window"):
        window_to_point(np.zeros(3), starts, 5, 20)
    with pytest.raises(ShapeError, match="rising order"):
        window_to_point(np.zeros(4), starts[::-1], 5, 20)
