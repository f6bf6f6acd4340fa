"""An exponential moving average of a network's weights: the weights that score.

Read `loop.py` next, which updates it after every optimiser step.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from oddwave.errors import ConfigError

__all__ = ["Ema"]


class Ema:
    """Averaged copies of a network's trainable weights: average = d average + (1 - d) weights.

    The decay d warms up, d_n = min(decay, (1 + n) / (10 + n)) at update n, so that the random weights of the start are
    forgotten within any run: after n updates the average spans about the last n / 9 steps until `decay` caps it.

    Source: the warm-up is that of TensorFlow's ExponentialMovingAverage(num_updates=...).
    """

    def __init__(self, net: nn.Module, decay: float = 0.999) -> None:
        if not 0.0 <= decay < 1.0:
            raise ConfigError(f"ema_decay is {decay}; give a number from 0 (no averaging) to just below 1")
        self.decay = decay
        self.num_updates = 0
        trainable = {name: weight for name, weight in net.named_parameters() if weight.requires_grad}
        self._names = list(trainable)
        self._live: list[Tensor] = list(trainable.values())
        self._average = [weight.detach().clone() for weight in self._live]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the network's present weights."""
        self.num_updates += 1
        decay = min(self.decay, (1.0 + self.num_updates) / (10.0 + self.num_updates))
        torch._foreach_lerp_(self._average, self._live, 1.0 - decay)

    def averages(self) -> dict[str, Tensor]:
        """Return the averaged weights by name, not copied: `torch.func.functional_call(net, ema.averages(), ...)`."""
        return dict(zip(self._names, self._average, strict=True))

    @torch.no_grad()
    def copy_to_net(self) -> None:
        """Overwrite the network's weights with their averages."""
        torch._foreach_copy_(self._live, self._average)

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of the averages and the number of updates, for a checkpoint."""
        copies = {name: average.clone() for name, average in self.averages().items()}
        return {"num_updates": torch.tensor(self.num_updates), **copies}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over averages that `state_dict` gave for a network of the same shape.

        Raises:
            KeyError, RuntimeError: if the names or shapes are those of another network.
        """
        self.num_updates = int(state["num_updates"])
        for name, average in self.averages().items():
            average.copy_(state[name])
