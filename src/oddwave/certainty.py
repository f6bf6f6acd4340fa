"""The records of how sure a result is: its calibration, how far a finding lies beyond normal, and what drifted.

Read `records.py` for what was found. Legend: n calibration scores.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = ["UNKNOWN", "CalibrationSummary", "Drift", "Strength"]


@dataclass(frozen=True, slots=True)
class Strength:
    """How far a finding lies beyond normal, where p-values end: by extrapolation, and in deviations.

    `p_tail` is the share of normals (of a stream: blocks) expected to reach as high, by a generalised Pareto tail of
    the highest ones: an extrapolation, with the 90 % interval `p_tail_low` to `p_tail_high`. It ranks findings of which
    the p-value says no more than that none of `num_normals` came so high. `deviations` is how many robust deviations
    of normals it lies above their median, `highest_deviations` how many the highest normal does, and `num_as_high` how
    many normals reach it. NaN where there are too few normals to tell.
    """

    p_tail: float = float("nan")
    p_tail_low: float = float("nan")
    p_tail_high: float = float("nan")
    deviations: float = float("nan")
    highest_deviations: float = float("nan")
    num_normals: int = 0
    num_as_high: int = 0


UNKNOWN = Strength()


@dataclass(frozen=True, slots=True)
class CalibrationSummary:
    """How the threshold came about: from how many normals, at which false-alarm rate.

    `pixel_threshold` is the value of an anomaly map that an alpha share of normal images reaches anywhere. `asked` says
    in plain words what was asked for, where that was not this alpha; `confirmed` whether the normals are enough to
    confirm alpha: where they are not, what is reported lies above all of them, and alpha rests on extrapolation.
    """

    alpha: float
    threshold: float
    num_points: int
    num_blocks: int
    block_size: int
    source: str
    scores: Float[np.ndarray, " n"]
    pixel_threshold: float | None = None
    asked: str = ""
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class Drift:
    """Data as a whole that have moved away from what was learnt, told apart from single anomalies.

    It begins in `item`, at its point `since` (of a stream) or as the item number `since` of those given. `moved` names
    what moved most beside the scores, `shift` by how many usual deviations ("" and NaN where nothing measured did).
    `share` of all points or items are unlike normal ones, `share_since` of those from there on. `capital` is how many
    times a bet on normal data was multiplied (100 is the alarm), `p_value` that of the batch without its order.
    """

    item: str
    since: int
    moved: str
    shift: float
    share: float
    share_since: float
    capital: float
    p_value: float
