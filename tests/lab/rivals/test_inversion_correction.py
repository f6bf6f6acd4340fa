"""InvAD (inversion to noise) and DeCo-Diff (correction of deviations): their own mathematics."""

import numpy as np
import pytest
import torch
from torch import nn

from oddwave.lab.rivals.learned.deco_diff import DeCoDiff
from oddwave.lab.rivals.learned.invad import InvAD

pytestmark = pytest.mark.slow  # what all rivals promise is held by tests/contract, by default

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
