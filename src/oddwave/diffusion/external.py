"""Any diffusers scheduler, by class name, in the form of our own samplers.

Needs the extra `samplers`; diffusers is imported when a sampler is made, not before. Nothing else to read after this:
see `samplers.py` for the interface it fulfils.
"""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.diffusion.noise import ItemNoise
from oddwave.diffusion.process import Denoiser, PredictionType, predict_noise, predict_x0
from oddwave.diffusion.samplers import NoiseSource, Sampler, SamplerStep
from oddwave.diffusion.schedule import NoiseSchedule
from oddwave.errors import ConfigError, MissingExtraError

__all__ = ["external_sampler"]


def external_sampler(name: str, **settings: Any) -> Sampler:
    """Make a sampler of a diffusers scheduler class, such as "UniPCMultistepScheduler" or "EulerDiscreteScheduler".

    The scheduler gets our table (its part up to the first of `timesteps`) and as many inference steps as `timesteps`
    has; it then spaces them by its own rule, "trailing" unless `settings` say otherwise, and may call the network more
    often than that. Each `x_t` is the variance-preserving state that the network saw, whatever scale the scheduler
    computes in. Schedulers that draw noise draw it per item: pass `ItemNoise`, else all items of a batch share one
    noise.

    Args:
        name: class name in diffusers.
        settings: the scheduler's own constructor arguments.

    Raises:
        MissingExtraError: if diffusers is not installed.
        ConfigError: if diffusers has no such scheduler, or it does not take a table of betas or one of the settings.
    """
    scheduler_class = _find(name)
    known = inspect.signature(scheduler_class.__init__).parameters
    if "trained_betas" not in known:
        raise ConfigError(f"{name} takes no table of betas; choose a scheduler of discrete time steps, such as DDIM's")
    unknown = sorted(settings.keys() - known.keys())
    if unknown:
        raise ConfigError(f"{name} has no setting {unknown[0]!r}; it has {', '.join(list(known)[1:])}")
    if "timestep_spacing" in known:
        settings = {"timestep_spacing": "trailing", **settings}
    if "clip_sample" in known:  # our data may leave [-1, 1], and none of our samplers clips
        settings = {"clip_sample": False, **settings}

    def walk(
        net: Denoiser,
        x_t: Float[Tensor, "B C ..."],
        schedule: NoiseSchedule,
        timesteps: Sequence[int],
        *,
        prediction_type: PredictionType = "epsilon",
        noise: NoiseSource | None = None,
    ) -> Iterator[SamplerStep]:
        scheduler = _build(scheduler_class, settings, schedule, timesteps)
        return _steps(scheduler, net, x_t, schedule, prediction_type, _generators(noise, x_t))

    return walk


def _find(name: str) -> Any:
    try:
        import diffusers
    except ImportError as error:
        raise MissingExtraError(f"the sampler {name}", "samplers") from error
    found = getattr(diffusers, name, None) if name.endswith("Scheduler") else None
    if not inspect.isclass(found):
        raise ConfigError(f"diffusers has no scheduler {name!r}; give a class name such as 'UniPCMultistepScheduler'")
    return found


def _build(scheduler_class: Any, settings: dict[str, Any], schedule: NoiseSchedule, timesteps: Sequence[int]) -> Any:
    start = timesteps[0]
    scheduler = scheduler_class(
        num_train_timesteps=start + 1,
        trained_betas=schedule.betas[: start + 1].tolist(),
        prediction_type="epsilon",  # the one type that all of them know; `_steps` converts to it
        **settings,
    )
    scheduler.set_timesteps(len(timesteps))
    first = round(float(scheduler.timesteps[0]))
    if first != start:
        raise ConfigError(
            f"{scheduler_class.__name__} begins at time step {first}, but the input was noised to {start};"
            " leave timestep_spacing at 'trailing' or choose another scheduler"
        )
    return scheduler


def _generators(noise: NoiseSource | None, x_t: Tensor) -> list[torch.Generator]:
    # One generator per item, never one for the batch: an item must not depend on those beside it.
    if isinstance(noise, ItemNoise):
        return noise.generators()
    return [torch.Generator(x_t.device).manual_seed(0) for _ in range(len(x_t))]


def _steps(
    scheduler: Any,
    net: Denoiser,
    x_t: Tensor,
    schedule: NoiseSchedule,
    prediction_type: PredictionType,
    generators: list[torch.Generator],
) -> Iterator[SamplerStep]:
    accepts = inspect.signature(scheduler.step).parameters
    extra = {"generator": generators} if "generator" in accepts else {}
    # Some schedulers compute in another scale, x = x_t / factor; asking how they scale 1 tells the factor.
    state = x_t / scheduler.scale_model_input(torch.ones((), dtype=torch.float64), scheduler.timesteps[0]).to(x_t)
    last = len(scheduler.timesteps) - 1
    for i, time in enumerate(scheduler.timesteps):
        seen = scheduler.scale_model_input(state, time)
        t = round(float(time))  # the table knows whole steps only
        times = torch.full((len(x_t),), t, device=x_t.device)
        prediction = net(seen, times).to(x_t.dtype)
        eps = predict_noise(seen, prediction, times, schedule, prediction_type)
        state = scheduler.step(eps, time, state, **extra).prev_sample
        x0_hat = state if i == last else predict_x0(seen, prediction, times, schedule, prediction_type)
        yield SamplerStep(t, seen, x0_hat)
