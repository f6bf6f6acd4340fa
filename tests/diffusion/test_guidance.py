"""Input guidance."""

import pytest
import torch

from oddwave.diffusion import guided, make_schedule, predict_noise, prediction_from_noise


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_guidance_is_the_formula_in_every_prediction_type(prediction_type):
    schedule = make_schedule()
    generator = torch.Generator().manual_seed(1)
    x0, x_t, eps = torch.randn(3, 2, 1, 8, generator=generator, dtype=torch.float64)
    t = torch.tensor([100, 700])
    prediction = prediction_from_noise(x_t, eps, t, schedule, prediction_type)
    answer = guided(lambda *_: prediction, x0, schedule, 2.5, prediction_type)(x_t, t)
    eps_hat = predict_noise(x_t, answer, t, schedule, prediction_type)
    abar = schedule.alphas_cumprod[t].view(2, 1, 1)
    y_t = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
    torch.testing.assert_close(eps_hat, eps - 2.5 * (1 - abar).sqrt() * (y_t - x_t))


def test_no_weight_is_no_wrapper():
    def net(x_t, t):
        return x_t

    assert guided(net, torch.zeros(1, 1, 4), make_schedule(), 0.0) is net
