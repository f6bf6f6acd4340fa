"""Up to which frequency a model hears follows from the recordings that it learns from."""

import numpy as np
import pytest

from oddwave import Detector, preset
from oddwave.config import AudioConfig, DetectorConfig
from oddwave.detection.audio.hearing import hearing_of
from oddwave.errors import ConfigError
from oddwave.sources.audio.reader import read_audio


def heard(*rates: int, **settings: object) -> tuple[int, float | None]:
    items = read_audio({f"r{n}": (np.ones(rate, np.float32) * n / 100, rate) for n, rate in enumerate(rates)}).items
    found = hearing_of(items, AudioConfig(**settings))
    return found.sample_rate, found.f_max_hz


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (16000, (16000, None)), (8000, (8000, None)), (22050, (22050, None)), (44100, (44100, 20000.0)),
        (48000, (48000, 20000.0)), (96000, (48000, 20000.0)), (88200, (44100, 20000.0)), (192000, (48000, 20000.0)),
    ],
)  # fmt: skip
def test_all_of_a_recording_is_heard_up_to_20_khz(rate: int, expected: tuple[int, float | None]) -> None:
    assert heard(rate, rate) == expected


def test_of_mixed_rates_the_lowest_is_heard_but_for_a_few_strays() -> None:
    assert heard(44100, 44100, 16000) == (16000, None)
    assert heard(*[44100] * 11, 8000) == (44100, 20000.0)
    items = read_audio([(np.ones(16000, np.float32), 16000), (np.ones(44100, np.float32), 44100)]).items
    assert hearing_of(items, AudioConfig()).why == "the lowest rate of 1 at 16000 Hz, 1 at 44100 Hz"


def test_what_is_set_stays_and_long_clips_are_heard_as_far_as_they_can_be() -> None:
    assert heard(48000, f_max_hz=9000.0) == (48000, None)
    assert heard(48000, clip_s=200.0)[0] * 200 <= 2**22


def test_wrong_rates_are_refused() -> None:
    for value in ("automatic", "0", "-1", "44100.5"):
        with pytest.raises(ConfigError, match="sample_rate"):
            preset("fast", "audio").with_overrides([f"audio.sample_rate={value}"])


TINY = [
    "audio.clip_s=1.0", "audio.columns=128", "audio.num_rows=32", "audio.num_background=8", "maps.memory_grid=8",
    "maps.denoiser_grid=8", "training.num_steps=2", "training.batch_size=4", "training.num_validation_draws=1",
    "scoring.memory_size=100", "network.base_channels=8", "calibration.alpha=0.1",
]  # fmt: skip


def tiny(*overrides: str) -> DetectorConfig:
    return preset("fast", "audio").with_overrides([*TINY, *overrides])


@pytest.mark.slow
def test_a_fault_at_12_khz_is_heard_by_default_and_not_at_16_khz() -> None:
    rng = np.random.default_rng(0)
    healthy = {f"h{n:02d}": ((0.02 * rng.normal(size=88200)).astype(np.float32), 44100) for n in range(12)}
    time_s = np.arange(88200) / 44100
    odd = (0.02 * rng.normal(size=88200) + 0.05 * np.sin(2 * np.pi * 12000 * time_s)).astype(np.float32)
    detector = Detector(tiny()).fit(healthy)
    assert detector.config.audio.sample_rate == 44100
    assert detector.choices["sample_rate"] == {"chosen": "44100 Hz", "why": "the recordings have 44100 Hz"}
    result = detector.score({"odd": (odd, 44100), "wide": (odd, 96000)})
    assert result.recordings[0].flagged
    event = result.recordings[0].events[0]
    assert event.low_hz < 12000 < event.high_hz
    assert len(result.not_monitored) == 1
    assert "'wide': sound between 22050 and 48000 Hz" in result.not_monitored[0]
    deaf = Detector(tiny("audio.sample_rate=16000")).fit(healthy).score({"odd": (odd, 44100)})
    assert "sound between 8000 and 22050 Hz" in deaf.not_monitored[0]
    again = {name: (own[:32000], 16000) for name, (own, _) in healthy.items()}
    detector.fit(again)
    assert detector.config.audio.sample_rate == 16000
    assert detector.config.audio.f_max_hz is None
