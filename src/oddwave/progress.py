"""A progress bar with the time left, on standard error, for loops that may take more than a few seconds."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

__all__ = ["progress"]

T = TypeVar("T")


def progress(items: Sequence[T], description: str, show: bool) -> Iterator[T]:
    """Go through the items; with `show`, draw a bar. rich is imported only then."""
    if not show:
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, description, console=Console(stderr=True), transient=True)
