"""One-class SVM, LOF and matrix profile against scikit-learn, stumpy and brute force."""

import sys

import numpy as np
import pytest
import torch
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM as ScikitOneClassSVM

from oddwave.errors import ConfigError, MissingExtraError, ShapeError
from oddwave.lab.rivals import series_base
from oddwave.lab.rivals.lof import LOF
from oddwave.lab.rivals.matrix_profile import MatrixProfile
from oddwave.lab.rivals.one_class_svm import OneClassSVM
from oddwave.tensors.series_windows import sliding_windows, window_starts, window_to_point

ALL = (OneClassSVM, LOF, MatrixProfile)
WITHOUT_STUMPY = (OneClassSVM, LOF)


def _stream(n=150, channels=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, channels)).cumsum(axis=0)


def _waves(n=600, seed=0):
    rng, time = np.random.default_rng(seed), np.arange(n)
    return np.stack([np.sin(time / 5 + c) + 0.05 * rng.normal(size=n) for c in range(2)], axis=1) * 3 + 10


def _panel(num=30, channels=2, length=24, seed=0):
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(length) / 3 + rng.uniform(0, 0.4, size=(num, channels, 1)))
    return wave + 0.05 * rng.normal(size=(num, channels, length))


def _scaled(x, train, axes):
    return (x - train.mean(axes, keepdims=True)) / train.std(axes, keepdims=True)


def _vectors(x, train, window_size, stride=1):
    return sliding_windows(_scaled(x, train, (0,)), window_size, stride)[0].reshape(-1, window_size * x.shape[1])


def _points(window_scores, n, window_size, stride=1):
    return window_to_point(window_scores, window_starts(n, window_size, stride), window_size, n)


def _oracle_svm(vectors, nu=0.1):
    return ScikitOneClassSVM(nu=nu, gamma=10.0 / (vectors.shape[1] * vectors.var())).fit(vectors)


@pytest.mark.parametrize("nu", [0.05, 0.5, 0.95])
def test_one_class_svm_is_scikit_learns_with_the_sign_turned(nu):
    train, test = _stream(), _stream(seed=1)
    oracle = _oracle_svm(_vectors(train, train, 12), nu)
    expected = _points(-oracle.decision_function(_vectors(test, train, 12)), len(test), 12)
    got = OneClassSVM(window_size=12, nu=nu).fit(train).decision_function(test)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 4])
