"""The three forms of diffusion time estimation: their own mathematics."""

import math

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from oddwave.errors import ConfigError
from oddwave.lab.rivals.learned.diffusion_time import Whitening, as_maps, as_vectors
from oddwave.lab.rivals.learned.dte_categorical import DTECategorical
from oddwave.lab.rivals.learned.dte_inverse_gamma import DTEInverseGamma
from oddwave.lab.rivals.learned.dte_nonparametric import DTENonparametric

pytestmark = pytest.mark.slow  # what all rivals promise is held by tests/contract, by default

METHODS = [DTECategorical, DTEInverseGamma, DTENonparametric]
TRAINED = METHODS[:2]


@pytest.mark.parametrize("shape", [(2, 8), (64, 4, 4)], ids=str)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_however_gross_an_anomaly_is_a_grosser_one_scores_higher(method, shape):
    """From one half of the most noise seen in training to a thousand times as much."""
    normal, direction = torch.randn(2, 40, *shape, generator=torch.Generator().manual_seed(0))
    fitted = method(num_steps=60)
    fitted.fit(normal)
    sizes = 3.0 * torch.logspace(0, 3.3, 12).reshape(-1, *(1,) * len(shape))
    scores = fitted.error_maps(sizes * direction[:1]).flatten(1).mean(1)
    assert (scores.diff() > 0).all()
    assert float(fitted.error_maps(normal).mean()) < float(scores[0])


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


def said_by(logits, log_size=0.0, beyond=0.0):
    """Give what a network says, with the vector's log size and how far that exceeds the limit."""
    rest = torch.tensor([[log_size, beyond]]).expand(len(logits), 2)
    return torch.cat([logits, rest], 1)


def test_categorical_score_is_the_expected_bin():
    method = DTECategorical(num_bins=4)
    said = said_by(torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.4], [1.0, 1e-9, 1e-9, 1e-9]])))
    np.testing.assert_allclose(method._time_score(said), [3.0, 1.0], atol=1e-6)


def test_categorical_time_goes_on_where_the_bins_end():
    method = DTECategorical(num_bins=4, least_noise=0.1, most_noise=10.0)
    sure = torch.tensor([[0.0, 0.0, 0.0, 90.0]])  # one bin is half a decade
    np.testing.assert_allclose(method._time_score(said_by(sure, beyond=math.log(10.0))), [6.0], atol=1e-5)


def test_categorical_bins_share_out_the_range_of_times():
    method, sure = DTECategorical(num_bins=4), said_by(50.0 * torch.eye(4))
    shares = torch.tensor([0.1, 0.3, 0.74, 1.0])
    assert float(method._time_loss(sure, shares)) < 1e-6
    assert float(method._time_loss(sure, shares.flip(0))) > 10.0


def inverse_gamma(numbers, **settings):
    """Give a method for vectors of so many numbers."""
    method = DTEInverseGamma(**settings)
    method._shape = (1, numbers)
    return method


@pytest.mark.parametrize("numbers", [6, 10, 50])
def test_inverse_gamma_loss_is_the_negative_log_posterior_up_to_its_constants(numbers):
    method, a = inverse_gamma(numbers, least_noise=0.1, most_noise=3.0), numbers / 2 - 1
    share, added, log_size = torch.tensor([0.5]), torch.tensor([-1.0, 0.3, 1.2]), 0.4
    losses = [float(method._time_loss(said_by(one[None, None], log_size), share)) for one in added]
    scales = a * (added + 2 * log_size).exp().double().numpy()
    expected = [-stats.invgamma(a, scale=b).logpdf((0.1 * 30**0.5) ** 2) / a for b in scales]
    np.testing.assert_allclose(np.diff(losses), np.diff(expected), rtol=1e-4)


@pytest.mark.parametrize("numbers", [6, 10, 50])
def test_inverse_gamma_score_is_the_root_of_the_mode_of_the_posterior(numbers):
    a, added, log_size = numbers / 2 - 1, 0.3, 0.4
    posterior = stats.invgamma(a, scale=a * math.exp(added + 2 * log_size))
    mode = optimize.minimize_scalar(lambda s2: -posterior.logpdf(s2), bounds=(0.1, 10.0), method="bounded").x
    score = inverse_gamma(numbers)._time_score(said_by(torch.tensor([[added]]), log_size))
    np.testing.assert_allclose(score.square(), [mode], rtol=1e-4)


@pytest.mark.parametrize("method", TRAINED, ids=lambda method: method.name)
def test_with_one_normal_item_the_time_is_that_of_its_distance(method, monkeypatch):
    """Where all normals are one x_0, 1 / E[1 / s^2 | x] = |x - x_0|^2 / D in closed form under log-uniform noise."""
    monkeypatch.setattr("oddwave.lab.rivals.learned.diffusion_time.Whitening.measure", lambda own, vectors: None)
    normal = torch.full((1, 1, 32), 0.5)
    fitted = method(num_steps=200)
    fitted.fit(normal.repeat(4, 1, 1))
    deviation = torch.logspace(math.log10(0.25), math.log10(2.5), 8)
    away = torch.randn(8, 1, 32, generator=torch.Generator().manual_seed(0))
    away *= deviation[:, None, None] / away.square().mean(2, keepdim=True).sqrt()
    times = fitted.error_maps(normal + away)[:, 0]
    assert (times.diff() > 0).all()
    if method is DTEInverseGamma:
        np.testing.assert_allclose(times, deviation * math.sqrt(15 / 16), rtol=0.12)  # b = a |x - x_0|^2 / D, a = 15
    else:  # bins, counted from their middles
        np.testing.assert_allclose(times, 7 * (deviation / 0.1).log() / math.log(60.0) + 0.5, atol=0.5)


def test_whitened_vectors_have_unit_size_in_every_direction():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.diag(torch.tensor([3.0, 1.0, 0.5])) @ torch.linalg.qr(torch.randn(3, 3, generator=generator))[0]
    vectors = torch.randn(2000, 3, generator=generator) @ mixing + 4.0
    whitening = Whitening(3)
    whitening.measure(vectors)
    white = whitening(vectors)
    np.testing.assert_allclose(torch.cov(white.T), np.eye(3), atol=0.12)  # the ridge takes up to a tenth
    assert float(white.mean(0).abs().max()) < 1e-4


@pytest.mark.parametrize("settings", [{"least_noise": 0.0}, {"least_noise": 6.0}, {"num_bins": 1}], ids=str)
def test_settings_that_make_no_bins_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        DTECategorical(**settings)
