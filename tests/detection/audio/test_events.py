"""Events in sound: one event each, where it was put, and said in plain words."""

import jaxtyping
import numpy as np
import pytest

from oddwave.detection.audio.events import find_audio_events
from oddwave.errors import ShapeError

ROWS, COLUMNS, COLUMN_S = 64, 200, 0.02
HZ = np.concatenate(([0.0], np.geomspace(60, 7000, ROWS - 2), [8000.0]))


@pytest.fixture
def own_checks(monkeypatch):
    """Let wrong types and shapes reach the checks of the code itself."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def row_of(hz):
    return int(np.abs(HZ - hz).argmin())


def scene(*events, noise=0.3, seed=0):
    """Give map, levels and normal levels with events (low_hz, high_hz, start_s, end_s, level_db, height)."""
    rng = np.random.default_rng(seed)
    oddness = noise * rng.normal(size=(ROWS, COLUMNS))
    normal = -50 + rng.normal(size=(ROWS, 1)) + np.zeros((ROWS, COLUMNS))
    levels = normal.copy()
    row, column = np.mgrid[:ROWS, :COLUMNS]
    for low, high, start, end, level, height in events:
        # distance in cells from the event's box; the map falls off smoothly around it
        down = np.maximum(np.maximum(row_of(low) - row, row - row_of(high)), 0)
        across = np.maximum(np.maximum(start / COLUMN_S - column, column + 1 - end / COLUMN_S), 0)
        fall = np.exp(-(down**2 + across**2) / 8)
        oddness = np.maximum(oddness, height * fall)
        levels = np.where(fall == 1, normal + level, levels)
    return oddness, levels, normal


def found(*events, threshold=8.0, **options):
    return find_audio_events("pump", *_arguments(scene(*events), threshold), **options)


def _arguments(made, threshold):
    oddness, levels, normal = made
    return oddness, threshold, levels, normal, HZ, COLUMN_S, evidence_of(oddness)


def evidence_of(oddness):
    """Let the highest value of a stretch stand for what its clips say."""

    def evidence(start_s, end_s):
        here = oddness[:, round(start_s / COLUMN_S) : round(end_s / COLUMN_S)]
        peak = float(np.nanmax(here, initial=-np.inf))
        return peak, 1 / (1 + peak)

    return evidence


def test_a_tone_and_a_missing_band_are_one_event_each_strongest_first():
    tone, gap = found((3100, 3100, 1.0, 1.6, 14, 40.0), (500, 1200, 2.0, 3.2, -20, 20.0))
    assert tone.item == "pump"
    assert (tone.score, tone.p_value) == (40.0, 1 / 41)
    assert (tone.start_s, tone.end_s) == pytest.approx((1.0, 1.6), abs=0.06)
    assert 0.8 * 3100 < tone.low_hz < 3100 < tone.high_hz < 1.27 * 3100
    assert tone.peak_hz == pytest.approx(HZ[row_of(3100)], rel=0.03)
    assert tone.level_db == pytest.approx(14, abs=2)
    assert (gap.start_s, gap.end_s) == pytest.approx((2.0, 3.2), abs=0.06)
    assert gap.low_hz < 500 < 1200 < gap.high_hz
    assert gap.level_db == pytest.approx(-20, abs=4)


def test_the_peak_lies_between_rows_where_levels_say_so():
    oddness, levels, normal = scene()
    at, width = row_of(1000), 2.0
    oddness[at - 2 : at + 4, 50:80] = 30
    shape = 25 - 8.7 * ((np.arange(ROWS) - at - 0.4) / width) ** 2  # a Gaussian, its top 0.4 rows above a row
    levels[:, 50:80] = np.maximum(levels[:, 50:80], -50 + shape[:, None])
    (event,) = find_audio_events("pump", *_arguments((oddness, levels, normal), 8.0))
    assert event.peak_hz == pytest.approx(HZ[at] * (HZ[at + 1] / HZ[at]) ** 0.4, rel=0.01)


def test_the_flank_of_a_strong_event_is_no_event_but_a_weak_peak_beside_it_is():
    assert len(found((1000, 1000, 1.0, 1.5, 30, 400.0))) == 1
    strong, weak = found((1000, 1000, 1.0, 1.5, 30, 400.0), (2300, 2300, 1.0, 1.5, 10, 30.0), threshold=3.0)
    assert strong.high_hz < 1500 < weak.low_hz


def test_fragments_of_one_audio_are_merged_and_separate_audio_are_not():
    fragments = [(3000, 3000, 1.0 + 0.2 * i, 1.08 + 0.2 * i, 10, 20.0) for i in range(4)]
    (event,) = found(*fragments)
    assert (event.start_s, event.end_s) == pytest.approx((1.0, 1.68), abs=0.06)
    clicks = [(80, 7000, 0.5 + 0.6 * i, 0.52 + 0.6 * i, 20, 30.0) for i in range(4)]
    events = found(*clicks)
    assert sorted(round(event.start_s, 1) for event in events) == [0.5, 1.1, 1.7, 2.3]
    assert len(found((400, 400, 1, 1.5, 10, 20.0), (3000, 3000, 1, 1.5, 10, 20.0))) == 2


def test_pieces_of_one_instant_are_one_event_and_simultaneous_tones_are_not():
    pieces = [(1500, 6000), (150, 600)]
    (click,) = found(*((low, high, 1.0, 1.04, 20, 30.0) for low, high in pieces))
    assert click.low_hz < 150 < 6000 < click.high_hz
    (gap,) = found(*((low, high, 1.0, 2.0, -20, 30.0) for low, high in pieces))
    assert gap.low_hz < 150 < 6000 < gap.high_hz
    assert len(found(*((low, high, 1.0, 2.0, 20, 30.0) for low, high in pieces))) == 2
    assert len(found((3000, 6000, 1.0, 1.04, 20, 30.0), (150, 400, 1.0, 1.04, -20, 30.0))) == 2


def test_nothing_above_the_threshold_is_no_event_unless_one_is_asked_for():
    assert found((1000, 1000, 1.0, 1.5, 10, 5.0)) == ()
    (event,) = found((1000, 1000, 1.0, 1.5, 10, 5.0), at_least_one=True)
    assert event.start_s == pytest.approx(1.0, abs=0.06)
    assert found((1000, 1000, 1.0, 1.5, 10, 50.0), start_s=3600.0)[0].start_s == pytest.approx(3601.0, abs=0.06)


def test_columns_without_a_score_and_empty_maps():
    oddness, levels, normal = scene((1000, 1000, 1.0, 1.5, 10, 20.0))
    oddness[:, :20] = np.nan
    assert len(find_audio_events("pump", *_arguments((oddness, levels, normal), 8.0))) == 1
    oddness[:] = np.nan
    assert find_audio_events("pump", *_arguments((oddness, levels, normal), 8.0), at_least_one=True) == ()
    nothing = np.zeros((ROWS, 0))
    assert find_audio_events("pump", *_arguments((nothing, nothing, nothing), 8.0)) == ()


def test_a_noisy_map_of_a_long_recording_keeps_the_strongest():
    rng = np.random.default_rng(0)
    oddness = np.abs(rng.normal(size=(ROWS, 8_000)))
    oddness[30:34, 5_000:5_040] += 20
    levels = np.full(oddness.shape, -50.0)
    events = find_audio_events("long", oddness, 3.5, levels, levels, HZ, COLUMN_S, evidence_of(oddness))
    assert len(events) == 50
    assert (events[0].start_s, events[0].end_s) == pytest.approx((100.0, 100.8))


def test_maps_that_do_not_go_together_are_refused(own_checks):
    oddness, levels, normal = scene()
    with pytest.raises(ShapeError, match="one size"):
        find_audio_events("pump", *_arguments((oddness, levels[:, 1:], normal), 8.0))
    with pytest.raises(ShapeError, match="64 frequencies"):
        find_audio_events("pump", *_arguments((oddness[1:], levels[1:], normal[1:]), 8.0))


def test_a_map_that_lies_above_the_threshold_as_a_whole_is_outlined():
    """Flat parts below the median have peaks of no height: single precision must not lose them."""
    rng = np.random.default_rng(3)
    oddness = rng.normal(5, 1, (ROWS, COLUMNS)).astype(np.float32)
    levels = np.full((ROWS, COLUMNS), -40.0)
    events = find_audio_events("x", oddness, 0.5, levels, levels - 10, HZ, COLUMN_S, evidence_of(oddness))
    assert events
    assert events[0].score == pytest.approx(float(oddness.max()))