def test_one_class_svm_leaves_overlapping_support_vectors_out(stride):
    x = _stream(100)
    vectors, starts = _vectors(x, x, 10, stride), window_starts(len(x), 10, stride)
    chosen = series_base.evenly_spaced(len(vectors), 20)
    oracle = _oracle_svm(vectors[chosen])
    position, weights = starts[chosen[oracle.support_]], oracle.dual_coef_[0]
    scores = []
    for vector, start in zip(vectors, starts, strict=True):
        near = np.exp(-oracle.gamma * ((oracle.support_vectors_ - vector) ** 2).sum(axis=1))
        scores.append(-(weights * near)[np.abs(position - start) >= 10].sum() - oracle.intercept_[0])
    got = OneClassSVM(window_size=10, stride=stride, max_reference=20).fit_predict(x)
    np.testing.assert_allclose(got, _points(np.array(scores), len(x), 10, stride), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("num_neighbors", [3, 5, 100])  # 100 are more than there are
def test_lof_equals_scikit_learn_on_new_items(num_neighbors):
    train, test = _panel(), _panel(seed=1) * 1.3
    oracle = LocalOutlierFactor(n_neighbors=min(num_neighbors, 29), novelty=True)
    oracle.fit(_scaled(train, train, (0, 2)).reshape(30, -1))
    expected = -oracle.score_samples(_scaled(test, train, (0, 2)).reshape(30, -1))
    got = LOF(num_neighbors=num_neighbors).fit(train).decision_function(test)
    np.testing.assert_allclose(got, expected, rtol=1e-7)


def test_lof_equals_scikit_learn_on_streams():
    train, test = _stream(), _stream(seed=1)
    oracle = LocalOutlierFactor(n_neighbors=5, novelty=True).fit(_vectors(train, train, 12))
    expected = _points(-oracle.score_samples(_vectors(test, train, 12)), len(test), 12)
    np.testing.assert_allclose(LOF(window_size=12).fit(train).decision_function(test), expected, rtol=1e-7)


def test_lof_of_the_training_panel_is_scikit_learns_own_factor():
    panel = _panel()
    oracle = LocalOutlierFactor(n_neighbors=5).fit(_scaled(panel, panel, (0, 2)).reshape(30, -1))
    np.testing.assert_allclose(LOF().fit_predict(panel), -oracle.negative_outlier_factor_, rtol=1e-7)


@pytest.mark.parametrize(("stride", "max_reference"), [(1, 5000), (4, 5000), (1, 40)])
def test_lof_never_compares_overlapping_windows(stride, max_reference):
    x = _stream(100)
    vectors, starts = _vectors(x, x, 10, stride), window_starts(len(x), 10, stride)
    chosen = series_base.evenly_spaced(len(starts), max_reference)

    def nearest(vector, start):
        apart = [k for k in chosen if abs(starts[k] - start) >= 10]
        distance = np.array([np.linalg.norm(vector - vectors[k]) for k in apart])
        order = np.argsort(distance)[:5]
        return [apart[place] for place in order], distance[order]

    k_distance = {k: nearest(vectors[k], starts[k])[1].max() for k in chosen}

    def density(vector, start):
        indices, distance = nearest(vector, start)
        return 1 / np.mean([max(d, k_distance[k]) for k, d in zip(indices, distance, strict=True)])

    of_reference = {k: density(vectors[k], starts[k]) for k in chosen}
    scores = [
        np.mean([of_reference[k] for k in nearest(vector, start)[0]]) / density(vector, start)
        for vector, start in zip(vectors, starts, strict=True)
    ]
    got = LOF(window_size=10, stride=stride, max_reference=max_reference).fit_predict(x)
    np.testing.assert_allclose(got, _points(np.array(scores), len(x), 10, stride), rtol=1e-7)


def test_lof_of_many_equal_windows_is_one():
    same = np.tile(np.sin(np.arange(12.0)), (20, 1, 1))
    np.testing.assert_allclose(LOF().fit(same).decision_function(same[:3]), 1.0)


def test_blocks_do_not_change_the_scores(monkeypatch):
    x, panel = _stream(200), _panel()
    whole = [baseline(window_size=12).fit_predict(x) for baseline in WITHOUT_STUMPY]
    whole.append(MatrixProfile().fit_predict(panel))
    every = staticmethod(lambda windows, at_most: np.arange(len(windows)))  # the references stay as they were
    monkeypatch.setattr(series_base.WindowBaseline, "_references", every)
    monkeypatch.setattr(series_base, "BLOCK_VALUES", 1000)
    monkeypatch.setattr("oddwave.scoring.neighbours._BLOCK_VALUES", 1000)
    parts = [baseline(window_size=12).fit_predict(x) for baseline in WITHOUT_STUMPY]
    parts.append(MatrixProfile().fit_predict(panel))
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def _z(x):
    return (x - x.mean(axis=-1, keepdims=True)) / x.std(axis=-1, keepdims=True)


@pytest.mark.parametrize("own", [False, True])
def test_profile_of_a_panel_is_the_distance_to_the_nearest_instance(own):
    train = _panel() * np.random.default_rng(3).uniform(1, 5, size=(30, 2, 1))
    test = train if own else _panel(seed=1)
    distance = np.linalg.norm(_z(test)[:, None] - _z(train)[None], axis=-1)  # (N, M, C)
    if own:
        distance[np.arange(30), np.arange(30)] = np.inf
    profile = MatrixProfile()
    got = profile.fit_predict(train) if own else profile.fit(train).decision_function(test)
    np.testing.assert_allclose(got, distance.min(axis=1).mean(axis=1), rtol=1e-8)


def test_a_flat_instance_is_near_flat_ones_alone():
    train = np.concatenate([_panel(channels=1), np.full((1, 1, 24), 3.0)])
    test = np.concatenate([np.full((1, 1, 24), -7.0), train[:1]])
    np.testing.assert_allclose(MatrixProfile().fit(train).decision_function(test), 0.0, atol=1e-7)
    waves = MatrixProfile().fit(train[:-1])
    np.testing.assert_allclose(waves.decision_function(test[:1]), np.sqrt(24))


def test_without_stumpy_streams_name_the_extra_and_panels_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "stumpy", None)
    profile = MatrixProfile(window_size=12).fit(_stream())
    with pytest.raises(MissingExtraError, match=r"oddwave\[stumpy\]"):
        profile.decision_function(_stream(seed=1))
    assert np.isfinite(MatrixProfile().fit_predict(_panel())).all()


