"""Injected anomalies: where the labels say and nowhere else, apart, seeded, in units of the channel's deviation."""

import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oddwave.errors import ConfigError, ShapeError
from oddwave.lab.datasets.injection import INJECTED_KINDS, inject_anomalies
from oddwave.tensors.series_scale import robust_scale

NOISE = np.random.default_rng(3).normal(size=(3000, 2))
STREAM = np.stack([np.sin(np.arange(3000) / 9), 40 + 7 * np.cos(np.arange(3000) / 20)], axis=1) + 0.1 * NOISE


@given(
    window_size=st.integers(4, 120),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
    kinds=st.lists(st.sampled_from(INJECTED_KINDS), min_size=1, max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_only_labelled_points_change_and_events_lie_a_window_apart(window_size, share, seed, kinds):
    room = (3000 + window_size) // (2 * window_size)
    num_events = max(1, round(share * min(room, 40)))
    made = inject_anomalies(STREAM, num_events=num_events, kinds=kinds, seed=seed, window_size=window_size)
    label = np.zeros(3000, dtype=int)
    for start, end in made.windows:
        assert 0 <= start <= end < 3000
        assert end - start < window_size
        assert (made.values[start : end + 1] != STREAM[start : end + 1]).any()
        label[start : end + 1] = 1
    np.testing.assert_array_equal(made.gt_label, label)
    np.testing.assert_array_equal(made.values[label == 0], STREAM[label == 0])
    gaps = [later - end - 1 for (_, end), (later, _) in zip(made.windows, made.windows[1:], strict=False)]
    assert all(gap >= window_size for gap in gaps)
    assert len(made.windows) == len(made.kinds) == num_events


def test_as_many_events_as_there_is_room_for_fit():
    made = inject_anomalies(STREAM[:100], num_events=3, window_size=20)
    assert len(made.windows) == 3
    with pytest.raises(ConfigError, match="room for 3"):
        inject_anomalies(STREAM[:100], num_events=4, window_size=20)


def test_the_seed_decides_all_and_the_input_is_left_alone():
    before = STREAM.copy()
    one, two, other = (inject_anomalies(STREAM, num_events=8, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.values, two.values)
    assert one.windows == two.windows
    assert one.kinds == two.kinds
    assert one.windows != other.windows
    np.testing.assert_array_equal(STREAM, before)


def test_places_are_spread_over_the_whole_series():
    starts = [inject_anomalies(STREAM, num_events=1, seed=seed).windows[0][0] for seed in range(80)]
    assert np.histogram(starts, bins=4, range=(0, 3000))[0].min() >= 8


def test_kinds_occur_equally_often_in_random_order():
    made = inject_anomalies(STREAM, num_events=12, seed=0)
    assert sorted(made.kinds) == sorted(INJECTED_KINDS * 2)
    assert made.kinds != tuple(INJECTED_KINDS * 2)


@pytest.mark.parametrize("rate", [0.02, 0.08])
def test_rate_is_the_share_of_anomalous_points(rate):
    long = np.tile(STREAM, (10, 1))
    shares = [inject_anomalies(long, rate=rate, seed=seed).gt_label.mean() for seed in range(5)]
    assert np.mean(shares) == pytest.approx(rate, rel=0.25)


def test_strength_counts_in_deviations_of_each_channel():
    for channel, strength in ((0, 1.0), (1, 1.0), (1, 0.25)):
        one = STREAM[:, [channel]]
        made = inject_anomalies(one, num_events=10, kinds=["level_shift"], seed=4, strength=strength)
        change = np.abs(made.values - one)[made.gt_label == 1, 0] / (strength * robust_scale(one[:, 0])[1])
        assert change.min() >= 1
        assert change.max() <= 4
        assert change.max() - change.min() > 0.5


def test_missing_values_stay_missing_outside_the_events():
    holed = STREAM.copy()
    holed[::7, 1] = np.nan
    made = inject_anomalies(holed, num_events=10, seed=0)
    np.testing.assert_array_equal(np.isnan(made.values[made.gt_label == 0]), np.isnan(holed[made.gt_label == 0]))
    assert np.isfinite(made.values[made.gt_label == 1]).all()


def test_a_constant_series_is_changed_too():
    made = inject_anomalies(np.full((2000, 1), 5.0), num_events=6, seed=0)
    assert all((made.values[start : end + 1] != 5).any() for start, end in made.windows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of the two"),
        ({"num_events": 3, "rate": 0.1}, "one of the two"),
        ({"num_events": 0}, "room for"),
        ({"rate": 0.0}, r"rate 0\.0"),
        ({"rate": 0.9}, r"rate 0\.9, .* room for"),
        ({"num_events": 1, "kinds": ["wobble"]}, "level_shift"),
        ({"num_events": 1, "kinds": []}, "one or more"),
        ({"num_events": 1, "window_size": 3}, "window_size is 3"),
        ({"num_events": 1, "strength": 0.0}, r"strength 0\.0"),
    ],
)
def test_settings_that_cannot_work_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        inject_anomalies(STREAM, **options)


def test_other_shapes_are_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # else it refuses the shape before we can
    with pytest.raises(ShapeError, match="values have shape"):
        inject_anomalies(np.zeros((2, 3, 4)), num_events=1)
