"""Cut and join, resample, and the features of a window."""

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
