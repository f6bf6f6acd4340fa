"""DTE-C: diffusion time estimation as classification of the noise into bins; the expected bin of the item is the score.

    p(k | x_s) = softmax(f(x_s))_k,   k = 0 .. 6 the bin of the time at which x_s was noised
    loss       = cross-entropy
    score(x)   = sum over k of k p(k | x),  of the item itself, nothing added

Source: Livernoche et al. 2023, On diffusion modeling for anomaly detection (arXiv 2305.18593), section 4, DTE-C; seven
bins as there.

Departures. Those of `diffusion_time.py`: whitened vectors, patches for grids, log-spaced noise in place of the linear
schedule. Read that module first.

Legend: m vectors, K bins.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from oddwave.baselines.learned.diffusion_time import TrainedTimeMethod

__all__ = ["DTECategorical"]


@dataclass(kw_only=True, eq=False)
class DTECategorical(TrainedTimeMethod):
    """Expected bin of the diffusion time of an item."""

    name: ClassVar[str] = "dte_categorical"
    num_bins: int = 7

    @property
    def _num_outputs(self) -> int:
        return self.num_bins

    def _time_loss(self, said: Float[Tensor, "m K"], share: Float[Tensor, " m"]) -> Float[Tensor, ""]:
        return F.cross_entropy(said, (share * self.num_bins).long().clamp(max=self.num_bins - 1))

    def _time_score(self, said: Float[Tensor, "m K"]) -> Float[Tensor, " m"]:
        return said.softmax(1) @ torch.arange(self.num_bins, dtype=said.dtype)
