"""The windowed baselines against brute force, and what only one of them does."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest as ScikitIsolationForest
from sklearn.neighbors import NearestNeighbors

from oddwave.errors import ConfigError, ShapeError
from oddwave.lab.rivals import KNN, IsolationForest, PCAReconstruction, RandomScore, ZScore, series_base
from oddwave.tensors.series_windows import sliding_windows, window_starts, window_to_point


def _stream(n=150, channels=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, channels)).cumsum(axis=0)


def _vectors(x, train, window_size):
    return sliding_windows((x - train.mean(axis=0)) / train.std(axis=0), window_size)[0].reshape(-1, window_size * 2)


def _points(window_scores, n, window_size):
    return window_to_point(window_scores, window_starts(n, window_size), window_size, n)


def test_knn_equals_scikit_learn_on_windows():
    train, test = _stream(), _stream(seed=1)
    neighbours = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(_vectors(train, train, 12))
    expected = _points(neighbours.kneighbors(_vectors(test, train, 12))[0].mean(axis=1), len(test), 12)
    np.testing.assert_allclose(KNN(window_size=12).fit(train).decision_function(test), expected, rtol=1e-8)


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("max_reference", [10_000, 40])
def test_self_join_never_compares_overlapping_windows(stride, max_reference):
    x = _stream(100)
    windows, starts = sliding_windows((x - x.mean(axis=0)) / x.std(axis=0), 10, stride)
    vectors = windows.reshape(len(windows), -1)
    chosen = series_base.evenly_spaced(len(starts), max_reference)
    scores = []
    for vector, start in zip(vectors, starts, strict=True):
        apart = [k for k in chosen if abs(starts[k] - start) >= 10]
        scores.append(np.sort([np.linalg.norm(vector - vectors[k]) for k in apart])[:5].mean())
    expected = window_to_point(np.array(scores), starts, 10, len(x))
    got = KNN(window_size=10, stride=stride, max_reference=max_reference).fit_predict(x)
    np.testing.assert_allclose(got, expected, rtol=1e-8)


def test_self_join_of_a_panel_leaves_out_the_instance_itself():
    panel = np.random.default_rng(0).normal(size=(12, 1, 6))
    vectors = ((panel - panel.mean(axis=(0, 2), keepdims=True)) / panel.std(axis=(0, 2), keepdims=True))[:, 0]
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    expected = np.sort(distances, axis=1)[:, 1:6].mean(axis=1)
    np.testing.assert_allclose(KNN().fit_predict(panel), expected, rtol=1e-8)


def test_self_join_works_down_to_its_stated_length_and_says_so():
    assert np.isfinite(KNN(window_size=20).fit_predict(_stream(59))).all()
    with pytest.raises(ShapeError, match=r"58 points, window_size is 20: .* give window_size 19 or less"):
        KNN(window_size=20).fit_predict(_stream(58))
    with pytest.raises(ShapeError, match="1 instance"):
        KNN().fit_predict(np.zeros((1, 1, 5)))


def test_fewer_references_than_neighbours_are_all_used():
    panel = np.random.default_rng(0).normal(size=(3, 1, 6))
    scores = KNN().fit_predict(panel)
    scaled = ((panel - panel.mean()) / panel.std())[:, 0]
    assert scores[0] == pytest.approx(np.mean([np.linalg.norm(scaled[0] - scaled[k]) for k in (1, 2)]))


def test_blocks_do_not_change_the_scores(monkeypatch):
    x = _stream(200)
    whole = [baseline(window_size=12).fit_predict(x) for baseline in (KNN, PCAReconstruction, IsolationForest)]
    every = staticmethod(lambda windows, at_most: np.arange(len(windows)))  # the references stay as they were
    monkeypatch.setattr(series_base.WindowBaseline, "_references", every)
    monkeypatch.setattr(series_base, "BLOCK_VALUES", 1000)
    monkeypatch.setattr("oddwave.scoring.neighbours._BLOCK_VALUES", 1000)
    parts = [baseline(window_size=12).fit_predict(x) for baseline in (KNN, PCAReconstruction, IsolationForest)]
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_pca_equals_scikit_learn_on_windows():
    train, test = _stream(), _stream(seed=1)
    vectors, queries = _vectors(train, train, 12), _vectors(test, train, 12)
    oracle = PCA(n_components=0.95, svd_solver="full").fit(vectors)
    residual = queries - oracle.inverse_transform(oracle.transform(queries))
    expected = _points((residual**2).mean(axis=1), len(test), 12)
    np.testing.assert_allclose(
        PCAReconstruction(window_size=12).fit(train).decision_function(test), expected, rtol=1e-8
    )


def test_isolation_forest_is_scikit_learns_with_the_sign_turned():
    train, test = _stream(), _stream(seed=1)
    oracle = ScikitIsolationForest(random_state=3).fit(_vectors(train, train, 12))
    expected = _points(-oracle.score_samples(_vectors(test, train, 12)), len(test), 12)
    got = IsolationForest(window_size=12, seed=3).fit(train).decision_function(test)
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_zscore_takes_the_worst_channel_and_the_mean_point():
    train = np.array([[0.0, 10.0], [2.0, 10.0], [0.0, 30.0], [2.0, 30.0]])
    z = ZScore().fit(train)
    assert z.decision_function(np.array([[1.0, 50.0], [-2.0, 20.0]])).tolist() == [3.0, 3.0]
    panel = np.array([[[0.0, 2.0]], [[0.0, 2.0]]])
    assert ZScore().fit(panel).decision_function(np.array([[[1.0, 5.0]]])).tolist() == [2.0]


def test_random_scores_follow_the_seed():
    x = _stream(50)
    assert (RandomScore(seed=1).fit_predict(x) == RandomScore(seed=1).fit_predict(-x)).all()
    assert (RandomScore(seed=1).fit_predict(x) != RandomScore(seed=2).fit_predict(x)).all()


def test_evenly_spaced_keeps_both_ends():
    assert series_base.evenly_spaced(5, 10).tolist() == [0, 1, 2, 3, 4]
    assert series_base.evenly_spaced(101, 5).tolist() == [0, 25, 50, 75, 100]


def test_a_stream_shorter_than_a_window_is_refused():
    with pytest.raises(ShapeError, match="10 points, window_size is 64"):
        KNN().fit(_stream(10))
    with pytest.raises(ShapeError, match="30 points, window_size is 64"):
        KNN().fit(_stream(100)).decision_function(_stream(30))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KNN(window_size=0), "window_size 0"),
        (lambda: KNN(window_size=8, stride=9), "stride <= window_size"),
        (lambda: KNN(num_neighbors=0), "num_neighbors 0"),
        (lambda: KNN(max_reference=1), "max_reference 1"),
        (lambda: PCAReconstruction(variance_share=1.0), "variance_share is 1.0"),
        (lambda: PCAReconstruction(max_reference=1), "max_reference is 1"),
        (lambda: IsolationForest(num_trees=0), "num_trees is 0"),
        (lambda: IsolationForest(max_reference=1), "max_reference is 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
