"""Several processes that train one network: which of them this is, and what all of them have to agree on.

`torchrun` starts the processes, on one machine or on several, and tells each of them its number in the environment
(WORLD_SIZE, RANK, LOCAL_RANK); without it there is one process. They talk through Gloo, the gradients of GPUs through
NCCL. Each process takes every n-th example of a step, and a mean is one over the examples of all.

Two ways to use them. Within `joined_ranks` all do the same. Within `led` the first one runs a program, and has the
others do what it asks for (`asked_of_others`); they wait in `next_task` meanwhile.

torch is imported only inside the functions. Read `detection/denoiser.py` next: what is asked for there is a training.
"""

import io
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from signal import SIGTERM
from typing import TYPE_CHECKING, Any

from oddwave.errors import ConfigError
from oddwave.stopping import STOP_SIGNALS, Stopped

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "ONE",
    "OtherEnded",
    "Ranks",
    "asked_of_others",
    "joined_ranks",
    "led",
    "next_task",
    "started_several",
    "were_idle",
]

_MEETING = timedelta(minutes=5)  # within which all have to be there
_PATIENCE = timedelta(days=30)  # the others wait for as long as the first one reads
_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_LOST_S = 2.0  # what ended another process, a signal to all of them, may need that long to come here


class OtherEnded(Stopped):
    """Another of the processes ended, so that this one cannot go on."""

    def __init__(self) -> None:
        super().__init__(SIGTERM)  # what torchrun sends to those that are left
        self.add_note("another of its processes had ended")


@dataclass(frozen=True)
class Ranks:
    """This process's number among `count`, and where it computes.

    `group` is torch's group of processes for what is computed there, `patient` the one in which they wait for each
    other; None is torch's default.
    """

    rank: int = 0
    count: int = 1
    device: str = "cpu"
    group: Any = None
    patient: Any = None

    @property
    def first(self) -> bool:
        """Whether this process writes and tells for all."""
        return self.rank == 0

    @property
    def own(self) -> slice:
        """Which of the examples of all are this process's."""
        return slice(self.rank, None, self.count)

    def on(self, device: str) -> "Ranks":
        """Return the same processes with a GPU each, the one of LOCAL_RANK, where `device` is "cuda".

        Raises: ConfigError, in all of them, where one has none.
        """
        if self.count == 1 or device == "cpu":
            return replace(self, device=device)
        import torch
        from torch import distributed

        number, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        wrong = (
            f"process {self.rank} is number {number} on a machine with {there} CUDA GPUs, each process needs its own"
        )
        found: list[str | None] = [None] * self.count
        distributed.all_gather_object(found, wrong if number >= there else None)
        if any(found):
            raise ConfigError(
                f"{next(filter(None, found))}: start fewer (--nproc-per-node {there or 1}), or use device=cpu"
            )
        torch.cuda.set_device(number)
        return replace(self, device=f"cuda:{number}", group=distributed.new_group(backend="nccl"))

    def share(self, examples: "Sequence[Tensor]") -> "tuple[Tensor, ...]":
        """Return this process's part of all examples, where it computes. Raises: ConfigError where it has none."""
        self.check(len(examples[0]))
        return tuple(own[self.own].to(self.device) for own in examples)

    def check(self, num: int) -> None:
        """Raises: ConfigError where the examples of a step are too few for each process to have one."""
        if self.count > num:
            raise ConfigError(f"{self.count} processes for the {num} examples of a step: start at most that many")

    def total(self, values: "Tensor") -> "Tensor":
        """Return the sums over all processes, without gradients."""
        values = values.detach().clone()
        if self.count > 1:
            from torch import distributed

            distributed.all_reduce(values, group=self.group)
        return values

    def averages(self, *values: "Tensor") -> tuple[float, ...]:
        """Return the means of numbers over the processes, without gradients."""
        import torch

        if self.count == 1:
            return tuple(value.item() for value in values)
        return tuple((self.total(torch.stack([value.detach() for value in values])) / self.count).tolist())

    def part(self, mean: "Tensor", num: int, of: int) -> "Tensor":
        """Return this process's mean over `num` of all `of` examples, weighed to make theirs the mean of the parts."""
        return mean if self.count == 1 else mean * (num * self.count / of)

    def mean(self, values: "Tensor") -> "tuple[Tensor, float]":
        """Return what to go down, for the mean of all gradients to be that of all values; and the mean of these."""
        import torch

        num, whole = self.total(torch.stack([values.new_tensor(float(values.numel())), values.detach().sum()])).tolist()
        return values.sum() / (num / self.count), whole / num

    def around(self, net: "nn.Module", *, in_turn: bool = False) -> "nn.Module":
        """Return the network with the same weights in all processes, whose gradients are averaged over them.

        `in_turn`: a step is of some of the weights only.
        """
        if self.count == 1:
            return net
        from torch.nn.parallel import DistributedDataParallel

        where = [int(self.device.removeprefix("cuda:"))] if self.device != "cpu" else None
        # maps keep channels last, and so do gradients of a layer with one feature: no user need know
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        return DistributedDataParallel(
            net,
            device_ids=where,
            process_group=self.group,
            find_unused_parameters=in_turn,
        )

    def take_over(self, tensors: "Sequence[Tensor]") -> None:
        """Overwrite tensors with those of the first process."""
        from torch import distributed

        for tensor in tensors if self.count > 1 else ():
            distributed.broadcast(tensor, 0, group=self.group)

    def of_first(self, value: Any = None) -> Any:
        """Return what the first process gave here, in the others with all tensors in the processor's memory.

        Raises: ConfigError, in the first one and before the others hear of it, for what cannot be sent.
        """
        if self.count == 1:
            return value
        import torch
        from torch import distributed

        content = torch.frombuffer(_packed(value), dtype=torch.uint8) if self.first else torch.empty(0)
        size = torch.tensor([len(content)])
        with self.together():
            distributed.broadcast(size, 0, group=self.patient)
            content = content if self.first else torch.empty(int(size), dtype=torch.uint8)
            distributed.broadcast(content, 0, group=self.patient)
        return value if self.first else _unpacked(content)

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.count > 1:
            from torch import distributed

            distributed.barrier()

    def apart(self, net: "nn.Module") -> float:
        """Return how far the weights of the processes are from each other: 0, unless something is wrong."""
        if self.count == 1:
            return 0.0
        import torch
        from torch import distributed

        own = torch.cat([weight.detach().flatten() for weight in net.parameters()])
        high, low = own.clone(), own.clone()
        distributed.all_reduce(high, distributed.ReduceOp.MAX, group=self.group)
        distributed.all_reduce(low, distributed.ReduceOp.MIN, group=self.group)
        return float((high - low).max())

    @contextmanager
    def together(self) -> Iterator[None]:
        """Raise `OtherEnded` in place of what torch raises where another process is no longer there."""
        try:
            yield
        except RuntimeError as error:
            if self.count == 1 or not _tells_of_an_end(error):
                raise
            time.sleep(_LOST_S)  # a signal that came here too says better why: it is raised by now
            raise OtherEnded from error


