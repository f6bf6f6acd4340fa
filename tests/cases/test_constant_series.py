"""Where nothing varied in training, rounding decides nothing: equal points are normal, a step is found."""

import numpy as np
import pytest

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.detection.series.points import ties_lifted
from oddwave.detector import Detector
from oddwave.scoring.fusion import Standardiser
from oddwave.scoring.memory import Memory
from oddwave.tensors.series_scale import robust_scale


@pytest.mark.parametrize(
    ("channels", "level"),
    [(1, level) for level in (-1.0, 0.0, 0.1, 0.999, 1e6)]
    + [pytest.param(2, level, marks=[pytest.mark.slow] * (level != 0.999)) for level in (-1.0, 0.0, 0.1, 0.999, 1e6)],
)
def test_points_equal_to_training_are_normal_and_a_step_is_found(tiny_config, channels, level):
    detector = Detector(tiny_config("series.window_sizes=[16, 24]")).fit(np.full((400, channels), level))
    new = np.full((400, channels), level)
    new[200:240, 0] += max(1.0, abs(level))
    result = detector.score(new, alpha=0.05)
    far = np.r_[0:140, 300:400]
    assert (result.labels[far] == 0).all()
    assert result.items[0].p_values[far].min() > 0.9
    assert (result.labels[202:238] == 1).all()


def test_a_small_step_off_a_constant_has_no_score_without_bounds(tiny_config):
    detector = Detector(tiny_config()).fit(np.full((600, 1), 0.999))
    scores = detector.decision_function(np.full((200, 1), 1.0))
    assert np.isfinite(scores).all()
    assert scores.max() < 1e4


def test_mostly_at_rest_the_rest_is_normal(tiny_config):
    def machine(seed, n=900):
        values = np.zeros((n, 1))
        for start in np.random.default_rng(seed).integers(0, n - 30, 6):
            values[start : start + 20] = 1.0
        return values

    result = Detector(tiny_config()).fit(machine(0)).score(machine(1), alpha=0.05)
    still = np.convolve(machine(1)[:, 0], np.ones(65), "same") == 0
    assert still.sum() > 100
    assert (result.labels[still] == 0).all()


@pytest.mark.parametrize("jitter", [np.float32(6e-8), np.float32(1.2e-7)])
def test_rounding_to_32_bits_is_no_scale(jitter):
    values = np.full(500, np.float32(0.999))
    values[::7] += jitter
    assert robust_scale(values.astype(np.float64))[1] == pytest.approx(0.0999, rel=1e-3)


@pytest.mark.parametrize("step", [0.0625, 1.0])
def test_a_small_step_of_a_large_number_is_a_scale(step):
    values = 1e6 + step * 50 * np.random.default_rng(0).integers(-3, 4, 500)
    assert robust_scale(values)[1] == pytest.approx(np.std(values), rel=0.5)


def test_scores_that_vary_calibrate_as_they_are():
    scores = np.random.default_rng(0).normal(size=2000)
    np.testing.assert_array_equal(ties_lifted([scores[:500], scores[500:]])[1], scores[500:])


def test_scores_that_differ_by_rounding_are_ties():
    scores = np.concatenate([1e-7 * np.random.default_rng(0).normal(size=90), np.linspace(1, 3, 10)])
    lifted = ties_lifted([scores])
    calibration = Calibration.fit(lifted, 1, "tests")
    assert (calibration.p_values(scores[:90] + 2e-6) == 1.0).all()
    np.testing.assert_array_equal(lifted[0][90:], scores[90:])
    assert calibration.labels(np.array([0.0, 4.0, np.nan]), Rule(0.05)).tolist() == [0, 1, -1]


def test_deviations_of_rounding_size_are_not_divided_by():
    terms = {"recon": 21.0 + 1e-12 * np.arange(50.0), "memory.input": 1e-12 * np.arange(50.0)}
    standardiser = Standardiser.fit(terms).with_score(1e-12 * np.arange(50.0))
    moved = standardiser.transform({"recon": np.array([21.0 + 1e-5]), "memory.input": np.array([1e-5])})
    assert max(abs(float(v[0])) for v in moved.values()) < 0.1
    assert standardiser.standardised_score(np.array([0.5]))[0] == pytest.approx(0.5)


def test_a_dimension_that_only_rounds_keeps_its_own_unit():
    vectors = np.full((200, 1), 1000.0, np.float32)
    vectors[::2] += np.float32(6.2e-5)
    zeros = np.zeros(200, int)
    memory = Memory.fit(vectors, zeros, zeros, size=200, num_neighbors=1, standardise=True)
    assert memory.scale.tolist() == [1.0]
