"""Cut and join, resample, the features of a window, and scores of windows to points, against plain loops."""

import numpy as np
import pytest

from oddwave.errors import ConfigError, ShapeError
from oddwave.tensors.series_windows import (
    LOG_STD_FLOOR,
    join_windows,
    resample_windows,
    sliding_windows,
    window_starts,
    window_statistics,
    window_to_point,
)

GRID = [(10, 10, 1), (10, 3, 1), (10, 3, 2), (11, 4, 3), (23, 7, 7), (5, 1, 1), (50, 8, 5)]


@pytest.mark.parametrize(("n", "window_size", "stride"), GRID)
def test_windows_hold_the_values_and_cover_every_point(n, window_size, stride):
    x = np.random.default_rng(0).normal(size=(n, 2))
    windows, starts = sliding_windows(x, window_size, stride)
    assert windows.shape == (len(starts), 2, window_size)
    for window, start in zip(windows, starts, strict=True):
        np.testing.assert_array_equal(window, x[start : start + window_size].T)
    covered = {i for start in starts for i in range(start, start + window_size)}
    assert covered == set(range(n))
    assert starts[-1] == n - window_size
    assert (np.diff(starts) <= stride).all()


@pytest.mark.parametrize(("n", "window_size", "stride"), GRID)
def test_joining_equals_a_plain_loop(n, window_size, stride):
    starts = window_starts(n, window_size, stride)
    windows = np.random.default_rng(n).normal(size=(len(starts), 2, window_size))
    expected = [
        np.mean([w[:, i - s] for w, s in zip(windows, starts, strict=True) if s <= i < s + window_size], axis=0)
        for i in range(n)
    ]
    np.testing.assert_allclose(join_windows(windows, starts, n), expected, atol=1e-12)


def test_windows_are_channels_first_and_the_last_ends_with_the_stream():
    x = np.stack([np.arange(10.0), -np.arange(10.0)], axis=1)
    windows, starts = sliding_windows(x, 4, 4)
    np.testing.assert_array_equal(starts, [0, 4, 6])
    np.testing.assert_array_equal(windows[2], [[6, 7, 8, 9], [-6, -7, -8, -9]])


def test_joining_averages_the_windows_that_cover_a_point():
    joined = join_windows(np.array([[[0.0, 2.0]], [[4.0, 6.0]]]), np.array([0, 1]), 4)
    np.testing.assert_array_equal(joined[:, 0], [0, 3, 6, np.nan])


def test_wrong_windows_are_refused():
    x = np.zeros((20, 1))
    with pytest.raises(ShapeError, match="20 points, window_size is 21"):
        sliding_windows(x, 21)
    with pytest.raises(ConfigError, match="stride <= window_size"):
        sliding_windows(x, 4, 5)
    with pytest.raises(ConfigError, match="window_size 0"):
        sliding_windows(x, 0)
    with pytest.raises(ShapeError, match=r"x\[:, None\]"):
        sliding_windows(x[:, 0], 4)
    with pytest.raises(ShapeError, match="do not fit in 4 points"):
        join_windows(np.ones((1, 1, 3)), np.array([2]), 4)


def test_statistics_are_means_then_log_stds():
    windows = np.array([[[1.0, 3.0], [5.0, 5.0]]])
    expected = [[2, 5, np.log(1 + LOG_STD_FLOOR), np.log(LOG_STD_FLOOR)]]
    np.testing.assert_allclose(window_statistics(windows), expected)


def test_resampling_pools_by_area_and_interpolates_lines_exactly():
    np.testing.assert_allclose(resample_windows(np.array([1.0, 3, 5, 7]), 2), [2, 6])
    np.testing.assert_allclose(resample_windows(np.array([0.0, 3, 6]), 2), [1, 5])
    line = np.linspace(0, 1, 10)[None, None]
    longer = resample_windows(line, 25)
    assert longer.shape == (1, 1, 25)
    inner = np.diff(longer[0, 0, 2:-2])
    np.testing.assert_allclose(inner, inner[0])
    np.testing.assert_array_equal(resample_windows(line, 10), line)
    np.testing.assert_array_equal(resample_windows(np.array([[4.0]]), 3), [[4, 4, 4]])
    with pytest.raises(ConfigError, match="length is 0"):
        resample_windows(line, 0)


@pytest.mark.parametrize(("n", "window_size", "stride"), GRID)
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
