"""DTE-IG: diffusion time estimation with an inverse gamma posterior over the variance of the noise.

    p(s^2 | x_s) = InverseGamma(a, b(x_s)),   a = D / 2 - 1,  b from the network
    b            = a |x_s|^2 / D exp f(x_s),  so that f = 0 is right far from all normal items, and no score saturates
    loss         = -log p / a = b' / s^2 - log b',   b' = b / a, but for what no weight changes
    score(x)     = sqrt(b / (a + 1)), the root of the posterior's mode for the item itself

With one normal item x_0 and a flat prior of s^2 the posterior is exactly this one, with b = |x_s - x_0|^2 / 2; with
many it is a mixture of such. The best b' under the loss is 1 / E[1 / s^2 | x_s], whatever a is.

Source: Livernoche et al. 2023, On diffusion modeling for anomaly detection (arXiv 2305.18593), section 3 and DTE-IG.

Departures. Those of `diffusion_time.py`; under its log-uniform noise the exact a would be D / 2. The root changes no
order of vectors but keeps a few gross places from hiding the others where scores are standardised and averaged. Read
that module first.

Legend: m vectors, D numbers of one, s deviation of the noise.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.lab.rivals.learned.diffusion_time import TrainedTimeMethod, as_vectors

__all__ = ["DTEInverseGamma"]

_LEAST_SHAPE = 1.0  # of a: vectors of two numbers or fewer have no posterior with a flat prior


@dataclass(kw_only=True, eq=False)
class DTEInverseGamma(TrainedTimeMethod):
    """Likeliest deviation of the noise in an item."""

    name: ClassVar[str] = "dte_inverse_gamma"

    @property
    def _num_outputs(self) -> int:
        return 1

    @property
    def _shape_a(self) -> float:
        numbers = as_vectors(torch.zeros(1, *self._shape))[0].shape[2]
        return max(_LEAST_SHAPE, numbers / 2 - 1)

    def _time_loss(self, said: Float[Tensor, "m _"], share: Float[Tensor, " m"]) -> Float[Tensor, ""]:
        log_variance = 2 * (math.log(self.least_noise) + share * math.log(self.most_noise / self.least_noise))
        away = _log_scale(said) - log_variance  # log(b' / s^2)
        return (away.exp() - away).mean()

    def _time_score(self, said: Float[Tensor, "m _"]) -> Float[Tensor, " m"]:
        shape = self._shape_a
        return (0.5 * _log_scale(said)).exp() * math.sqrt(shape / (shape + 1))


def _log_scale(said: Float[Tensor, "m _"]) -> Float[Tensor, " m"]:
    """Return log b': twice the logarithm of the vector's size, and what the network adds."""
    return said[:, 0] + 2 * said[:, 1]
