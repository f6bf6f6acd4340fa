"""Streams against SciPy on the whole recording, bounded memory, and what clips are flagged for."""

import tracemalloc

import numpy as np
import pytest
import soundfile
from scipy import signal

from oddwave.errors import ConfigError, DataError
from oddwave.sources.audio.clips import cut_clips
from oddwave.sources.audio.reader import read_audio

RATE = 16000
RNG = np.random.default_rng(0)


def item_of(samples, rate=RATE):
    (item,) = read_audio((samples, rate), on_error="stop").items
    return item


def clips_of(samples, clip=1000, hop=500, own_rate=RATE, rate=RATE):
    return list(cut_clips(item_of(samples, own_rate), sample_rate=rate, clip_samples=clip, hop_samples=hop))


def tone(n, level=0.3):
    return (level * np.sin(np.arange(n) / 3)).astype(np.float32)


# ---- streams


@pytest.mark.parametrize(
    ("own_rate", "rate"),
    [(44100, 16000), (96000, 16000), (8000, 16000), (22050, 16000), (16000, 22050), (16000, 16000), (44099, 16000)],
)
@pytest.mark.parametrize("n", [1, 2, 777, 30011, 150001])
def test_blocks_equal_resampling_the_whole(own_rate, rate, n):
    whole = RNG.normal(size=n).astype(np.float32)
    expected = signal.resample_poly(whole, rate, own_rate)
    for block_s in (0.05, 1.3):
        blocks = list(item_of(whole, own_rate).blocks(rate, block_s))
        assert all(len(block) == round(block_s * rate) for block in blocks[:-1])
        assert all(block.dtype == np.float32 for block in blocks)
        joined = np.concatenate(blocks)
        assert joined.shape == expected.shape
        np.testing.assert_allclose(joined, expected, atol=2e-6)


def test_one_file_in_blocks_equals_the_file_read_at_once(tmp_path):
    audio = (0.2 * RNG.normal(size=(300_000, 3))).clip(-0.9, 0.9)
    for name in ("a.wav", "a.flac", "a.ogg"):
        soundfile.write(tmp_path / name, audio, 48000)
        whole, _ = soundfile.read(tmp_path / name, dtype="float32")
        expected = signal.resample_poly(whole.mean(axis=1), 1, 3)
        (item,) = read_audio(tmp_path / name).items
        np.testing.assert_allclose(np.concatenate(list(item.blocks(RATE, 0.37))), expected, atol=2e-6)
        np.testing.assert_allclose(item.samples(RATE), expected, atol=2e-6)


@pytest.mark.slow
def test_memory_is_bounded_by_the_block_not_the_recording(tmp_path):
    path = tmp_path / "long.wav"
    minute = (1000 * RNG.normal(size=(44100 * 60, 2))).astype(np.int16)
    peaks = []
    for minutes in (1, 4):
        with soundfile.SoundFile(path, "w", 44100, 2) as file:
            for _ in range(minutes):
                file.write(minute)
        (item,) = read_audio(path).items
        tracemalloc.start()
        num = sum(1 for _ in cut_clips(item, sample_rate=RATE, clip_samples=2 * RATE, hop_samples=RATE))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert num == 60 * minutes - 1
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 12e6  # four minutes are 42 MB


@pytest.mark.parametrize(("rate", "block_s"), [(0, 1.0), (-5, 1.0), (RATE, 0.0), (RATE, float("nan"))])
def test_rates_and_blocks_must_be_positive(rate, block_s):
    with pytest.raises(ConfigError, match="must be above 0"):
        item_of(tone(100)).stream(rate, block_s)


# ---- clips


@pytest.mark.parametrize(
    ("n", "clip", "hop"), [(5000, 1000, 500), (5200, 1000, 300), (1000, 1000, 1), (1001, 1000, 900)]
)
def test_clips_begin_every_hop_and_the_last_ends_with_the_recording(n, clip, hop):
    audio = RNG.normal(size=n).astype(np.float32)
    clips = clips_of(audio, clip, hop)
    starts = [round(made.start_s * RATE) for made in clips]
    on_grid = list(range(0, n - clip + 1, hop))
    assert starts == on_grid + [n - clip] * (on_grid[-1] != n - clip)
    for start, made in zip(starts, clips, strict=True):
        expected = audio[start : start + clip]
        np.testing.assert_allclose(made.samples, expected - expected.mean(), atol=1e-6)


@pytest.mark.parametrize("n", [1, 7, 400, 999])
def test_a_recording_shorter_than_a_clip_is_mirrored_until_it_is_full(n):
    audio = RNG.normal(size=n).astype(np.float32)
    (made,) = clips_of(audio, 1000)
    there_and_back = np.concatenate([audio, audio[::-1]])
    expected = np.resize(there_and_back, 1000) - audio.mean()
    np.testing.assert_allclose(made.samples, expected, atol=1e-6)
    assert "short" in made.flags
    assert made.start_s == 0


