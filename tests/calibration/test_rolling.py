"""Judging by the latest normal blocks: what drifts slowly stays normal, what stands out does not."""

import numpy as np
import pytest

from oddwave import Detector, preset
from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rolling import rolling_calibrations
from oddwave.calibration.rule import Rule
from oddwave.detection.series.events import find_events
from oddwave.errors import ConfigError

SIZE, RULE = 10, Rule(0.02)


def flagged(scores, calibration, of_blocks):
    labels = calibration.labels(scores, Rule(0.2))
    return find_events("x", scores, labels, calibration, RULE, of_blocks=of_blocks)


def healthy(num_blocks, seed, drift=0.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=num_blocks * SIZE) + drift * np.arange(num_blocks * SIZE) / SIZE


def test_slow_drift_is_followed_and_a_fault_within_it_is_found():
    calibration = Calibration.fit([healthy(100, 0)], SIZE, "tests")
    drifting = healthy(400, 1, drift=0.004)
    drifting[3005] += 6.0
    fixed = flagged(drifting, calibration, ())
    followed = flagged(drifting, calibration, rolling_calibrations(drifting, calibration))
    assert len(fixed) > 100
    assert len(followed) <= 20  # 2 % of 400 blocks, and as many again
    assert any(event.start <= 3005 <= event.end for event in followed)


def test_what_is_anomalous_does_not_become_normal():
    calibration = Calibration.fit([healthy(50, 0)], SIZE, "tests")
    shifted = healthy(50, 1) + 8.0
    of_blocks = rolling_calibrations(shifted, calibration)
    assert len(of_blocks) == 50
    np.testing.assert_array_equal(of_blocks[-1].blocks, calibration.blocks)


def test_blocks_without_scores_change_nothing():
    calibration = Calibration.fit([healthy(20, 0)], SIZE, "tests")
    scores = np.where(np.arange(60) < 30, np.nan, healthy(6, 2))
    of_blocks = rolling_calibrations(scores, calibration)
    np.testing.assert_array_equal(of_blocks[3].blocks, calibration.blocks)
    np.testing.assert_array_equal(of_blocks[4].blocks, [*calibration.blocks[1:], scores[30:40].max()])


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_it_is_for_streams(modality):
    with pytest.raises(ConfigError, match="follows the drift of streams"):
        Detector(preset("fast", modality, calibration={"adaptive": "rolling"}))
