"""Which window sizes a fit uses, how densely it cuts, and what is held back."""

import numpy as np
import pytest

from oddwave.detection.series.plan import fold_plan, plan_windows, split_instances, split_streams
from oddwave.detection.series.streams import Stream, cut_streams
from oddwave.errors import DataError


def stream(values, group=0):
    values = np.asarray(values, np.float32).reshape(len(values), -1)
    return Stream(f"s{group}", group, values, np.ones(values.shape, bool))


def wave(n, period=20, group=0):
    return stream(np.sin(2 * np.pi * np.arange(n) / period), group)


def test_a_period_in_the_data_sets_the_sizes(tiny_config):
    plan = plan_windows([wave(800)], tiny_config("series.window_sizes=auto"), panel=False, held_back=0.0)
    assert plan.period == 20
    assert 20 <= plan.sizes[0] < plan.sizes[-1] <= 80  # one to four periods
    assert len(plan.strides) == len(plan.sizes)
    assert plan.evidence["method"] == "autocorrelation"
    assert plan.tensor_length == 16


def test_given_sizes_are_sorted_and_said_once(tiny_config):
    plan = plan_windows([wave(300)], tiny_config("series.window_sizes=[32, 8, 32]"), panel=False, held_back=0.0)
    assert plan.sizes == (8, 32)


def test_windows_must_fit_three_times_into_what_is_held_back(tiny_config):
    config = tiny_config("series.window_sizes=[20]")
    assert plan_windows([wave(300)], config, panel=False, held_back=0.2).sizes == (20,)
    with pytest.raises(DataError, match=r"window_size 20 needs streams of at least 300 points, this one has 299"):
        plan_windows([wave(299)], config, panel=False, held_back=0.2)
    with pytest.raises(DataError, match="at least 40 points"):
        plan_windows([wave(300), wave(39, group=1), wave(39, group=2)], config, panel=False, held_back=0.0)


def test_a_few_short_streams_do_not_stop_the_others(tiny_config):
    streams = [wave(300), wave(280, group=1), wave(10, group=2)]
    assert plan_windows(streams, tiny_config("series.window_sizes=[20]"), panel=False, held_back=0.0).sizes == (20,)


@pytest.mark.parametrize("n", [24, 60, 150])
def test_sizes_found_in_the_data_always_fit(tiny_config, n):
    plan = plan_windows([wave(n)], tiny_config("series.window_sizes=auto"), panel=False, held_back=0.0)
    assert max(plan.sizes) <= n // 2


def test_a_stream_too_short_for_any_window_is_refused(tiny_config):
    with pytest.raises(DataError, match=r"needs streams of at least \d+ points, this one has 12"):
        plan_windows([wave(12)], tiny_config("series.window_sizes=auto"), panel=False, held_back=0.0)


@pytest.mark.parametrize("most", ["scoring.memory_size", "series.max_windows"])
def test_strides_grow_until_the_windows_are_few_enough(tiny_config, most):
    method = "retrieval" if most == "scoring.memory_size" else "denoiser"
    sizes = ("series.window_sizes=[16, 64]", f"series.method={method}")
    config = tiny_config(*sizes, f"{most}=100")
    plan = plan_windows([wave(3000), wave(1000, group=1)], config, panel=False, held_back=0.0)
    assert plan.strides == (16, 41)  # no stride is wider than its window
    config = tiny_config(*sizes, f"{most}=1200")
    roomy = plan_windows([wave(3000)], config, panel=False, held_back=0.0)
    assert len(cut_streams([wave(3000)], 64, roomy.strides[1])) <= 1200


def test_of_many_channels_fewer_windows_are_remembered(tiny_config):
    config = tiny_config("series.window_sizes=[64]", "series.tensor_length=64", "scoring.memory_size=4096")
    few, many = (
        plan_windows([stream(np.random.default_rng(0).normal(size=(9000, c)))], config, panel=False, held_back=0.0)
        for c in (1, 240)
    )
    assert (few.strides, many.strides) == ((4,), (9,))  # 240 channels x 1,092 windows x 64 points = 2^24


@pytest.mark.parametrize("most", ["scoring.memory_size", "series.max_windows"])
@pytest.mark.parametrize("max_windows", [60, 100, 300])
def test_training_windows_begin_at_every_phase_of_the_period(tiny_config, max_windows, most):
    method = "retrieval" if most == "scoring.memory_size" else "denoiser"
    config = tiny_config("series.window_sizes=[32]", f"series.method={method}", f"{most}={max_windows}")
    (stride,) = plan_windows([wave(1200)], config, panel=False, held_back=0.0).strides
    assert stride > 1
    assert {int(start) % 20 for start in cut_streams([wave(1200)], 32, stride).starts} == set(range(20))


def test_a_panel_has_one_window_an_instance(tiny_config):
    plan = plan_windows([wave(50), wave(50, group=1)], tiny_config(), panel=True, held_back=0.2)
    assert (plan.sizes, plan.strides, plan.panel, plan.tensor_length) == ((50,), (50,), True, 52)
    assert plan_windows([wave(900)], tiny_config(), panel=True, held_back=0.2).tensor_length == 128
    assert plan_windows([wave(5)], tiny_config(), panel=True, held_back=0.2).tensor_length == 16


def test_folding_takes_whole_periods(tiny_config):
    config = tiny_config("series.window_sizes=[90]", "series.representation=folded")
    plan = plan_windows([wave(600)], config, panel=False, held_back=0.0)
    assert plan.sizes == (80,)
    assert len(plan.strides) == 1
    with pytest.raises(DataError, match="needs a period that fits twice"):
        fold_plan(plan_windows([wave(600)], tiny_config("series.window_sizes=[30]"), panel=False, held_back=0.0))
    noise = stream(np.random.default_rng(0).normal(size=400))
    for streams, panel in (([noise], False), ([wave(50)], True)):
        with pytest.raises(DataError, match="choose 'window' instead"):
            plan_windows(streams, config, panel=panel, held_back=0.0)


def test_the_held_back_part_shares_no_point_with_any_training_window():
    train, held = split_streams([wave(100), wave(60, group=1)], 0.2, gap=10)
    assert [len(part) for part in train] == [70, 38]
    assert [(len(part), part.offset) for part in held] == [(20, 80), (12, 48)]
    np.testing.assert_array_equal(held[0].values, wave(100).values[80:])
    assert all(t.offset + len(t) + 10 == h.offset for t, h in zip(train, held, strict=True))


def test_instances_are_held_back_at_random_and_by_the_seed():
    panel = [wave(20, group=i) for i in range(20)]
    train, held = split_instances(panel, 0.2, seed=0)
    assert len(held) == 4
    assert sorted(s.group for s in (*train, *held)) == list(range(20))
    again, other = (split_instances(panel, 0.2, seed=s)[1] for s in (0, 1))
    assert [s.group for s in again] == [s.group for s in held] != [s.group for s in other]
    assert len(split_instances(panel[:4], 0.01, seed=0)[1]) == 1
    with pytest.raises(DataError, match="give at least 4"):
        split_instances(panel[:3], 0.2, seed=0)
