"""One contract over the detector and every baseline, on every kind of series.

Scores are finite, higher where the data are more anomalous, come back after saving, and do not depend on what is scored
beside them.
"""

import numpy as np
import pytest

from oddwave.detector import Detector
from oddwave.lab.rivals import BASELINES

PLAIN = [
    name for name, baseline in BASELINES.items() if not hasattr(baseline, "method")
]  # the learned: test_baseline_contract.py
WINDOWED = [name for name in PLAIN if hasattr(BASELINES[name], "window_size")]
KINDS = ("stream", "multivariate", "panel", "streams")


class Detected:
    """The detector behind the words of the contract; items of all streams are joined in order."""

    def __init__(self, config):
        self.detector = Detector(config)

    def fit(self, items):
        self.detector.fit(items)
        return self

    def decision_function(self, items):
        return self.detector.decision_function(items)

    def fit_predict(self, items):
        self.detector.detect(items)
        return self.detector.decision_scores_

    def saved_and_loaded(self, folder):
        self.detector.save(folder)
        again = Detected(self.detector.config)
        again.detector = Detector.load(folder)
        return again


class Baselined:
    def __init__(self, name):
        self.baseline = BASELINES[name](**({"window_size": 16} if name in WINDOWED else {}))
        self.fit, self.decision_function = self._fit, self.baseline.decision_function
        self.fit_predict = self.baseline.fit_predict

    def _fit(self, items):
        self.baseline.fit(items)
        return self

    def saved_and_loaded(self, folder):
        self.baseline.save(folder)
        again = Baselined(self.baseline.name)
        again.decision_function = type(self.baseline).load(folder).decision_function
        return again


def normal(kind, waves, beats, seed=0):
    return {
        "stream": lambda: waves(400, seed=seed),
        "multivariate": lambda: waves(400, channels=3, seed=seed),
        "panel": lambda: beats(seed=seed),
        "streams": lambda: [waves(320, seed=seed), waves(360, seed=seed + 50)],
    }[kind]()


def planted(kind, waves, beats):
    """Give data with an anomaly, and which of the joined scores lie in it."""
    items = normal(kind, waves, beats, seed=1)
    if kind == "panel":
        items[7] += 0.8 * np.random.default_rng(2).normal(size=items[7].shape)
        return items, np.arange(len(items)) == 7
    last = items[-1] if kind == "streams" else items
    last[150:170] += 1.5 * np.random.default_rng(2).normal(size=(20, last.shape[1]))
    before = len(items[0]) if kind == "streams" else 0
    place = np.arange(before + len(last))
    return items, (place >= before + 150) & (place < before + 170)


CASES = [(name, kind) for kind in KINDS for name in ("oddwave", *PLAIN) if kind != "streams" or name == "oddwave"]
SEEING = [case for case in CASES if case[0] != "random"]
WITH_NEIGHBOURS = [case for case in SEEING if case[1] in ("panel", "streams")]


@pytest.fixture(scope="module")
def fitted(tiny_config, waves, beats):
    """Give a scorer fitted on little data; each is fitted once."""
    scorers = {}

    def get(name, kind):
        if (name, kind) not in scorers:
            scorer = Detected(tiny_config("calibration.alpha=0.2")) if name == "oddwave" else Baselined(name)
            scorers[name, kind] = scorer.fit(normal(kind, waves, beats))
        return scorers[name, kind]

    return get


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_scores_are_finite_one_per_item_and_the_same_twice(fitted, name, kind, waves, beats):
    scorer = fitted(name, kind)
    items, odd = planted(kind, waves, beats)
    scores = scorer.decision_function(items)
    assert scores.shape == odd.shape
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scorer.decision_function(items), scores)


@pytest.mark.parametrize(("name", "kind"), SEEING)
def test_a_planted_anomaly_scores_higher_than_the_median(fitted, name, kind, waves, beats):
    items, odd = planted(kind, waves, beats)
    scores = fitted(name, kind).decision_function(items)
    assert np.median(scores[odd]) > np.median(scores)
    if name not in ("zscore", "isolation_forest"):
        assert np.median(scores[odd]) > np.quantile(scores[~odd], 0.9)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_loaded_scorer_gives_the_same_scores_to_the_last_bit(fitted, name, kind, waves, beats, tmp_path):
    scorer = fitted(name, kind)
    items, _ = planted(kind, waves, beats)
    loaded = scorer.saved_and_loaded(tmp_path / "model")
    np.testing.assert_array_equal(loaded.decision_function(items), scorer.decision_function(items))


@pytest.mark.parametrize(("name", "kind"), WITH_NEIGHBOURS)
def test_items_do_not_depend_on_the_items_beside_them(fitted, name, kind, waves, beats):
    scorer = fitted(name, kind)
    items, _ = planted(kind, waves, beats)
    together = scorer.decision_function(items)
    turned = scorer.decision_function(items[::-1])
    alone = np.concatenate([scorer.decision_function(items[i : i + 1]) for i in range(len(items))])
    sizes = [1 if kind == "panel" else len(item) for item in items[::-1]]
    back = np.concatenate(np.split(turned, np.cumsum(sizes)[:-1])[::-1])
    np.testing.assert_allclose(alone, together, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(back, together, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_data_are_compared_with_the_rest_of_themselves(kind, tiny_config, waves, beats):
    items, odd = planted(kind, waves, beats)
    scores = Detected(tiny_config("calibration.alpha=0.2")).fit_predict(items)
    assert np.isfinite(scores).all()
    assert np.median(scores[odd]) > np.quantile(scores[~odd], 0.9)


# PCA on a panel is left out: among forty instances the odd one has a component of its own and fits perfectly.
@pytest.mark.parametrize(("name", "kind"), [c for c in SEEING if c[0] != "oddwave" and c != ("pca", "panel")])
def test_baselines_compare_data_with_the_rest_of_themselves(name, kind, waves, beats):
    items, odd = planted(kind, waves, beats)
    scores = Baselined(name).fit_predict(items)
    assert np.isfinite(scores).all()
    assert np.median(scores[odd]) > np.median(scores)
