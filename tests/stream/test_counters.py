"""Counters that begin anew are named; what wanders or restarts from high up is not."""

import numpy as np

from oddwave.stream.counters import CounterWatch


def notices(values):
    watch, found = CounterWatch(["total", "level"]), []
    for place in range(0, len(values), 7):
        found += watch.seen(values[place : place + 7], place)
        known = watch.state()
        watch = CounterWatch(["total", "level"])
        watch.restore(known)
    return found


def test_a_counter_that_begins_anew_is_named_once():
    rng = np.random.default_rng(0)
    total = np.concatenate([1000 + np.cumsum(rng.poisson(3, 100)), np.cumsum(rng.poisson(3, 100))]).astype(float)
    total[20:25] = np.nan
    (found,) = notices(np.stack([total, np.sin(np.arange(200) / 3)], axis=1))
    assert (found.kind, found.point) == ("counter", 100)
    assert found.text.startswith("total rose all the time and fell from 1339 to 5")


def test_a_slow_wave_and_a_small_fall_are_none():
    slow = np.sin(np.arange(400) / 100)
    small = np.arange(400.0)
    small[200:] -= 3
    assert notices(np.stack([slow, small], axis=1)) == []
