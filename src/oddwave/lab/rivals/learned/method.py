"""What a rival that trains a network is: from normal tensors to a map of how odd each place of a tensor is.

A method sees tensors (N, C, *grid) in about unit scale and knows nothing of images, series or sound: `items.py` next
door makes those into tensors and maps into scores. A subclass writes `_build`, `_loss` and `error_maps`, and may write
`_train` and `_finish`; what it learns lives in one `nn.Module`, buffers included, which is all that is saved.

The budget is stated and the same for all: `num_steps` batches of `batch_size` items, AdamW, a rate that rises over the
first tenth and falls to nought along a cosine. Read `vae.py` for an example.

Legend: N items, B of a batch, C channels, ... the grid (L, or H x W).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.config import TrainingConfig
from oddwave.diffusion.noise import common_noise
from oddwave.errors import ConfigError, NotFittedError
from oddwave.nets.blocks import seeded_draws
from oddwave.training.minimise import minimise, warm_cosine
from oddwave.training.run import computes_bfloat16

__all__ = ["LearnedMethod"]

_SHAPE = "item_shape"


@dataclass(kw_only=True, eq=False)
class LearnedMethod(ABC):
    """A network trained on normal tensors; its dataclass fields are its settings, equal seeds give equal networks."""

    name: ClassVar[str]
    num_steps: int = 300
    batch_size: int = 16
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_steps < 1 or self.batch_size < 1 or not self.learning_rate > 0:
            raise ConfigError(
                f"num_steps {self.num_steps}, batch_size {self.batch_size}, learning_rate {self.learning_rate}: "
                "give 1 or more, 1 or more, and above 0"
            )
        self._network: nn.Module | None = None
        self._shape: tuple[int, ...] = ()

    @property
    def network(self) -> nn.Module:
        """The trained network. Raises: NotFittedError."""
        if self._network is None:
            raise NotFittedError(f"'{self.name}' has no trained network: call fit first")
        return self._network

    @property
    def num_parameters(self) -> int:
        """How many numbers were learnt. Raises: NotFittedError."""
        return sum(weight.numel() for weight in self.network.parameters())

    @final
    def fit(self, items: Float[Tensor, "N C ..."], tell: Callable[[int, int], None] | None = None) -> None:
        """Train on normal items; `tell(done, total)` hears of each step. Torch's global generator is left as it was."""
        with seeded_draws(self.seed):
            self._shape = tuple(items.shape[1:])
            self._network = self._build(self._shape[0], self._shape[1:]).train()
            self._train(self._network, items, tell or (lambda done, total: None))
            self._network.eval()
            with torch.inference_mode():
                self._finish(self._network, items)

    @abstractmethod
    def error_maps(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B ..."]:
        """Return how odd each place of each item is, higher for odder; an item's map depends on no other item."""

    @abstractmethod
    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        """Return an untrained network for items of shape (channels, *grid)."""

    @abstractmethod
    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, ""]:
        """Return the loss of a batch; draw from torch's global generator, which is seeded."""

    def _train(self, network: nn.Module, items: Float[Tensor, "N C ..."], tell: Callable[[int, int], None]) -> None:
        """Minimise `_loss` over `num_steps` batches, items drawn without order."""
        steps = minimise(
            lambda _: self._loss(network, self._batch(items)),
            list(network.parameters()),
            self._rates(),
            precision=self._half_precision,
        )
        for done in steps:
            tell(done, self.num_steps)

    def _batch(self, items: Float[Tensor, "N C ..."]) -> Float[Tensor, "B C ..."]:
        return items[torch.randint(len(items), (self.batch_size,))]

    def _finish(self, network: nn.Module, items: Float[Tensor, "N C ..."]) -> None:  # noqa: B027 - often nothing
        """Put what is measured after training (statistics, codes) into the network's buffers."""

    def _rates(self) -> list[float]:
        return warm_cosine(self.learning_rate, self.num_steps, max(1, self.num_steps // 10))

    def _half_precision(self) -> AbstractContextManager[object]:
        """Train in bfloat16 on 2-D grids where the processor computes in it; scores are always in float32."""
        if computes_bfloat16(TrainingConfig(), len(self._shape) - 1, torch.device("cpu")):
            return torch.autocast("cpu", torch.bfloat16)
        return nullcontext()

    def _fixed_noise(self, items: Float[Tensor, "B C ..."], draw: int = 0) -> Float[Tensor, "B C ..."]:
        """Return standard normal noise that is the same for every item, so that items can be compared."""
        return common_noise(items.shape[1:], self.seed * 1_000_003 + draw).expand_as(items)

    @final
    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that was learnt. Raises: NotFittedError."""
        state = {name: tensor.contiguous().numpy() for name, tensor in self.network.state_dict().items()}
        return {**state, _SHAPE: np.array(self._shape, np.int64)}

    @final
    def take(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave; a KeyError says that one is missing."""
        self._shape = tuple(int(size) for size in arrays[_SHAPE])
        with seeded_draws(None):
            network = self._build(self._shape[0], self._shape[1:]).eval()
        learnt = {name: torch.from_numpy(arrays[name].copy()) for name in network.state_dict()}
        for name in learnt.keys() & dict(network.named_buffers()).keys():  # some have the size of what was measured
            owner, _, last = name.rpartition(".")
            network.get_submodule(owner).register_buffer(last, learnt[name])
        network.load_state_dict(learnt)
        self._network = network
