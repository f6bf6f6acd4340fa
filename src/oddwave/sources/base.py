"""What a reader returns, whatever the modality: a set of items, each with a name and notes.

A modality knows no model and no score. Read `series/reader.py` next.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

__all__ = ["Item", "ItemSet"]


@runtime_checkable
class Item(Protocol):
    """One thing to be judged: a stream, a panel instance, an image, a clip."""

    @property
    def id(self) -> str:
        """A name that stays the same from run to run, such as a path without its ending."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What reading it decided or could not use."""
        ...


@runtime_checkable
class ItemSet(Protocol):
    """Everything that one source holds, as a reader returns it; equal data have equal fingerprints."""

    @property
    def items(self) -> Sequence[Item]:
        """The items, in an order that stays the same from run to run."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of ids and contents."""
        ...
