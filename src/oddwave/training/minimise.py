"""One way to minimise a loss: a generator of steps for whatever trains without a checkpoint.

The denoiser's own training stands in `loop.py`, because it validates, saves and resumes. `minimise` takes a loss as a
function of the step and rates for all steps; where two losses take turns, as in an adversarial game, each side has a
`Descent` of its own. What is drawn at random is the caller's: see `seeded_draws` in `nets/blocks.py`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.training.adamw import AdamW

__all__ = ["Descent", "minimise", "warm_cosine"]


class Descent:
    """Adam, or another optimiser, over some weights; gradients are clipped to the norm `clip` (None: as they come)."""

    def __init__(
        self,
        weights: Sequence[Tensor],
        *,
        clip: float | None = 1.0,
        optimizer: Callable[[Sequence[Tensor]], AdamW] = AdamW,
    ) -> None:
        self.weights = [weight for weight in weights if weight.requires_grad]
        self.clip = clip
        self.optimizer = optimizer(self.weights)

    def down(self, loss: Float[Tensor, ""], rate: float) -> None:
        """Move these weights, and nothing else that the loss depends on, down the loss's gradient."""
        self.optimizer.zero_grad()
        torch.autograd.backward(loss, inputs=self.weights)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.weights, self.clip)
        self.optimizer.step(rate)


def minimise(
    loss: Callable[[int], Float[Tensor, ""]],
    weights: Sequence[Tensor],
    rates: Sequence[float],
    *,
    clip: float | None = 1.0,
    optimizer: Callable[[Sequence[Tensor]], AdamW] = AdamW,
    precision: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Iterator[int]:
    """Yield the number of each finished step, from 1; step i computes `loss(i)` within `precision()`, at `rates[i]`."""
    descent = Descent(weights, clip=clip, optimizer=optimizer)
    for step, rate in enumerate(rates):
        with precision():
            value = loss(step)
        descent.down(value, rate)
        yield step + 1


def warm_cosine(rate: float, num_steps: int, warm: int) -> list[float]:
    """Return the rates of all steps: a linear rise over `warm` of them, then half a cosine from `rate` towards 0."""
    rising = [rate * (step + 1) / warm for step in range(min(warm, num_steps))]
    left = num_steps - len(rising)
    return rising + [rate * 0.5 * (1.0 + math.cos(math.pi * step / left)) for step in range(left)]
