"""The demonstration's series: the same every time, normal where they should be, and an honest comparison."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from oddwave.demo.series import CHANNELS, NUM_NORMAL_DAYS, PER_DAY, Planted, make_sample, match_events
from oddwave.results import SeriesEvent, SeriesResult

FIRST = NUM_NORMAL_DAYS * PER_DAY


def test_the_same_seed_gives_the_same_readings_and_another_one_others() -> None:
    one, same, other = make_sample(), make_sample(), make_sample(8)
    assert np.array_equal(one.values, same.values, equal_nan=True)
    assert not np.array_equal(one.values, other.values, equal_nan=True)


def test_faults_lie_in_the_later_part_apart_from_one_another() -> None:
    planted = make_sample().planted
    assert len({fault.kind for fault in planted}) == len(planted) >= 5
    assert {fault.channel for fault in planted} == set(CHANNELS)
    assert planted[0].start >= FIRST
    for one, later in pairwise(planted):
        assert one.start <= one.end < later.start


def test_the_normal_part_has_no_fault_in_it_and_no_drift_between_its_halves() -> None:
    normal = make_sample().values[:FIRST]
    first, second = normal[: FIRST // 2], normal[FIRST // 2 :]
    shift = np.abs(np.nanmean(first, axis=0) - np.nanmean(second, axis=0))
    assert np.all(shift < 0.25 * np.nanstd(normal, axis=0))


def test_no_fault_is_trivially_large() -> None:
    sample = make_sample()
    normal = sample.values[:FIRST]
    low, high = np.nanmin(normal, axis=0), np.nanmax(normal, axis=0)
    for fault in sample.planted:
        inside = sample.values[fault.start : fault.end + 1]
        beyond = np.nanmax(np.maximum(inside - high, low - inside), axis=0)
        assert np.all(beyond < 0.25 * (high - low)), fault.kind


def test_both_parts_have_rows_missing_and_one_has_empty_cells() -> None:
    sample = make_sample()
    assert (~sample.kept[:FIRST]).sum() > 8
    assert (~sample.kept[FIRST:]).sum() > 8
    assert np.isnan(sample.values[:FIRST]).any()


def item_with(*spans: tuple[int, int]) -> SeriesResult:
    values = np.zeros((100, 1))
    events = tuple(SeriesEvent("x", a, b, a, 5.0 + n, 0.25) for n, (a, b) in enumerate(spans))
    flat = np.zeros(100)
    return SeriesResult("x", flat, flat, flat.astype(np.int64), values, values == 0, ("c",), events=events)


def test_matching_counts_overlap_misses_and_false_alarms() -> None:
    planted = [Planted("a", "c", 10, 19), Planted("b", "c", 50, 59)]
    found, alarms = match_events(planted, item_with((15, 24), (19, 19), (70, 80)))
    assert [each.found for each in found] == [True, False]
    assert found[0].share == 0.5
    assert found[0].event is not None
    assert found[0].event.start == 19  # the stronger of the two events that touch it
    assert [alarm.start for alarm in alarms] == [70]


def test_an_event_that_only_borders_a_fault_is_a_false_alarm() -> None:
    found, alarms = match_events([Planted("a", "c", 10, 19)], item_with((20, 30)))
    assert not found[0].found
    assert len(alarms) == 1
    assert match_events([], replace(item_with(), events=()))[1] == []