def test_ordinary_audio_has_no_flags():
    assert [made.flags for made in clips_of(tone(5000))] == [()] * 9
    (made,) = clips_of(tone(1000, level=1.0))  # reaches full scale, but never stays there
    assert made.flags == ()


def test_silence_is_flagged_with_and_without_a_constant():
    assert clips_of(np.zeros(1000, np.float32))[0].flags == ("silent",)
    assert clips_of(np.full(1000, 1, np.int16))[0].flags == ("silent",)
    (made,) = clips_of(np.full(1000, 0.3, np.float32))
    assert made.flags == ("silent", "dc")
    np.testing.assert_allclose(made.samples, 0, atol=1e-7)
    assert clips_of(tone(1000, level=1.3e-4))[0].flags == ("silent",)  # RMS -80.7 dB
    assert clips_of(tone(1000, level=1.6e-4))[0].flags == ()


@pytest.mark.parametrize(("level", "mean", "is_flagged"), [(0.5, 0.06, True), (0.5, 0.04, False), (0.02, 0.02, True)])
def test_a_mean_is_flagged_and_taken_away(level, mean, is_flagged):
    audio = tone(1000, level) - tone(1000, level).mean() + np.float32(mean)
    (made,) = clips_of(audio)
    assert made.flags == ("dc",) * is_flagged
    assert abs(made.samples.mean()) < 1e-6


@pytest.mark.parametrize("rate", [RATE, 8000, 22050])
@pytest.mark.parametrize("integer", [True, False])
def test_clipping_is_seen_at_the_recordings_own_rate(rate, integer):
    loud = (3 * tone(RATE, 1.0)).clip(-1, 1)
    audio = np.rint(loud * 32767).astype(np.int16) if integer else loud
    clips = clips_of(audio, rate // 4, rate // 8, rate=rate)
    assert all(made.flags == ("clipped",) for made in clips)


def test_clipping_is_seen_in_one_channel_of_a_mix_and_only_where_it_is():
    audio = np.zeros((5000, 2), np.int16)
    audio[:, 0] = tone(5000) * 32767
    audio[2100:2103, 1] = 32767  # 3 in 1000 samples
    starts = [round(made.start_s * RATE) for made in clips_of(audio) if "clipped" in made.flags]
    assert starts == [1500, 2000]


def test_two_samples_at_full_scale_or_a_peak_above_it_are_no_clipping():
    audio = np.rint(tone(1000) * 32767).astype(np.int16)
    audio[100:102] = 32767
    audio[300] = -32768
    assert clips_of(audio)[0].flags == ()
    assert clips_of(tone(1000, level=5.0))[0].flags == ()  # floats beyond full scale: no two neighbours are equal


def test_a_run_over_the_border_of_two_chunks_is_one_run(tmp_path):
    n = 1 << 18  # decoded in two chunks
    audio = np.rint(tone(n) * 32767).astype(np.int16)
    audio[n // 2 - 2 : n // 2 + 1] = 32767
    stream = item_of(audio).stream(RATE, 100.0)
    assert sum(int(block.num_clipped.sum()) for block in stream) == 3
    for rate in (8000, 11025, 44100):
        assert sum(int(block.num_clipped.sum()) for block in item_of(audio).stream(rate, 0.5)) == 3


def test_notes_of_the_stream_are_the_clips_notes():
    audio = tone(5000)
    audio[4500] = np.nan
    clips = cut_clips(item_of(audio), sample_rate=RATE, clip_samples=1000, hop_samples=1000)
    assert clips.notes == ()
    assert len(list(clips)) == 5
    assert clips.notes == ("1 sample(s) are NaN or infinite: taken as 0",)


@pytest.mark.parametrize(("clip", "hop"), [(100, 0), (100, 101), (0, 0)])
def test_hops_longer_than_a_clip_are_refused(clip, hop):
    with pytest.raises(ConfigError, match="hop_samples"):
        clips_of(tone(1000), clip, hop)


def test_a_file_that_has_vanished_is_an_error_whose_text_is_a_predicate(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1000), RATE)
    (item,) = read_audio(tmp_path / "a.wav").items
    (tmp_path / "a.wav").unlink()
    with pytest.raises(DataError, match=r"^does not exist") as caught:
        cut_clips(item, sample_rate=RATE, clip_samples=100, hop_samples=50)
    assert item.failure(caught.value).message.startswith(f"'{tmp_path / 'a.wav'}' does not exist")
