"""Synthetic normal streams and panels: from the generator alone, finite, in the scale of series, of many sorts."""

import numpy as np
import pytest

from oddwave.planted.normal_streams import normal_panel, normal_stream
from oddwave.planted.series_streams import plant_in_stream
from oddwave.tensors.series_scale import robust_scale


@pytest.mark.parametrize("channels", [1, 4])
def test_streams_follow_from_the_generator_alone(channels):
    for seed in range(40):
        first, again = (normal_stream(np.random.default_rng(seed), 900, channels) for _ in range(2))
        assert first.shape == (900, channels)
        assert np.isfinite(first).all()
        np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, normal_stream(np.random.default_rng(99), 900, channels))


def test_channels_are_scaled_as_series_are():
    for seed in range(40):
        for channel in normal_stream(np.random.default_rng(seed), 1200, 2).T:
            centre, scale = robust_scale(channel)
            assert centre == pytest.approx(0.0, abs=1e-6)
            assert scale == pytest.approx(1 / 3, rel=1e-6)


def test_some_streams_are_rounded_and_some_are_one_sided():
    channels = [normal_stream(np.random.default_rng(seed), 1000)[:, 0] for seed in range(200)]
    assert 10 < sum(len(np.unique(own.round(9))) < 100 for own in channels) < 120
    assert sum(own.min() > -0.7 and own.max() > 1.0 for own in channels) > 5


@pytest.mark.parametrize("length", [24, 150])
def test_panels_follow_from_the_generator_alone(length):
    for seed in range(20):
        first, again = (normal_panel(np.random.default_rng(seed), 12, length) for _ in range(2))
        for side, same in zip(first, again, strict=True):
            assert side.shape == (12, length)
            assert np.isfinite(side).all()
            np.testing.assert_array_equal(side, same)
            np.testing.assert_allclose(side.mean(1), 0.0, atol=1e-6)
            np.testing.assert_allclose(side.std(1), 1 / 3, rtol=1e-3)
        assert not np.allclose(first[0], first[1])


@pytest.mark.parametrize("recurring", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_masks_are_exact(recurring, channels):
    inside, outside = [], []
    for seed in range(60):
        clean = normal_stream(np.random.default_rng(seed), 1000, channels)
        before = clean.copy()
        first, again = (
            plant_in_stream(clean, np.random.default_rng(seed), num=4, recurring=recurring, region=(400, 1000))
            for _ in range(2)
        )
        changed, mask = first
        np.testing.assert_array_equal(clean, before)
        for one, other in zip(first, again, strict=True):
            np.testing.assert_array_equal(one, other)
        assert np.isfinite(changed).all()
        assert not mask[:400].any()
        np.testing.assert_array_equal(changed[:400], clean[:400])
        away = np.abs(changed - clean)
        assert away[mask].max(initial=1.0) > 0.01
        inside.append(away[mask])
        outside.append(away[~mask])
    inside, outside = np.concatenate(inside), np.concatenate(outside)
    assert outside.max() < 0.05  # what moves less than a twentieth of a unit does not count as changed
    assert (outside > 0).mean() < 1e-3
    assert (inside > 0).mean() > 0.9  # in a rounded or saturated channel a changed point may fall on its old value
    assert np.median(inside) > 0.1


def test_recurring_faults_look_alike():
    clean = 0.01 * np.random.default_rng(0).normal(size=(4000, 1))
    alike = 0
    for seed in range(10):
        _, mask = plant_in_stream(clean, np.random.default_rng(seed), num=8, recurring=True)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], mask[:, 0].astype(int), [0]])))
        lengths = edges[1::2] - edges[::2]
        alike += len(lengths) > 1 and np.unique(lengths, return_counts=True)[1].max() > 1
    assert alike >= 5
