"""Synthesised sounds of every sort."""

import numpy as np

from oddwave.planted.audio_background import make_background_audio


def test_they_are_finite_differ_and_stay_within_full_scale() -> None:
    audio = make_background_audio(60, 16000, 8000, np.random.default_rng(0))
    peaks = np.abs(audio).max(1)
    assert audio.shape == (60, 16000)
    assert np.isfinite(audio).all()
    assert peaks.max() <= 1.0
    assert peaks.min() >= 10**-1.5 - 1e-6
    assert np.abs(np.corrcoef(audio))[~np.eye(60, dtype=bool)].max() < 0.9


def test_they_spread_over_pitch_and_time() -> None:
    """Some are dull and some bright, some steady and some in bursts: else they are no background for anything."""
    audio = make_background_audio(80, 16000, 16000, np.random.default_rng(1))
    power = np.abs(np.fft.rfft(audio)) ** 2
    centroid = (power * np.fft.rfftfreq(16000, 1 / 16000)).sum(1) / power.sum(1)
    level = np.square(audio).reshape(80, 20, -1).mean(2)
    swing = level.max(1) / level.mean(1)
    assert centroid.min() < 500 < 3000 < centroid.max()
    assert swing.min() < 1.3
    assert swing.max() > 5


def test_seeds_decide() -> None:
    first, again, other = (make_background_audio(3, 4000, 8000, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
