"""The rivals that compare an item with a denoised normal version of it: their own mathematics."""

import numpy as np
import pytest
import torch
from torch import nn

from oddwave.diffusion import ddim, inference_timesteps
from oddwave.lab.rivals.learned.ddad import DDAD
from oddwave.lab.rivals.learned.diffusionad import DiffusionAD
from oddwave.lab.rivals.learned.mdps import MDPS
from oddwave.lab.rivals.learned.residual_scale import ResidualScale

pytestmark = pytest.mark.slow  # what all rivals promise is held by tests/contract, by default

# What the methods compute, with the exact denoiser of a known distribution in place of a trained one.


class GaussianDenoiser(nn.Module):
    """The best noise estimate there is where every number of x_0 is drawn from N(0, variance)."""

    def __init__(self, method, variance, channels=1):
        super().__init__()
        self.schedule, self.variance = method.schedule, variance
        self.scale = ResidualScale(channels, 1)

    def forward(self, x_t, t):
        a, s = self.schedule.scales(t, x_t)
        return s * x_t / (a**2 * self.variance + s**2)


def with_denoiser(method, variance=0.25):
    method._network = GaussianDenoiser(method, variance)
    return method


def items(num=3, length=50):
    return torch.randn(num, 1, length, generator=torch.Generator().manual_seed(5))


def test_ddad_without_guidance_is_ddim_and_more_guidance_keeps_more_of_the_input():
    x = items()
    plain = with_denoiser(DDAD(noise_level=0.5, guidance_weight=0.0, num_inference_steps=6, num_draws=1))
    start = plain._at(0.5, x)
    steps = inference_timesteps(plain.schedule, 6, start=int(start[0]))
    x_t = plain._noised(x, start, plain._fixed_noise(x, 0))
    *_, last = ddim(plain.network, x_t, plain.schedule, steps)
    np.testing.assert_allclose(plain._normal_version(x), last.x0_hat, atol=1e-6)
    errors = []
    for weight in (0.0, 0.3, 0.9):
        method = with_denoiser(DDAD(noise_level=0.5, guidance_weight=weight, num_draws=1))
        errors.append(float((x - method._normal_version(x)).square().mean()))
    assert errors[0] > 1.2 * errors[1] > 1.2**2 * errors[2]


def test_diffusionad_draws_the_small_scale_towards_the_large_one():
    x, weight = items(), 0.7
    method = with_denoiser(DiffusionAD(small_level=0.2, large_level=0.5, guidance_weight=weight, num_draws=1))
    alone = []
    for level, draw in ((0.5, 0), (0.2, 1)):
        t = method._at(level, x)
        alone.append(method._denoise(method._noised(x, t, method._fixed_noise(x, draw)), t)[0])
    s = method.schedule.scales(method._at(0.2, x), x)[1]
    np.testing.assert_allclose(method._normal_version(x), alone[1] + weight * s**2 * (alone[0] - alone[1]), atol=1e-5)


def test_diffusionad_learns_from_both_scales(monkeypatch):
    method, seen = DiffusionAD(), []
    monkeypatch.setattr(
        "oddwave.lab.rivals.learned.diffusionad.diffusion_loss",
        lambda network, x, t, noise, schedule: (seen.append(t), (x.flatten(1).mean(1), x))[1],
    )
    method._loss(nn.Identity(), items(64))
    assert sum(int(t < 200) for t in seen[0]) == 32


def test_mdps_returns_what_is_observed_and_samples_the_prior_elsewhere():
    x = 3.0 + 0.0 * items(2, 400)  # a level the prior N(0, 0.25) does not know
    method = with_denoiser(MDPS(noise_level=1.0, num_inference_steps=40, guidance_weight=0.0, num_draws=1))
    observed = torch.zeros(2, 1, 400, dtype=torch.bool)
    observed[..., :200] = True
    sampled = method._sampled(x, observed)
    assert float((sampled - x)[..., :200].square().mean()) < 0.1**2 * 3.0
    assert abs(float(sampled[..., 200:].mean())) < 0.1
    assert float(sampled[0, 0, 200:].var()) == pytest.approx(0.2, abs=0.07)


def test_mdps_guidance_draws_towards_the_item():
    x = items()
    errors = []
    for weight in (0.0, 0.05, 0.2):
        method = with_denoiser(MDPS(guidance_weight=weight))
        errors.append(float((x - method._normal_version(x)).square().mean()))
    assert errors[0] > errors[1] > errors[2]


def test_mdps_masks_the_stated_share_of_normal_places_and_knows_how_they_come_out():
    train = items(40)
    method = with_denoiser(MDPS(masked_share=0.2))
    method.network.add_module("masked_scale", ResidualScale(1, 1))
    method._finish(method.network, train)
    first = method.scale(train - method._normal_version(train))
    masked = first > method.network.get_buffer("threshold")
    assert float(masked.float().mean()) == pytest.approx(0.2, abs=0.01)
    weights = (method.error_maps(train) / first).square()
    np.testing.assert_allclose(weights[~masked], 1.0, rtol=1e-5)
    assert float(weights[masked].mean()) == pytest.approx(1.0, abs=0.05)


def test_residual_scale_is_the_mahalanobis_distance_of_the_place():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(3, 3)) * [[1.0], [10.0], [0.3]]
    normal = np.einsum("cd,ndp->ncp", mixing, rng.normal(size=(4000, 3, 6))) + 5.0
    scale = ResidualScale(3, 1)
    scale.measure(torch.tensor(normal, dtype=torch.float32))
    fresh = np.einsum("cd,ndp->ncp", mixing, rng.normal(size=(5, 3, 6))) + 5.0
    away = np.linalg.solve(mixing, (fresh - 5.0).transpose(1, 0, 2).reshape(3, -1))
    expected = np.square(away).mean(0).reshape(5, 6)
    np.testing.assert_allclose(scale(torch.tensor(fresh, dtype=torch.float32)), expected, rtol=0.15, atol=0.1)


def test_residual_scale_knows_each_place_only_as_far_as_it_has_seen_it():
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([1.0, 1.0, 1.0, 8.0])
    for num, low, high in ((2, 1.0, 6.0), (2000, 7.0, 9.0)):
        scale = ResidualScale(1, 1)
        scale.measure(spread * torch.randn(num, 1, 4, generator=generator))
        assert low < float(scale.deviation[0, 3]) < high


def test_a_channel_that_never_moved_does_not_drown_the_others():
    normal = torch.randn(50, 2, 8, generator=torch.Generator().manual_seed(0)) * torch.tensor([[1.0], [0.0]])
    scale = ResidualScale(2, 1)
    scale.measure(normal)
    twitch, burst = torch.zeros(2, 1, 2, 8)
    twitch[0, 1], burst[0, 0] = 0.05, 4.0
    assert torch.isfinite(scale(twitch)).all()
    assert (scale(burst) > scale(twitch)).all()
