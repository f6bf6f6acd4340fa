"""DDAD: denoise from partial noise, drawn towards the input, so that all that is normal about it is kept.

    x_t    = a x_0 + s noise,  t at the noise level
    y_t    = a x_0 + s eps(x_t, t)
    eps^   = eps(x_t, t) - w s (y_t - x_t)         the estimate of x_0 moves by w s^2 of its way to the input
    x~     = DDIM from x_t down in a few steps of eps^,  mean over the draws of noise
    map(x) = distance of x_0 and x~

Source: Mousakhan et al. 2023, Anomaly detection with conditioned denoising diffusion models (arXiv 2305.15956).

Departures. The paper's map is the pixel distance plus the distance of fine-tuned features. Where x_0 is already a
feature grid the two are one, and for series there is no such network, so one distance is left; it is standardised
(`residual_scale.py`). No map is divided by the largest value of a batch, as the paper weighs its two. w is kept so
small that w s^2 stays below 1: above it the estimate is led beyond the input, and after training as short as here a
gross anomaly then leaves hardly more than a normal item.

Legend: B batch, C channels, ... the grid, a = sqrt(abar_t), s = sqrt(1 - abar_t), w guidance weight.
"""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from oddwave.lab.rivals.learned.residual_scale import StandardisedReconstruction

__all__ = ["DDAD"]


@dataclass(kw_only=True, eq=False)
class DDAD(StandardisedReconstruction):
    """Distance to the reconstruction from partial noise under guidance towards the input."""

    name: ClassVar[str] = "ddad"
    noise_level: float = 0.3
    guidance_weight: float = 1.5
    num_inference_steps: int = 3
    num_draws: int = 2

    def _normal_version(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B C ..."]:
        return self._reconstructed(
            items,
            noise_level=self.noise_level,
            num_inference_steps=self.num_inference_steps,
            num_draws=self.num_draws,
            guidance_weight=self.guidance_weight,
        )
