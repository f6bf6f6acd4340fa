"""Maps of sound: what a row and a column mean, a floor and a scale that know no batch, and the mel control."""

import json

import jaxtyping
import numpy as np
import pytest
import torch

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.tensors.audio_map import AudioMap, RowScale

SMALL = AudioMap(sample_rate=8000, clip_samples=8192, num_rows=48, columns=64, f_min=50.0)
MEL = AudioMap(sample_rate=8000, clip_samples=8192, num_rows=48, columns=64, f_min=50.0, transform="stft-mel")
BOTH = pytest.mark.parametrize("audio_map", [SMALL, MEL], ids=["cwt", "stft-mel"])


@pytest.fixture
def own_checks(monkeypatch):
    """Let wrong types and shapes reach the checks of the code itself."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def machine(num=3, n=8192, seed=0):
    """A humming machine: harmonics of 50 Hz, noise, a slow swing."""
    rng, t = np.random.default_rng(seed), np.arange(n) / 8000
    hum = sum(0.2 / k * np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6, size=(num, 1))) for k in (1, 2, 5, 9))
    audio = (hum + 0.02 * rng.normal(size=(num, n))) * (1 + 0.2 * np.sin(2 * np.pi * 3 * t))
    return torch.from_numpy(audio.astype(np.float32))


@BOTH
def test_a_tone_and_a_click_lie_where_frequencies_and_times_say(audio_map):
    assert audio_map.frequencies_hz.shape == (48,)
    t = torch.arange(8192) / 8000
    row = 30
    tone = torch.sin(2 * torch.pi * float(audio_map.frequencies_hz[row]) * t)
    levels = audio_map.levels_db(tone[None])[0]
    assert (levels.argmax(0) == row).all()
    click = torch.zeros(1, 8192)
    click[0, 5000] = 1.0
    column = int(audio_map.levels_db(click)[0, 30:].mean(0).argmax())
    assert abs((column + 0.5) * audio_map.column_s - 5000 / 8000) <= audio_map.column_s


@BOTH
def test_the_rows_add_up_to_the_mean_square(audio_map):
    noise = torch.randn(4, 8192, generator=torch.Generator().manual_seed(0))
    total = audio_map.power(noise).sum(1).mean()
    assert float(total) == pytest.approx(
        1.0, rel=0.01 if audio_map is SMALL else 0.12
    )  # no residual rows in the control
    louder = audio_map.levels_db(10 * noise) - audio_map.levels_db(noise)
    assert torch.allclose(louder, torch.tensor(20.0), atol=0.01)


@BOTH
def test_a_clip_has_the_same_levels_whatever_lies_beside_it(audio_map):
    clips = machine(4)
    alone = torch.cat([audio_map.levels_db(clip[None]) for clip in clips])
    assert torch.equal(audio_map.levels_db(clips), alone)
    assert torch.equal(audio_map.levels_db(torch.cat([clips[:1], 100 * clips[1:]]))[0], alone[0])


def test_the_floor_is_settled_once_and_loud_clips_do_not_raise_it():
    clips = machine(5)
    fitted = SMALL.with_floor_of([clips[:2], clips[2:]])
    peak = float(SMALL.power(clips).amax((1, 2)).median())
    assert fitted.floor_db == pytest.approx(10 * np.log10(peak) - 80, abs=1e-4)
    clips[0] *= 50
    assert abs(SMALL.with_floor_of([clips]).floor_db - fitted.floor_db) < 1.0
    silence = fitted.levels_db(torch.zeros(1, 8192))
    assert torch.allclose(silence, torch.tensor(fitted.floor_db))
    with pytest.raises(DataError, match="silent"):
        SMALL.with_floor_of([torch.zeros(2, 8192)])


def test_the_map_is_differentiable():
    clip = machine(1).requires_grad_()
    SMALL.levels_db(clip).mean().backward()
    assert torch.isfinite(clip.grad).all()
    assert clip.grad.abs().max() > 0


def test_scale_standardises_rows_in_batches_as_at_once():
    levels = SMALL.levels_db(machine(6))
    at_once, streamed = RowScale.fit(levels), RowScale.fit(iter([levels[:1], levels[1:1], levels[1:4], levels[4:]]))
    np.testing.assert_allclose(at_once.mean_db, levels.mean((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(at_once.deviation_db, levels.std((0, 2), correction=0).clamp(min=1.0), rtol=1e-4)
    np.testing.assert_allclose(streamed.mean_db, at_once.mean_db, rtol=1e-9)
    np.testing.assert_allclose(streamed.deviation_db, at_once.deviation_db, rtol=1e-9)
    x0 = at_once.scale(levels)
    assert x0.shape == (6, 1, 48, 64)
    assert abs(float(x0.mean())) < 0.02
    assert float((5 * x0).std()) == pytest.approx(1.0, abs=0.1)
    assert torch.allclose(at_once.inverse(x0)[x0[:, 0].abs() < 1], levels[x0[:, 0].abs() < 1], atol=1e-3)


def test_a_louder_clip_stays_louder_on_the_scale():
    clips = machine(4)
    scale = RowScale.fit(SMALL.levels_db(clips))
    quiet, loud = (scale.scale(SMALL.levels_db(gain * clips[:1])) for gain in (1.0, 2.0))
    assert (loud >= quiet).all()
    assert float((loud - quiet).mean()) > 0.1


def test_what_was_clipped_comes_back_where_nothing_was_changed():
    levels = SMALL.levels_db(machine(3))
    scale = RowScale.fit(levels, reach=0.5)
    x0 = scale.scale(levels)
    assert (x0.abs() == 1).float().mean() > 0.2
    assert torch.equal(scale.inverse(x0, levels), levels)
    x0[0, 0, 10, 10] = 0.0
    back = scale.inverse(x0, levels)
    assert float(back[0, 10, 10]) == pytest.approx(scale.mean_db[10], rel=1e-5)
    assert int((back != levels).sum()) == 1


def test_both_survive_json():
    settings = json.loads(json.dumps(MEL.to_dict()))
    assert AudioMap.from_dict(settings) == MEL
    scale = RowScale.fit(SMALL.levels_db(machine()))
    again = RowScale.from_dict(json.loads(json.dumps(scale.to_dict())))
    np.testing.assert_array_equal(again.mean_db, scale.mean_db)
    np.testing.assert_array_equal(again.deviation_db, scale.deviation_db)
    with pytest.raises(ConfigError, match="does not know hop"):
        AudioMap.from_dict(settings | {"hop": 3})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"transform": "stft"}, "'cwt', 'stft-mel'"),
        ({"num_rows": 3}, "at least 4"),
        ({"f_min": 0.1}, "at least one cycle"),
        ({"wavelet": "mexican_hat"}, "no decimated form"),
        ({"transform": "stft-mel", "columns": 100}, "does not divide"),
        ({"transform": "stft-mel", "f_max": 5000.0}, "at most half"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message, own_checks):
    with pytest.raises(ConfigError, match=message):
        AudioMap(**({"sample_rate": 8000, "clip_samples": 8192} | settings))


def test_clips_and_levels_that_do_not_fit_are_refused(own_checks):
    with pytest.raises(ShapeError, match="clips of clip_samples"):
        SMALL.levels_db(torch.zeros(1, 8000))
    with pytest.raises(DataError, match="float32 or float64"):
        SMALL.levels_db(torch.zeros(1, 8192, dtype=torch.int16))
    with pytest.raises(DataError, match="one map or more"):
        RowScale.fit([])
    with pytest.raises(DataError, match="finite"):
        RowScale.fit(torch.full((1, 3, 4), torch.inf))
    with pytest.raises(ShapeError, match="48 rows"):
        RowScale.fit(SMALL.levels_db(machine())).scale(torch.zeros(1, 40, 64))
    with pytest.raises(ConfigError, match="no exact inverse"):
        _ = MEL.frame
    assert SMALL.levels_db(torch.zeros(0, 8192)).shape == (0, 48, 64)
