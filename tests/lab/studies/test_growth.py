"""Exponents of power laws, and which points of them a study of growth believes."""

import numpy as np
import pytest

from oddwave.lab.studies.growth import AXES, exponent, jobs, markdown, summary


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_law(power) -> None:
    x = np.array([10.0, 20.0, 40.0, 80.0])
    found = exponent(x, 3 * x**power)
    assert (found.value, found.low, found.high, found.last) == pytest.approx((power,) * 4)


def test_the_interval_is_student_t_and_the_last_slope_sees_past_constant_costs() -> None:
    x = np.array([1.0, 10.0, 100.0, 1000.0])
    noisy = exponent(np.repeat(x, 2), np.repeat(x, 2) * np.tile([0.9, 1.1], 4))
    assert noisy.low < 1.0 < noisy.high
    assert noisy.low == pytest.approx(0.96107, abs=1e-5)  # 1 - 2.4469 * sqrt(0.08054 / 6 / 53.02)
    bent = exponent(x, 100 + x**1.5)
    assert bent.value < 1.0 < bent.last


def test_too_few_points_have_no_exponent() -> None:
    assert exponent([5, 5], [1, 2]) is None
    assert exponent([5, 6], [1, 0]) is None
    assert np.isnan(exponent([5, 10], [1, 2]).low)


def test_pixels_are_the_square_of_the_side_and_growth_above_proportion_is_marked() -> None:
    rows = [
        {"axis": axis, "side": "fit", "value": value, "cpu_s": seconds(value), "peak_mb": 1.0, "repeat": 0}
        for axis, seconds in (("image-size", lambda side: side**2 / 1e4), ("image-items", lambda n: n**1.5 / 1e4))
        for value in AXES[axis].values
    ]
    found = {(each["axis"], each["quantity"]): each for each in summary(rows)}
    assert found["image-size", "cpu_s"]["exponent"]["value"] == pytest.approx(1.0)
    assert not found["image-size", "cpu_s"]["above"]
    assert found["image-items", "cpu_s"]["above"]
    assert found["image-items", "peak_mb"]["exponent"] is None
    table = markdown(list(found.values()), "command")
    assert "too small to tell" in table
    assert table.count("without a known reason") == 1


def test_repeats_take_turns() -> None:
    told = jobs(["audio-items"], True, 2)
    assert [(job["repeat"], job["value"], job["side"]) for job in told] == [
        (repeat, value, side) for repeat in (0, 1) for value in AXES["audio-items"].quick for side in ("fit", "score")
    ]
