"""Drift of a stream that is still being measured: the batch path's test, each time a block of scores is whole.

After 512 blocks the test begins anew, so that its memory is bounded; each such run keeps its own bound on false alarms.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.drift import block_values, independent_blocks
from oddwave.detection.series.drift import StreamBlocks, drift_of_blocks, value_statistics
from oddwave.records import Drift
from oddwave.tensors.series_scale import SeriesScaler

__all__ = ["DriftTracker"]

_MOST_BLOCKS = 512


class DriftTracker:
    """What the blocks of one stream were like; `usual` is what the model knows of normal ones, None: nothing."""

    def __init__(
        self,
        name: str,
        channel_names: tuple[str, ...],
        calibration: Calibration,
        scaler: SeriesScaler,
        usual: dict[str, Any] | None,
    ) -> None:
        self.name, self.channel_names, self.scaler, self.usual = name, channel_names, scaler, usual
        self.size = independent_blocks(calibration.scores, calibration.block_size)
        self.normal = block_values(calibration.scores, self.size)
        self.followed = usual is not None and usual["size"] == self.size
        self.found: Drift | None = None  # in the present run
        self._first = 0  # block of the present run
        self._values, self._scores = np.zeros((0, len(channel_names))), np.zeros(0)
        self._blocks, self._statistics = np.zeros((2, 0)), np.zeros((0, len(channel_names), 5))

    def append(self, values: Float[np.ndarray, "n C"]) -> None:
        """Take the next points of the stream, which settle later."""
        if self.followed:
            self._values = np.concatenate([self._values, values])

    def settle(self, scores: Float[np.ndarray, " n"]) -> Drift | None:
        """Take the next settled scores; return a drift that was not found before."""
        if not self.followed:
            return None
        self._scores = np.concatenate([self._scores, scores])
        news = None
        while len(self._scores) >= self.size:
            drift = self._block()
            news = news if drift is None or self.found else drift
            self.found = self.found or drift
        return news

    def _block(self) -> Drift | None:
        if self._blocks.shape[1] >= _MOST_BLOCKS:
            self._first += self._blocks.shape[1]
            self._blocks, self._statistics, self.found = self._blocks[:, :0], self._statistics[:0], None
        size = self.size
        self._blocks = np.concatenate([self._blocks, block_values(self._scores[:size], size)], axis=1)
        self._statistics = np.concatenate([self._statistics, value_statistics(self._values[:size], self.scaler, size)])
        self._values, self._scores = self._values[size:], self._scores[size:]
        blocks = StreamBlocks(self.name, self.channel_names, size, self._blocks, lambda _: self._statistics)
        drift = drift_of_blocks(blocks, self.normal, self.usual)
        return replace(drift, since=drift.since + self._first * size) if drift else None

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return all that is known, as arrays and JSON values."""
        arrays = {name: getattr(self, f"_{name}") for name in _ARRAYS}
        return arrays, {"first": self._first, "found": self.found is not None}

    def restore(self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any]) -> None:
        """Undo `state`."""
        for name in _ARRAYS:
            setattr(self, f"_{name}", arrays[name])
        self._first = numbers["first"]
        if numbers["found"]:
            size = self.size
            blocks = StreamBlocks(self.name, self.channel_names, size, self._blocks, lambda _: self._statistics)
            self.found = drift_of_blocks(blocks, self.normal, self.usual)


_ARRAYS = ("values", "scores", "blocks", "statistics")
