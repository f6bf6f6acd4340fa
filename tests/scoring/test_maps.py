"""The parts of an image's score: Gaussians per place against SciPy, common maps, the top share, the feature grid."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from oddwave.detection.image.one_step import one_step_estimates
from oddwave.diffusion.schedule import make_schedule
from oddwave.errors import ConfigError
from oddwave.nets.decoder import FeatureDecoder
from oddwave.nets.feature_grid import FeatureGrid
from oddwave.nets.perceptual import load_perceptual
from oddwave.scoring.maps import MAP_SIZE, common_map, hidden, top_mean
from oddwave.scoring.position_gaussian import PositionGaussian
from oddwave.scoring.scorer import CommonNoise, GaussianDistance


def test_position_gaussian_is_the_mahalanobis_distance_at_each_place():
    rng = np.random.default_rng(0)
    grids = torch.from_numpy(rng.normal(size=(50, 3, 2, 2)).astype(np.float32))
    gaussian = PositionGaussian.fit(grids, ridge=0.01)
    distances = GaussianDistance(gaussian)(grids[:4]).numpy()
    for row, column in np.ndindex(2, 2):
        values = grids[:, :, row, column].numpy()
        inverse = np.linalg.inv(np.cov(values.T) + 0.01 * np.eye(3))
        expected = [mahalanobis(value, values.mean(0), inverse) for value in values[:4]]
        np.testing.assert_allclose(distances[:, row, column], expected, rtol=3e-3)  # factors are kept in half precision
    again = PositionGaussian.from_arrays(gaussian.arrays())
    np.testing.assert_array_equal(GaussianDistance(again)(grids[:4]), distances)


def test_common_maps_keep_level_and_place():
    constant = common_map(torch.full((2, 8, 8), 3.0))
    np.testing.assert_allclose(constant, 3.0, rtol=1e-6)
    for size in (16, 32, 256):
        spot = np.zeros((1, size, size), np.float32)
        spot[0, size // 4, size // 2] = 1.0
        row, column = np.unravel_index(common_map(torch.from_numpy(spot))[0].numpy().argmax(), (MAP_SIZE, MAP_SIZE))
        assert abs((row + 0.5) / MAP_SIZE - (size // 4 + 0.5) / size) < 1.5 / min(size, MAP_SIZE)
        assert abs((column + 0.5) / MAP_SIZE - (size // 2 + 0.5) / size) < 1.5 / min(size, MAP_SIZE)


def test_top_mean_takes_the_highest_share_and_nothing_hidden():
    values = torch.arange(100.0).reshape(1, 10, 10)
    assert float(top_mean(values, 0.05)[0]) == pytest.approx(np.mean([95, 96, 97, 98, 99]))
    assert top_mean(values, 1e-9)[0] == 99
    monitored = values[0] < 50
    assert top_mean(hidden(values, monitored[None]), 0.01)[0] == 49


def test_one_step_estimates_average_draws_and_know_silence():
    schedule = make_schedule("linear", 100)
    x0 = torch.linspace(-1, 1, 32).reshape(2, 1, 4, 4)

    def net(x_t, t):
        return 0.5 * x_t

    (silent,) = one_step_estimates(
        net, x0, schedule, prediction_type="sample", noise_levels=(0.5,), num_noise_draws=0, seed=0, noise=CommonNoise()
    )
    t = torch.full((2,), schedule.timestep_at(0.5))
    torch.testing.assert_close(silent, 0.5 * schedule.scales(t, x0)[0] * x0)
    many = list(
        one_step_estimates(
            net,
            x0,
            schedule,
            prediction_type="sample",
            noise_levels=(0.2, 0.5),
            num_noise_draws=400,
            seed=0,
            noise=CommonNoise(),
        )
    )
    assert len(many) == 2
    assert (many[1] - silent).abs().max() < 0.15


def test_feature_grid_joins_the_taps_on_one_grid():
    network = load_perceptual("efficientnet_lite0")
    grid = FeatureGrid(network, 8, (0, 2))
    features = grid(torch.rand(2, 1, 64, 64) * 2 - 1)
    assert features.shape == (2, grid.width, 8, 8)
    assert grid.width == network.widths[0] + network.widths[2]
    constant = FeatureGrid(network, 4, (1,))(torch.zeros(1, 3, 64, 64))
    assert constant.std((2, 3)).mean() < constant.std()
    for options in ({"taps": (3,)}, {"taps": ()}, {"neighbourhood": 2}):
        with pytest.raises(ConfigError):
            FeatureGrid(network, 8, **options)


def test_decoder_doubles_the_grid_to_a_image():
    shown = FeatureDecoder(6, 8, 3, 64)(torch.randn(2, 6, 8, 8))
    assert shown.shape == (2, 3, 64, 64)
    assert shown.abs().max() <= 1
    with pytest.raises(ConfigError, match="cannot be doubled"):
        FeatureDecoder(6, 7, 3, 64)
