"""What a training step draws: which items, at which time steps, with which noise; all of it repeatable.

`BatchSource` is what training needs of a data set, `TensorSource` the simplest one. Read `run.py` next, which draws
here once per step.

Legend: B batch, C channels, ... the grid, N items, T training time steps.
"""

import hashlib
import math
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from oddwave.config import TrainingConfig
from oddwave.errors import DataError, ShapeError

__all__ = ["BatchSource", "TensorSource", "TrainingDraws", "item_shape", "validation_draws"]

_GOLDEN_RATIO = (math.sqrt(5.0) - 1.0) / 2.0


@runtime_checkable
class BatchSource(Protocol):
    """A data set as training sees it: a number of items, and any selection of them as one tensor."""

    def __len__(self) -> int:
        """Return N."""

    def batch(self, indices: Int[Tensor, " B"]) -> Float[Tensor, "B C ..."]:
        """Return the items at these indices (0 to N - 1, repeats allowed), in this order."""

    def fingerprint(self) -> str:
        """Return a short text that other data would not give: a stopped run goes on with the data it began with."""


class TensorSource:
    """Items that are already one tensor of shape (N, C, *grid)."""

    def __init__(self, items: Float[Tensor, "N C ..."]) -> None:
        if items.ndim not in (3, 4):
            raise ShapeError(f"items have shape {tuple(items.shape)}; give (N, C, L) or (N, C, H, W)")
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def batch(self, indices: Int[Tensor, " B"]) -> Float[Tensor, "B C ..."]:
        """Return the items at these indices."""
        return self.items[indices]

    def fingerprint(self) -> str:
        """Return a digest of all values."""
        values = self.items.detach().cpu().contiguous().view(torch.uint8)
        return hashlib.blake2b(values.numpy().data, digest_size=8).hexdigest()


def item_shape(source: BatchSource, name: str, dtype: torch.dtype) -> tuple[int, ...]:
    """Return (C, *grid) of a source's items, after looking at one of them.

    Raises:
        DataError: if the source has no items, or its items are not of the network's number type.
        ShapeError: if a batch is not (B, C, L) or (B, C, H, W).
    """
    if len(source) == 0:
        raise DataError(f"the {name} data hold no items; give at least one")
    one = source.batch(torch.zeros(1, dtype=torch.int64))
    if one.dtype != dtype:
        raise DataError(f"the {name} data are {one.dtype}, the network's weights {dtype}; convert one of them")
    if one.ndim not in (3, 4) or len(one) != 1:
        raise ShapeError(f"a {name} batch of 1 has shape {tuple(one.shape)}; give (1, C, L) or (1, C, H, W)")
    return tuple(one.shape[1:])


class TrainingDraws:
    """The random side of training: every item once per epoch in random order, time steps spread over the range, noise.

    Time steps are stratified (item i of B falls in the i-th of B equal parts of the range, the items being in random
    order already), which leaves each one's distribution uniform and takes variance from the loss. All is drawn on the
    CPU, so that it is the same on every device. Nothing here touches torch's global generator.
    """

    def __init__(self, num_items: int, num_train_timesteps: int, config: TrainingConfig) -> None:
        self._num_items, self._batch_size = num_items, config.batch_size
        self._range = _t_range(num_train_timesteps, config)
        self._host = torch.Generator().manual_seed(2 * (config.seed or 0))
        self._noise = torch.Generator().manual_seed(2 * (config.seed or 0) + 1)
        self._order = torch.empty(0, dtype=torch.int64)
        self._cursor = 0
        self.commit()

    def indices(self) -> Int[Tensor, " B"]:
        """Draw the next batch's items; a batch may run over the end of an epoch into the next."""
        parts, needed = [], self._batch_size
        while needed:
            if self._cursor == len(self._order):
                self._order, self._cursor = torch.randperm(self._num_items, generator=self._host), 0
            part = self._order[self._cursor : self._cursor + needed]
            self._cursor += len(part)
            needed -= len(part)
            parts.append(part)
        return torch.cat(parts)

    def timesteps(self) -> Int[Tensor, " B"]:
        """Draw one time step per item of the batch, on the CPU."""
        low, high = self._range
        size = self._batch_size
        share = (torch.rand(size, generator=self._host, dtype=torch.float64) + torch.arange(size)) / size
        return (low + share * (high - low)).long()

    def noise_like(self, x0: Float[Tensor, "_ C ..."], own: slice = slice(None)) -> Float[Tensor, "_ C ..."]:
        """Draw standard normal noise for the whole batch, and move that of `own`, which are `x0`, to their device."""
        shape = (self._batch_size, *x0.shape[1:])
        return torch.randn(shape, generator=self._noise, dtype=x0.dtype)[own].to(x0.device)

    def commit(self) -> None:
        """Declare all draws so far as used; a state saved before the next commit repeats those after this one."""
        self._committed = {
            "host": self._host.get_state(),
            "device": self._noise.get_state(),
            "order": self._order,
            "cursor": self._cursor,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the last `commit`."""
        return dict(self._committed)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` gave.

        Raises:
            KeyError, TypeError, ValueError, RuntimeError: it is none, or one for another number of items.
        """
        order, cursor = state["order"], state["cursor"]
        if not (isinstance(order, Tensor) and order.dtype == torch.int64 and order.shape in ((0,), (self._num_items,))):
            raise ValueError(f"its order is not one of {self._num_items} items")
        if not torch.equal(order.sort().values, torch.arange(len(order))):
            raise ValueError("its order does not name every item once")
        if type(cursor) is not int or not 0 <= cursor <= len(order):
            raise ValueError(f"its place in the order of {len(order)} items is {cursor!r:.40}")
        self._host.set_state(state["host"])
        self._noise.set_state(state["device"])
        self._order, self._cursor = order, cursor
        self.commit()


def validation_draws(
    num_items: int, shape: tuple[int, ...], num_train_timesteps: int, config: TrainingConfig, device: torch.device
) -> Iterator[tuple[Int[Tensor, " B"], Int[Tensor, " B"], Float[Tensor, "B C ..."]]]:
    """Yield batches of (indices, time steps, noise), the same ones at every call with the same arguments.

    `num_validation_draws` in all: spread evenly over many items, or going round few of them several times. Time steps
    follow a golden-ratio sequence, so every stretch of items covers the range.
    """
    count = config.num_validation_draws
    low, high = _t_range(num_train_timesteps, config)
    number = torch.arange(count)
    indices = number * num_items // count if num_items > count else number % num_items
    share = ((number + 0.5).double() * _GOLDEN_RATIO) % 1.0
    t = (low + share * (high - low)).long()
    generator = torch.Generator().manual_seed(config.seed or 0)
    for first in range(0, count, config.batch_size):
        part = slice(first, first + config.batch_size)
        size = len(indices[part])
        noise = torch.randn((size, *shape), generator=generator).to(device)
        yield indices[part], t[part].to(device), noise


def _t_range(num_train_timesteps: int, config: TrainingConfig) -> tuple[int, int]:
    low = math.floor(config.min_t * num_train_timesteps)
    return low, max(low + 1, math.ceil(config.max_t * num_train_timesteps))
