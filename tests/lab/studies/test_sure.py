"""The studies of how sure verdicts are: what they count is counted right, on cases small enough to check by hand."""

import numpy as np
import pytest

from oddwave.lab.studies.contamination import image_case, series_case, with_faulty
from oddwave.lab.studies.false_alarms import shift_course
from oddwave.lab.studies.healthy import healthy_stream, share_with_bounds
from oddwave.lab.studies.start_error import errors_of


def test_errors_of_starts_and_ends():
    planted = [(10, 20), (50, 60), (90, 95)]
    events = [(12, 14), (18, 23), (44, 60), (70, 75)]
    assert errors_of(planted, events) == ([2, -6], [3, 0], 1)


def test_bounds_hold_the_share():
    told = share_with_bounds(3, 100)
    assert (told["num"], told["of"], told["share"]) == (3, 100, 0.03)
    assert told["low"] == pytest.approx(0.00623, abs=1e-4)
    assert told["high"] == pytest.approx(0.0852, abs=1e-4)


def test_healthy_streams_depend_as_asked():
    noise = healthy_stream(20_000, 0.9, 0, season=False)
    assert np.corrcoef(noise[1:], noise[:-1])[0, 1] == pytest.approx(0.9, abs=0.02)
    assert noise.std() == pytest.approx(0.3, abs=0.03)
    assert abs(healthy_stream(480, 0.0, 1) - healthy_stream(480, 0.0, 1)).max() == 0
    assert np.corrcoef(healthy_stream(480, 0.0, 1)[48:], healthy_stream(480, 0.0, 1)[:-48])[0, 1] > 0.7


def test_shifts_are_found():
    assert shift_course(200, 0, runs=5)["num"] == 5


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25])
def test_a_share_of_the_healthy_items_is_replaced_by_faulty_twins(share):
    good, bad = list(range(40)), [-n for n in range(40)]
    mixed = with_faulty(good, bad, share, seed=1)
    assert [abs(own) for own in mixed] == good
    assert sum(own < 0 for own in mixed) in (round(share * 40), round(share * 40) - 1)  # item 0 is its own twin


def test_cases_of_contamination_hold_what_they_say():
    case = series_case(0.1, 0)
    assert case.train.shape == case.clean.shape == (3000, 1)
    assert case.label.sum() == pytest.approx(300, abs=80)
    healthy = series_case(0.0, 0).train
    assert np.mean(np.abs(case.train - healthy) > 1e-9) == pytest.approx(0.1, abs=0.05)
    images = image_case(0.2, 0, side_px=64)
    assert len(images.train) == 80
    assert len(images.faulty) == len(images.label) == 80
    assert images.vectors(images.train).shape == (80, 1, 256)
    assert all((own == new).all() for own, new in zip(images.clean, images.faulty, strict=False))
