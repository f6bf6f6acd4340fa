"""What a run learns from: one data set, or one at each port of a joint network, a batch of one after another.

Each port draws as a run of its own would: the same items, time steps and noise, whatever is learnt beside it. The order
of the ports is drawn anew for each round of them, from the seed. Read `run.py` next, which takes a step at a port.

Legend: B batch, C channels, ... the grid.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from oddwave.config import TrainingConfig
from oddwave.training.draws import BatchSource, TrainingDraws, item_shape

__all__ = ["Perceptual", "Port", "PortData", "port_of_step"]

Perceptual = Callable[[Tensor], Tensor | Sequence[Tensor]]
"""A frozen feature network: (B, C, ...) -> one tensor, or one per tap, each with B first; gradients pass through it."""


@dataclass(frozen=True, eq=False)
class PortData:
    """Normal data, held-out ones, and the network of L_feat; `name` is the port's, None for a network without ports."""

    data: BatchSource
    validation: BatchSource | None = None
    perceptual: Perceptual | None = None
    name: str | None = None


class Port:
    """The data at one port, and how far a run is with them; `state` and `load` are its part of a checkpoint."""

    def __init__(self, given: PortData, num_train_timesteps: int, config: TrainingConfig, dtype: torch.dtype) -> None:
        self.data, self.validation, self.perceptual, self.name = (
            given.data, given.validation, given.perceptual, given.name
        )  # fmt: skip
        title = "" if self.name is None else f"{self.name} "
        self.shape = item_shape(self.data, f"{title}training", dtype)
        if self.validation is not None:
            item_shape(self.validation, f"{title}validation", dtype)
        self.draws = TrainingDraws(len(self.data), num_train_timesteps, config)
        self.loss = math.nan
        self.val_loss: float | None = None
        self.balance: tuple[float, float] | None = None  # running means of the noise error and the feature error

    def into(self, net: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the network as this port's data enter it."""
        return net if self.name is None else partial(net, port=self.name)

    def identity(self) -> dict[str, Any]:
        """Return what a resumed run must have in common with the one that was stopped."""
        prefix = "" if self.name is None else f"{self.name}: "
        validation = self.validation
        own = {
            "item_shape": list(self.shape),
            "num_items": len(self.data),
            "num_validation_items": 0 if validation is None else len(validation),
            "data_fingerprint": self.data.fingerprint(),
            "validation_fingerprint": None if validation is None else validation.fingerprint(),
        }
        return {f"{prefix}{name}": value for name, value in own.items()}

    def state(self) -> dict[str, Any]:
        """Return what `load` needs."""
        return {"draws": self.draws.state_dict(), "loss": self.loss, "balance": self.balance}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave. Raises: KeyError, TypeError, ValueError, RuntimeError for anything else."""
        losses = [state["loss"], *(state["balance"] or ())]
        if not all(type(loss) is float for loss in losses) or len(losses) not in (1, 3):
            raise ValueError("its losses are no numbers")
        self.draws.load_state_dict(state["draws"])
        self.loss, self.balance = state["loss"], state["balance"]


def port_of_step(step: int, num_ports: int, seed: int) -> int:
    """Return which port the step 0, 1, ... is of: each one once in every round of them."""
    round_number, place = divmod(step, num_ports)
    if num_ports == 1:
        return 0
    generator = torch.Generator().manual_seed(seed * 1_000_003 + round_number)
    return int(torch.randperm(num_ports, generator=generator)[place])
