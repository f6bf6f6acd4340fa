"""Numbers at another scale than they are taken for: integers in floats, 12 bits in 16, channels that cancel."""

import numpy as np
import pytest
import soundfile

from oddwave.config import preset
from oddwave.detection.audio.split import split_clips
from oddwave.detection.audio.terms import audio_map_of
from oddwave.detection.image.split import depth_note, split_images
from oddwave.errors import DataError
from oddwave.sources.audio.reader import read_audio
from oddwave.sources.image.reader import read_images

RATE = 8000
RNG = np.random.default_rng(0)
TIME = np.arange(2 * RATE) / RATE
TONE = (0.3 * np.sin(2 * np.pi * 440 * TIME) + 0.02 * RNG.normal(size=len(TIME))).astype(np.float32)


def heard(source):
    (item,) = read_audio(source, on_error="stop").items
    stream = item.stream(RATE, 0.5)
    return np.concatenate([block.samples for block in stream]), (*item.notes, *stream.notes)


@pytest.mark.parametrize(
    ("samples", "divisor"),
    [
        (TONE * 32768, "divide by 32768"),
        ((TONE * 32768).astype(np.float64), "divide by 32768"),
        (np.rint(TONE * 32767), "divide by 32768"),
        (TONE * 127, "divide by 128"),
        (TONE * 2**23, "divide by 8388608"),
        (TONE * 2**31, "divide by 2147483648"),
        (TONE * 1e20, "divide by the value of full scale"),
        (np.rint(TONE * 20), "far beyond full scale"),  # a quiet one, but of whole numbers
        (np.where(np.arange(len(TONE)) == 9000, 1e9, TONE), "far beyond full scale"),
    ],
)
def test_floats_at_the_scale_of_integers_are_refused(tmp_path, samples, divisor):
    with pytest.raises(DataError, match=divisor):
        heard((samples, RATE))
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(DataError, match="far beyond full scale"):
        heard(tmp_path / "a.wav")


def test_loud_floats_are_audio():
    for samples in (TONE, TONE * 4, np.sign(TONE), np.zeros_like(TONE)):
        np.testing.assert_array_equal(heard((samples, RATE))[0], samples)


def test_integers_that_use_few_of_their_bits_are_noted():
    whole = np.rint(TONE * 32767).astype(np.int32)
    assert "uses no more than 16 of its 32 bits" in heard((whole, RATE))[1][0]
    assert "uses no more than 24 of its 32 bits" in heard((whole << 8, RATE))[1][0]
    assert heard((whole << 16, RATE))[1] == ()
    assert heard((whole.astype(np.int16), RATE))[1] == ()


def test_a_recording_most_of_which_is_missing_is_not_judged():
    holes = np.where(np.arange(len(TONE)) % 3 == 0, TONE, np.nan)
    for samples in (holes, np.full(len(TONE), np.nan), np.full((100, 2), np.inf)):
        with pytest.raises(DataError, match="that are NaN or infinite"):
            heard((samples, RATE))
    assert "taken as 0" in heard((np.where(np.arange(len(TONE)) % 3 == 0, np.nan, TONE), RATE))[1][0]


@pytest.mark.parametrize("in_file", [False, True])
def test_channels_that_cancel_do_not_make_silence(tmp_path, in_file):
    noise = 0.01 * RNG.normal(size=len(TONE)).astype(np.float32)
    turned = np.stack([-0.8 * TONE + noise, TONE], axis=1)
    late = np.stack([1.1 * TONE, np.where(TIME < 1.0, TONE, -TONE)], axis=1)
    for stereo, channel in ((turned, 1), (np.stack([TONE + 0.5, 0.5 - TONE], axis=1), 0), (late, 0)):
        source = (stereo, RATE)
        if in_file:
            soundfile.write(tmp_path / "a.wav", stereo, RATE, subtype="FLOAT")
            source = tmp_path / "a.wav"
        samples, notes = heard(source)
        np.testing.assert_allclose(samples, stereo[:, channel], atol=1e-6)
        assert notes == (
            f"its 2 channels cancel each other when mixed: channel {channel + 1}, the loudest, stands for all",
        )


def test_ordinary_channels_are_mixed_as_ever():
    other = (0.3 * RNG.normal(size=len(TONE))).astype(np.float32)
    silent = np.zeros_like(TONE)
    for channels in (
        (TONE, other),
        (TONE, TONE),
        (TONE, silent),
        (silent, silent),
        (TONE, -0.5 * TONE),
        (TONE, other, -other),
    ):
        stereo = np.stack(channels, axis=1)
        samples, notes = heard((stereo, RATE))
        np.testing.assert_allclose(samples, stereo.mean(axis=1), atol=1e-6)
        assert notes == ()


def test_recordings_at_another_scale_are_left_out_of_the_fit_with_the_reason():
    config = preset("fast", "audio").with_overrides(
        [f"audio.sample_rate={RATE}", "audio.clip_s=1.0", "audio.columns=128"]
    )
    audio_map = audio_map_of(config.audio)
    every = {f"r{i:02d}": (TONE + 0.01 * RNG.normal(size=len(TONE)).astype(np.float32), RATE) for i in range(12)}
    every["r05"] = (every["r05"][0] * 32768, RATE)
    split = split_clips(read_audio(every).items, audio_map, config, stop_on_error=False, show=False)
    assert len(split.used) == 11
    assert any("r05" in note and "full scale" in note and note.endswith("left out") for note in split.notes)
    assert np.abs(split.clips).max() < 1
    loud = {name: (np.asarray(samples) * 32768, rate) for name, (samples, rate) in every.items()}
    with pytest.raises(DataError, match=r"left out: .* far beyond full scale"):
        split_clips(read_audio(loud).items, audio_map, config, stop_on_error=False, show=False)


def images(white, kind, num=12, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.uniform(0.1, 0.9, (40, 40)) * white).astype(kind) for _ in range(num)]


def test_bits_that_are_not_used_are_said_at_the_fit():
    config = preset("fast", "image")

    def notes(source):
        return " ".join(split_images(read_images(source).items, config)[2])

    for bits in (8, 10, 12, 14):
        assert f"16 bits use {bits} of them" in notes(images(2**bits - 1, np.uint16))
    assert notes(images(65535, np.uint16)) == notes(images(255, np.uint8)) == ""
    assert "those of 8 bits beside them reach" in notes(images(4095, np.uint16) + images(255, np.uint8))


@pytest.mark.parametrize(
    ("kind", "white", "usual", "noted"),
    [
        (np.uint8, 255, 0.9 / 16, True),  # learnt from 12 bits in 16, now 8
        (np.uint16, 65535, 0.9 / 16, True),
        (np.uint16, 4095, 0.9, True),  # learnt from 8 bits, now 12 in 16
        (np.uint16, 16383, 0.9, True),
        (np.uint16, 4095, 0.9 / 16, False),
        (np.uint16, 65535, 0.9, False),
        (np.uint8, 255, 0.9, False),
        (np.uint8, 10, 0.9, False),  # the lamp is off
        (np.uint8, 255, None, False),
    ],
)
def test_other_bits_than_those_learnt_from_are_noted(kind, white, usual, noted):
    (item,) = read_images(images(white, kind, 1)).items
    assert (depth_note(item, float(item.pixels().max()), usual) is not None) == noted
