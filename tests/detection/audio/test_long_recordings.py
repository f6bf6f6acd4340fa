"""Ten minutes of a pump with five faults: every one is an event with an excerpt, and next to nothing else is."""

import numpy as np
import pytest

from oddwave import Detector, preset
from oddwave.demo.machine_audio import SAMPLE_RATE, make_machine_audio
from oddwave.report.kinds.audio_words import describe

pytestmark = pytest.mark.slow

QUICK = ("audio.num_background=80", "scoring.memory_size=500", "training.num_steps=60")
ALPHA = 0.05  # of recordings
# kind, where it begins, how often its stretch is repeated
FAULTS = (("bearing_squeal", 60.0, 18), ("knocking", 170.0, 15), ("whine", 280.0, 2), ("rattle", 400.0, 1),
          ("overload", 500.0, 4))  # fmt: skip


def machine(seed: int, duration_s: float, fault: str | None = None) -> np.ndarray:
    return make_machine_audio(np.random.default_rng([5, seed]), duration_s, fault).samples


def faulty(seed: int, duration_s: float = 600.0) -> tuple[np.ndarray, dict[str, tuple[float, float]]]:
    """Return a recording with what each fault adds, again and again, and from when to when that is."""
    samples, planted = machine(seed, duration_s).copy(), {}
    for number, (kind, start_s, times) in enumerate(FAULTS):
        added = machine(100 + number, 8.0, kind) - machine(100 + number, 8.0)
        own = np.tile(added[np.flatnonzero(added)[0] : np.flatnonzero(added)[-1] + 1], times)
        first = round(start_s * SAMPLE_RATE)
        samples[first : first + len(own)] += own
        planted[kind] = start_s, start_s + len(own) / SAMPLE_RATE
    return samples, planted


@pytest.fixture(scope="module")
def detector() -> Detector:
    healthy = {f"healthy_{seed}": (machine(seed, 150.0), SAMPLE_RATE) for seed in range(5)}
    return Detector(preset("fast", "audio", seed=0).with_overrides(QUICK)).fit(healthy)


def test_every_fault_of_ten_minutes_is_an_event_that_can_be_heard(detector: Detector) -> None:
    samples, planted = faulty(50)
    rng = np.random.default_rng(1)
    stereo = np.stack([samples, 0.7 * samples + 0.0005 * rng.normal(size=len(samples))], 1).astype(np.float32)
    healthy = machine(51, 600.0)
    source = {"odd": (stereo, SAMPLE_RATE), "good": (healthy, SAMPLE_RATE)}
    odd, good = detector.score(source, alpha=ALPHA).recordings

    def meets(event, span_s):
        return event.start_s < span_s[1] and event.end_s > span_s[0]

    found = {kind: [event for event in odd.events if meets(event, span_s)] for kind, span_s in planted.items()}
    assert all(found.values()), {kind: len(events) for kind, events in found.items()}
    strays = [event for event in odd.events if not any(meets(event, span_s) for span_s in planted.values())]
    assert len(strays) + len(good.events) <= 1
    for events in found.values():
        assert any(own.start_s < event.end_s and own.end_s > event.start_s for event in events for own in odd.excerpts)
    start_s, end_s = planted["bearing_squeal"]
    squeal = max(found["bearing_squeal"], key=lambda event: event.end_s - event.start_s)
    assert min(squeal.end_s, end_s) - max(squeal.start_s, start_s) > 0.7 * (end_s - start_s)
    assert squeal.low_hz < 3500
    assert squeal.high_hz > 3000


def test_a_recording_that_is_louder_all_the_time_is_told_as_such(detector: Detector) -> None:
    louder = 10 ** (6 / 20) * machine(60, 60.0)
    (result,) = detector.score({"louder": (louder, SAMPLE_RATE)}, alpha=ALPHA).recordings
    (event,) = result.events
    assert event.throughout
    assert (event.start_s, event.end_s) == (0.0, 60.0)
    assert event.level_db == pytest.approx(6, abs=2.5)  # its load differs as well
    assert "at almost all frequencies throughout" in describe(event)
