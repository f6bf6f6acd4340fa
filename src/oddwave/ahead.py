"""The next items are read while the one before is computed with: a thread of its own, in order, never many at once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["read_ahead"]

Item = TypeVar("Item")
Read = TypeVar("Read")
_AHEAD = 2


def read_ahead(items: Iterable[Item], read: Callable[[Item], Read]) -> Iterator[tuple[Item, Read]]:
    """Yield each item with what `read` made of it, in order; at most two items are read before they are asked for.

    Raises: what `read` raises for an item, when that item's turn has come.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="oddwave-read") as thread:
        waiting: deque[tuple[Item, Future[Read]]] = deque()
        try:
            for item in items:
                waiting.append((item, thread.submit(read, item)))
                if len(waiting) > _AHEAD:
                    first, done = waiting.popleft()
                    yield first, done.result()
            while waiting:
                first, done = waiting.popleft()
                yield first, done.result()
        finally:
            thread.shutdown(cancel_futures=True)
