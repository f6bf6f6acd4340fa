"""DTE-C: diffusion time estimation as classification of the noise into bins; the expected bin of the item is the score.

    p(k | x_s) = softmax(f(x_s))_k,   k = 0 .. 6 the bin of the time at which x_s was noised
    loss       = cross-entropy
    score(x)   = sum over k of (k + 1) p(k | x),  of the item itself, nothing added

Source: Livernoche et al. 2023, On diffusion modeling for anomaly detection (arXiv 2305.18593), section 4, DTE-C; seven
bins as there.

Departures. Those of `diffusion_time.py`: whitened vectors, patches for grids, log-spaced noise in place of the linear
schedule. Bins end with the noise of training, so the score of a vector c times larger than that is the one at the end
and the log c more, counted in bins: it never saturates. Read that module first.

Legend: m vectors, K bins.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from oddwave.errors import ConfigError
from oddwave.lab.rivals.learned.diffusion_time import TrainedTimeMethod

__all__ = ["DTECategorical"]


@dataclass(kw_only=True, eq=False)
class DTECategorical(TrainedTimeMethod):
    """Expected bin of the diffusion time of an item."""

    name: ClassVar[str] = "dte_categorical"
    num_bins: int = 7

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_bins < 2:
            raise ConfigError(f"num_bins is {self.num_bins}: give 2 or more")

    @property
    def _num_outputs(self) -> int:
        return self.num_bins

    def _time_loss(self, said: Float[Tensor, "m _"], share: Float[Tensor, " m"]) -> Float[Tensor, ""]:
        logits = said[:, : self.num_bins]
        return F.cross_entropy(logits, (share * self.num_bins).long().clamp(max=self.num_bins - 1))

    def _time_score(self, said: Float[Tensor, "m _"]) -> Float[Tensor, " m"]:
        bins = torch.arange(1, self.num_bins + 1, dtype=said.dtype)
        beyond = said[:, -1] * (self.num_bins / math.log(self.most_noise / self.least_noise))
        return said[:, : self.num_bins].softmax(1) @ bins + beyond
