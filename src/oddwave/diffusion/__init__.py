"""Diffusion over any network called as `net(x_t, t)`: schedules, the forward process, samplers, guidance.

Read in this order: `schedule.py`, `process.py`, `noise.py`, `guidance.py`, `samplers.py`, `inversion.py`,
`external.py`. Nothing here knows a network or a modality. Importing this package imports torch.
"""

from oddwave.diffusion.external import external_sampler
from oddwave.diffusion.guidance import guided
from oddwave.diffusion.inversion import invert
from oddwave.diffusion.noise import ItemNoise, common_noise, per_item_noise
from oddwave.diffusion.process import (
    Denoiser,
    PredictionType,
    denoise_once,
    diffusion_loss,
    predict_noise,
    predict_x0,
    prediction_from_noise,
    q_sample,
    training_target,
)
from oddwave.diffusion.samplers import (
    SAMPLERS,
    NoiseSource,
    Sampler,
    SamplerStep,
    TimestepSpacing,
    ddim,
    ddpm,
    dpmsolver_plus_plus,
    inference_timesteps,
    reconstruct,
)
from oddwave.diffusion.schedule import NoiseSchedule, ScheduleName, make_schedule

__all__ = [
    "SAMPLERS",
    "Denoiser",
    "ItemNoise",
    "NoiseSchedule",
    "NoiseSource",
    "PredictionType",
    "Sampler",
    "SamplerStep",
    "ScheduleName",
    "TimestepSpacing",
    "common_noise",
    "ddim",
    "ddpm",
    "denoise_once",
    "diffusion_loss",
    "dpmsolver_plus_plus",
    "external_sampler",
    "guided",
    "inference_timesteps",
    "invert",
    "make_schedule",
    "per_item_noise",
    "predict_noise",
    "predict_x0",
    "prediction_from_noise",
    "q_sample",
    "reconstruct",
    "training_target",
]
