"""Events as they grow: what opens closes once, parts that grow together are told, and long ones are bounded."""

import numpy as np
import pytest

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.detection.series.events import find_events
from oddwave.detection.series.online import SettledPoints
from oddwave.stream.events import EventTracker
from oddwave.stream.records import Changes

GAP = 3


def tracker(limit=200):
    normal = np.abs(np.random.default_rng(0).normal(size=2000))
    return EventTracker("s", Calibration.fit([normal], 10, "a test"), Rule(0.02), max_gap=GAP, limit=limit)


def scores_of(*bumps, n=400, seed=1):
    """Quiet scores with bumps (centre, half width, height)."""
    scores = np.abs(np.random.default_rng(seed).normal(size=n)).clip(max=1.5)
    for centre, width, height in bumps:
        place = np.arange(n)
        scores = np.maximum(scores, height * (1 - np.abs(place - centre) / width))
    return scores


def told(own, scores, step, points=None):
    points, changes = scores if points is None else points, []
    for first in range(0, len(scores), step):
        part = slice(first, first + step)
        times = np.full(len(scores[part]), np.datetime64("NaT", "ns"))
        changes.append(own.extend(SettledPoints(first, scores[part], points[part]), times))
    nothing = SettledPoints(len(scores), np.zeros(0), np.zeros(0))
    changes.append(own.extend(nothing, np.zeros(0, "datetime64[ns]"), finished=True))
    return changes


def whole(changes):
    ended = [event for own in changes for event in own.closed]
    assert sorted(event.id for event in ended) == sorted(event.id for own in changes for event in own.opened)
    assert len({event.id for event in ended}) == len(ended)
    return sorted((event.start, event.end, event.peak, event.score) for event in ended if event.merged_into is None)


def test_closed_events_are_those_of_the_whole_whatever_the_steps():
    scores = scores_of((80, 10, 9), (200, 6, 7), (212, 6, 12), (300, 30, 20))
    own = tracker()
    labels = own.calibration.labels(scores, Rule(own.rule.alpha))
    batch = find_events("s", scores, labels, own.calibration, own.rule, max_gap=GAP, points=scores)
    expected = sorted((event.start, event.end, event.peak, event.score) for event in batch)
    assert len(expected) >= 3
    for step in (1, 7, 400):
        found = whole(told(tracker(), scores, step))
        assert [event[2:] for event in found] == [event[2:] for event in expected]
        np.testing.assert_allclose([e[:2] for e in found], [e[:2] for e in expected], atol=2)


def test_an_event_opens_while_it_lasts_and_closes_after_what_joins_two():
    scores = scores_of((80, 10, 9))
    changes = told(tracker(), scores, 1)
    opened = next(place for place, own in enumerate(changes) if own.opened)
    closed = next(place for place, own in enumerate(changes) if own.closed)
    (event,) = changes[closed].closed
    assert 70 <= opened < 80
    assert closed > event.end + GAP
    updates = [update for own in changes for update in own.updated]
    assert updates
    assert {update.id for update in updates} == {event.id}
    assert [update.score for update in updates] == sorted(update.score for update in updates)


def test_a_start_that_has_moved_says_from_where():
    shapes = [scores_of((80, 10, 9)), scores_of((80, 10, 9), (200, 6, 7), (212, 6, 12)), scores_of((300, 30, 20))]
    shapes.append(np.where(np.arange(400) == 100, 5.0, shapes[0]))
    shapes[-1][100:125] = [5.0] * 4 + [4.2] * 4 + [40.0] * 17
    moved = 0
    for scores in shapes:
        first = {}
        for own in told(tracker(), scores, 1):
            first |= {event.id: event.start for event in own.opened}
            for event in (*own.updated, *own.closed):
                assert event.opened_start == (None if event.start == first[event.id] else first[event.id])
                moved += event.opened_start is not None
    assert moved


def test_what_turns_out_to_be_part_of_another_closes_with_its_name():
    base = scores_of()
    base[100:104], base[104:108], base[108:125] = 5.0, 4.2, 40.0  # a step that a far higher one follows
    changes = told(tracker(), base, 1)
    (found,) = whole(changes)
    assert (found[0], found[3]) == (108, 40.0)
    assert {event.id for own in changes for event in own.opened} == {"s-1"}


@pytest.mark.slow
def test_a_fault_that_never_ends_is_one_event_in_bounded_memory():
    scores = scores_of(n=1000)
    scores[200:800] = 9.0 + 0.1 * np.sin(np.arange(600))
    own, largest, changes = tracker(limit=60), 0, []
    for first in range(0, 1000, 50):
        part = SettledPoints(first, scores[first : first + 50], scores[first : first + 50])
        changes.append(own.extend(part, np.full(50, np.datetime64("NaT", "ns"))))
        largest = max(largest, sum(len(values) for name, values in own.state()[0].items() if name != "quiet"))
    changes.append(
        own.extend(SettledPoints(1000, np.zeros(0), np.zeros(0)), np.zeros(0, "datetime64[ns]"), finished=True)
    )
    (event,) = [event for each in changes for event in each.closed]
    assert (event.start, event.end) == (200, 799)
    assert largest <= 3 * 111


def test_the_state_holds_open_events():
    scores = scores_of((80, 10, 9), (200, 40, 20), n=300)
    own, changes = tracker(limit=30), []
    for first in range(0, 300, 9):
        part = SettledPoints(first, scores[first : first + 9], scores[first : first + 9])
        changes.append(own.extend(part, np.full(len(part), np.datetime64("NaT", "ns"))))
        state, own = own.state(), tracker(limit=30)
        own.restore(*state)
    changes.append(
        own.extend(SettledPoints(300, np.zeros(0), np.zeros(0)), np.zeros(0, "datetime64[ns]"), finished=True)
    )
    assert whole(changes) == whole(told(tracker(limit=30), scores, 9))


def test_of_an_event_that_changed_twice_the_last_change_is_told():
    later, first = Changes(), Changes()
    changes = told(tracker(), scores_of((80, 10, 9)), 1)
    for own in changes[:85]:
        first.add(own)
    assert len(first.opened) == len(first.updated) == 1
    for own in changes:
        later.add(own)
    assert (len(later.updated), len(later.closed)) == (0, 1)
