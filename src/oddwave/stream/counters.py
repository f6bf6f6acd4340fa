"""Counters that begin anew: a channel that only ever rose, and falls back.

The score sees the fall as it sees any other; the notice says what it most likely is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.stream.records import Notice

__all__ = ["CounterWatch"]

_RISES, _FALL = 32, 0.5  # values that rose in a row, and the share of its rise that is lost at once


class CounterWatch:
    """Follows each channel's latest rise."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._last, self._first = np.full(len(names), np.nan), np.full(len(names), np.nan)
        self._rises = np.zeros(len(names), np.int64)

    def seen(self, values: Float[np.ndarray, "k C"], point: int) -> list[Notice]:
        """Return notices of the counters that began anew within the next rows."""
        found = []
        for place, row in enumerate(values):
            known = np.isfinite(row)
            fell = known & (row < self._last)
            lost = self._last - row > _FALL * np.maximum(self._last - self._first, 1e-300)
            for c in np.flatnonzero(fell & lost & (self._rises >= _RISES)):
                text = (
                    f"{self.names[c]} rose all the time and fell from {self._last[c]:g} to {row[c]:g}: a counter reset"
                )
                found.append(Notice("counter", text, point + place))
            self._rises = np.where(fell, 0, self._rises + (known & (row > self._last)))
            begins = fell | (known & np.isnan(self._first))
            self._first, self._last = np.where(begins, row, self._first), np.where(known, row, self._last)
        return found

    def state(self) -> dict[str, Any]:
        """Return all that is known, as JSON values."""
        numbers = {"first": self._first, "last": self._last}
        told = {name: [None if np.isnan(v) else v for v in own.tolist()] for name, own in numbers.items()}
        return {**told, "rises": self._rises.tolist()}

    def restore(self, known: Mapping[str, Any]) -> None:
        """Undo `state`."""
        self._first, self._last = (np.array(known[name], np.float64) for name in ("first", "last"))
        self._rises = np.array(known["rises"], np.int64)
