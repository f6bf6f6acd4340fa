"""The contract of a modality, from a source to tensors and back, in the four parts that the detector puts together.

    source --reader--> ItemSet of Items --Scale.transform--> values of about [-1, 1]
           --TensorForm.encode--> x0 (N, K, *grid) --TensorForm.decode--> --Scale.inverse--> the item's own units

A modality knows no model and no score. For series the parts are `read_series` (`series/reader.py`), `SeriesSet` and
`SeriesItem` (`series/items.py`), `SeriesScaler` (`tensors/series_scale.py`) and `Representation`
(`tensors/representation.py`): read them next.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Item", "ItemSet", "Scale", "TensorForm"]


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


@runtime_checkable
class Scale(Protocol):
    """Statistics of normal training items; `inverse` undoes `transform`, for reconstructions in the item's units."""

    @classmethod
    def fit(cls, arrays: Iterable[np.ndarray]) -> "Scale":
        """Take the statistics from normal training values."""
        ...

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Return scaled values."""
        ...

    def inverse(self, scaled: np.ndarray) -> np.ndarray:
        """Return values in the item's own units."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as plain JSON values."""
        ...

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Scale":
        """Return the scale that `to_dict` described."""
        ...


@runtime_checkable
class TensorForm(Protocol):
    """How equally large scaled parts (windows, images, clips) become the tensor that the network sees, and back."""

    @property
    def grid_dims(self) -> int:
        """1 or 2: how many axes the tensor's grid has."""
        ...

    @property
    def in_channels(self) -> int:
        """Channels of the tensor, K."""
        ...

    def encode(self, parts: Float[np.ndarray, "N C *part"], /) -> "Float[Tensor, 'N K *grid']":
        """Return the network's input."""
        ...

    def decode(
        self, tensor: "Float[Tensor, 'N K *grid']", like: Float[np.ndarray, "N C *part"], /
    ) -> Float[np.ndarray, "N C *part"]:
        """Return network outputs as parts; `like` are the parts they were made from, for what encoding took away."""
        ...
