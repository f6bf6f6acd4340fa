"""Which clips are kept of more than there is room for: what is rare is not lost, and half calibrates."""

import numpy as np
import pytest

from oddwave.config import preset
from oddwave.detection.audio.kept_clips import clip_outline, kept_clips
from oddwave.detection.audio.split import split_clips
from oddwave.detection.audio.terms import audio_map_of
from oddwave.errors import DataError
from oddwave.sources.audio.reader import read_audio

RATE = 8192
CONFIG = preset("fast", "audio").with_overrides(
    [f"audio.sample_rate={RATE}", "audio.clip_s=1.0", "audio.overlap=0.0", "audio.max_clips=40"]
)


def hum(num_clips: int, seed: int = 0, odd: int | None = None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    samples = 0.01 * rng.normal(size=num_clips * RATE)
    if odd is not None:
        samples[odd * RATE : (odd + 1) * RATE] += 0.2 * np.sin(2 * np.pi * 1500 * np.arange(RATE) / RATE)
    return samples.astype(np.float32)


def split(*recordings: np.ndarray, **options: bool):
    items = read_audio([(own, RATE) for own in recordings]).items
    return split_clips(items, audio_map_of(CONFIG.audio), CONFIG, stop_on_error=False, show=False, **options)


def test_a_rare_clip_is_kept_whichever_it_is() -> None:
    for odd in (7, 100):
        kept = split(hum(200, odd=odd))
        assert len(kept.clips) == 40
        assert kept.clips.std(1).max() > 0.1
        assert kept.even.sum() == 20
        assert any("40 of 200 clips were kept" in note for note in kept.notes)


def test_what_calibrates_is_evenly_spread() -> None:
    outlines = np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32)
    chosen, even = kept_clips(outlines, 100, seed=0)
    assert len(chosen) == 100
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_allclose(np.diff(chosen[even]), 499 / 49, atol=1)
    chosen, even = kept_clips(outlines[:80], 100, seed=0)
    assert (chosen == np.arange(80)).all()
    assert even.all()


def test_an_outline_tells_bands_and_swings_apart_and_takes_silence() -> None:
    steady, silent = clip_outline(hum(1)), clip_outline(np.zeros(RATE, np.float32))
    swinging = clip_outline(hum(1) * np.repeat([0.1, 1.0], RATE // 2).astype(np.float32))
    assert np.isfinite(silent).all()
    half = len(steady) // 2
    assert swinging[half:].mean() > steady[half:].mean() + 5


def test_a_recording_that_breaks_off_counts_nowhere() -> None:
    items = list(read_audio([(hum(100), RATE), (hum(100, 1), RATE), (hum(100, 2, odd=50), RATE)]).items)

    class Broken(type(items[0])):  # type: ignore[misc]
        def stream(self, *_: object):
            raise DataError("breaks off")

    broken = Broken(**{name: getattr(items[1], name) for name in items[1].__dataclass_fields__})
    items[1] = broken
    kept = split_clips(items, audio_map_of(CONFIG.audio), CONFIG, stop_on_error=False, show=False)
    assert len(kept.clips) == 40
    assert kept.counts == (100, 100)
    assert kept.clips.std(1).max() > 0.1
    assert any("breaks off; left out" in note for note in kept.notes)


@pytest.mark.parametrize("count", [3, 12])
def test_recordings_that_judge_each_other_are_apart_as_wholes(count: int) -> None:
    found = split(*(hum(5, seed) for seed in range(count)), among=True)
    assert found.whole
    assert found.folds.num == min(count, 10)
    for number in range(count):
        (fold,) = set(found.folds.of[found.recording == number])
        assert (found.folds_of(number) == fold).all()
    alone = split(hum(60), among=True)
    assert not alone.whole
    np.testing.assert_array_equal(alone.folds_of(0)[[0, 11, 12, 59]], [0, 0, 1, 4])
