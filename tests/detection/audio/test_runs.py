"""Which clips are an event, and what lasts in them."""

import numpy as np
import pytest

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.detection.audio.events import row_edges_hz
from oddwave.detection.audio.runs import (
    NUM_BANDS,
    BandLevels,
    Run,
    find_runs,
    lowest_event_score,
    run_event,
    run_labels,
)
from oddwave.results import AudioEvent

HZ = np.concatenate(([0.0], np.geomspace(40, 7500, 126), [8000.0]))
NORMAL = BandLevels(np.linspace(-40.0, -70.0, NUM_BANDS), np.full(NUM_BANDS, 0.5))


def event_of(bands: np.ndarray, span_s: tuple[float, float], *, whole: bool) -> tuple[AudioEvent, bool]:
    starts_s = span_s[0] + (span_s[1] - span_s[0]) / len(bands) * np.arange(len(bands))
    return run_event("pump", span_s, bands, starts_s, NORMAL, HZ, evidence, whole=whole)


def calibration(num: int = 400, seed: int = 0) -> Calibration:
    return Calibration.fit([np.random.default_rng(seed).normal(size=num)], 1, "test")


def evidence(start_s: float, end_s: float) -> tuple[float, float]:
    return 9.0, 0.01


@pytest.mark.parametrize(("num_clips", "alpha"), [(1, 0.01), (1, 0.2), (10, 0.05), (40, 0.2), (200, 0.05)])
def test_the_threshold_is_where_the_verdict_turns(num_clips: int, alpha: float) -> None:
    own = calibration()
    threshold = lowest_event_score(own, Rule(alpha), num_clips)
    assert own.is_event(threshold, Rule(alpha), num_clips)
    assert not own.is_event(threshold - 1e-6, Rule(alpha), num_clips)


def test_a_longer_recording_needs_a_higher_score() -> None:
    own = calibration()
    thresholds = [lowest_event_score(own, Rule(0.05), num_clips) for num_clips in (1, 5, 20, 100)]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[-1] < 6


def test_alpha_is_kept_per_recording_whatever_its_length() -> None:
    """Of 2,000 normal recordings of 12 clips each, the asked share is flagged: the calibration holds 100 of them."""
    alarms, rng = [], np.random.default_rng(3)
    for seed in range(20):
        threshold = lowest_event_score(calibration(1200, seed), Rule(0.1), 12)
        alarms.append(float((rng.normal(size=(100, 12)).max(1) >= threshold).mean()))
    assert 0.06 < np.mean(alarms) < 0.14


def test_runs_close_single_gaps_and_most_clips_are_all() -> None:
    scores = np.array([0, 5, 0, 5, 0, 0, 5, 5, 0, 0, 0.0])
    runs = find_runs(scores, 4.0)
    assert runs == (Run(1, 3), Run(6, 7))
    assert run_labels(runs, len(scores)).tolist() == [0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0]
    assert find_runs(np.array([5, 5, 0, 5, 5.0]), 4.0) == (Run(0, 4),)
    assert find_runs(np.array([5, 0.0]), 4.0) == (Run(0, 0),)
    assert find_runs(scores, 6.0) == ()


def test_a_level_that_is_up_all_the_time_is_a_change_of_all_bands() -> None:
    rng = np.random.default_rng(0)
    bands = NORMAL.mean_db + 3 + rng.normal(0, 0.6, (40, NUM_BANDS))
    event, _ = event_of(bands, (0.0, 30.0), whole=True)
    assert event.throughout
    assert event.level_db == pytest.approx(3, abs=0.3)
    assert (event.low_hz, event.high_hz) == (0.0, 8000.0)
    assert (event.score, event.p_value) == (9.0, 0.01)


def test_a_whine_all_the_time_is_named_by_its_band() -> None:
    bands = NORMAL.mean_db + np.random.default_rng(0).normal(0, 0.6, (40, NUM_BANDS))
    bands[:, 28] += 12
    event, _ = event_of(bands, (0.0, 30.0), whole=True)
    edges = row_edges_hz(HZ)
    assert event.throughout
    assert (event.low_hz, event.high_hz) == (edges[28 * 4], edges[29 * 4])
    assert event.low_hz < event.peak_hz < event.high_hz
    assert event.level_db == pytest.approx(12, abs=1)


def test_what_comes_and_goes_is_not_there_throughout() -> None:
    bands = NORMAL.mean_db + np.random.default_rng(0).normal(0, 0.6, (40, NUM_BANDS))
    bands[:24, 20] += 8
    event, lasts = event_of(bands, (0.0, 40.0), whole=True)
    assert lasts
    assert not event.throughout
    assert (event.start_s, event.end_s) == pytest.approx((0.0, 24.0), abs=1.1)
    louder = NORMAL.mean_db + 3 + np.zeros((40, NUM_BANDS))
    assert not event_of(louder, (6.0, 12.0), whole=False)[0].throughout
    bands[::2, 20] -= 8
    assert not event_of(bands, (0.0, 40.0), whole=True)[1]
