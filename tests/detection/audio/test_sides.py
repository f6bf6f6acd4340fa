"""On which side a fault is: named where one channel clearly carries it, and nowhere else."""

import numpy as np
import pytest

from oddwave.detection.audio.sides import channel_name, with_sides
from oddwave.records import AudioEvent
from oddwave.report.kinds.audio_words import describe
from oddwave.sources.audio.reader import read_audio

RATE = 8000


def event(start_s: float, end_s: float, level_db: float = 10.0, *, throughout: bool = False) -> AudioEvent:
    return AudioEvent("odd", start_s, end_s, 900.0, 1100.0, 1000.0, level_db, 9.0, 0.01, throughout)


def sound(gains: tuple[float, ...], start_s: float = 4.0, end_s: float = 6.0) -> np.ndarray:
    """Return noise in every channel and a tone at 1 kHz, by these gains, for a while."""
    rng = np.random.default_rng(3)
    time_s = np.arange(12 * RATE) / RATE
    tone = np.sin(2 * np.pi * 1000 * time_s) * ((time_s >= start_s) & (time_s < end_s))
    return (0.01 * rng.normal(size=(len(time_s), len(gains))) + tone[:, None] * np.array(gains)).astype(np.float32)


def side_of(samples: np.ndarray, *events: AudioEvent, channels: str = "mix") -> list[str]:
    item = read_audio({"odd": (samples, RATE)}, channels=channels).items[0]
    return [own.channel for own in with_sides(events, item, RATE)]


@pytest.mark.parametrize(
    ("gains", "side"),
    [((0.1, 0.0), "left"), ((0.0, 0.1), "right"), ((0.1, 0.1), ""), ((0.1, 0.04), "left"), ((0.1, 0.08), ""),
     ((0.0, 0.0, 0.1, 0.02), "channel 3 of 4"), ((0.1,), "")],
)  # fmt: skip
def test_the_channel_that_carries_a_tone_is_named(gains: tuple[float, ...], side: str) -> None:
    assert side_of(sound(gains), event(4.0, 6.0)) == [side]


def test_what_is_missing_in_one_channel_is_named_too() -> None:
    humming = sound((0.1, 0.1), 0.0, 12.0)
    humming[4 * RATE : 6 * RATE, 1] = 0.001
    assert side_of(humming, event(4.0, 6.0, -20.0)) == ["right"]


def test_events_do_not_count_as_what_is_beside_each_other() -> None:
    both = sound((0.1, 0.0), 2.0, 4.0) + sound((0.0, 0.1), 4.5, 6.5)
    assert side_of(both, event(2.0, 4.0), event(4.5, 6.5)) == ["left", "right"]


def test_of_what_lasts_throughout_no_side_is_told() -> None:
    assert side_of(sound((0.1, 0.0), 0.0, 12.0), event(0.0, 12.0, throughout=True)) == [""]


def test_a_channel_heard_by_itself_names_itself() -> None:
    assert side_of(sound((0.1, 0.1)), event(4.0, 6.0), channels="each") == ["left"]
    assert [channel_name(channel, 2) for channel in (0, 1, None)] == ["left", "right", ""]
    assert channel_name(2, 4) == "channel 3 of 4"
    assert channel_name(0, 1) == ""


def test_words_name_the_side() -> None:
    item = read_audio({"odd": (sound((0.0, 0.1)), RATE)}).items[0]
    (told,) = with_sides([event(4.0, 6.0)], item, RATE)
    assert describe(told).endswith("10 dB above normal, in the right channel")
