"""What healthy data call certain anomalies: left out on request, and named; healthy data keep nearly all."""

import numpy as np
import pytest

from oddwave.calibration.trimming import certain_anomalies
from oddwave.detection.series.streams import Stream
from oddwave.detection.series.trimming import without_stretches


def test_single_scores_far_above_the_others_are_certain():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=200)
    scores[[3, 50]] = 30.0
    with pytest.warns(UserWarning, match=r"calibration.trim leaves out 2 of 200 scores of the healthy data"):
        first, second = certain_anomalies([scores[:40], scores[40:]], 1)
    assert np.flatnonzero(first).tolist() == [3]
    assert np.flatnonzero(second).tolist() == [10]


def test_healthy_scores_stay():
    rng = np.random.default_rng(1)
    (odd,) = certain_anomalies([rng.normal(size=1000)], 1)  # a warning would be an error
    assert not odd.any()


def test_a_third_of_faulty_items_is_still_seen():
    rng = np.random.default_rng(4)
    scores = rng.normal(size=150)
    scores[:50] += 15.0
    with pytest.warns(UserWarning, match="leaves out 50 of 150"):
        (odd,) = certain_anomalies([scores], 1)
    assert odd[:50].all()


def test_blocks_of_a_stream_are_judged_by_their_maxima():
    rng = np.random.default_rng(2)
    scores = np.abs(rng.normal(size=1000))
    scores[400:420] += 20.0
    with pytest.warns(UserWarning, match="leaves out 20 of 1,000"):
        (odd,) = certain_anomalies([scores], 50)
    assert np.flatnonzero(odd).tolist() == list(range(400, 420))


def test_streams_are_cut_at_what_is_odd():
    whole = Stream("a", 0, np.arange(100.0)[:, None], np.ones((100, 1), bool))
    odd = np.zeros(100, bool)
    odd[[40, 41, 45]] = True
    parts = without_stretches([whole], [odd], 10)
    assert [(part.offset, len(part)) for part in parts] == [(0, 40), (46, 54)]
    instances = [Stream(str(n), n, np.zeros((5, 1)), np.ones((5, 1), bool)) for n in range(3)]
    left = without_stretches(instances, [np.array([n == 1]) for n in range(3)], 5)
    assert [part.id for part in left] == ["0", "2"]


@pytest.mark.slow
def test_a_model_that_trims_finds_again_what_it_was_fitted_on(waves):
    """A fault that comes again is remembered as normal, unless it is left out."""
    from oddwave.config import preset
    from oddwave.detector import Detector

    healthy, new = waves(1200), waves(300, seed=3)
    for start in (300, 700, 1000):
        healthy[start : start + 12] += 5.0
    new[150:162] += 5.0
    config = preset("fast").with_overrides(["series.window_sizes=[24]"])
    plain = Detector(config).fit(healthy).decision_function(new)
    with pytest.warns(UserWarning, match="calibration.trim leaves out"):
        trimmed = Detector(config.with_overrides(["calibration.trim=true"])).fit(healthy)
    assert trimmed.decision_function(new)[150:162].max() > 1.5 * plain[150:162].max()
    assert trimmed.score(new, explain="none").labels[150:162].any()
