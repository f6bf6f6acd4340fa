"""Samplers on networks whose best answer is known in closed form, and the reconstruction of a given input."""

import math

import pytest
import torch

from oddwave.diffusion import (
    SAMPLERS,
    ItemNoise,
    ddim,
    ddpm,
    denoise_once,
    dpmsolver_plus_plus,
    inference_timesteps,
    make_schedule,
    predict_x0,
    prediction_from_noise,
    q_sample,
    reconstruct,
)
from oddwave.errors import ConfigError

SCHEDULE = make_schedule()
MEAN, SD = 0.4, 0.5

# Shape-checking runs (--jaxtyping-packages) refuse an unknown name before our own check can.
unknown_name = pytest.mark.skipif(hasattr(make_schedule, "__wrapped__"), reason="the type checker refuses it first")


def gaussian_net(prediction_type="epsilon", schedule=SCHEDULE):
    """The perfect network for data of independent points ~ N(MEAN, SD^2)."""

    def net(x_t, t):
        a, s = schedule.scales(t, x_t)
        x0_hat = MEAN + a * SD**2 / (a**2 * SD**2 + s**2) * (x_t - a * MEAN)
        return prediction_from_noise(x_t, (x_t - a * x0_hat) / s, t, schedule, prediction_type)

    return net


def start(num_items=2, *grid):
    generator = torch.Generator().manual_seed(3)
    return torch.randn((num_items, 1, *(grid or (16,))), generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("steps", "spacing", "begin", "expected"),
    [
        (4, "trailing", None, [999, 749, 499, 249]),
        (4, "leading", None, [750, 500, 250, 0]),
        (4, "linspace", None, [999, 666, 333, 0]),
        (3, "trailing", 9, [9, 6, 2]),
        (1, "trailing", 499, [499]),
        (1, "linspace", None, [0]),
        (5, "trailing", 4, [4, 3, 2, 1, 0]),
    ],
)
def test_time_steps_are_spaced_as_named(steps, spacing, begin, expected):
    assert inference_timesteps(SCHEDULE, steps, spacing, begin) == expected


@pytest.mark.parametrize(
    "arguments",
    [(0,), (1001,), pytest.param((5, "karras"), marks=unknown_name), (5, "trailing", 1000), (5, "trailing", 3)],
)
def test_time_steps_that_do_not_exist_are_refused(arguments):
    with pytest.raises(ConfigError):
        inference_timesteps(SCHEDULE, *arguments)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_every_sampler_calls_the_network_once_per_step_at_the_states_it_yields(name, prediction_type):
    calls = []
    perfect = gaussian_net(prediction_type)

    def net(x_t, t):
        assert len(t.unique()) == 1
        calls.append((int(t[0]), x_t))
        return perfect(x_t, t)

    x_t = start(3, 4, 4)
    timesteps = [800, 300, 299, 40, 3]
    noise = ItemNoise(x_t.shape, range(3))
    steps = list(SAMPLERS[name](net, x_t, SCHEDULE, timesteps, prediction_type=prediction_type, noise=noise))
    assert [step.t for step in steps] == [t for t, _ in calls] == timesteps
    assert steps[0].x_t is x_t
    for step, (_, seen) in zip(steps, calls, strict=True):
        assert torch.equal(step.x_t, seen)
        times = torch.full((3,), step.t)
        expected = predict_x0(seen, perfect(seen, times), times, SCHEDULE, prediction_type)
        torch.testing.assert_close(step.x0_hat, expected)


def test_ddpm_is_the_papers_reverse_step():
    x_t = start()
    noise = ItemNoise(x_t.shape, [0, 1])
    net = gaussian_net()
    steps = list(ddpm(net, x_t, SCHEDULE, range(600, -1, -1), noise=noise, variance_type="fixed_large"))
    for draw in (1, 300, 600):
        before, after = steps[draw - 1], steps[draw]
        beta, abar = float(SCHEDULE.betas[before.t]), SCHEDULE.abar(before.t)
        eps = net(before.x_t, torch.full((2,), before.t))
        paper = (before.x_t - beta / math.sqrt(1 - abar) * eps) / math.sqrt(1 - beta) + math.sqrt(beta) * noise(draw)
        torch.testing.assert_close(after.x_t, paper)


def exact_flow(x_t, t):
    """Where the probability-flow ODE of the Gaussian takes x_t: its standardised value never changes."""
    abar = SCHEDULE.abar(t)
    return MEAN + SD * (x_t - math.sqrt(abar) * MEAN) / math.sqrt(abar * SD**2 + 1 - abar)


def test_deterministic_samplers_converge_to_the_exact_flow_each_at_its_order():
    x_t = start()
    errors = {}
    for sampler in (ddim, dpmsolver_plus_plus):
        for num in (25, 100):
            *_, last = sampler(gaussian_net(), x_t, SCHEDULE, inference_timesteps(SCHEDULE, num, start=499))
            errors[sampler, num] = float((last.x0_hat - exact_flow(x_t, 499)).abs().max())
    assert errors[ddim, 100] < errors[ddim, 25] / 3 < 0.05
    assert errors[dpmsolver_plus_plus, 100] < errors[ddim, 100] / 3
    assert errors[dpmsolver_plus_plus, 25] < errors[ddim, 25] / 3


