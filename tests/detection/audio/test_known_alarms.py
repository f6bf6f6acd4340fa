"""A tone that was marked harmless is harmless in other recordings; a knock is found still."""

import numpy as np
import pytest

from oddwave import Detector
from oddwave.config import preset

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


def machine(seed, *, tone_hz=0.0, knocks=0.0):
    rng = np.random.default_rng(seed)
    t = np.arange(4 * RATE) / RATE
    audio = sum(np.sin(2 * np.pi * 60 * h * t + rng.uniform(0, 6)) / h for h in range(1, 12)) * 0.05
    audio = audio + 0.02 * rng.normal(size=len(t))
    if tone_hz:
        audio += 0.15 * np.sin(2 * np.pi * tone_hz * t + rng.uniform(0, 6))
    if knocks:
        audio += knocks * np.exp(-60 * (t % 0.25)) * rng.normal(size=len(t))
    return audio.astype(np.float32), RATE


@pytest.mark.slow
def test_a_tone_marked_harmless_is_harmless_elsewhere(tmp_path):
    detector = Detector(preset("fast", "audio").with_overrides(SMALL))
    detector.fit({f"healthy_{n:02d}": machine(n) for n in range(14)})
    tones = {f"tone_{n}": machine(100 + n, tone_hz=2500 + 20 * n) for n in range(4)}
    knocks = {f"knock_{n}": machine(200 + n, knocks=0.5) for n in range(3)}
    before = detector.decision_function({**tones, **knocks})
    limit = 0.6 * before.min()
    for _ in range(3):  # each of its events
        first = detector.score({"tone_0": tones["tone_0"]}, threshold=limit).items[0]
        if not first.events:
            break
        mark = detector.feedback(tones, verdict="false-alarm", item="tone_0", event=1, threshold=limit)
        assert mark.score_after < mark.score
    after = detector.decision_function({**tones, **knocks})
    print(before, after, limit)
    assert (after[:4] < limit).all()
    assert (after[4:] > limit).all()
    loaded = Detector.load(detector.save(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.decision_function({**tones, **knocks}), after)
    for mark in loaded.corrections:
        loaded.undo_feedback(mark.id)
    np.testing.assert_array_equal(loaded.decision_function({**tones, **knocks}), before)
