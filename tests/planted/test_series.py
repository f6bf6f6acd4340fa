"""Planted anomalies: always there, only where the mask says, never the same thing twice by accident."""

import numpy as np
import pytest

from oddwave.errors import ConfigError, ShapeError
from oddwave.planted.series_windows import (
    MIN_CHANGE,
    SERIES_ANOMALIES,
    make_synthetic_windows,
)

WINDOW = np.stack(
    [np.sin(np.arange(64) / 4), np.cos(np.arange(64) / 3) * 5 + 20, np.random.default_rng(0).normal(size=64)]
)
STREAM = np.stack([np.sin(np.arange(2000) / 8), np.random.default_rng(1).normal(size=2000)], axis=1)
KINDS = sorted(SERIES_ANOMALIES)


@pytest.mark.parametrize("kind", KINDS)
def test_an_anomaly_changes_the_masked_points_of_some_channels_only(kind):
    before, scale = WINDOW.copy(), np.ones(3)
    touched = np.zeros(3, dtype=int)
    for seed in range(30):
        changed, mask = SERIES_ANOMALIES[kind](WINDOW, np.random.default_rng(seed), scale=scale)
        difference = np.abs(changed - WINDOW)
        assert changed.shape == WINDOW.shape
        assert mask.dtype == bool
        assert 0 < mask.sum() < 64
        assert (difference[:, ~mask] == 0).all()
        assert difference.max() >= MIN_CHANGE
        touched += difference.max(axis=1) > 0
    assert (touched > 0).all()
    assert touched.sum() < 90
    np.testing.assert_array_equal(WINDOW, before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("window", [np.zeros((1, 16)), np.full((2, 4), 7.0), np.full((1, 12), np.nan)])
def test_constant_short_and_empty_windows_are_changed_too(kind, window):
    changed, mask = SERIES_ANOMALIES[kind](window, np.random.default_rng(0))
    assert np.isfinite(changed).all()
    assert np.abs(changed - np.nan_to_num(window)).max() > 0
    assert mask.any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_plants_the_same_anomaly(kind):
    one, two, other = (SERIES_ANOMALIES[kind](WINDOW, np.random.default_rng(seed))[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def span_of(mask):
    return np.flatnonzero(mask)[[0, -1]] + [0, 1]


def test_each_kind_does_what_its_name_says():
    one = WINDOW[:1]

    def plant(kind, seed=0, **options):
        changed, mask = SERIES_ANOMALIES[kind](one, np.random.default_rng(seed), **options)
        start, end = span_of(mask)
        return changed[0], one[0], start, end

    y, x, start, end = plant("level_shift")
    assert np.ptp((y - x)[start:end]) < 1e-12
    y, x, start, end = plant("drift")
    np.testing.assert_allclose(np.diff((y - x)[start:end], 2), 0, atol=1e-12)
    y, x, start, end = plant("flat_line")
    assert np.ptp(y[start:end]) == 0
    assert y[start] == x[max(start - 1, 0)]
    y, x, start, end = plant("time_reversal")
    np.testing.assert_array_equal(y[start:end], x[start:end][::-1])
    y, x, start, end = plant("contextual")
    np.testing.assert_allclose([y[start:end].min(), y[start:end].max()], [x[start:end].min(), x[start:end].max()])
    y, x, start, end = plant("amplitude_change")
    ratio = y[start:end].std() / x[start:end].std()
    assert 0.25 <= min(ratio, 1 / ratio) <= 0.5
    y, x, start, end = plant("spike")
    assert end - start <= 2
    y, x, start, end = plant("segment_swap", donor=np.full((1, 64), 9.0))
    assert (y[start:end] == 9).all()


def test_frequency_change_moves_the_spectral_peak():
    x = np.sin(2 * np.pi * np.arange(256) / 16)[None]
    ratios = []
    for seed in range(20):
        y, mask = SERIES_ANOMALIES["frequency_change"](x, np.random.default_rng(seed))
        start, end = span_of(mask)
        crossings = np.abs(np.diff(np.sign(y[0, start:end]))).sum() / 2
        ratios.append(crossings / max((end - start) / 8, 1))
    assert min(ratios) < 0.8
    assert max(ratios) > 1.3


def test_given_windows_each_get_one_anomaly_and_all_kinds_occur():
    windows = np.lib.stride_tricks.sliding_window_view(STREAM, 40, axis=0)[::40]
    planted, kinds = make_synthetic_windows(windows, np.random.default_rng(0))
    assert planted.shape == windows.shape
    assert ((planted != windows).any(axis=(1, 2))).all()
    assert set(kinds) == set(SERIES_ANOMALIES)
    assert len(kinds) == len(windows)


def test_wrong_requests_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="level_shift"):
        make_synthetic_windows(WINDOW[None], rng, kinds=["wobble"])
    with pytest.raises(ShapeError, match="4 points"):
        SERIES_ANOMALIES["spike"](np.ones((1, 3)), rng)
    with pytest.raises(ShapeError, match="donor has shape"):
        SERIES_ANOMALIES["spike"](WINDOW, rng, donor=WINDOW[:2])
    with pytest.raises(ShapeError, match="windows have shape"):
        make_synthetic_windows(WINDOW, rng)
