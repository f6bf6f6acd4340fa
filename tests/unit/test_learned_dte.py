"""The three forms of diffusion time estimation: their promises and their own mathematics."""

import numpy as np
import pytest
import torch

from oddwave.baselines.learned.diffusion_time import as_maps, as_vectors
from oddwave.baselines.learned.dte_categorical import DTECategorical
from oddwave.baselines.learned.dte_nonparametric import DTENonparametric
from oddwave.baselines.learned.items import on_pictures, on_series

METHODS = [DTECategorical, DTENonparametric]
TRAINED = METHODS[:1]
PLANTED = 2


def windows(seed, num=24):
    """Draw windows of two channels with a smooth wave each, (num, 2, 20)."""
    rng = np.random.default_rng(seed)
    waves = np.sin(np.arange(20) / 3 + rng.uniform(0, 0.6, (num, 2, 1)))
    return waves * [[1.0], [20.0]] + 0.05 * rng.normal(size=(num, 2, 20))


def odd_windows(seed=1):
    items = windows(seed, 5)
    items[PLANTED, :, 4:14] += np.random.default_rng(9).normal(0, 4, (2, 10)) * [[1.0], [20.0]]
    return items


def pictures(seed, num=6):
    """Draw pictures of 32 px: a soft disc on a gradient, (num, 3, 32, 32)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32] / 31 - 0.5
    disc = np.tanh(8 * (0.3 - np.hypot(x, y)))
    shade = np.stack([0.5 * disc + 0.2 * x, 0.4 * disc, 0.3 * disc - 0.2 * y])
    return (shade + 0.02 * rng.normal(size=(num, 3, 32, 32))).astype(np.float32)


def odd_pictures(seed=1):
    items = pictures(seed, 4)
    items[PLANTED, :, 8:20, 8:20] = np.where(np.indices((12, 12)).sum(0) % 8 < 4, 0.9, -0.9)
    return items


def made(method, kind, num_steps=30):
    if kind == "series":
        return on_series(method)(num_steps=num_steps)
    return on_pictures(method, kind)(num_steps=num_steps, size_px=32)


CASES = [(method, kind) for method in METHODS for kind in ("series", "pixel")] + [(DTECategorical, "feature")]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0].name}-{case[1]}")
def case(request):
    """Give (fitted baseline, test items with one planted anomaly, their scores)."""
    method, kind = request.param
    train, test = (windows(0), odd_windows()) if kind == "series" else (pictures(0), odd_pictures())
    fitted = made(method, kind).fit(train)
    return fitted, test, fitted.decision_function(test)


def test_scores_are_finite_and_what_is_planted_scores_highest(case):
    _, _, scores = case
    assert np.isfinite(scores).all()
    assert int(np.argmax(scores)) == PLANTED


def test_a_saved_and_loaded_one_gives_the_same_scores(case, tmp_path):
    fitted, test, scores = case
    loaded = type(fitted).load(fitted.save(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.decision_function(test), scores)


def test_order_and_company_do_not_matter(case):
    fitted, test, scores = case
    np.testing.assert_allclose(fitted.decision_function(test[::-1].copy()), scores[::-1], rtol=2e-4)
    np.testing.assert_allclose(fitted.decision_function(test[:1]), scores[:1], rtol=2e-4)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_second_fit_is_the_same_and_few_short_windows_are_enough(method):
    for train in (windows(0, 4)[..., :8], windows(0, 1)):
        first, second = (made(method, "series", 2).fit(train).decision_function(train) for _ in range(2))
        assert np.isfinite(first).all()
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("shape", [(2, 1, 32, 48), (2, 3, 30, 31), (2, 2, 8, 8), (2, 80, 8, 9)], ids=str)
def test_patches_lie_around_the_places_that_get_their_score(shape):
    items = torch.zeros(shape)
    row, column = shape[2] // 2, shape[3] // 3
    items[1, :, row, column] = 1.0
    vectors, counts = as_vectors(items)
    maps = as_maps(vectors.square().sum(2), counts, shape[2:])
    assert maps.shape == (2, *shape[2:])
    assert float(maps[0].abs().max()) == 0.0
    assert float(maps[1, row, column]) > 0.75 * float(maps[1].max())


# DTE-NP


def brute_force(method, queries, memory, k):
    """Give the mean distance to the k nearest vectors, in the method's whitened space."""
    whitened = [method.network[0](x).numpy() for x in (queries, memory)]
    distance = np.linalg.norm(whitened[0][:, None] - whitened[1], axis=2)
    return np.sort(distance, axis=1)[:, :k].mean(1)


