"""The scores of tiny detectors of series: a change that should not alter numbers leaves them alone.

Everything that could tip over by rounding is set, not chosen (one noise level, both weights, the window sizes), and
the arithmetic is float32 on the CPU. Tolerance: 0.01 deviations of the normals' score, absolute, plus one part in a
hundred: another processor's rounding through five training steps stays far below it, a changed formula does not. A
change that is meant to alter scores puts the new numbers here; the assertion prints them.
"""

import numpy as np

from oddwave.detector import Detector

SETTINGS = (
    "series.method=denoiser",
    "seed=3",
    "series.windows_per_point=8",
    "scoring.reconstruction_weight=0.8",
    "scoring.memory_weight=0.5",
    'scoring.memory_spaces=["input", "feature", "complex"]',
    "training.dtype=float32",
)
STREAM = [-1.1167, -1.5299, -1.2778, -1.1208, 17.3477, 41.0286, 10.7701, -1.2245, -1.457, -1.8666]
PANEL = [0.5213, -0.1991, -1.5689, -1.3696, 0.6333, 78.2, -1.2342, 2.3136]
STREAM_BY_RETRIEVAL = [0.4989, -2.0087, 1.0709, 0.7322, 5.7507, 10.9049, 2.9225, -0.4503, -1.6795, -2.0445]
PANEL_BY_RETRIEVAL = [-0.2028, 0.0096, 0.7624, -1.0304, 0.7023, 4.8755, -0.0195, 0.2949]
TOLERANCE = {"rtol": 0.01, "atol": 0.01}


def test_scores_of_a_stream_have_not_moved(tiny_config, waves):
    detector = Detector(tiny_config(*SETTINGS, "series.window_sizes=[16, 24]")).fit(waves(400, channels=2))
    values = waves(120, channels=2, seed=1)
    values[60:66, 0] += 2.5
    scores = detector.decision_function(values)[4::12]
    np.testing.assert_allclose(scores, STREAM, **TOLERANCE, err_msg=str(scores.round(4).tolist()))


def test_scores_of_a_panel_have_not_moved(tiny_config, beats):
    items = beats(8, seed=1)
    items[5, 0, 10:14] += 1.5
    scores = Detector(tiny_config(*SETTINGS)).fit(beats()).decision_function(items)
    np.testing.assert_allclose(scores, PANEL, **TOLERANCE, err_msg=str(scores.round(4).tolist()))


def test_scores_of_a_stream_by_retrieval_have_not_moved(tiny_config, waves):
    settings = ("series.window_sizes=[16, 24]", "series.windows_per_point=8")
    detector = Detector(tiny_config(*settings)).fit(waves(400, channels=2))
    values = waves(120, channels=2, seed=1)
    values[60:66, 0] += 2.5
    scores = detector.decision_function(values)[4::12]
    np.testing.assert_allclose(scores, STREAM_BY_RETRIEVAL, **TOLERANCE, err_msg=str(scores.round(4).tolist()))


def test_scores_of_a_panel_by_retrieval_have_not_moved(tiny_config, beats):
    items = beats(8, seed=1)
    items[5, 0, 10:14] += 1.5
    scores = Detector(tiny_config()).fit(beats()).decision_function(items)
    np.testing.assert_allclose(scores, PANEL_BY_RETRIEVAL, **TOLERANCE, err_msg=str(scores.round(4).tolist()))