@pytest.mark.slow  # stumpy compiles for half a minute
def test_profile_of_a_stream_is_stumpys_and_brute_force():
    pytest.importorskip("stumpy")
    train, test = _stream(), np.concatenate([_stream(60, seed=1), np.full((30, 2), 2.0), _stream(60, seed=2)])

    def profile(query, reference, apart):
        rows = []
        for c in range(2):
            windows = [sliding_windows(x[:, c : c + 1], 12)[0][:, 0] for x in (query, reference)]
            flat = [w.std(axis=1) < 1e-9 for w in windows]
            z = [np.where(f[:, None], 0, (w - w.mean(1, keepdims=True)) / np.where(f, 1, w.std(1))[:, None])
                 for w, f in zip(windows, flat, strict=True)]  # fmt: skip
            distance = np.linalg.norm(z[0][:, None] - z[1][None], axis=-1)
            distance[np.abs(np.subtract.outer(np.arange(len(z[0])), np.arange(len(z[1])))) < apart] = np.inf
            rows.append(distance.min(axis=1))
        return _points(np.mean(rows, axis=0), len(query), 12)

    fitted = MatrixProfile(window_size=12).fit(train)
    np.testing.assert_allclose(fitted.decision_function(test), profile(test, train, 0), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(
        MatrixProfile(window_size=12).fit_predict(test), profile(test, test, 4), rtol=1e-5, atol=1e-9
    )
    short = MatrixProfile(window_size=12, max_reference=50).fit(train)
    np.testing.assert_allclose(short.decision_function(test), profile(test, train[-50:], 0), rtol=1e-5)
    np.testing.assert_allclose(fitted.decision_function(train), 0.0, atol=1e-5)  # no warning of stumpy's
    flat = np.full((100, 1), 7.0)
    assert (MatrixProfile(window_size=12).fit_predict(flat) == 0).all()
    longest = MatrixProfile(window_size=20)
    assert np.isfinite(longest.fit_predict(_stream(31))).all()
    spoiled = _waves(seed=1)
    spoiled[300:316] += np.random.default_rng(2).normal(0, 6, size=(16, 2))
    for scores in (MatrixProfile(window_size=16).fit(_waves()).decision_function(spoiled),
                   MatrixProfile(window_size=16).fit_predict(spoiled)):  # fmt: skip
        assert 290 <= int(np.argmax(scores)) <= 326


def test_a_self_join_says_how_long_a_stream_must_be():
    with pytest.raises(ShapeError, match="30 points, window_size is 20: a self-join needs 31 points"):
        MatrixProfile(window_size=20).fit_predict(_stream(30))
    assert np.isfinite(LOF(window_size=20).fit_predict(_stream(59))).all()
    with pytest.raises(ShapeError, match=r"58 points, window_size is 20: .* give window_size 19 or less"):
        LOF(window_size=20).fit_predict(_stream(58))
    for baseline in (LOF, MatrixProfile):
        with pytest.raises(ShapeError, match="1 instance"):
            baseline().fit_predict(np.zeros((1, 1, 5)))
        with pytest.raises(ShapeError, match="10 points, window_size is 64"):
            baseline().fit(_stream(10))


@pytest.mark.parametrize("baseline", ALL)
def test_saved_and_loaded_ones_give_the_same_scores_alone_and_in_company(baseline, tmp_path):
    panel = _panel()
    panel[4, :, 6:18] += np.random.default_rng(9).normal(0, 4, (2, 12))
    fitted = baseline().fit(_panel(seed=2))
    scores = fitted.decision_function(panel)
    assert scores.dtype == np.float64
    assert int(np.argmax(scores)) == 4
    loaded = baseline.load(fitted.save(tmp_path))
    np.testing.assert_array_equal(loaded.decision_function(panel), scores)
    alone = np.concatenate([loaded.decision_function(panel[i : i + 1]) for i in range(len(panel))])
    np.testing.assert_allclose(alone, scores, rtol=1e-10)


@pytest.mark.parametrize("baseline", WITHOUT_STUMPY)
@pytest.mark.parametrize("protocol", ["semi", "unsupervised"])
def test_a_burst_scores_highest_at_any_scale(baseline, protocol):
    train, test = _waves(), _waves(seed=1)
    test[300:316] += np.random.default_rng(2).normal(0, 6, size=(16, 2))
    for factor, offset in ((1, 0), (1000, -7)):
        made, x = baseline(window_size=16), test * factor + offset
        fitted = made.fit(train * factor + offset)
        scores = fitted.decision_function(x) if protocol == "semi" else made.fit_predict(x)
        assert 290 <= int(np.argmax(scores)) <= 326


@pytest.mark.parametrize("baseline", WITHOUT_STUMPY)
def test_flat_data_and_little_data_give_finite_scores(baseline):
    flat = np.full((100, 1), 7.0)
    made = baseline(window_size=12)
    assert np.isfinite(made.fit(flat).decision_function(flat)).all()
    assert np.isfinite(made.fit_predict(flat)).all()
    one = made.fit(_stream(12))
    assert np.isfinite(one.decision_function(_stream(40, seed=1))).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OneClassSVM(nu=0.0), "nu is 0.0"),
        (lambda: OneClassSVM(nu=1.0), "nu is 1.0"),
        (lambda: OneClassSVM(sharpness=0.0), r"sharpness 0.0"),
        (lambda: OneClassSVM(max_reference=1), "max_reference 1"),
        (lambda: LOF(num_neighbors=0), "num_neighbors 0"),
        (lambda: LOF(max_reference=1), "max_reference 1"),
        (lambda: MatrixProfile(window_size=2), "window_size 2"),
        (lambda: MatrixProfile(max_reference=63), "max_reference 63"),
    ],
)
def test_settings_that_cannot_work_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.slow  # as above
def test_after_the_profile_of_a_stream_torch_computes_on_as_many_threads_as_before():
    pytest.importorskip("stumpy")
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            MatrixProfile(window_size=12).fit_predict(_stream())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
