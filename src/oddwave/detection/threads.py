"""One thread for small networks: on windows of 64 points, threads cost more than they bring."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["one_thread"]


class _Count:
    """How many threads of the process are within `one_thread`, and what torch was set to before the first of them."""

    lock = threading.Lock()
    num_inside = 0
    before = 1


_own = threading.local()  # whether this very thread is within


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread within the block (or decorated function), then give back what was set.

    torch keeps this number per thread and hands the last one set to new threads, so several fits at once agree on what
    was set before the first began. May be nested.
    """
    if getattr(_own, "inside", False):
        yield
        return
    with _Count.lock:
        found = torch.get_num_threads()  # a thread that has not asked yet would overwrite what is set next
        if _Count.num_inside == 0:
            _Count.before = found
        _Count.num_inside += 1
        torch.set_num_threads(1)
    _own.inside = True
    try:
        yield
    finally:
        _own.inside = False
        with _Count.lock:
            _Count.num_inside -= 1
            torch.set_num_threads(_Count.before)
