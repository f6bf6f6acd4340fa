"""Files with fewer rows than the longest window: what fits is used, and that is said."""

import numpy as np
import pytest

from oddwave.detector import Detector
from oddwave.errors import OddwaveError


@pytest.fixture(scope="module")
def detector(tiny_config, waves):
    return Detector(tiny_config("series.window_sizes=[16, 32, 48]")).fit(waves(480, channels=2))


@pytest.mark.parametrize("rows", [16, 17, 31, 32, 40, 47, 48, 100])
def test_every_row_gets_a_score_from_the_windows_that_fit(detector, waves, rows):
    result = detector.score(waves(rows, channels=2, seed=1))
    assert np.isfinite(result.scores).all()
    notes = [note for note in result.items[0].notes if "judged by windows of" in note]
    assert len(notes) == (rows < 48)
    if notes:
        assert ("16 points" if rows < 32 else "16, 32 points") in notes[0]


@pytest.mark.parametrize("rows", [1, 5, 15])
def test_fewer_rows_than_the_shortest_window_are_refused_in_one_line(detector, waves, rows):
    with pytest.raises(OddwaveError, match=rf"{rows} points, the model's shortest window has 16"):
        detector.score(waves(rows, channels=2))


def test_a_file_whose_values_are_too_few_is_refused_too(detector, waves):
    values = waves(200, channels=2)
    values[10:] = np.nan
    with pytest.raises(OddwaveError, match=r"10 points with values, the model's shortest window has 16"):
        detector.score(values)


def test_among_others_a_short_one_is_not_judged_and_says_why(detector, waves):
    result = detector.score([waves(100, channels=2, seed=1), waves(6, channels=2), waves(20, channels=2, seed=2)])
    first, short, last = result.items
    assert np.isfinite(first.scores).all()
    assert np.isfinite(last.scores).all()
    assert np.isnan(short.scores).all()
    assert (short.labels == -1).all()
    assert short.status == "not judged"
    assert short.reason.startswith("has no stretch of 16 points")
    assert any(short.id in line and "6 points not judged" in line for line in result.not_monitored)


def test_short_files_raise_no_flood_of_false_alarms(detector, waves):
    new = waves(480, channels=2, seed=5)
    for rows in (20, 40):
        files = [new[start : start + rows] for start in range(0, 480 - rows, 20)]
        assert (detector.predict(files, alpha=0.05) == 1).mean() < 0.15
