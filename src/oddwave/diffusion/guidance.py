"""Input guidance: a network wrapped so that a sampler is drawn towards the input it started from.

Read `samplers.py` next, which uses it.

Legend: B batch, C channels, ... the grid, a = sqrt(abar_t), s = sqrt(1 - abar_t).
"""

from jaxtyping import Float
from torch import Tensor

from oddwave.diffusion.process import Denoiser, PredictionType, predict_noise, prediction_from_noise
from oddwave.diffusion.schedule import NoiseSchedule

__all__ = ["guided"]


def guided(
    net: Denoiser,
    x0: Float[Tensor, "B C ..."],
    schedule: NoiseSchedule,
    weight: float,
    prediction_type: PredictionType = "epsilon",
) -> Denoiser:
    """Wrap a network so that its noise estimate pulls x_t towards the noised input.

    With eps the wrapped network's noise estimate: y_t = a x0 + s eps and eps_hat = eps - weight s (y_t - x_t). A weight
    of 0 returns the network unchanged. The wrapper answers in the network's own prediction type.

    Source: Mousakhan et al. 2023, DDAD (arXiv 2305.15956), the conditioned reconstruction.
    """
    if weight == 0.0:
        return net

    def guided_net(x_t: Tensor, t: Tensor) -> Tensor:
        a, s = schedule.scales(t, x_t)
        eps = predict_noise(x_t, net(x_t, t).to(x_t.dtype), t, schedule, prediction_type)
        eps_hat = eps - weight * s * (a * x0 + s * eps - x_t)
        return prediction_from_noise(x_t, eps_hat, t, schedule, prediction_type)

    return guided_net
