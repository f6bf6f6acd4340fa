"""Windows and the two ways back to points, against plain loops."""

import numpy as np
import pytest

from oddwave.errors import ConfigError, ShapeError
from oddwave.scoring.aggregate import point_overlap_mean, sliding_windows, window_starts, window_to_point

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
def test_both_ways_back_equal_plain_loops(n, window_size, stride):
    rng = np.random.default_rng(n)
    starts = window_starts(n, window_size, stride)
    scores, errors = rng.normal(size=len(starts)), rng.normal(size=(len(starts), window_size))
    by_window, by_point = [], []
    for i in range(n):
        covering = [k for k, start in enumerate(starts) if start <= i < start + window_size]
        by_window.append(np.mean([scores[k] for k in covering]))
        by_point.append(np.mean([errors[k, i - starts[k]] for k in covering]))
    np.testing.assert_allclose(window_to_point(scores, starts, window_size, n), by_window, atol=1e-12)
    np.testing.assert_allclose(point_overlap_mean(errors, starts, n), by_point, atol=1e-12)


def test_equal_scores_stay_exactly_equal_and_in_range():
    starts = window_starts(1000, 64)
    assert set(window_to_point(np.full(len(starts), 0.1), starts, 64, 1000)) == {0.1}
    spiky = np.random.default_rng(0).random(len(starts))
    spiky[500] = 1e9
    points = window_to_point(spiky, starts, 64, 1000)
    assert points.min() >= spiky.min()
    np.testing.assert_allclose(points[700:], window_to_point(spiky[637:], starts[637:] - 637, 64, 363)[63:], atol=1e-4)


def test_refuses_what_cannot_cover_the_series():
    x = np.zeros((20, 1))
    with pytest.raises(ShapeError, match="20 points, window_size is 21"):
        sliding_windows(x, 21)
    with pytest.raises(ConfigError, match="stride <= window_size"):
        sliding_windows(x, 4, 5)
    with pytest.raises(ConfigError, match="window_size 0"):
        sliding_windows(x, 0)
    with pytest.raises(ShapeError, match=r"x\[:, None\]"):
        sliding_windows(x[:, 0], 4)
    starts = window_starts(20, 5, 5)
    with pytest.raises(ShapeError, match="do not cover 21 points"):
        window_to_point(np.zeros(4), starts, 5, 21)
    with pytest.raises(ShapeError, match="do not cover 20 points"):
        window_to_point(np.zeros(3), starts[[0, 1, 3]], 5, 20)
    with pytest.raises(ShapeError, match="one start per window"):
        window_to_point(np.zeros(3), starts, 5, 20)
    with pytest.raises(ShapeError, match="rising order"):
        point_overlap_mean(np.zeros((4, 5)), starts[::-1], 20)
