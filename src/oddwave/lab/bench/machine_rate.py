"""What this machine can do at best: its matrix rate and its memory's bandwidth, and the least that networks need.

    matrix rate     N^3 / s of the fastest of several products of N x N matrices, in float32 and in bfloat16
    bandwidth       bytes read and written / s of the fastest of several copies of an array beyond the caches
    work            multiply-adds and bytes of a computation: what it calls of matrix products, convolutions and
                    attention; what its operations take from outside once (weights, memories, input), and each result
    floor           the larger of multiply-adds over the matrix rate and bytes over the bandwidth

Seconds are of the processor, as those are that are compared with the floor: what else the machine does does not count.
Only what torch computes is seen. Read `speed_cell.py` next.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["Work", "bandwidth", "floor_s", "matrix_rate", "work_of"]

_SIDE, _REPEATS = 1024, 5
_COPIED_BYTES = 256 * 2**20
_VIEWS = ("view", "reshape", "permute", "transpose", "expand", "slice", "select", "detach", "alias", "as_strided",
          "unsqueeze", "squeeze", "split", "unbind", "t")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """Multiply-adds and bytes of a computation."""

    multiply_adds: float
    num_bytes: float


def matrix_rate(dtype: torch.dtype = torch.float32, side: int = _SIDE, repeats: int = _REPEATS) -> float:
    """Return multiply-adds per CPU second of the fastest product of two square matrices."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    a @ b
    return side**3 / _fastest(lambda: a @ b, repeats)


def bandwidth(num_bytes: int = _COPIED_BYTES, repeats: int = _REPEATS) -> float:
    """Return bytes per CPU second, read and written, of the fastest copy."""
    source = torch.ones(num_bytes // 4)
    target = torch.empty_like(source)
    target.copy_(source)
    return 2 * num_bytes / _fastest(lambda: target.copy_(source), repeats)


def work_of(computation: Callable[[], Any]) -> Work:
    """Run a computation and return what it asks of the machine."""
    moved = _Moved()
    with FlopCounterMode(display=False) as counted, moved:
        computation()
    return Work(counted.get_total_flops() / 2, float(moved.num_bytes))


def floor_s(work: Work, rate: float, bytes_per_s: float) -> float:
    """Return the seconds below which no implementation of this work can be on a machine of these rates."""
    return max(work.multiply_adds / rate, work.num_bytes / bytes_per_s)


def _fastest(call: Callable[[], Any], repeats: int) -> float:
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        spent.append(time.process_time() - began)
    return min(spent)


class _Moved(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what operations take from outside, once each, and what they make."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.num_bytes = 0
        self._known: dict[int, torch.UntypedStorage] = {}  # held, so that no address is given out twice

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__.rstrip("_")
        if name not in _VIEWS:
            for tensor in _tensors((args, kwargs or {})):
                self._meet(tensor)
        for tensor in _tensors(result):
            self._meet(tensor)
        return result

    def _meet(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if tensor.device.type != "meta" and storage.data_ptr() not in self._known:
            self._known[storage.data_ptr()] = storage
            self.num_bytes += tensor.numel() * tensor.element_size()


def _tensors(content: Any) -> list[torch.Tensor]:
    if isinstance(content, torch.Tensor):
        return [content]
    if isinstance(content, dict):
        content = list(content.values())
    return [tensor for each in content for tensor in _tensors(each)] if isinstance(content, list | tuple) else []
