"""Several processes that train one network: which of them this is, and what all of them have to agree on.

`torchrun` starts the processes, on one machine or on several, and tells each of them its number in the environment
(WORLD_SIZE, RANK, LOCAL_RANK); without it there is one process. GPUs talk through NCCL, processors through Gloo. Each
process takes every n-th example of a step, and a mean is one over the examples of all. Read `train.py` next.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, distributed, nn

from oddwave.errors import ConfigError

__all__ = ["ONE", "Ranks", "joined_ranks"]


@dataclass(frozen=True)
class Ranks:
    """This process's number among `count`, and where it computes."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this process writes and tells for all."""
        return self.rank == 0

    def share(self, examples: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return this process's part of all examples, where it computes. Raises: ConfigError where it has none."""
        if self.count > len(examples[0]):
            raise ConfigError(
                f"{self.count} processes for the {len(examples[0])} examples of a step: start at most that many"
            )
        return tuple(own[self.rank :: self.count].to(self.device) for own in examples)

    def total(self, values: Tensor) -> Tensor:
        """Return the sums over all processes, without gradients."""
        values = values.detach().clone()
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def mean(self, values: Tensor) -> tuple[Tensor, float]:
        """Return what to go down, for the mean of all gradients to be that of all values; and the mean of these."""
        num, whole = self.total(torch.stack([values.new_tensor(float(values.numel())), values.detach().sum()])).tolist()
        return values.sum() / (num / self.count), whole / num

    def around(self, net: nn.Module) -> nn.Module:
        """Return the network with the same weights in all processes, whose gradients are averaged over them."""
        if self.count == 1:
            return net
        where = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(net, device_ids=where)

    def take_over(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors with those of the first process."""
        for tensor in tensors if self.count > 1 else ():
            distributed.broadcast(tensor, 0)

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.count > 1:
            distributed.barrier()

    def apart(self, net: nn.Module) -> float:
        """Return how far the weights of the processes are from each other: 0, unless something is wrong."""
        if self.count == 1:
            return 0.0
        own = torch.cat([weight.detach().flatten() for weight in net.parameters()])
        high, low = own.clone(), own.clone()
        distributed.all_reduce(high, distributed.ReduceOp.MAX)
        distributed.all_reduce(low, distributed.ReduceOp.MIN)
        return float((high - low).max())


ONE = Ranks()


@contextmanager
def joined_ranks(device: str = "auto") -> Iterator[Ranks]:
    """Join the processes that torchrun started, for as long as the block lasts; by itself, be the only one.

    Raises: ConfigError for a device that is not here.
    """
    number, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available() and device != "cpu"
    if device == "cuda" and not cuda:
        raise ConfigError("--device is cuda, a CUDA GPU, and none can be used here: use --device cpu or auto")
    here = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if count == 1:
        yield Ranks(device=here)
        return
    if cuda:
        torch.cuda.set_device(here)
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Ranks(number, count, here)
    finally:
        distributed.destroy_process_group()
