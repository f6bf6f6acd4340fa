"""What scoring finds of one item, before there is a verdict on it. Read `base.py` next.

Legend: N scores of one item, R rows of a source.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from oddwave.calibration.conformal import Calibration
from oddwave.errors import ConfigError

__all__ = ["EXPLAIN", "Explain", "Scored", "Unjudged", "check_explain"]

Explain = Literal["flagged", "all", "none"]
EXPLAIN: tuple[Explain, ...] = ("flagged", "all", "none")


@dataclass(frozen=True)
class Unjudged:
    """An item that has no score, in its place; `reason` is the whole sentence."""

    id: str
    reason: str


@dataclass(frozen=True, eq=False)
class Scored:
    """What scoring found of one item: its scores (higher = more anomalous), and what each group of terms said.

    `rows` are the scores row by row of the item's source, what `decision_function` gives. `fault` says why an item that
    was read has no score at all. `traits` are plain measures of the item, such as its brightness: they say what moved
    where data drift.
    """

    item: Any
    scores: Float[np.ndarray, " N"]
    parts: Mapping[str, Float[np.ndarray, " N"]] = field(default_factory=dict)
    fault: str = ""
    traits: Mapping[str, float] = field(default_factory=dict)

    @property
    def rows(self) -> Float[np.ndarray, " R"]:
        """One score: that of the highest part of the item."""
        return np.array([self.scores.max()])

    def judge(self, calibration: Calibration) -> Calibration:
        """Return what the item is to be judged by: a calibration, or the part of it that is not its own."""
        return calibration


def check_explain(explain: object) -> None:
    """Refuse what is no choice of items to explain. Raises: ConfigError."""
    if explain not in EXPLAIN:
        raise ConfigError(f"explain is {explain!r:.60}: expected one of {', '.join(map(repr, EXPLAIN))}")
