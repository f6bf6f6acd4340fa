"""ADDM: the step of its game, and that both sides of it learn."""

import numpy as np
import pytest
import torch
from torch import nn

from oddwave.lab.rivals.learned.addm import ADDM

pytestmark = pytest.mark.slow  # what all rivals promise is held by tests/contract, by default


class KnowsAll(nn.Module):
    """A denoiser that knows the one item there is."""

    def __init__(self, schedule, item):
        super().__init__()
        self.schedule, self.item = schedule, item

    def forward(self, x_t, t):
        a, s = self.schedule.scales(t, x_t)
        return (x_t - a * self.item) / s


@pytest.mark.parametrize("stride", [1, 100, 400])
def test_a_perfect_denoiser_steps_down_to_noised_real_items(stride, monkeypatch):
    method = ADDM(stride=stride)
    item = torch.linspace(-2, 2, 8).reshape(1, 1, 8)
    batch = item.expand(5_000, 1, 8)
    monkeypatch.setattr(method, "_random_t", lambda count: torch.full((count,), 500))
    torch.manual_seed(0)
    error, denoised, k = method._step_down(KnowsAll(method.schedule, item), batch)
    a_k, s_k = (float(scale[0]) for scale in method.schedule.scales(k, batch))
    assert float(error) < 1e-8
    assert (k == 500 - stride).all()
    np.testing.assert_allclose(denoised.mean(0), a_k * item[0], atol=0.06, rtol=0)
    np.testing.assert_allclose(denoised.std(0), s_k, atol=0.04, rtol=0)


def test_the_last_step_ends_where_the_estimate_is():
    method = ADDM(stride=1000)
    item = torch.linspace(-2, 2, 8).reshape(1, 1, 8)
    _, denoised, k = method._step_down(KnowsAll(method.schedule, item), item.expand(50, 1, 8))
    assert (k == 0).all()
    np.testing.assert_allclose(denoised, item.expand(50, 1, 8), atol=0.06, rtol=0)


def waves(num=32):
    phase = torch.rand(num, 1, 1, generator=torch.Generator().manual_seed(1))
    return torch.sin(torch.arange(16) / 3 + 6 * phase)


def state_of(weight, num_steps=5):
    method = ADDM(num_steps=num_steps, adversarial_weight=weight)
    method.fit(waves())
    return method.arrays()


def test_the_discriminator_teaches_the_denoiser_and_both_are_kept():
    first, alone, against = state_of(0.0, num_steps=1), state_of(0.0), state_of(1.0)
    judge = [name for name in alone if name.startswith("discriminator.")]
    denoiser = [name for name in alone if name.endswith("weight") and name not in judge and "scale" not in name]
    assert judge
    assert any((first[name] != alone[name]).any() for name in judge)
    assert any((alone[name] != against[name]).any() for name in denoiser)


def test_the_discriminator_learns_to_tell_denoised_from_real_items(monkeypatch):
    method, x = ADDM(num_steps=60, learning_rate=1e-2), waves(256)

    def poor_step(network, batch):  # what a denoiser that knows nothing ends at: noise alone
        noise = torch.randn_like(batch, requires_grad=True)
        return sum(weight.sum() for weight in network.parameters()) * 0.0, noise, torch.full((len(batch),), 100)

    monkeypatch.setattr(method, "_step_down", poor_step)
    method.fit(x)
    judge, k = method.network.get_submodule("discriminator"), torch.full((256,), 100)
    with torch.no_grad():
        real = judge(method._noised(x, k, torch.randn_like(x)), method._level(k, x)).mean()
        denoised = judge(torch.randn_like(x), method._level(k, x)).mean()
    assert real > 0.3
    assert denoised < -0.3
