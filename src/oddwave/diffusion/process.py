"""The forward process, what a network is asked to predict, and the one-step estimate.

Every function takes one time step per item, so a batch may mix noise levels and no item depends on its neighbours.
Read `samplers.py` next: it walks the table backwards with these conversions.

Legend: B batch, C channels, ... the grid (1-D or 2-D), a = sqrt(abar_t), s = sqrt(1 - abar_t), x_t = a x0 + s noise.

Source: Ho et al. 2020 (arXiv 2006.11239), eqs. 4 and 14; v-prediction, Salimans and Ho 2022 (arXiv 2202.00512), app. D.
"""

from collections.abc import Callable
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from oddwave.diffusion.schedule import NoiseSchedule
from oddwave.errors import ConfigError

__all__ = [
    "Denoiser",
    "PredictionType",
    "denoise_once",
    "diffusion_loss",
    "predict_noise",
    "predict_x0",
    "prediction_from_noise",
    "q_sample",
    "training_target",
]

PredictionType = Literal["epsilon", "v_prediction", "sample"]
Denoiser = Callable[[Tensor, Tensor], Tensor]
"""A network as the diffusion sees it: (x_t of shape (B, C, ...), t of shape (B,)) -> prediction, shaped like x_t."""


def q_sample(
    x0: Float[Tensor, "B C ..."], noise: Float[Tensor, "B C ..."], t: Int[Tensor, " B"], schedule: NoiseSchedule
) -> Float[Tensor, "B C ..."]:
    """Noise clean items to their time steps: x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) noise."""
    a, s = schedule.scales(t, x0)
    return a * x0 + s * noise


def predict_x0(
    x_t: Float[Tensor, "B C ..."],
    prediction: Float[Tensor, "B C ..."],
    t: Int[Tensor, " B"],
    schedule: NoiseSchedule,
    prediction_type: PredictionType = "epsilon",
) -> Float[Tensor, "B C ..."]:
    """Turn a prediction made at (x_t, t) into the clean item it implies.

    epsilon: (x_t - s prediction) / a; v_prediction: a x_t - s prediction; sample: the prediction itself.

    Raises:
        ConfigError: for an unknown prediction type.
    """
    if prediction_type == "sample":
        return prediction
    a, s = schedule.scales(t, x_t)
    if prediction_type == "epsilon":
        return (x_t - s * prediction) / a
    if prediction_type == "v_prediction":
        return a * x_t - s * prediction
    raise _unknown(prediction_type)


def predict_noise(
    x_t: Float[Tensor, "B C ..."],
    prediction: Float[Tensor, "B C ..."],
    t: Int[Tensor, " B"],
    schedule: NoiseSchedule,
    prediction_type: PredictionType = "epsilon",
) -> Float[Tensor, "B C ..."]:
    """Turn a prediction made at (x_t, t) into the noise it implies.

    epsilon: the prediction itself; v_prediction: a prediction + s x_t; sample: (x_t - a prediction) / s.

    Raises:
        ConfigError: for an unknown prediction type.
    """
    if prediction_type == "epsilon":
        return prediction
    a, s = schedule.scales(t, x_t)
    if prediction_type == "v_prediction":
        return a * prediction + s * x_t
    if prediction_type == "sample":
        return (x_t - a * prediction) / s
    raise _unknown(prediction_type)


def prediction_from_noise(
    x_t: Float[Tensor, "B C ..."],
    noise: Float[Tensor, "B C ..."],
    t: Int[Tensor, " B"],
    schedule: NoiseSchedule,
    prediction_type: PredictionType = "epsilon",
) -> Float[Tensor, "B C ..."]:
    """Undo `predict_noise`: what a network of this prediction type would have said for that noise.

    Raises:
        ConfigError: for an unknown prediction type.
    """
    if prediction_type == "epsilon":
        return noise
    a, s = schedule.scales(t, x_t)
    x0 = (x_t - s * noise) / a
    if prediction_type == "sample":
        return x0
    if prediction_type == "v_prediction":
        return a * noise - s * x0
    raise _unknown(prediction_type)


def training_target(
    x0: Float[Tensor, "B C ..."],
    noise: Float[Tensor, "B C ..."],
    t: Int[Tensor, " B"],
    schedule: NoiseSchedule,
    prediction_type: PredictionType = "epsilon",
) -> Float[Tensor, "B C ..."]:
    """Return what the network should predict: the noise, v = a noise - s x0, or x0.

    Raises:
        ConfigError: for an unknown prediction type.
    """
    if prediction_type == "epsilon":
        return noise
    if prediction_type == "sample":
        return x0
    if prediction_type == "v_prediction":
        a, s = schedule.scales(t, x0)
        return a * noise - s * x0
    raise _unknown(prediction_type)


def diffusion_loss(
    net: Denoiser,
    x0: Float[Tensor, "B C ..."],
    t: Int[Tensor, " B"],
    noise: Float[Tensor, "B C ..."],
    schedule: NoiseSchedule,
    prediction_type: PredictionType = "epsilon",
) -> tuple[Float[Tensor, " B"], Float[Tensor, "B C ..."]]:
    """Compute each item's mean squared prediction error and its one-step estimate of x0.

    The loss is E ||target - net(x_t, t)||^2 with the mean taken over channels and grid. Both results carry gradients.
    """
    x_t = q_sample(x0, noise, t, schedule)
    # Under bf16 autocast a network answers in bf16; errors and estimates are kept in the data's own precision.
    prediction = net(x_t, t).to(x0.dtype)
    target = training_target(x0, noise, t, schedule, prediction_type)
    loss = (prediction - target).square().flatten(1).mean(dim=1)
    return loss, predict_x0(x_t, prediction, t, schedule, prediction_type)


def denoise_once(
    net: Denoiser,
    x0: Float[Tensor, "B C ..."],
    t: Int[Tensor, " B"],
    schedule: NoiseSchedule,
    prediction_type: PredictionType = "epsilon",
    noise: Float[Tensor, "B C ..."] | None = None,
) -> Float[Tensor, "B C ..."]:
    """Estimate the normal version of each item with one network call at noise level t.

    `noise=None` adds no noise at all: x_t = sqrt(abar_t) x0, which makes the estimate deterministic.
    """
    x_t = schedule.scales(t, x0)[0] * x0 if noise is None else q_sample(x0, noise, t, schedule)
    return predict_x0(x_t, net(x_t, t).to(x0.dtype), t, schedule, prediction_type)


def _unknown(prediction_type: object) -> ConfigError:
    return ConfigError(f"there is no prediction_type {prediction_type!r}; choose 'epsilon', 'v_prediction' or 'sample'")
