"""The schedule table, the conversions between prediction types, and the losses."""

import math

import pytest
import torch

from oddwave.diffusion import (
    denoise_once,
    diffusion_loss,
    make_schedule,
    predict_noise,
    predict_x0,
    prediction_from_noise,
    q_sample,
    training_target,
)
from oddwave.errors import ConfigError

PREDICTION_TYPES = ["epsilon", "v_prediction", "sample"]

# Shape-checking runs (--jaxtyping-packages) refuse an unknown name before our own check can.
unknown_name = pytest.mark.skipif(hasattr(make_schedule, "__wrapped__"), reason="the type checker refuses it first")


def batch(*shape: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    x0, noise = torch.randn((2, *shape), generator=generator, dtype=torch.float64)
    return x0, noise, torch.tensor([0, 40, 500, 999][: shape[0]])


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_the_table_falls_from_clean_to_noise(name):
    schedule = make_schedule(name)
    assert schedule.num_train_timesteps == 1000
    assert schedule.betas.dtype == schedule.alphas_cumprod.dtype == torch.float64
    assert (schedule.alphas_cumprod.diff() < 0).all()
    assert schedule.alphas_cumprod[0] > 0.999
    assert 0 < schedule.alphas_cumprod[-1] < 1e-4
    torch.testing.assert_close(schedule.alphas_cumprod, torch.cumprod(1 - schedule.betas, 0))


def test_linear_betas_are_what_was_asked_for():
    schedule = make_schedule("linear", 5, 0.1, 0.5)
    assert schedule.betas.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert schedule.abar(1) == pytest.approx(0.9 * 0.8)
    assert schedule.abar(-1) == 1.0


@pytest.mark.parametrize(("level", "t"), [(1.0, 999), (0.5, 499), (0.25, 249), (1e-9, 0)])
def test_a_noise_level_names_a_time_step(level, t):
    assert make_schedule().timestep_at(level) == t


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: make_schedule("sigmoid"), marks=unknown_name),
        lambda: make_schedule(num_train_timesteps=1),
        lambda: make_schedule(beta_start=0.03),
        lambda: make_schedule(beta_end=1.0),
        lambda: make_schedule().timestep_at(0.0),
        lambda: make_schedule().timestep_at(1.5),
        pytest.param(lambda: predict_x0(*batch(4, 1, 8), make_schedule(), "velocity"), marks=unknown_name),
        pytest.param(lambda: predict_noise(*batch(4, 1, 8), make_schedule(), "velocity"), marks=unknown_name),
        pytest.param(lambda: prediction_from_noise(*batch(4, 1, 8), make_schedule(), "velocity"), marks=unknown_name),
        pytest.param(lambda: training_target(*batch(4, 1, 8), make_schedule(), "velocity"), marks=unknown_name),
    ],
)
def test_settings_that_cannot_work_are_refused_in_one_line(make):
    with pytest.raises(ConfigError) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_q_sample_follows_the_closed_form_item_by_item():
    schedule = make_schedule()
    x0, noise, t = batch(4, 2, 3, 5)
    x_t = q_sample(x0, noise, t, schedule)
    for item in range(4):
        abar = schedule.abar(int(t[item]))
        expected = math.sqrt(abar) * x0[item] + math.sqrt(1 - abar) * noise[item]
        torch.testing.assert_close(x_t[item], expected)


def test_the_closed_form_has_the_variance_of_the_steps_taken_one_by_one():
    schedule = make_schedule(num_train_timesteps=30, beta_end=0.2)
    variance = 0.0
    for t, beta in enumerate(schedule.betas.tolist()):
        variance = (1 - beta) * variance + beta
        assert variance == pytest.approx(1 - schedule.abar(t))


@pytest.mark.parametrize("name", ["linear", "cosine"])
@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
@pytest.mark.parametrize("shape", [(4, 1, 9), (4, 3, 5, 7)])
def test_the_true_target_gives_back_x0_and_the_noise(name, prediction_type, shape):
    schedule = make_schedule(name)
    x0, noise, t = batch(*shape)
    x_t = q_sample(x0, noise, t, schedule)
    target = training_target(x0, noise, t, schedule, prediction_type)
    torch.testing.assert_close(predict_x0(x_t, target, t, schedule, prediction_type), x0)
    torch.testing.assert_close(predict_noise(x_t, target, t, schedule, prediction_type), noise)
    torch.testing.assert_close(prediction_from_noise(x_t, noise, t, schedule, prediction_type), target)


@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
def test_the_loss_is_per_item_and_zero_only_for_a_perfect_network(prediction_type):
    schedule = make_schedule()
    x0, noise, t = batch(4, 2, 6)
    target = training_target(x0, noise, t, schedule, prediction_type)
    loss, x0_hat = diffusion_loss(lambda *_: target, x0, t, noise, schedule, prediction_type)
    assert loss.tolist() == [0.0] * 4
    torch.testing.assert_close(x0_hat, x0)
    off = target.clone()
    off[2] += 3.0
    loss, _ = diffusion_loss(lambda *_: off, x0, t, noise, schedule, prediction_type)
    assert loss.tolist() == pytest.approx([0, 0, 9, 0])


def test_gradients_reach_the_network_through_loss_and_estimate():
    schedule = make_schedule()
    x0, noise, t = batch(2, 1, 6)
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    loss, x0_hat = diffusion_loss(lambda x_t, _: scale * x_t, x0, t, noise, schedule)
    for result in (loss.sum(), x0_hat.sum()):
        (gradient,) = torch.autograd.grad(result, scale, retain_graph=True)
        assert gradient.abs() > 1e-6


def test_denoise_once_without_noise_only_scales_the_input():
    schedule = make_schedule()
    x0, noise, t = batch(4, 1, 8)
    seen = []

    def net(x_t, times):
        seen.append((x_t, times))
        return torch.zeros_like(x_t)

    x0_hat = denoise_once(net, x0, t, schedule)
    torch.testing.assert_close(x0_hat, x0)  # no noise was added and none was predicted
    torch.testing.assert_close(seen[0][0], schedule.alphas_cumprod[t].sqrt().view(4, 1, 1) * x0)
    assert torch.equal(seen[0][1], t)
    denoise_once(net, x0, t, schedule, noise=noise)
    torch.testing.assert_close(seen[1][0], q_sample(x0, noise, t, schedule))


def test_the_table_serves_each_number_type_at_its_own_precision():
    schedule = make_schedule()
    t = torch.tensor([700])
    for dtype in (torch.float32, torch.float64):
        signal, noise = schedule.scales(t, torch.zeros(1, 1, 4, dtype=dtype))
        assert signal.dtype == noise.dtype == dtype
        assert float(signal.double() ** 2 + noise.double() ** 2) == pytest.approx(1, abs=4 * torch.finfo(dtype).eps)
