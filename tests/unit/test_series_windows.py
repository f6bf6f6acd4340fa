"""Cut and join, resample, fold, and the features of a window."""

import numpy as np
import pytest

from oddwave.errors import ConfigError, ShapeError
from oddwave.modalities.series_windows import (
    LOG_STD_FLOOR,
    cut_windows,
    fold_window,
    join_windows,
    resample_windows,
    spans_break,
    unfold_window,
    window_statistics,
)


def test_windows_are_channels_first_and_the_last_ends_with_the_stream():
    x = np.stack([np.arange(10.0), -np.arange(10.0)], axis=1)
    windows, starts = cut_windows(x, 4, 4)
    np.testing.assert_array_equal(starts, [0, 4, 6])
    assert windows.shape == (3, 2, 4)
    np.testing.assert_array_equal(windows[2], [[6, 7, 8, 9], [-6, -7, -8, -9]])
    windows[0] = 99
    assert x[0, 0] == 0
    np.testing.assert_array_equal(cut_windows(x, 5, 5)[1], [0, 5])
    np.testing.assert_array_equal(cut_windows(x, 10, 3)[1], [0])


def test_joining_averages_the_windows_that_cover_a_point():
    joined = join_windows(np.array([[[0.0, 2.0]], [[4.0, 6.0]]]), np.array([0, 1]), 4)
    np.testing.assert_array_equal(joined[:, 0], [0, 3, 6, np.nan])


def test_wrong_windows_are_refused():
    with pytest.raises(ShapeError, match="3 points is shorter than its window of 4"):
        cut_windows(np.ones((3, 1)), 4, 1)
    with pytest.raises(ConfigError, match="stride 0"):
        cut_windows(np.ones((9, 1)), 4, 0)
    with pytest.raises(ShapeError, match=r"expected \(n_timepoints, n_channels\)"):
        cut_windows(np.ones(9), 4, 1)
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


def test_folding_shows_one_period_per_row_and_continues_the_last():
    folded = fold_window(np.arange(7.0), 3)
    np.testing.assert_array_equal(folded, [[0, 1, 2], [3, 4, 5], [6, 4, 5]])
    np.testing.assert_array_equal(unfold_window(folded, 7), np.arange(7))
    assert fold_window(np.ones((5, 2, 12)), 4).shape == (5, 2, 3, 4)
    with pytest.raises(ShapeError, match="4 points cannot be folded over a period of 5"):
        fold_window(np.ones(4), 5)
    with pytest.raises(ConfigError, match="period is 0"):
        fold_window(np.ones(4), 0)
    with pytest.raises(ShapeError, match="holds no 13 points"):
        unfold_window(np.ones((3, 4)), 13)


def test_windows_across_a_break_are_found():
    np.testing.assert_array_equal(spans_break([0, 2, 3, 5, 6], 3, [5]), [False, False, True, False, False])
    assert not spans_break([0, 1], 3, []).any()