ONE = Ranks()


class _Present:
    """The processes that this program leads, if it does, and whether they are at what it asked for."""

    ranks = ONE
    at_work = False
    num_tasks = 0


def started_several() -> bool:
    """Return whether torchrun, or what sets the same variables, started this process as one of several."""
    given = [os.environ.get(name, "") for name in _NEEDED]
    return all(given) and all(number.isdigit() for number in given[:2]) and int(given[1]) > 1


@contextmanager
def joined_ranks(device: str = "auto") -> Iterator[Ranks]:
    """Join the processes that torchrun started, for as long as the block lasts; by itself, be the only one.

    Raises: ConfigError for a device that is not here, and where the others cannot be found.
    """
    import torch
    from torch import distributed

    number, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available() and device != "cpu"
    if device == "cuda" and not cuda:
        raise ConfigError("--device is cuda, a CUDA GPU, and none can be used here: use --device cpu or auto")
    if count == 1:
        yield Ranks(device=f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if cuda else "cpu")
        return
    print(f"oddwave: process {number + 1} of {count}, waiting for the others", file=sys.stderr, flush=True)
    try:
        with _stoppable():
            distributed.init_process_group("gloo", timeout=_MEETING)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"process {number + 1} of {count} cannot join the others within {_MEETING.total_seconds():.0f} s "
            f"({str(error).splitlines()[0]}): start all of them by torchrun, or unset WORLD_SIZE for one process"
        ) from error
    try:
        patient = distributed.new_group(backend="gloo", timeout=_PATIENCE)
        yield Ranks(number, count, patient=patient).on("cuda" if cuda else "cpu")
    finally:
        distributed.destroy_process_group()


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let signals end the process at once within the block: Python's own handlers wait for what torch waits for."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, signal.SIG_DFL) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def led() -> Iterator[Ranks]:
    """Join processes of which the first one runs a program, and lets the others go when it has come to its end.

    Where it ends within a task, the others find it gone: `OtherEnded`.
    """
    with joined_ranks("cpu") as ranks:
        _Present.ranks, _Present.at_work, _Present.num_tasks = ranks, False, 0
        try:
            yield ranks
        finally:
            _Present.ranks = ONE
            if ranks.first and not _Present.at_work:
                with suppress(Stopped):
                    ranks.of_first(None)


@contextmanager
def asked_of_others(task: Any, device: str) -> Iterator[Ranks]:
    """Hand a task to all other processes, that compute on such a device; within the block, all are at it.

    Raises: ConfigError for a task that cannot be sent, and where a process has no such device.
    """
    ranks, (kind, _, number) = _Present.ranks, device.partition(":")
    if ranks.count > 1:
        if int(number or 0) > 0:
            raise ConfigError(f"device={device} is one GPU, each of {ranks.count} processes needs its own: use cuda")
        _Present.at_work = ranks.of_first((task, kind)) is not None
    yield ranks.on(kind)
    _Present.at_work, _Present.num_tasks = False, _Present.num_tasks + 1


def next_task(ranks: Ranks) -> tuple[Any, Ranks] | None:
    """Wait for the first process to ask for something, and return that and where to compute; None at its end.

    Raises: OtherEnded where it is gone; ConfigError where a process lacks the device.
    """
    found = ranks.of_first()
    return None if found is None else (found[0], ranks.on(found[1]))


def were_idle() -> bool:
    """Return whether other processes have waited, so far, without being asked for anything."""
    return _Present.ranks.count > 1 and _Present.num_tasks == 0


def _packed(value: Any) -> memoryview:
    import torch

    buffer = io.BytesIO()
    try:
        torch.save(value, buffer)
    except Exception as error:  # pickle has half a dozen types for it
        raise ConfigError(
            f"what is to be trained cannot be sent to other processes ({error}): train it in one, without torchrun"
        ) from error
    return buffer.getbuffer()


def _unpacked(content: "Tensor") -> Any:
    """Return what the first process, which runs the same program, packed."""
    import torch

    return torch.load(io.BytesIO(content.numpy().tobytes()), map_location="cpu", weights_only=False)


def _tells_of_an_end(error: RuntimeError) -> bool:
    from torch import distributed

    return isinstance(error, distributed.DistError) or "gloo/" in str(error)