@pytest.mark.parametrize(
    ("name", "options"), [("ddpm", {}), pytest.param("ddim", {"eta": 1.0}, marks=pytest.mark.slow)]
)
def test_stochastic_samplers_reach_the_distribution_of_the_data(name, options):
    noise = ItemNoise((400, 1, 16), range(400))
    *_, last = SAMPLERS[name](gaussian_net(), noise(0), SCHEDULE, range(999, -1, -1), noise=noise, **options)
    assert float(last.x0_hat.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(last.x0_hat.std()) == pytest.approx(SD, abs=0.03)


@pytest.mark.parametrize(
    "sampler",
    [
        lambda: ddpm(gaussian_net(), start(), SCHEDULE, [5, 0]),
        pytest.param(
            lambda: ddpm(gaussian_net(), start(), SCHEDULE, [5, 0], noise=torch.rand, variance_type="learned"),
            marks=unknown_name,
        ),
        lambda: ddim(gaussian_net(), start(), SCHEDULE, [5, 0], eta=0.5),
        lambda: ddim(gaussian_net(), start(), SCHEDULE, [5, 0], eta=-1.0),
        lambda: ddim(gaussian_net(), start(), SCHEDULE, [5, 5]),
        lambda: ddim(gaussian_net(), start(), SCHEDULE, [0, 5]),
        lambda: ddim(gaussian_net(), start(), SCHEDULE, []),
        lambda: ddim(gaussian_net(), start(), SCHEDULE, [1000, 0]),
    ],
)
def test_samplers_refuse_what_they_cannot_walk(sampler):
    with pytest.raises(ConfigError):
        list(sampler())


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_items_reconstruction_does_not_depend_on_its_batch(name):
    x0 = start(4)
    ids = [3, 14, 15, 92]

    def rebuild(picked):
        noise = ItemNoise((len(picked), 1, 16), [ids[i] for i in picked], seed=6)
        return reconstruct(gaussian_net(), x0[picked], SCHEDULE, sampler=name, noise_level=0.05, noise=noise)

    together = rebuild([0, 1, 2, 3])
    torch.testing.assert_close(rebuild([2, 0]), together[[2, 0]], rtol=0, atol=0)


def test_reconstruct_starts_at_the_noise_level_it_was_given():
    x0, noise = start(), start().flip(-1)
    seen = []

    def net(x_t, t):
        seen.append((int(t[0]), x_t))
        return gaussian_net()(x_t, t)

    reconstruct(net, x0, SCHEDULE, noise_level=0.3, num_inference_steps=6, noise=noise)
    assert len(seen) == 6
    assert seen[0][0] == 299
    torch.testing.assert_close(seen[0][1], q_sample(x0, noise, torch.tensor([299, 299]), SCHEDULE))


@pytest.mark.parametrize(("sampler", "calls"), [("ddpm", 20), ("ddim", 10), ("dpmsolver++", 10)])
def test_the_default_number_of_steps(sampler, calls):
    count = 0

    def net(x_t, t):
        nonlocal count
        count += 1
        return gaussian_net()(x_t, t)

    reconstruct(net, start(), SCHEDULE, sampler=sampler, noise_level=0.02, noise=ItemNoise((2, 1, 16), [0, 1]))
    assert count == calls


def test_one_step_of_reconstruction_is_the_one_step_estimate():
    x0 = start()
    once = denoise_once(gaussian_net(), x0, torch.tensor([499, 499]), SCHEDULE)
    torch.testing.assert_close(reconstruct(gaussian_net(), x0, SCHEDULE, num_inference_steps=1), once)


def test_more_noise_forgets_more_of_the_input_and_guidance_holds_on_to_it():
    x0 = torch.full((1, 1, 16), 3.0)  # six standard deviations from normal
    noise = ItemNoise(x0.shape, ["odd"])
    off = [
        float(reconstruct(gaussian_net(), x0, SCHEDULE, noise_level=level, noise=noise).sub(x0).abs().mean())
        for level in (0.05, 0.3, 1.0)
    ]
    assert off == sorted(off)
    assert off[0] < 0.5 < 2.0 < off[2]
    held = reconstruct(gaussian_net(), x0, SCHEDULE, noise_level=0.3, guidance_weight=0.3, noise=noise)
    assert float(held.sub(x0).abs().mean()) < 0.95 * off[1]


@pytest.mark.parametrize(
    "settings",
    [
        {"sampler": "euler"},
        {"sampler": "ddpm"},  # no noise source
        {"sampler": "dpmsolver++", "eta": 0.5},
        {"eta": 0.5},
        {"eta": 2.0},
        {"noise_level": 0.0},
        {"num_inference_steps": 0},
    ],
)
def test_reconstruct_refuses_settings_that_cannot_work(settings):
    with pytest.raises(ConfigError) as caught:
        reconstruct(gaussian_net(), start(), SCHEDULE, **settings)
    assert "\n" not in str(caught.value)


def test_reconstruct_keeps_no_graph():
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    assert not reconstruct(lambda x_t, t: weight * x_t, start(), SCHEDULE).requires_grad
