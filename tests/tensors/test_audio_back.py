"""Back to sound: unchanged where the map is, what is odd is isolated, long recordings join without seams."""

import jaxtyping
import numpy as np
import pytest
import torch

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.tensors.audio_back import OverlapAdd, normal_audio
from oddwave.tensors.audio_map import AudioMap

RATE, N = 16000, 32768
MAP = AudioMap(sample_rate=RATE, clip_samples=N, columns=128)


@pytest.fixture
def own_checks(monkeypatch):
    """Let wrong types and shapes reach the checks of the code itself."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def machine(seed=0):
    """Two seconds of a machine: hum, a quiet whine, coloured noise, a slow swing."""
    rng, t = np.random.default_rng(seed), np.arange(N) / RATE
    hum = sum(
        a * np.sin(2 * np.pi * f * t + rng.uniform(0, 6)) for f, a in ((50, 0.3), (100, 0.2), (300, 0.1), (2950, 0.02))
    )
    noise = np.convolve(rng.normal(size=N), np.exp(-np.arange(60) / 8), "same")
    return 0.3 * (hum + 0.1 * noise + 0.03 * rng.normal(size=N)) * (1 + 0.2 * np.sin(2 * np.pi * 3 * t))


def planted(kind, background, level_db, seed=1):
    """Plant a tone, a gliding squeal or six clicks so many dB above the background; give it and its mask."""
    rng, t = np.random.default_rng(seed), np.arange(N) / RATE
    event, mask = np.zeros(N), np.zeros(N, bool)
    if kind == "clicks":
        for number in range(6):
            start = int((0.15 + 0.3 * number + rng.uniform(0, 0.05)) * RATE)
            event[start : start + 320] = rng.normal(size=320) * np.exp(-np.arange(320) / (0.0015 * RATE))
            mask[start : start + 160] = True
    else:
        span = slice(int(0.6 * RATE), int(1.2 * RATE))
        inside = t[span] - t[span.start]
        course = np.full(len(inside), 3100.0)
        if kind == "squeal":
            course = 1400 + 1500 * inside + 60 * np.sin(2 * np.pi * 6 * inside)
        phase = 2 * np.pi * np.cumsum(course) / RATE
        fade = np.minimum(1, np.minimum(inside, inside[::-1]) / 0.01)
        event[span] = fade * (np.sin(phase) + (kind == "squeal") * 0.5 * np.sin(2 * phase))
        mask[span] = True
    size = background[mask].std() * 10 ** (level_db / 20)
    return event * size / np.sqrt(np.mean(event[mask] ** 2)), mask


def oracle(background, event, **options):
    """Give the odd part, from the map of the clean background."""
    clip, clean = (torch.from_numpy(x[None].astype(np.float32)) for x in (background + event, background))
    normal = normal_audio(MAP, clip, MAP.levels_db(clip), MAP.levels_db(clean), **options)
    return (clip - normal)[0].numpy()


def distortion_db(event, odd, mask):
    return 10 * np.log10(np.sum(event[mask] ** 2) / np.sum((odd - event)[mask] ** 2))


@pytest.mark.parametrize("layers", [True, False])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_an_unchanged_map_returns_the_input(dtype, limit, layers):
    clips = torch.stack([torch.from_numpy(machine(seed)) for seed in range(2)]).to(dtype)
    levels = MAP.levels_db(clips)
    assert torch.equal(normal_audio(MAP, clips, levels, levels, layers=layers), clips)
    other = levels.clone()
    other[1, 40, 60] -= 1e-9  # so little that the second clip goes through the transform
    back = normal_audio(MAP, clips, levels, other, layers=layers)
    assert (back - clips).norm() <= limit * clips.norm()


@pytest.mark.parametrize(("kind", "level_db", "least_db"), [("tone", 0, 18), ("squeal", 0, 18), ("clicks", 12, 15)])
def test_what_was_planted_is_isolated(kind, level_db, least_db):
    for seed in range(2):
        background = machine(seed)
        event, mask = planted(kind, background, level_db)
        odd = oracle(background, event)
        assert distortion_db(event, odd, mask) >= least_db
        beside = ~np.convolve(mask, np.ones(4001), "same").astype(bool)
        assert np.abs(odd[beside]).max(initial=0.0) < 0.02 * np.abs(background).max()


def test_layers_part_the_event_from_its_background_better_than_gains():
    background = machine()
    for kind in ("tone", "squeal", "clicks"):
        event, mask = planted(kind, background, 6)
        plain, layered = (distortion_db(event, oracle(background, event, layers=on), mask) for on in (False, True))
        assert layered > plain + 3


def test_a_whole_clip_that_is_louder_comes_back_at_its_normal_level():
    clip = torch.from_numpy(machine()[None])
    levels = MAP.levels_db(clip)
    for change in (-9.0, -0.5, 6.0):
        made = normal_audio(MAP, clip, levels, levels + change, layers=False)
        assert torch.allclose(made, clip * 10 ** (change / 20), atol=1e-9)


def test_missing_audio_cannot_be_put_back():
    clip = torch.from_numpy(machine()[None])
    clip[:, 12000:20000] = 0.0
    levels = MAP.levels_db(clip)
    wanted = MAP.levels_db(torch.from_numpy(machine()[None]))
    made = normal_audio(MAP, clip, levels, wanted)
    assert torch.isfinite(made).all()
    assert made[:, 14000:18000].abs().max() < 0.02
    silence = torch.zeros_like(clip)
    assert not normal_audio(MAP, silence, MAP.levels_db(silence), wanted).any()


def test_a_clip_audio_the_same_whatever_lies_beside_it():
    background = machine()
    clips = torch.from_numpy(np.stack([background + planted(kind, background, 6)[0] for kind in ("tone", "clicks")]))
    levels, wanted = MAP.levels_db(clips), MAP.levels_db(torch.from_numpy(np.stack([background] * 2)))
    both = normal_audio(MAP, clips, levels, wanted)
    assert torch.equal(both[1:], normal_audio(MAP, clips[1:], levels[1:], wanted[1:]))


def test_maps_without_inverse_or_of_another_size_are_refused(own_checks):
    clip = torch.zeros(1, N)
    levels = MAP.levels_db(clip)
    with pytest.raises(ShapeError, match="normal_levels_db"):
        normal_audio(MAP, clip, levels, levels[:, 1:])
    control = AudioMap(sample_rate=RATE, clip_samples=N, columns=128, transform="stft-mel")
    with pytest.raises(ConfigError, match="no exact inverse"):
        normal_audio(control, clip, levels, levels)


@pytest.mark.parametrize(
    ("starts", "fade"),
    [((0, 750, 1500, 2250), 250), ((0, 500, 1000, 1333), None), ((0, 1000, 2000), 0), ((0,), 500)],
)
def test_clips_of_one_recording_give_the_recording(starts, fade):
    recording = np.random.default_rng(0).normal(size=starts[-1] + 1000).astype(np.float32)
    join = OverlapAdd(1000, fade)
    parts = [join.add(start, recording[start : start + 1000]) for start in starts]
    assert [len(part) for part in parts] == [0, *np.diff(starts)]
    np.testing.assert_allclose(np.concatenate([*parts, join.finish()]), recording, atol=1e-6)


def test_clips_fade_into_each_other_without_a_step():
    join = OverlapAdd(1000, 250)
    made = np.concatenate([join.add(0, np.zeros(1000)), join.add(750, np.ones(1000)), join.finish()])
    assert (made[:750] == 0).all()
    assert (made[1000:] == 1).all()
    assert np.diff(made).max() < 0.01


def test_clips_out_of_order_or_with_gaps_are_refused():
    join = OverlapAdd(100)
    join.add(0, np.zeros(100))
    join.add(60, np.zeros(100))
    with pytest.raises(DataError, match="in order and without gaps"):
        join.add(59, np.zeros(100))
    with pytest.raises(DataError, match="expected 60 to 160"):
        join.add(161, np.zeros(100))
    with pytest.raises(ShapeError, match=r"expected \(100,\)"):
        join.add(70, np.zeros(99))
    with pytest.raises(ConfigError, match="two fades"):
        OverlapAdd(100, 51)
