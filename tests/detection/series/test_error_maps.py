"""One-step errors against stand-ins whose answers are known, and the frozen wavelet-energy features."""

import numpy as np
import pytest
import torch

from oddwave.detection.series.error_maps import denoiser_terms, wavelet_energy
from oddwave.diffusion.schedule import make_schedule
from oddwave.nets.unet import UNet
from oddwave.scoring.scorer import CommonNoise

SCHEDULE = make_schedule("linear", 1000)


def unet(cls=UNet, channels=2, grid_dims=1):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = cls(channels, grid_dims=grid_dims, base_channels=8, channel_mult=(1, 2))
        for weight in net.parameters():  # the zero-initialised output would answer zero whatever it sees
            if not weight.abs().sum():
                torch.nn.init.normal_(weight, std=0.1)
    return net.eval()


class Silent(UNet):
    """Believes that every clean item is zero."""

    def forward_with_features(self, x_t, t):
        return torch.zeros_like(x_t), torch.zeros(len(x_t), self.feature_width)


class Echo(UNet):
    """Believes that what it sees is already clean."""

    def forward_with_features(self, x_t, t):
        return x_t, torch.full((len(x_t), self.feature_width), float(t[0]))


@torch.inference_mode()
def terms(net, x0, noise_levels=(0.1, 0.5), num_noise_draws=1, seed=0, prediction_type="sample"):
    noise = CommonNoise()((len(noise_levels), num_noise_draws, *x0.shape[1:]), seed)
    return denoiser_terms(net, x0, SCHEDULE, prediction_type=prediction_type, noise_levels=noise_levels, noise=noise)


def items(n=6, channels=2, grid=(32,), seed=11):  # another seed than the common noise has
    return torch.randn((n, channels, *grid), generator=torch.Generator().manual_seed(seed))


def test_the_error_is_the_squared_difference_averaged_over_channels():
    x0 = items()
    found = terms(unet(Silent), x0)
    expected = x0.square().mean(1).numpy()
    assert found.recon_maps.shape == (6, 2, 32)
    np.testing.assert_allclose(found.recon_maps[:, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(found.recon, np.stack([expected.mean(1)] * 2, axis=1), rtol=1e-5)
    distance = (wavelet_energy(x0) - wavelet_energy(torch.zeros_like(x0))).square().mean(1)
    np.testing.assert_allclose(found.feature[:, 1], distance.numpy(), rtol=1e-5)


def test_levels_keep_their_order_and_features_hold_all_of_them():
    found = terms(unet(Echo), items(), noise_levels=(0.5, 0.1))
    assert (found.recon[:, 0] > found.recon[:, 1]).all()
    width = unet(Echo).feature_width
    assert found.features.shape == (6, 2 * width)
    assert found.features[0, 0] == SCHEDULE.timestep_at(0.5)
    assert found.features[0, -1] == SCHEDULE.timestep_at(0.1)


def test_averaging_draws_lowers_the_floor_that_noise_puts_under_every_error():
    x0 = torch.zeros(1, 2, 4096)
    one, many = (terms(unet(Echo), x0, num_noise_draws=r, noise_levels=(0.5,)).recon.item() for r in (1, 8))
    assert many == pytest.approx(one / 8, rel=0.1)


@pytest.mark.parametrize("grid", [(32,), (8, 16)])
def test_an_items_terms_do_not_depend_on_the_items_beside_it(grid):
    net, x0 = unet(grid_dims=len(grid)), items(9, grid=grid)
    together = terms(net, x0, prediction_type="v_prediction")
    assert together.recon.std() > 0
    for name in ("recon_maps", "feature", "features"):
        whole = getattr(together, name)
        turned = getattr(terms(net, x0.flip(0), prediction_type="v_prediction"), name).flip(0)
        alone = np.concatenate([getattr(terms(net, x, prediction_type="v_prediction"), name) for x in x0.split(1)])
        np.testing.assert_allclose(turned, whole, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(alone, whole, rtol=1e-4, atol=1e-5)


def test_equal_items_have_equal_terms_and_the_seed_alone_decides_the_noise():
    net, x0 = unet(), items(1).expand(4, -1, -1)
    found = terms(net, x0)
    np.testing.assert_allclose(found.recon, np.tile(found.recon[:1], (4, 1)), rtol=1e-5)
    np.testing.assert_array_equal(terms(net, x0).recon_maps, found.recon_maps)
    assert not np.allclose(terms(net, x0, seed=1).recon_maps, found.recon_maps)


def test_scoring_leaves_torchs_own_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    terms(unet(), items())
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("grid", "bands"), [((32,), 5), ((16, 16), 13), ((6,), 2)])
def test_energy_has_one_number_per_band_and_channel(grid, bands):
    assert wavelet_energy(items(3, 2, grid)).shape == (3, 2 * bands)


def test_energy_is_logarithmic_above_its_floor_and_silent_below_it():
    x = 100 * items(2, 1, (64,))
    np.testing.assert_allclose(wavelet_energy(10 * x) - wavelet_energy(x), np.log(100), rtol=1e-3)
    faint = wavelet_energy(1e-6 * items(2, 1, (64,)))
    np.testing.assert_allclose(faint, wavelet_energy(torch.zeros(2, 1, 64)), atol=1e-5)


def test_energy_tells_slow_from_fast():
    time = torch.arange(64.0)
    slow, fast = (wavelet_energy(torch.sin(2 * torch.pi * time / period)[None, None])[0] for period in (64, 3))
    assert slow.argmax() == 0
    assert fast[0] < slow[0]
    assert fast[1:].max() > slow[1:].max()
