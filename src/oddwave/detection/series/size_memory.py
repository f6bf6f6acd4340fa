"""The memory of one window size: what is remembered of normal windows, and what lends missing values.

Read `retrieval_model.py` next, which has one for each window size and view of the channels.

Legend: N windows, M remembered ones, C channels, L points per window.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.detection.series.missing_values import Bank
from oddwave.detection.series.retrieval_scorer import Basis, RetrievalScorer
from oddwave.detection.series.streams import WindowSet
from oddwave.scoring.memory import Memory
from oddwave.scoring.retrieval import WindowMemory
from oddwave.tensors.convolution import RandomConvolutions
from oddwave.tensors.series_windows import resample_windows

__all__ = ["PANEL_NEIGHBORS", "PRIOR_LENGTH", "SizeMemory"]

PRIOR_LENGTH = 64  # points that a window is resampled to: what the prior was trained on
PANEL_NEIGHBORS = 2
_MOST_STEPS = 400  # different values of a channel that count as quantised


@dataclass
class SizeMemory:
    """What is remembered of one window size of some channels, and what lends missing values.

    `made` is the scorer that was made of it last, and what it was made of.
    """

    window_size: int
    stride: int
    channels: tuple[int, ...]
    memory: WindowMemory
    bank: Bank
    basis: Basis | None = None
    resolution: Tensor = field(default_factory=lambda: torch.zeros(0))
    convolutions: RandomConvolutions | None = None  # of a panel
    spaces: dict[str, Memory] = field(default_factory=dict)
    made: tuple[tuple[object, ...], RetrievalScorer] | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def fit(
        cls,
        cut: WindowSet,
        window_size: int,
        stride: int,
        channels: tuple[int, ...],
        *,
        panel: bool,
        most: int,
        like: "SizeMemory | None" = None,
    ) -> "SizeMemory":
        """Remember windows of normal streams, or the instances of a panel; what they lack is lent by others of them.

        `like` is a memory whose windows are remembered as well, and whose thresholds are taken over. Of more than
        `most` windows those are kept that lie evenly, of a panel's vectors those that differ most.
        """
        bank = Bank.fit(cut)
        whole = bank.completed(cut, self_join=True, reach=window_size)
        windows = resample_windows(whole.windows, PRIOR_LENGTH).astype(np.float32) if panel else whole.windows
        parts = [torch.from_numpy(np.ascontiguousarray(v)) for v in (windows, whole.groups, whole.starts)]
        if like is not None:
            held = (like.memory.windows, like.memory.groups, like.memory.starts)
            parts = [torch.cat(pair) for pair in zip(held, parts, strict=True)]
        kept = np.linspace(0, len(parts[0]) - 1, min(len(parts[0]), most)).round().astype(int)
        if len(kept) < len(parts[0]):
            parts = [part[torch.from_numpy(kept)] for part in parts]
        reach = 0 if panel else max(1, window_size // (2 * stride))
        memory = WindowMemory(*parts, window_size=window_size, reach=reach)
        own = cls(window_size, stride, channels, memory, bank, resolution=_resolution(windows))
        if panel:
            own.convolutions = RandomConvolutions.fit(whole.windows) if like is None else like.convolutions
            own.spaces = own._remembered_spaces(whole, None if like is None else like.spaces, most)
        return own

    def _remembered_spaces(self, whole: WindowSet, held: Mapping[str, Memory] | None, most: int) -> dict[str, Memory]:
        assert self.convolutions is not None
        spaces = {}
        for name, vectors in self.convolutions.vectors(whole.windows).items():
            if held is None:
                spaces[name] = Memory.fit(
                    vectors, whole.groups, whole.starts, size=most, num_neighbors=PANEL_NEIGHBORS, standardise=True
                )
            else:
                spaces[name] = held[name].joined(vectors, whole.groups, whole.starts, size=most)
        return spaces

    def vectors(self, windows: Float[np.ndarray, "N C L"]) -> dict[str, Tensor]:
        """Return windows in the spaces of a panel; of streams there are none."""
        if self.convolutions is None:
            return {}
        return {name: torch.from_numpy(own) for name, own in self.convolutions.vectors(windows).items()}

    def extended(self, cut: WindowSet, most: int) -> "SizeMemory":
        """Return a memory that holds these windows as well, `most` in all; what is usual stays as it was learnt."""
        whole = self.bank.completed(cut, self_join=False, reach=self.window_size)
        panel = self.convolutions is not None
        more = SizeMemory.fit(whole, self.window_size, self.stride, self.channels, panel=panel, most=most, like=self)
        return replace(more, basis=self.basis, resolution=self.resolution, bank=self.bank.joined(cut))


def _resolution(windows: Float[np.ndarray, "N C L"]) -> Float[Tensor, " C"]:
    """Return, per channel, what a step of its quantisation amounts to as a deviation; 0 where values are continuous."""
    steps = []
    for channel in np.moveaxis(windows, 1, 0):
        values = np.unique(channel[:: max(1, len(channel) // 256)])
        fine = len(values) < 2 or len(values) > _MOST_STEPS
        steps.append(0.0 if fine else float(np.median(np.diff(values))) / np.sqrt(12.0))
    return torch.tensor(steps, dtype=torch.float32)
