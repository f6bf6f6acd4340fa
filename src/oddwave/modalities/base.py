"""The contract of a modality: a source becomes items, items become tensors, maps and reconstructions find the way back.

A modality knows no model and no score. `series.py` is the first one to keep it; read it next.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float

__all__ = ["Item", "Modality"]


@runtime_checkable
class Item(Protocol):
    """One thing to be judged: a stream, a panel instance, a picture, a clip."""

    @property
    def id(self) -> str:
        """A name that stays the same from run to run, such as a path without its ending."""
        ...


ItemT = TypeVar("ItemT", bound=Item, contravariant=True)
BatchT = TypeVar("BatchT")


class Modality(Protocol[ItemT, BatchT]):
    """What every modality offers; `BatchT` holds an item's tensors and what is needed to undo them.

    Fitting takes statistics from normal training items only and returns a new, fitted modality. `tensors` gives x0 of
    shape (N, C, *grid), roughly within [-1, 1]; `restore` undoes it for reconstructions and `restore_maps` for
    non-negative maps, each in the item's own space (points in time, pixels, seconds).
    """

    name: str

    @property
    def grid_dims(self) -> int:
        """1 or 2: how many axes the tensors' grid has."""
        ...

    def fit(self, items: Iterable[ItemT]) -> "Modality[ItemT, BatchT]":
        """Return the modality with statistics of normal training items."""
        ...

    def tensors(self, item: ItemT) -> BatchT:
        """Return the item's tensors."""
        ...

    def restore(self, x0: Float[np.ndarray, "N C *grid"], batch: BatchT) -> np.ndarray:
        """Return reconstructed tensors in the item's own space and units."""
        ...

    def restore_maps(self, maps: Float[np.ndarray, "N *grid"], batch: BatchT) -> np.ndarray:
        """Return maps over the grid as one value per place of the item."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return settings and statistics as plain JSON values."""
        ...

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Modality[ItemT, BatchT]":
        """Return the modality that `to_dict` described."""
        ...
