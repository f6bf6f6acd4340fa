"""Score and p-value of recordings over the time in their names: drawn only where there are times, with gaps shown."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.report.kinds.audio_trend import trend_of
from oddwave.results import AudioResult

CALIBRATION = Calibration(np.arange(100.0), np.arange(100.0), 1, "").summary(Rule(0.05))
START = datetime(2024, 5, 1, 6)


def recording(name: str, score: float, when: datetime | None, label: int = 0) -> AudioResult:
    one = np.array([score])
    return AudioResult(
        name, one, np.array([0.2]), np.array([label]), np.zeros(1), 4.0, 4.0, 16000, peak_p_value=0.2, threshold=95.0,
        recorded_at=when,
    )  # fmt: skip


def series(hours: list[float]) -> list[AudioResult]:
    return [recording(f"r{n}", 10.0 + n, START + timedelta(hours=own)) for n, own in enumerate(hours)]


def test_points_stand_in_the_order_of_time_and_breaks_are_gaps() -> None:
    shuffled = [series([0, 1, 2, 3, 40, 41, 42])[n] for n in (6, 2, 4, 0, 5, 1, 3)]
    drawn = trend_of(shuffled, CALIBRATION)
    assert drawn is not None
    for panel in (drawn["score"], drawn["p"]):
        left = [x for x, *_ in panel["points"]]
        assert left == sorted(left)
        assert len(panel["paths"]) == 2
        assert panel["gaps"] == [(left[3], left[4])]
    heights = [y for _, y, *_ in drawn["score"]["points"]]
    assert heights == sorted(heights, reverse=True)
    assert "7 recordings from 2024-05-01 06:00 to 2024-05-03 00:00" not in drawn["told"]
    assert "7 recordings from 2024-05-01 06:00 to 2024-05-03" in drawn["told"]


@pytest.mark.parametrize("hours", [[], [0, 1, 2], [0, 0, 0, 0, 0, 1, 2]])
def test_without_four_moments_nothing_is_drawn(hours: list[float]) -> None:
    assert trend_of(series(hours), CALIBRATION) is None


def test_a_few_without_a_time_are_told_many_are_no_trend() -> None:
    timed = series([*range(10)])
    few = trend_of([*timed, recording("x", 3.0, None)], CALIBRATION)
    assert few is not None
    assert "1 more do not say" in few["told"]
    assert trend_of([*timed, *(recording(f"x{n}", 3.0, None) for n in range(5))], CALIBRATION) is None


def test_unjudged_ones_and_missing_thresholds_do_no_harm() -> None:
    odd = [replace(own, threshold=float("nan")) for own in series([*range(6)])]
    unread = replace(recording("u", float("nan"), START), labels=np.array([-1]), error="cannot be read")
    drawn = trend_of([*odd, unread], replace(CALIBRATION, threshold=float("inf")))
    assert drawn is not None
    assert drawn["score"]["threshold"] == ""
    assert len(drawn["score"]["points"]) == 6


def test_of_thousands_the_highest_are_drawn() -> None:
    many = series([own / 60 for own in range(5000)])
    drawn = trend_of(many, CALIBRATION)
    assert drawn is not None
    assert len(drawn["score"]["points"]) <= 2000
    assert "r4999" in drawn["score"]["points"][-1][3]
    assert "Of several in a row" in drawn["told"]
