"""Inversion against the exact flow of a Gaussian, and there and back again."""

import pytest
import torch

from oddwave.diffusion import ddim, invert, make_schedule, prediction_from_noise
from oddwave.errors import ConfigError

MEAN, DEVIATION = 0.3, 0.5


def exact_net(schedule, prediction_type):
    """The best possible denoiser for data N(MEAN, DEVIATION^2)."""

    def net(x_t, t):
        a, s = schedule.scales(t, x_t)
        x0_hat = MEAN + a * DEVIATION**2 / (a**2 * DEVIATION**2 + s**2) * (x_t - a * MEAN)
        return prediction_from_noise(x_t, (x_t - a * x0_hat) / s, t, schedule, prediction_type)

    return net


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_normal_data_arrive_where_the_exact_flow_takes_them(prediction_type):
    schedule = make_schedule("linear", 1000)
    x0 = torch.linspace(-2, 2, 8, dtype=torch.float64).reshape(2, 1, 4)
    arrived = invert(exact_net(schedule, prediction_type), x0, schedule, range(0, 1000, 3), prediction_type)
    a, s = schedule.scales(torch.full((2,), 999), x0)
    expected = a * MEAN + (a**2 * DEVIATION**2 + s**2).sqrt() / DEVIATION * (x0 - MEAN)
    torch.testing.assert_close(arrived, expected, rtol=0.02, atol=0.02)


def test_there_and_back_again():
    schedule = make_schedule("cosine", 1000)
    net = exact_net(schedule, "epsilon")
    x0 = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(2, 1, 4)
    arrived = invert(net, x0, schedule, range(0, 901, 5))
    *_, last = ddim(net, arrived, schedule, list(range(900, -1, -5)))
    torch.testing.assert_close(last.x0_hat, x0, rtol=0.03, atol=0.03)


@pytest.mark.parametrize("timesteps", [[], [5], [5, 5], [9, 3]])
def test_time_must_rise(timesteps):
    with pytest.raises(ConfigError, match="rising order"):
        invert(lambda x_t, t: x_t, torch.zeros(1, 1, 4), make_schedule("linear"), timesteps)
