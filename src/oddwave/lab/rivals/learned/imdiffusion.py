"""ImDiffusion: half of the item, in a grating, is imputed from the other half, and the errors of all steps are joined.

    M_p    = 1 in every second of 10 equal segments of the last axis, beginning with segment p = 0 or 1
    x_T    = noise where M_p = 1, then DDIM down from t = T in a few steps; the network also sees x_0 where M_p = 0
    x^_k   = estimate of x_0 at the k-th step, each place from the one grating that masks it
    map(x) = mean over the steps k of the standardised distance of x_0 and x^_k

Source: Chen et al. 2023, ImDiffusion: imputed diffusion models for multivariate time series anomaly detection
(arXiv 2307.00754).

Departures. The unmasked half is shown as it is. The paper shows it noised as x_t (its "unconditional" imputation, for a
larger contrast of errors); trained on as few steps as here, such a network told planted anomalies worse. The steps vote
by their distances, each standardised by what normal items leave at it, where the paper counts how many steps exceed a
threshold of theirs: the same ensemble without a threshold. DDIM's steps stand for DDPM's 50, and a U-Net for the
paper's transformer over time and channels. Read `imputing_method.py` first.

Legend: B batch, C channels, ... the grid, L its last axis, a = sqrt(abar_t), s = sqrt(1 - abar_t).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.diffusion import inference_timesteps
from oddwave.lab.rivals.learned.imputing_method import ImputingMethod

__all__ = ["ImDiffusion"]


@dataclass(kw_only=True, eq=False)
class ImDiffusion(ImputingMethod):
    """Error of imputing each half of a grating from the other, joined over the denoising steps."""

    name: ClassVar[str] = "imdiffusion"
    num_segments: int = 10
    num_inference_steps: int = 3

    def _step_weights(self) -> Sequence[float]:
        return [1.0 / self.num_inference_steps] * self.num_inference_steps

    def _random_masks(self, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, "B 1 ..."]:
        both = torch.cat([self._grating(batch[:1], phase) for phase in (0, 1)])
        return both[torch.randint(2, (len(batch),))]

    def _imputations(self, items: Float[Tensor, "B C ..."]) -> list[Float[Tensor, "B C ..."]]:
        gratings = [self._grating(items, phase) for phase in (0, 1)]
        chains = zip(*(self._chain(items, masks) for masks in gratings), strict=True)
        return [gratings[0] * first + gratings[1] * second for first, second in chains]

    def _grating(self, items: Float[Tensor, "B C ..."], phase: int) -> Float[Tensor, "B 1 ..."]:
        length = items.shape[-1]
        segment = torch.arange(length) * min(self.num_segments, length) // length
        return (segment % 2 == phase).to(items.dtype).expand(len(items), 1, *items.shape[2:])

    def _chain(
        self, items: Float[Tensor, "B C ..."], masks: Float[Tensor, "B 1 ..."]
    ) -> list[Float[Tensor, "B C ..."]]:
        """Return the estimate of x_0 at each step from pure noise down; nothing of the masked places is ever seen."""
        steps = inference_timesteps(self.schedule, self.num_inference_steps)
        x_t, estimates = self._fixed_noise(items), []
        for step, below in zip(steps, [*steps[1:], None], strict=True):
            t = torch.full((len(items),), step, dtype=torch.long)
            estimates.append(self._filled(items, x_t, masks, t))
            if below is not None:
                a, s = self.schedule.scales(t, items)
                x_t = self._noised(estimates[-1], torch.full_like(t, below), (x_t - a * estimates[-1]) / s)
        return estimates
