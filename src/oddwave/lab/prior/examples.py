"""What the prior learns from: windows of fresh synthetic streams and panels, with what a memory finds for them.

Each step has streams of its own, drawn from (seed, step): a fixed set of them would be learnt by heart. Of a stream,
either the memory holds all of it, planted anomalies and their recurrences included (a self-join), or its normal first
part alone. Of a panel, the memory holds normal instances, few of them at times.

Legend: N windows, C channels, L points of a window, F channels of evidence.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.data import IterableDataset

from oddwave.planted.normal_streams import normal_panel, normal_stream
from oddwave.planted.series import SERIES_ANOMALIES
from oddwave.planted.series_streams import plant_in_stream
from oddwave.scoring.retrieval import WindowMemory, evidence
from oddwave.tensors.series_windows import resample_windows

__all__ = ["LENGTH", "Examples", "Step", "step_examples"]

LENGTH = 64
_SOURCES, _WINDOWS = 4, 28  # streams or panels of a step, and windows of each
_PANEL_SHARE, _CLEAN_MEMORY_SHARE, _PLANTED_SHARE = 0.2, 0.4, 0.92
_MOST_REMEMBERED = 700


@dataclass(frozen=True)
class Step:
    """Evidence of one source's windows, the clean window in its units, and which points were changed.

    `known` is false where there is no clean version: an instance of another class.
    """

    x: Float[Tensor, "N C F L"]
    clean: Float[Tensor, "N C L"]
    changed: Bool[Tensor, "N C L"]
    known: Bool[Tensor, "N C L"]


class Examples(IterableDataset[list[Step]]):
    """The steps from `first` on, each a list with one `Step` per source."""

    def __init__(self, seed: int, first: int, last: int) -> None:
        super().__init__()
        self.seed, self.first, self.last = seed, first, last

    def __iter__(self) -> Iterator[list[Step]]:
        """Draw the steps in order."""
        torch.set_num_threads(1)
        for step in range(self.first, self.last):
            yield step_examples(self.seed, step)


def step_examples(seed: int, step: int) -> list[Step]:
    """Draw the examples of one step."""
    rng = np.random.default_rng([seed, step])
    with torch.inference_mode():
        return [_of_panel(rng) if rng.uniform() < _PANEL_SHARE else _of_stream(rng) for _ in range(_SOURCES)]


def _of_stream(rng: np.random.Generator) -> Step:
    n, channels = int(rng.integers(800, 2800)), int(rng.choice([1, 1, 1, 2, 3, 4]))
    clean = normal_stream(rng, n, channels)
    cut = int(n * rng.uniform(0.4, 0.7)) if rng.uniform() < _CLEAN_MEMORY_SHARE else 0
    values, mask = clean, np.zeros(clean.shape, bool)
    if rng.uniform() < _PLANTED_SHARE:
        num, recurring = int(rng.choice([1, 2, 4, 8, 14], p=[0.3, 0.25, 0.2, 0.15, 0.1])), bool(rng.uniform() < 0.5)
        values, mask = plant_in_stream(clean, rng, num=num, recurring=recurring, region=(cut, n))
    size = LENGTH if rng.uniform() < 0.6 else int(np.exp(rng.uniform(np.log(16), np.log(n / 10))))
    starts = np.arange(0, n - size + 1)
    held = starts[starts + size <= cut] if cut else starts
    stride = max(int(rng.choice([1, 2, 4])), -(-len(held) // _MOST_REMEMBERED))
    held = held[int(rng.integers(stride)) :: stride]
    memory = WindowMemory(*_windows(values, held, size), window_size=size, reach=max(1, size // (2 * stride)))
    changed = np.lib.stride_tricks.sliding_window_view(mask, size, axis=0).any((1, 2))
    free = starts >= cut
    odd, plain = (np.flatnonzero(free & side) for side in (changed, ~changed))
    k = min(len(odd), _WINDOWS // 2)
    chosen = np.concatenate([rng.choice(odd, k, replace=False), rng.choice(plain if len(plain) else odd, _WINDOWS - k)])
    x, groups, at = _windows(values, chosen.astype(np.int64), size)
    target, _, _ = _windows(clean, chosen.astype(np.int64), size)
    share, _, _ = _windows(mask.astype(float), chosen.astype(np.int64), size)
    found = memory(x, groups, at, 0 if cut else size)
    seen = evidence(x, found, memory.own.median(0).values, num_remembered=len(held), window_size=size)
    hit = share > 0.3
    return Step(seen.x, torch.asinh((target - seen.centre) / seen.unit), hit, torch.ones_like(hit))


def _windows(values: Float[np.ndarray, "n C"], starts: np.ndarray, size: int) -> tuple[Tensor, Tensor, Tensor]:
    view = np.lib.stride_tricks.sliding_window_view(values, size, axis=0)[starts]
    windows = torch.from_numpy(resample_windows(view, LENGTH).astype(np.float32))
    return windows, torch.zeros(len(starts), dtype=torch.long), torch.from_numpy(starts)


def _of_panel(rng: np.random.Generator) -> Step:
    num, length = int(np.exp(rng.uniform(np.log(6), np.log(300)))), int(np.exp(rng.uniform(np.log(24), np.log(300))))
    normal, other = (resample_windows(side, LENGTH) for side in normal_panel(rng, num + _WINDOWS, length))
    memory = WindowMemory(
        torch.from_numpy(normal[:num, None].astype(np.float32)), torch.arange(num), torch.zeros(num, dtype=torch.long),
        window_size=1, reach=0,
    )  # fmt: skip
    target = normal[num:].copy()
    values, changed, known = target.copy(), np.zeros(target.shape, bool), np.ones(target.shape, bool)
    kinds = list(SERIES_ANOMALIES)
    for row in range(_WINDOWS // 2):
        if rng.uniform() < 0.6:
            values[row], changed[row], known[row] = other[row], True, False
            continue
        kind = SERIES_ANOMALIES[kinds[rng.integers(len(kinds))]]
        donor = target[int(rng.integers(len(target)))]
        unit = np.array([np.exp(rng.uniform(np.log(0.05), np.log(0.4)))])
        planted, mask = kind(target[row : row + 1], rng, scale=unit, donor=donor[None])
        changed[row] = mask & (np.abs(planted[0] - target[row]) > 0.05 * unit)
        values[row] = planted[0]
    x = torch.from_numpy(values[:, None].astype(np.float32))
    far = torch.full((len(x),), -1)
    found = memory(x, far, far)
    seen = evidence(x, found, memory.own.median(0).values, num_remembered=num, window_size=length)
    clean = torch.from_numpy(target[:, None].astype(np.float32))
    return Step(
        seen.x,
        torch.asinh((clean - seen.centre) / seen.unit),
        torch.from_numpy(changed[:, None]),
        torch.from_numpy(known[:, None]),
    )
