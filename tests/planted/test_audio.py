"""Planted sounds: always there, only where the mask says, faint and plain, each what its name says."""

import jaxtyping
import numpy as np
import pytest

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.planted.audio import (
    AUDIO_ANOMALIES,
    MIN_CHANGE_DB,
    largest_change_db,
    make_synthetic_audio,
)

KINDS = sorted(AUDIO_ANOMALIES)
RATE = 8000


@pytest.fixture
def own_checks(monkeypatch):
    """Let wrong types and shapes reach the checks of the code itself."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def machines(num=8, n=8192, seed=0):
    """Hum, noise and a slow swing."""
    rng, t = np.random.default_rng(seed), np.arange(n) / RATE
    hum = sum(0.2 / k * np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6, size=(num, 1))) for k in (1, 2, 5, 9))
    return ((hum + 0.03 * rng.normal(size=(num, n))) * (1 + 0.2 * np.sin(2 * np.pi * 3 * t))).astype(np.float32)


CLIPS = machines()


@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_is_exactly_what_changed_and_it_shows(kind):
    before = CLIPS.copy()
    made = make_synthetic_audio(CLIPS, RATE, np.random.default_rng(0), [kind])
    assert made.clips.shape == CLIPS.shape
    assert made.clips.dtype == CLIPS.dtype
    np.testing.assert_array_equal(made.clips != CLIPS, made.masks)
    assert made.masks.any(axis=1).all()
    assert min(map(largest_change_db, CLIPS, made.clips)) >= MIN_CHANGE_DB
    assert np.mean([name == kind for name in made.kinds]) >= 0.75
    np.testing.assert_array_equal(CLIPS, before)


def spectrum(clips):
    return np.abs(np.fft.rfft(clips, axis=1)) ** 2


def test_each_kind_is_what_its_name_says():
    clips = machines(24)
    change, level = {}, {}
    for kind in KINDS:
        made = make_synthetic_audio(clips, RATE, np.random.default_rng(1), [kind])
        assert set(made.kinds) == {kind}
        change[kind] = made.clips - clips
        level[kind] = 10 * np.log10(np.sum(made.clips**2 * made.masks, 1) / np.sum(clips**2 * made.masks, 1))
    peak_share = {kind: np.median(spectrum(c).max(1) / spectrum(c).sum(1)) for kind, c in change.items()}
    assert peak_share["tone"] > 3 * peak_share["squeal"] > 3 * peak_share["band_noise"]
    crest = {kind: np.median(np.abs(c).max(1) / c.std(1)) for kind, c in change.items()}
    assert crest["clicks"] > 2 * max(crest["tone"], crest["band_noise"])
    assert level["drop_out"].max() < -2  # the shortest are hardly more than their fades
    assert np.median(level["drop_out"]) < -8
    assert level["missing_band"].max() <= 0.5
    assert (np.abs(level["level_change"]) > 3).all()
    assert 4 < (level["level_change"] > 0).sum() < 20


def test_faint_and_plain_short_and_long():
    made = make_synthetic_audio(machines(70), RATE, np.random.default_rng(2))
    shares = made.masks.mean(axis=1)
    assert np.mean(shares < 0.05) > 0.1
    assert np.mean(shares > 0.3) > 0.1
    change = np.array([largest_change_db(*pair) for pair in zip(machines(70), made.clips, strict=True)])
    assert np.mean(change < 12) > 0.1
    assert np.mean(change > 25) > 0.1


def test_amounts_follow_the_clips_own_level():
    loud, quiet = (make_synthetic_audio(gain * CLIPS, RATE, np.random.default_rng(3)) for gain in (1.0, 0.125))
    assert loud.kinds == quiet.kinds
    np.testing.assert_allclose(quiet.clips, loud.clips / 8, atol=1e-5)


def test_all_kinds_occur_equally_often_in_random_order():
    made = make_synthetic_audio(machines(3 * len(KINDS)), RATE, np.random.default_rng(0))
    assert {made.kinds.count(kind) for kind in KINDS} == {3}
    assert made.kinds[: len(KINDS)] != tuple(AUDIO_ANOMALIES)


def test_the_same_seed_plants_the_same_and_clips_do_not_disturb_each_other():
    one, two, other = (make_synthetic_audio(CLIPS, RATE, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.clips, two.clips)
    assert (one.masks != other.masks).any()
    altered = CLIPS.copy()
    altered[0] = 0.0
    with_silence = make_synthetic_audio(altered, RATE, np.random.default_rng(3))
    np.testing.assert_array_equal(with_silence.clips[1:], one.clips[1:])


def test_silence_gets_a_tone_where_nothing_else_shows():
    made = make_synthetic_audio(np.zeros((3, 4096), np.float32), RATE, np.random.default_rng(0), ["drop_out"])
    assert made.kinds == ("tone",) * 3
    assert (np.abs(made.clips).max(axis=1) > 1e-5).all()


@pytest.mark.parametrize(("num", "n", "rate"), [(1, 256, 8000), (2, 1001, 44100), (1, 65536, 16000)])
def test_any_length_and_rate(num, n, rate):
    for kind in KINDS:
        made = make_synthetic_audio(machines(num, n).astype(np.float64), rate, np.random.default_rng(0), [kind])
        assert made.masks.any(axis=1).all()
        assert np.isfinite(made.clips).all()


def test_what_cannot_work_is_refused(own_checks):
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigError, match=r"kinds is \['hum'\]"):
        make_synthetic_audio(CLIPS, RATE, rng, ["hum"])
    with pytest.raises(ConfigError, match="sample_rate is 0"):
        make_synthetic_audio(CLIPS, 0, rng)
    with pytest.raises(ShapeError, match=r"\(clips, samples\)"):
        make_synthetic_audio(CLIPS[0], RATE, rng)
    with pytest.raises(DataError, match="not finite"):
        make_synthetic_audio(np.full((1, 300), np.nan), RATE, rng)
