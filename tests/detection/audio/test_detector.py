"""The detector for sound, on a made-up machine and the faintest settings that still learn something."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from oddwave import Detector, load
from oddwave.config import preset
from oddwave.detection.audio.vectors import clip_vectors
from oddwave.errors import DataError, NotFittedError
from oddwave.results import AudioResult

RATE = 8000
SMALL = [
    f"audio.sample_rate={RATE}",
    "audio.clip_s=2.0",
    "audio.columns=128",
    "audio.num_rows=64",
    "audio.num_background=12",
    "maps.memory_grid=8",
    "maps.denoiser_grid=8",
    "training.num_steps=6",
    "training.batch_size=8",
    "training.num_validation_draws=4",
    "scoring.memory_size=200",
    "network.base_channels=8",
    "calibration.alpha=0.1",
]


def machine(seconds: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * 60 * h * t + rng.uniform(0, 6)) / h for h in range(1, 12))
    return (0.05 * tones + 0.02 * rng.normal(size=len(t))).astype(np.float32)


def with_tone(audio: np.ndarray, start_s: float, end_s: float, frequency_hz: float) -> np.ndarray:
    t = np.arange(len(audio)) / RATE
    inside = (t >= start_s) & (t < end_s)
    return (audio + 0.15 * np.sin(2 * np.pi * frequency_hz * t) * inside).astype(np.float32)


@pytest.fixture(scope="module")
def detector() -> Detector:
    healthy = {f"healthy_{i:02d}": (machine(4, i), RATE) for i in range(14)}
    return Detector(preset("fast", "audio").with_overrides(SMALL)).fit(healthy)


@pytest.fixture(scope="module")
def results(detector: Detector) -> dict[str, AudioResult]:
    odd = with_tone(machine(4, 101), 2.4, 3.2, 2500)
    found = detector.score({"good": (machine(4, 100), RATE), "odd": (odd, RATE)})
    return {result.id: result for result in found.recordings}


def test_a_planted_tone_is_found_where_it_is(results: dict[str, AudioResult]) -> None:
    odd = results["odd"]
    assert odd.score > results["good"].score
    assert odd.labels.any()
    event = odd.events[0]
    assert event.start_s < 3.2
    assert event.end_s > 2.4
    assert event.low_hz < 2500 < event.high_hz
    assert event.level_db > 3


def test_the_normal_version_lacks_the_tone(results: dict[str, AudioResult]) -> None:
    excerpt = results["odd"].excerpt
    assert excerpt is not None
    assert len(excerpt.samples) == len(excerpt.normal) == 4 * RATE
    np.testing.assert_allclose(excerpt.odd, excerpt.samples - excerpt.normal)
    here = slice(int(2.5 * RATE), int(3.1 * RATE))

    def strength(samples: np.ndarray) -> float:
        t = np.arange(len(samples)) / RATE
        return float(np.abs(np.mean(samples[here] * np.exp(-2j * np.pi * 2500 * t[here]))))

    assert strength(excerpt.normal) < 0.5 * strength(excerpt.samples)
    assert strength(excerpt.odd) > 0.5 * strength(excerpt.samples)
    assert excerpt.levels_db.shape == excerpt.normal_levels_db.shape
    assert len(excerpt.frequencies_hz) == len(excerpt.levels_db)


def test_a_recording_is_scored_clip_by_clip(results: dict[str, AudioResult]) -> None:
    good = results["good"]
    assert good.starts_s.tolist() == [0.0, 1.5, 2.0]  # the last clip ends where the recording ends
    assert len(good.scores) == len(good.p_values) == len(good.labels) == 3
    assert good.p_value >= good.p_values.min()  # its highest clip among stretches of three
    assert {"recon", "memory", "clip"} == set(good.parts)


def test_a_short_recording_is_explained_for_what_it_is(detector: Detector) -> None:
    result = detector.score({"short": (machine(1.1, 600), RATE)}, explain="all").recordings[0]
    assert result.excerpt is not None
    assert result.excerpt.end_s == pytest.approx(1.1, abs=0.01)
    assert result.excerpt.levels_db.shape[1] == pytest.approx(128 * 1.1 / 2, abs=1)
    assert any("short" in note for note in result.notes)


def test_scores_do_not_depend_on_the_company(detector: Detector) -> None:
    first, second = (machine(4, 200), RATE), (machine(7, 201), RATE)
    together = detector.decision_function({"a": first, "b": second})
    alone = [detector.decision_function({"x": audio})[0] for audio in (first, second)]
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)


def test_saved_and_loaded_it_scores_the_same(detector: Detector, tmp_path: Path) -> None:
    audio = {"a": (machine(4, 300), RATE), "b": (with_tone(machine(4, 301), 1, 2, 1200), RATE)}
    detector.save(tmp_path / "model")
    again = load(tmp_path / "model")
    np.testing.assert_allclose(again.decision_function(audio), detector.decision_function(audio), rtol=1e-4, atol=1e-4)
    assert again.predict(audio).tolist() == detector.predict(audio).tolist()
    assert again.inner.facts() == detector.inner.facts()
    assert again.choices["clip_weight"] == detector.choices["clip_weight"]


def test_an_unreadable_recording_is_a_row_with_a_reason(detector: Detector, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "good.wav", machine(4, 400), RATE)
    (tmp_path / "broken.wav").write_bytes(b"RIFF but nothing else")
    found = {result.id: result for result in detector.score(tmp_path).recordings}
    assert np.isfinite(found["good.wav"].score)
    assert np.isnan(found["broken.wav"].score)
    assert "broken.wav" in found["broken.wav"].error


def test_recordings_that_were_learnt_from_are_noted(detector: Detector) -> None:
    result = detector.score({"x": (machine(4, 3), RATE)})
    assert "trained on" in " ".join(result.recordings[0].notes)


@pytest.mark.slow
def test_one_long_recording_is_enough() -> None:
    settings = preset("fast", "audio").with_overrides(SMALL)
    fitted = Detector(settings).fit((machine(60, 0), RATE))
    assert fitted.meta["num_calibration_clips"] == fitted.meta["num_train_clips"] == 40
    assert np.isfinite(fitted.decision_function((machine(10, 1), RATE))).all()


@pytest.mark.slow
def test_a_network_in_pixel_space_calibrates_by_what_it_was_not_trained_on() -> None:
    settings = preset("fast", "audio").with_overrides([*SMALL, "maps.space=pixel", "maps.pixel_size_px=32"])
    fitted = Detector(settings).fit({f"h{i:02d}": (machine(4, i), RATE) for i in range(12)})
    assert (fitted.meta["num_train_clips"], fitted.meta["num_calibration_clips"]) == (36, 9)
    assert np.isfinite(fitted.decision_function((machine(4, 50), RATE))).all()


def test_too_little_audio_is_refused() -> None:
    settings = preset("fast", "audio").with_overrides(SMALL)
    with pytest.raises(DataError, match="give at least 10"):
        Detector(settings).fit({f"s{i}": (machine(2, i), RATE) for i in range(3)})
    with pytest.raises(NotFittedError):
        Detector(settings).score((machine(2, 0), RATE))


def test_rates_that_are_too_low_are_warned_of(detector: Detector) -> None:
    slow = machine(4, 500)[::2].copy()
    warnings = detector.score({"slow": (slow, RATE // 2)}).model["warnings"]
    assert any("hold nothing above 2000 Hz" in warning for warning in warnings)


def test_clip_vectors_know_loudness_and_rhythm() -> None:
    import torch

    rng = np.random.default_rng(0)
    levels = torch.from_numpy(rng.normal(-60, 3, (1, 64, 128)).astype(np.float32))
    features = torch.zeros(1, 5, 8, 8)

    def vectors(levels_db):
        return {name: own.numpy() for name, own in clip_vectors(levels_db, features).items()}

    plain, louder = vectors(levels), vectors(levels + 10)
    backwards = vectors(levels.flip(2))
    np.testing.assert_allclose(plain["texture"], louder["texture"], atol=1e-3)
    np.testing.assert_allclose(louder["levels"][:, :32] - plain["levels"][:, :32], 10, atol=1e-3)
    for name in plain:
        np.testing.assert_allclose(plain[name], backwards[name], atol=1e-3)
    beat = levels + 10 * (torch.arange(128) // 4 % 2)
    assert np.abs(vectors(beat)["texture"] - plain["texture"]).max() > 1


def test_a_louder_room_is_a_drift_that_names_the_level(detector):
    loud = {f"loud_{n}": (4 * machine(4, 200 + n), RATE) for n in range(14)}
    (found,) = detector.score(loud, explain="none").drift
    assert found.item == "loud_0"
    assert found.moved.startswith("level")
    assert found.shift > 3