def test_nonparametric_windows_have_the_mean_distance_to_their_neighbours():
    train, test = (torch.randn(40, 2, 9, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    method = DTENonparametric(num_neighbors=3)
    method.fit(train)
    expected = brute_force(method, test.flatten(1), train.flatten(1), 3)
    np.testing.assert_allclose(method.error_maps(test), np.repeat(expected[:, None], 9, axis=1), rtol=1e-4)


def test_nonparametric_places_are_compared_with_normal_items_there():
    train, test = (torch.randn(30, 64, 4, 4, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    train[:, :, 0, 0] *= 3.0
    test[:, :, 0, 0] *= 3.0
    method = DTENonparametric()
    method.fit(train)
    places = [x.flatten(2).transpose(1, 2).reshape(-1, 64) for x in (test, train)]
    expected = brute_force(method, *places, 5).reshape(30, 4, 4)
    np.testing.assert_allclose(method._scores(test)[0].reshape(30, 4, 4), expected, rtol=1e-4)
    maps = method.error_maps(test)
    assert expected[:, 0, 0].mean() > 2 * expected.mean()
    assert float(maps[:, 0, 0].mean()) < float(maps.mean()) + 1.0


def test_nonparametric_memory_is_bounded():
    method = DTENonparametric()
    method.fit(torch.randn(60, 64, 16, 16, generator=torch.Generator().manual_seed(0)))
    assert method.network[1].memory.shape == (3000, 64)


# DTE-C and DTE-IG


def test_categorical_score_is_the_expected_bin():
    method = DTECategorical(num_bins=4)
    said = torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.4], [1.0, 1e-9, 1e-9, 1e-9]]))
    np.testing.assert_allclose(method._time_score(said), [2.0, 0.0], atol=1e-6)


def test_categorical_bins_share_out_the_range_of_times():
    method, sure = DTECategorical(num_bins=4), 50.0 * torch.eye(4)
    shares = torch.tensor([0.1, 0.3, 0.74, 1.0])
    assert float(method._time_loss(sure, shares)) < 1e-6
    assert float(method._time_loss(sure, shares.flip(0))) > 10.0


@pytest.mark.parametrize("method", TRAINED, ids=lambda method: method.name)
def test_with_one_normal_item_the_time_is_that_of_its_distance(method, monkeypatch):
    """Where all normals are one x_0, b = ||x - x_0||^2 / 2 in closed form, so the variance expected is 2 b / D."""
    monkeypatch.setattr("oddwave.baselines.learned.diffusion_time.Whitening.measure", lambda own, vectors: None)
    normal = torch.full((1, 1, 16), 0.5)
    fitted = method(num_steps=120)
    fitted.fit(normal.repeat(4, 1, 1))
    log_variance = torch.linspace(-3.0, 1.5, 8)
    away = torch.randn(8, 1, 16, generator=torch.Generator().manual_seed(0))
    away *= (16 * log_variance.exp()[:, None, None] / away.square().sum(2, keepdim=True)).sqrt()
    times = fitted.error_maps(normal + away)[:, 0]
    expected = 7 * (log_variance / 2 - np.log(0.1)) / np.log(30.0) - 0.5  # bins, counted from their middles
    np.testing.assert_allclose(times, expected, atol=0.6)
    assert (times.diff() > 0).all()


def test_whitened_vectors_have_unit_size_in_every_direction():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.diag(torch.tensor([3.0, 1.0, 0.5])) @ torch.linalg.qr(torch.randn(3, 3, generator=generator))[0]
    items = (torch.randn(2000, 3, generator=generator) @ mixing + 4.0)[:, None]
    method = DTECategorical(num_steps=1)
    method.fit(items)
    white = method.network[0](items[:, 0])
    np.testing.assert_allclose(torch.cov(white.T), np.eye(3), atol=0.2)
    assert float(white.mean(0).abs().max()) < 1e-4
