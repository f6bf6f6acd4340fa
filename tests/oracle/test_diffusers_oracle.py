"""Our tables, forward process and samplers against diffusers, over schedules, prediction types and numbers of steps."""

import sys
import warnings

import pytest
import torch

from oddwave.diffusion import (
    ItemNoise,
    ddim,
    ddpm,
    dpmsolver_plus_plus,
    external_sampler,
    inference_timesteps,
    make_schedule,
    predict_x0,
    prediction_from_noise,
    q_sample,
    reconstruct,
)
from oddwave.errors import ConfigError, MissingExtraError

# diffusers hands torch tensors to numpy in a way that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")

NAMES = {"linear": "linear", "cosine": "squaredcos_cap_v2"}
SCHEDULES = list(NAMES)
PREDICTION_TYPES = ["epsilon", "v_prediction", "sample"]
grid = pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
schedules = pytest.mark.parametrize("name", SCHEDULES)


@pytest.fixture(scope="module", autouse=True)
def _schedulers():
    """Import diffusers where these tests run, not wherever tests are collected: it takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # importing diffusers warns about its own dependencies
        diffusers = pytest.importorskip("diffusers", reason="needs the extra 'samplers'")
        names = ("DDIMScheduler", "DDPMScheduler", "DPMSolverMultistepScheduler")
        globals().update({name: getattr(diffusers, name) for name in names})


def toy_net(schedule, prediction_type):
    """A smooth network with a pull that differs from point to point; the data are roughly N(m, 0.3^2)."""

    def net(x_t, t):
        a, s = schedule.scales(t, x_t)
        m = torch.linspace(-0.5, 0.5, x_t.shape[-1], dtype=x_t.dtype)
        x0_hat = m + a * 0.09 / (a**2 * 0.09 + s**2) * (x_t - a * m) + 0.05 * torch.sin(3 * x_t)
        return prediction_from_noise(x_t, (x_t - a * x0_hat) / s, t, schedule, prediction_type)

    return net


def make(scheduler_class, name, prediction_type, **settings):
    """A diffusers scheduler whose table holds float64, so that only the algorithm is compared."""
    scheduler = scheduler_class(beta_schedule=NAMES[name], prediction_type=prediction_type, **settings)
    scheduler.alphas_cumprod = make_schedule(name).alphas_cumprod
    return scheduler


def start(dtype=torch.float64):
    return torch.randn(2, 1, 12, generator=torch.Generator().manual_seed(8), dtype=dtype)


def compare(ours, scheduler, net, x_t, step_options, atol):
    """Walk both side by side: the states that the network sees, then the final item."""
    steps = list(ours)
    assert [step.t for step in steps] == [int(t) for t in scheduler.timesteps]
    for draw, (step, t) in enumerate(zip(steps, scheduler.timesteps, strict=True), start=1):
        torch.testing.assert_close(step.x_t, x_t, rtol=0, atol=atol)
        prediction = net(x_t, torch.full((len(x_t),), int(t)))
        x_t = scheduler.step(prediction, t, x_t, **step_options(draw)).prev_sample
    torch.testing.assert_close(steps[-1].x0_hat, x_t, rtol=0, atol=atol)


@schedules
@pytest.mark.parametrize("num", [10, 250, 1000])
def test_tables_agree_to_float32(name, num):
    ours = make_schedule(name, num)
    theirs = DDPMScheduler(num, beta_schedule=NAMES[name])
    torch.testing.assert_close(ours.betas.float(), theirs.betas, rtol=2e-5, atol=1e-8)
    torch.testing.assert_close(ours.alphas_cumprod.float(), theirs.alphas_cumprod, rtol=2e-4, atol=1e-8)


@schedules
@pytest.mark.parametrize("shape", [(4, 2, 9), (4, 3, 5, 6)])
def test_q_sample_is_add_noise(name, shape):
    x0, noise = torch.randn((2, *shape), generator=torch.Generator().manual_seed(2))
    t = torch.tensor([0, 10, 500, 999])
    expected = DDPMScheduler(beta_schedule=NAMES[name]).add_noise(x0, noise, t)
    torch.testing.assert_close(q_sample(x0, noise, t, make_schedule(name)), expected, rtol=1e-5, atol=1e-5)


@schedules
@grid
@pytest.mark.parametrize("t", [1, 300, 990])
def test_predict_x0_is_pred_original_sample(name, prediction_type, t):
    scheduler = make(DDPMScheduler, name, prediction_type, clip_sample=False)
    x_t = start()
    prediction = x_t.flip(-1)
    expected = scheduler.step(prediction, t, x_t).pred_original_sample
    ours = predict_x0(x_t, prediction, torch.full((2,), t), make_schedule(name), prediction_type)
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("num", [1, 3, 7, 10, 50, 1000])
def test_time_steps_are_spaced_alike(spacing, num):
    scheduler = DDIMScheduler(timestep_spacing=spacing)
    scheduler.set_timesteps(num)
    assert inference_timesteps(make_schedule(), num, spacing) == scheduler.timesteps.tolist()


@schedules
@grid
@pytest.mark.parametrize("variance_type", ["fixed_small", "fixed_large"])
@pytest.mark.parametrize("num", [8, 100])
def test_ddpm(name, prediction_type, variance_type, num, monkeypatch):
    schedule, x_t = make_schedule(name), start()
    scheduler = make(DDPMScheduler, name, prediction_type, clip_sample=False, variance_type=variance_type)
    scheduler.set_timesteps(num)  # "leading": ends at t = 0, where diffusers adds no noise either
    noise = ItemNoise(x_t.shape, [0, 1])
    draws = iter(range(1, num))
    monkeypatch.setattr(
        "diffusers.schedulers.scheduling_ddpm.randn_tensor", lambda *_, **__: noise(next(draws)).double()
    )
    net = toy_net(schedule, prediction_type)
    ours = ddpm(
        net,
        x_t,
        schedule,
        scheduler.timesteps.tolist(),
        prediction_type=prediction_type,
        noise=noise,
        variance_type=variance_type,
    )
    compare(ours, scheduler, net, x_t, lambda _: {}, atol=1e-7)


@schedules
@grid
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(("num", "spacing"), [(5, "trailing"), (20, "trailing"), (12, "leading"), (100, "leading")])
def test_ddim(name, prediction_type, eta, num, spacing):
    schedule, x_t = make_schedule(name), start()
    scheduler = make(DDIMScheduler, name, prediction_type, clip_sample=False, timestep_spacing=spacing)
    scheduler.set_timesteps(num)
    noise = ItemNoise(x_t.shape, [0, 1])
    net = toy_net(schedule, prediction_type)
    timesteps = scheduler.timesteps.tolist()
    ours = ddim(net, x_t, schedule, timesteps, prediction_type=prediction_type, noise=noise, eta=eta)

    def options(draw):
        return {"eta": eta, "variance_noise": noise(draw).double()} if eta else {}

    compare(ours, scheduler, net, x_t, options, atol=1e-9)


@schedules
@grid
@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("num", [1, 2, 5, 10, 20])
def test_dpmsolver_plus_plus(name, prediction_type, spacing, num):
    schedule, x_t = make_schedule(name), start()
    scheduler = make(DPMSolverMultistepScheduler, name, prediction_type, timestep_spacing=spacing)
    scheduler.set_timesteps(num)
    net = toy_net(schedule, prediction_type)
    timesteps = scheduler.timesteps.tolist()
    ours = dpmsolver_plus_plus(net, x_t, schedule, timesteps, prediction_type=prediction_type)
    # diffusers keeps its sigmas in float32, and divides by a signal scale of 5e-5 at the end of the cosine table.
    compare(ours, scheduler, net, x_t, lambda _: {}, atol=2e-4 if name == "linear" else 5e-3)


@pytest.mark.parametrize("begin", [99, 499])
def test_a_partial_start_is_theirs_on_the_lower_part_of_the_table(begin):
    schedule, x_t = make_schedule(), start()
    scheduler = DPMSolverMultistepScheduler(
        begin + 1, trained_betas=schedule.betas[: begin + 1].tolist(), timestep_spacing="trailing"
    )
    scheduler.set_timesteps(10)
    net = toy_net(schedule, "epsilon")
    ours = dpmsolver_plus_plus(net, x_t, schedule, inference_timesteps(schedule, 10, start=begin))
    compare(ours, scheduler, net, x_t, lambda _: {}, atol=1e-4)


@pytest.mark.parametrize(
    ("scheduler", "ours"),
    [("DDIMScheduler", "ddim"), ("DPMSolverMultistepScheduler", "dpmsolver++")],
)
@pytest.mark.parametrize("noise_level", [0.2, 1.0])
def test_an_external_sampler_of_the_same_kind_reconstructs_alike(scheduler, ours, noise_level):
    schedule, x0 = make_schedule(), start(torch.float32).clamp(-1, 1)
    net = toy_net(schedule, "epsilon")
    common = {"noise_level": noise_level, "noise": ItemNoise(x0.shape, [4, 5])}
    expected = reconstruct(net, x0, schedule, sampler=ours, **common)
    found = reconstruct(net, x0, schedule, sampler=external_sampler(scheduler), **common)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    "scheduler",
    [
        "DEISMultistepScheduler",
        "DPMSolverSinglestepScheduler",
        "EulerAncestralDiscreteScheduler",
        "EulerDiscreteScheduler",
        "HeunDiscreteScheduler",
        "KDPM2DiscreteScheduler",
        "LMSDiscreteScheduler",
        "PNDMScheduler",
        "UniPCMultistepScheduler",
    ],
)
@grid
def test_any_scheduler_ends_near_the_exact_answer_and_keeps_items_apart(scheduler, prediction_type):
    schedule, x0 = make_schedule(), start(torch.float32).clamp(-1, 1)
    net = toy_net(schedule, prediction_type)
    settings = {"skip_prk_steps": True} if scheduler == "PNDMScheduler" else {}
    sampler = external_sampler(scheduler, **settings)

    def rebuild(sampler, items, steps=20):
        noise = ItemNoise((len(items), 1, 12), items)
        return reconstruct(
            net,
            x0[items],
            schedule,
            sampler=sampler,
            noise_level=0.3,
            num_inference_steps=steps,
            prediction_type=prediction_type,
            noise=noise,
        )

    both = rebuild(sampler, [0, 1])
    torch.testing.assert_close(rebuild(sampler, [1]), both[1:], rtol=0, atol=1e-6)
    exact = rebuild("dpmsolver++", [0, 1], steps=100)
    tolerance = 1.5 if "Ancestral" in scheduler else 0.12  # ancestral sampling ends at another likely item
    torch.testing.assert_close(both, exact, rtol=0, atol=tolerance)


def test_external_samplers_that_do_not_exist_or_fit_are_refused():
    for name in ("NoSuchScheduler", "UNet2DModel", "FlowMatchEulerDiscreteScheduler"):
        with pytest.raises(ConfigError) as caught:
            external_sampler(name)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="has no setting 'speed'"):
        external_sampler("DDIMScheduler", speed=3)
    leading = external_sampler("DDIMScheduler", timestep_spacing="leading")
    with pytest.raises(ConfigError, match="begins at time step 450"):
        reconstruct(lambda x_t, t: x_t, start(), make_schedule(), sampler=leading)


def test_without_diffusers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(MissingExtraError, match=r"oddwave\[samplers\]"):
        external_sampler("DDIMScheduler")
