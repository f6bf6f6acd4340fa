"""InvAD (inversion to noise) and DeCo-Diff (correction of deviations): their promises and their own mathematics."""

import numpy as np
import pytest
import torch
from torch import nn

from oddwave.baselines.learned.deco_diff import DeCoDiff
from oddwave.baselines.learned.invad import InvAD
from oddwave.baselines.learned.items import on_pictures, on_series

METHODS = [InvAD, DeCoDiff]
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


def made(method, kind, num_steps=0):
    if kind == "series":
        return on_series(method)(num_steps=num_steps or 20)
    return on_pictures(method, kind)(num_steps=num_steps or 8, size_px=16)


CASES = [*((method, kind) for method in METHODS for kind in ("series", "pixel")), (InvAD, "feature")]


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
def test_a_second_fit_is_the_same_and_four_short_windows_are_enough(method):
    train = windows(0, 4)[..., :8]
    first, second = (made(method, "series", num_steps=2).fit(train).decision_function(train) for _ in range(2))
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, second)


# What the methods compute, with an exact network of a known answer in place of a trained one.


class GaussianDenoiser(nn.Module):
    """The best noise estimate there is where every number of x_0 is drawn from N(0, variance)."""

    def __init__(self, schedule, variance):
        super().__init__()
        self.schedule, self.variance = schedule, variance

    def forward(self, x_t, t):
        a, s = self.schedule.scales(t, x_t)
        return s * x_t / (a**2 * self.variance + s**2)


def test_invad_carries_normals_to_standard_noise():
    """Of N(0, v) the flow is known: x_T = x_0 sqrt((a_T^2 v + s_T^2) / v), close to x_0 / sqrt(v)."""
    x = 0.3 * torch.randn(3, 1, 2000, generator=torch.Generator().manual_seed(5))
    method = InvAD(noise_level=1.0, num_inversion_steps=333)
    method._network = GaussianDenoiser(method.schedule, 0.09)
    arrived = method._arrival(x)
    np.testing.assert_allclose(arrived, x / 0.3, rtol=0.05)
    assert float(arrived.std()) == pytest.approx(1.0, abs=0.05)


def test_deco_diff_corrupts_patches_and_leaves_the_rest():
    torch.manual_seed(0)
    x = torch.randn(64, 2, 30)
    method = DeCoDiff()
    mask, t = method._mask(x), torch.randint(1000, (64,))
    x_t, deviation = method._corrupted(x, t, mask)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert 0.2 < float(mask.mean()) < 0.5
    kept = (mask == 0).expand_as(x)
    np.testing.assert_array_equal(x_t[kept], x[kept])
    np.testing.assert_allclose(x_t - method.schedule.scales(t, x)[1] * deviation, x, atol=1e-5)
    a, s = method.schedule.scales(t, x)
    noise = ((x_t - a * x) / s)[~kept]
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.1)
    assert float(noise.std()) == pytest.approx(1.0, abs=0.1)


class KnownDeviation(nn.Module):
    """Sees a share of what separates any input from one normal item."""

    def __init__(self, method, normal, share):
        super().__init__()
        self.schedule, self.normal, self.share = method.schedule, normal, share

    def forward(self, x_t, t):
        return self.share * (x_t - self.normal) / self.schedule.scales(t, x_t)[1]


@pytest.mark.parametrize(("share", "left"), [(1.0, 0.0), (0.0, 1.0)])
def test_deco_diff_takes_away_what_the_network_calls_deviation(share, left):
    normal, odd = torch.zeros(1, 1, 16), torch.ones(1, 1, 16)
    method = DeCoDiff(num_corrections=1)
    method._network = KnownDeviation(method, normal, share)
    np.testing.assert_allclose(method._normal_version(odd), left * odd, atol=1e-6)


def test_deco_diff_corrects_further_from_step_to_step():
    odd = torch.ones(1, 1, 16)
    left = []
    for num in (1, 2, 4):
        method = DeCoDiff(num_corrections=num)
        method._network = KnownDeviation(method, torch.zeros(1, 1, 16), 0.5)
        left.append(float(method._normal_version(odd).mean()))
    assert left[0] == pytest.approx(0.5)
    assert left[0] > left[1] > left[2] > 0.0
