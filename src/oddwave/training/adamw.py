"""AdamW over torch's own fused kernel, without `torch.optim.Optimizer` around it.

Making any `torch.optim.Optimizer` imports torch's compiler, which costs seconds of CPU time in every process: more than
training a small network takes. The arithmetic here is torch's function `torch.optim.adamw.adamw`, bit for bit. Read
`run.py` next, which steps it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

__all__ = ["AdamW"]


class AdamW:
    """Adam with decoupled weight decay, beta = (0.9, 0.999), eps = 1e-8.

    Weights without a gradient stay as they are. Source: Loshchilov and Hutter 2019 (arXiv 1711.05101), algorithm 2.
    """

    def __init__(self, weights: Sequence[Tensor], weight_decay: float = 0.0) -> None:
        self.weights = list(weights)
        self.weight_decay = weight_decay
        self._first = [torch.zeros_like(weight) for weight in self.weights]
        self._second = [torch.zeros_like(weight) for weight in self.weights]
        self._steps = [torch.zeros((), device=weight.device) for weight in self.weights]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Move the weights along their gradients with learning rate `lr`."""
        moving = [
            (weight, weight.grad, first, second, step)
            for weight, first, second, step in zip(self.weights, self._first, self._second, self._steps, strict=True)
            if weight.grad is not None
        ]
        weights, gradients, first, second, steps = (list(column) for column in zip(*moving, strict=True))
        adamw(
            weights,
            gradients,
            first,
            second,
            [],
            steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=lr,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )

    def zero_grad(self) -> None:
        """Drop all gradients; the backward pass then writes new ones instead of adding to old ones."""
        for weight in self.weights:
            weight.grad = None

    def state_dict(self) -> dict[str, list[Tensor]]:
        """Return copies of the moments and step counts, in the order of the weights, for a checkpoint."""
        lists = {"first": self._first, "second": self._second, "steps": self._steps}
        return {name: [tensor.clone() for tensor in tensors] for name, tensors in lists.items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave for weights of the same shapes.

        Raises:
            KeyError, ValueError, RuntimeError: if it is of other weights.
        """
        for name, own in (("first", self._first), ("second", self._second), ("steps", self._steps)):
            for tensor, saved in zip(own, state[name], strict=True):
                tensor.copy_(saved)
