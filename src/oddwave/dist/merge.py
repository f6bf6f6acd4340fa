"""All shards in their order: how much was found, the strongest items, and that each item is there exactly once.

No Ray and no pyarrow here: a shard comes as its columns. Read `engine.py` next.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from oddwave.dist.plan import ShardPlan
from oddwave.errors import CheckpointError
from oddwave.results import WholeRun, are_discoveries

__all__ = ["P_VALUE", "Tally", "first_of_each"]

P_VALUE = "item_p_value"
_COLUMNS = ("number", "item", "score", "label", "events", "reason")


def first_of_each(numbers: np.ndarray, *names: np.ndarray) -> np.ndarray:
    """Return where a new item begins in rows that are in order: where the number, or one of the names, changes."""
    if not len(numbers):
        return np.zeros(0, int)
    new = np.zeros(len(numbers) - 1, bool)
    for column in (numbers, *names):
        new |= np.asarray(column[1:] != column[:-1])
    return np.concatenate([[0], np.flatnonzero(new) + 1])


@dataclass
class Tally:
    """Counts of what the shards hold, taken in order; `most` strongest items and `most_unjudged` others are told.

    Where the rows hold the p-values of items as a whole, these are kept: eight bytes of each item.
    """

    plan: ShardPlan
    most: int
    most_unjudged: int = 50
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("items", "flagged", "failed", "scores", "scored", "anomalous", "events"), 0
        )
    )
    first_reason: str = ""
    _seen: int = 0
    _strongest: list[tuple[bool, float, int]] = field(default_factory=list)
    _unjudged: list[int] = field(default_factory=list)
    _p_values: list[np.ndarray] = field(default_factory=list)

    COLUMNS = _COLUMNS

    def add(self, shard: int, rows: Mapping[str, np.ndarray]) -> None:
        """Take the next shard's rows. Raises: CheckpointError where an item is missing, or there twice."""
        first, count = self.plan.shards[shard]
        numbers, scores, labels = (np.asarray(rows[name]) for name in ("number", "score", "label"))
        starts = first_of_each(numbers)
        if first != self._seen or not np.array_equal(numbers[starts], np.arange(first, first + count)):
            raise CheckpointError(
                f"{self.plan.file_name(shard)} does not hold the items {first:,} to {first + count - 1:,}, each once "
                "and in order: remove it and give the same command again"
            )
        self._seen += count
        self._count(rows, numbers, scores, labels)
        tops = np.fmax.reduceat(scores, starts) if len(starts) else scores
        flags = np.maximum.reduceat(labels, starts) if len(starts) else labels
        own = numbers[starts]
        self._unjudged += own[flags == -1][: self.most_unjudged - len(self._unjudged)].tolist()
        worth = flags != -1
        if len(self._strongest) == self.most:
            least_flag, least, _ = self._strongest[0]
            worth &= np.where((flags == 1) == least_flag, tops > least, (flags == 1) > least_flag)
        for number, top, label in zip(own[worth].tolist(), tops[worth].tolist(), flags[worth].tolist(), strict=True):
            entry = (label == 1, top, -number)
            if len(self._strongest) < self.most:
                heapq.heappush(self._strongest, entry)
            else:
                heapq.heappushpop(self._strongest, entry)

    def _count(
        self, rows: Mapping[str, np.ndarray], numbers: np.ndarray, scores: np.ndarray, labels: np.ndarray
    ) -> None:
        starts = first_of_each(numbers, np.asarray(rows["item"]))
        whole = np.maximum.reduceat(labels, starts) if len(starts) else labels
        if P_VALUE in rows:
            self._p_values.append(np.asarray(rows[P_VALUE])[starts])
        for name, value in (
            ("items", len(starts)),
            ("flagged", (whole == 1).sum()),
            ("failed", (whole == -1).sum()),
            ("scores", len(scores)),
            ("scored", np.isfinite(scores).sum()),
            ("anomalous", (labels == 1).sum()),
            ("events", np.asarray(rows["events"]).sum()),
        ):
            self.counts[name] += int(value)
        if not self.first_reason and (failed := np.flatnonzero(labels == -1)).size:
            self.first_reason = str(rows["reason"][failed[0]])

    @property
    def told(self) -> list[int]:
        """The numbers of the items to be told of, in the order of the input; all of them where they are few enough."""
        if self.plan.num_items <= self.most:
            return list(range(self.plan.num_items))
        return sorted([*(-number for _, _, number in self._strongest), *self._unjudged])

    def discoveries(self, rate: float, method: Literal["bh", "by"]) -> list[np.ndarray]:
        """Return by shard which of its items are discoveries among all, as `DetectionResult.discoveries` has it."""
        found = are_discoveries(np.concatenate([*self._p_values, np.zeros(0)]), rate, method)
        return np.split(found, np.cumsum([len(own) for own in self._p_values])[:-1])

    @property
    def whole(self) -> WholeRun:
        """What all items together are. Raises: CheckpointError where shards are missing."""
        if self._seen != self.plan.num_items:
            raise CheckpointError(
                f"{self.plan.num_items - self._seen:,} of {self.plan.num_items:,} items are in no shard: give the same "
                "command again"
            )
        return WholeRun(**self.counts, discoveries=None)
