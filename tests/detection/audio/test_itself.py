"""Recordings that judge each other: the odd one is found without any that is known to be healthy."""

import numpy as np
import pytest

from oddwave import Detector, preset
from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.detection.audio.itself import calibrated_itself
from oddwave.detection.audio.scored import ScoredRecording
from oddwave.errors import DataError
from oddwave.sources.audio.items import AudioItem

RATE = 8000
SMALL = [
    f"audio.sample_rate={RATE}", "audio.clip_s=1.0", "audio.columns=128", "audio.num_rows=32", "audio.num_background=8",
    "maps.memory_grid=8", "maps.denoiser_grid=8", "training.num_steps=2", "training.batch_size=4",
    "training.num_validation_draws=1", "scoring.memory_size=100", "network.base_channels=8", "calibration.alpha=0.1",
]  # fmt: skip


def machine(seconds: float, seed: int, tone: float = 0.0) -> np.ndarray:
    rng, time_s = np.random.default_rng(seed), np.arange(int(seconds * RATE)) / RATE
    hum = sum(np.sin(2 * np.pi * 60 * h * time_s + rng.uniform(0, 6)) / h for h in range(1, 12))
    samples = 0.05 * hum + 0.02 * rng.normal(size=len(time_s)) + tone * np.sin(2 * np.pi * 2500 * time_s)
    return samples.astype(np.float32)


def recordings(scores: list[list[float]]) -> list[ScoredRecording]:
    items = [AudioItem(f"r{n}", None, 8000, 8000, None, 1, f"{n}") for n in range(len(scores))]
    return [ScoredRecording(item, np.array(own)) for item, own in zip(items, scores, strict=True)]


def test_a_recording_is_judged_by_the_others_alone() -> None:
    peaks = np.random.default_rng(0).permutation(np.linspace(1.0, 2.0, 20))
    calibration, judged = calibrated_itself(recordings([[peak / 2, peak] for peak in peaks]), whole=True)
    assert len(calibration.scores) == 40
    for own, peak in zip(judged, peaks, strict=True):
        others = own.judge(calibration)
        assert len(others.scores) == 38
        rank = int((peaks >= peak).sum())
        assert others.event_p_value(peak, 2) == pytest.approx(rank / 20)


def test_a_surely_odd_recording_calibrates_nothing() -> None:
    usual = [[1.0, 1.0 + number / 20] for number in range(11)]
    calibration, judged = calibrated_itself(recordings([*usual, [0.5, 90.0]]), whole=True)
    assert len(calibration.scores) == 22
    assert judged[-1].judge(calibration) is calibration
    assert calibration.event_p_value(90.0, 2) == pytest.approx(1 / 12)


def test_clips_of_one_recording_are_not_compared_with_themselves() -> None:
    scores = [*np.linspace(1.0, 2.0, 50), 40.0]
    calibration, (own,) = calibrated_itself(recordings([scores]), whole=False)
    assert len(calibration.scores) == 50
    found = own.judge(calibration).p_values(own.scores)
    np.testing.assert_allclose(found[:50], np.arange(50, 0, -1) / 50)
    assert found[50] == pytest.approx(1 / 51)


@pytest.mark.parametrize("alpha", [0.02, 0.05, 0.1, 0.5])
def test_labels_thresholds_and_p_values_of_data_that_judge_themselves_agree(alpha: float) -> None:
    scores = np.random.default_rng(1).normal(size=60)
    calibration = Calibration(scores, scores, 1, "", judges_itself=True)
    p_values = calibration.p_values(scores)
    np.testing.assert_allclose(np.sort(p_values), np.arange(1, 61) / 60)
    labels = calibration.labels(scores, Rule(alpha))
    assert labels.sum() == int(60 * alpha + 1e-9)
    np.testing.assert_array_equal(labels == 1, scores >= calibration.threshold(Rule(alpha)))
    for score, p_value in zip(scores, p_values, strict=True):
        assert calibration.event_p_value(float(score)) == pytest.approx(p_value)


def test_a_calibration_of_one_item_keeps_it() -> None:
    calibration = Calibration(np.ones(3), np.ones(3), 1, "")
    assert calibration.without(slice(0, 3)) is calibration


@pytest.mark.slow
def test_the_odd_recording_of_a_folder_is_found() -> None:
    source = {f"r{i:02d}": (machine(2, i), RATE) for i in range(12)}
    source |= {"odd": (machine(2, 101, 0.15), RATE), "empty": (np.zeros((0,), np.float32), RATE)}
    result = Detector(preset("fast", "audio").with_overrides(SMALL)).detect(source)
    found = {item.id: item for item in result.recordings}
    assert list(found) == [*(f"r{i:02d}" for i in range(12)), "odd", "empty"]
    assert found["odd"].flagged
    assert found["odd"].score == max(item.score for item in found.values() if item.status == "judged")
    assert sum(item.flagged for item in found.values()) <= 3
    assert not any("trained on" in note for item in found.values() for note in item.notes)
    assert found["empty"].status == "not judged"
    assert found["empty"].error


@pytest.mark.slow
def test_the_odd_stretch_of_a_long_recording_is_found() -> None:
    samples = machine(60, 3)
    samples[30 * RATE : 34 * RATE] = machine(4, 5, 0.15)
    result = Detector(preset("fast", "audio").with_overrides(SMALL)).detect({"long": (samples, RATE)})
    (own,) = result.recordings
    assert own.flagged
    assert all(event.start_s < 34 and event.end_s > 30 for event in own.events)


def test_too_little_sound_and_a_denoiser_of_pixels_are_refused() -> None:
    one = {"one": (machine(4, 1), RATE)}
    with pytest.raises(DataError, match="give at least 10"):
        Detector(preset("fast", "audio").with_overrides(SMALL)).detect(one)
    with pytest.raises(DataError, match="needs healthy recordings"):
        Detector(preset("fast", "audio").with_overrides([*SMALL, "maps.space=both"])).detect(one)
