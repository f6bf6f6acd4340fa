"""Windows to window and point evidence: the memories of all window sizes and views first, then the prior once for all.

A pass of the prior costs as much for one window as for many, so what few windows lack of their memories waits for that
of other sizes and views. Products of matrices round alike in whole groups of rows: the last group is filled up, and no
window's evidence depends on which others are beside it.

Read `retrieval_model.py` next. Legend: N windows, C channels, L points of a window, c channels that the prior looks at.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from oddwave.detection.series.retrieval_scorer import RetrievalScorer, Seen
from oddwave.detection.series.size_memory import PRIOR_LENGTH, SizeMemory
from oddwave.detection.series.streams import ALIKE, WindowSet
from oddwave.errors import DataError
from oddwave.scoring.prior import Prior
from oddwave.tensors.series_windows import resample_windows

__all__ = ["Block", "Found", "Look", "Tell", "blocks", "window_evidence"]

Block = tuple[Tensor, dict[str, Tensor], Tensor, Tensor, slice]
Found = tuple[Float[np.ndarray, " N"], Float[np.ndarray, "N L"]]  # the window and the point evidence
Tell = Callable[[int], None]  # of so many more windows

_BLOCK_VALUES = 2**24  # of evidence held at once
_EVIDENCE = 32  # values per point and channel of a block, about
_TOGETHER = 1024  # channels of windows that wait for the prior at most


@dataclass(frozen=True, eq=False)
class Look:
    """Completed windows of one size and view, and who compares them; with `exclusion`, not with those near them."""

    scorer: RetrievalScorer
    own: SizeMemory
    cut: WindowSet
    exclusion: int = 0


@dataclass(eq=False)
class _Part:
    """A block of windows that waits for the prior: where its evidence goes, and which rows fill up the last group."""

    scorer: RetrievalScorer
    seen: Seen
    filled: Int[Tensor, " n"]
    windows: Float[np.ndarray, " N"]
    maps: Float[np.ndarray, "N L"]

    @property
    def count(self) -> int:
        return len(self.windows)

    @property
    def waiting(self) -> Float[Tensor, "m F L"]:
        """What the prior is to judge, one channel of a window each."""
        evidence = self.seen.evidence
        return torch.zeros(0) if evidence is None else evidence[: self.count].flatten(0, 1)

    def judge(self, odds: Float[Tensor, "m L"]) -> None:
        evidence, own = self.seen.evidence, None
        if evidence is not None:
            own = odds.view(self.count, evidence.shape[1], -1)[self.filled]
        found = self.scorer.judged(self.seen, own)
        self.windows[:], self.maps[:] = found.score[: self.count].cpu().numpy(), found.map[: self.count].cpu().numpy()


def blocks(own: SizeMemory, cut: WindowSet, device: torch.device) -> Iterator[Block]:
    """Yield windows, their vectors, groups and starts as tensors, as many at once as bounded memory holds."""
    step = max(ALIKE, _BLOCK_VALUES // (len(own.channels) * PRIOR_LENGTH * _EVIDENCE) // ALIKE * ALIKE)
    for first in range(0, len(cut), step):
        rows = slice(first, min(first + step, len(cut)))
        parts = (resample_windows(cut.windows[rows], PRIOR_LENGTH), cut.groups[rows], cut.starts[rows])
        x, groups, starts = (torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in parts)
        vectors = {name: values.to(device) for name, values in own.vectors(cut.windows[rows]).items()}
        yield x.float(), vectors, groups, starts, rows


def window_evidence(
    looks: Iterable[Look], prior: Prior, device: torch.device, tell: Tell
) -> Iterator[tuple[Look, Found]]:
    """Yield the evidence of each look, in their order; looks are taken as they are needed.

    Raises:
        DataError: a score is not finite.
    """
    parts: list[_Part] = []
    open_looks: list[tuple[Look, Found]] = []
    for look in looks:
        windows, maps = np.zeros(len(look.cut)), np.zeros((len(look.cut), PRIOR_LENGTH), np.float32)
        open_looks.append((look, (windows, maps)))
        for block in blocks(look.own, look.cut, device):
            rows = block[-1]
            parts.append(_compared(look, block, windows[rows], maps[rows]))
            if sum(len(part.waiting) for part in parts) >= _TOGETHER:
                _judge(parts, prior, tell)
        if not parts:
            yield from map(_finite, open_looks)
            open_looks = []
    _judge(parts, prior, tell)
    yield from map(_finite, open_looks)


@torch.inference_mode()
def _compared(look: Look, block: Block, windows: np.ndarray, maps: np.ndarray) -> _Part:
    x, vectors, groups, starts, _ = block
    filled = torch.arange(len(x) + -len(x) % ALIKE, device=x.device).clamp(max=len(x) - 1)
    whole = {name: values[filled] for name, values in vectors.items()}
    seen = look.scorer.seen(x[filled], whole, groups[filled], starts[filled], look.exclusion)
    return _Part(look.scorer, seen, filled, windows, maps)


@torch.inference_mode()
def _judge(parts: list[_Part], prior: Prior, tell: Tell) -> None:
    """Let the prior judge all that waits in one pass, and write the evidence; nothing waits afterwards."""
    waiting = [part.waiting for part in parts]
    counts = [len(own) for own in waiting]
    odds: tuple[Tensor, ...] = tuple(torch.zeros(0) for _ in parts)
    if sum(counts):
        rows = torch.cat([own for own in waiting if len(own)])
        more = torch.arange(len(rows) + -len(rows) % ALIKE, device=rows.device).clamp(max=len(rows) - 1)
        odds = prior(rows[more][:, None]).log_odds[: len(rows), 0].split(counts)
    for part, own in zip(parts, odds, strict=True):
        part.judge(own)
        tell(part.count)
    parts.clear()


def _finite(found: tuple[Look, Found]) -> tuple[Look, Found]:
    if not all(np.isfinite(values).all() for values in found[1]):
        raise DataError(
            "a score is not finite: the data hold values that cannot be computed with, or the model is damaged "
            "(see `oddwave verify`)"
        )
    return found
