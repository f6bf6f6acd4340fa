"""What every scorer returns: plain, frozen records of numpy arrays.

Legend: N points of a stream (1 for a panel instance), T points of its values, C channels, R rows of the source. Higher
scores are more anomalous, everywhere. Read `detector.py` next: it fills these in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["BandShare", "CalibrationSummary", "DetectionResult", "Event", "ItemResult"]


@dataclass(frozen=True, slots=True)
class BandShare:
    """The share of an event's anomaly that one wavelet band carries.

    `period_min` and `period_max` bound the band in samples; `low_hz` and `high_hz` the same in hertz, or None where the
    stream has no time axis. The approximation (lowest) band has `period_max` = inf and `low_hz` = 0.
    """

    period_min: float
    period_max: float
    low_hz: float | None
    high_hz: float | None
    share: float


@dataclass(frozen=True, slots=True)
class Event:
    """A contiguous run of points above the threshold; `start`, `end` and `peak` are indices, both ends included."""

    item: str
    start: int
    end: int
    peak: int
    score: float
    p_value: float
    bands: tuple[BandShare, ...] = ()
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class CalibrationSummary:
    """How the threshold came about: from how many normals, at which false-alarm rate."""

    alpha: float
    threshold: float
    num_points: int
    num_blocks: int
    block_size: int
    source: str
    scores: Float[np.ndarray, " n"]


@dataclass(frozen=True)
class ItemResult:
    """One stream (a score per point) or one panel instance (one score)."""

    id: str
    scores: Float[np.ndarray, " N"]
    p_values: Float[np.ndarray, " N"]
    labels: Int[np.ndarray, " N"]
    values: Float[np.ndarray, "T C"]
    observed: Bool[np.ndarray, "T C"]
    channel_names: tuple[str, ...]
    timestamps: np.ndarray | None = None
    reconstruction: Float[np.ndarray, "T C"] | None = None
    parts: Mapping[str, Float[np.ndarray, " N"]] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    notes: tuple[str, ...] = ()
    sample_period_s: float | None = None
    row_index: Int[np.ndarray, " R"] | None = None  # the point that each row of the source became, -1 for none
    row_timestamps: np.ndarray | None = None


@dataclass(frozen=True)
class DetectionResult:
    """Everything one scoring run found; `kind` says whether items are streams or panel instances."""

    modality: str
    kind: Literal["stream", "panel"]
    items: tuple[ItemResult, ...]
    calibration: CalibrationSummary
    not_monitored: tuple[str, ...] = ()
    model: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scores(self) -> Float[np.ndarray, " n"]:
        """All scores, items joined in order (streams: points; panels: instances)."""
        return np.concatenate([item.scores for item in self.items])

    @property
    def labels(self) -> Int[np.ndarray, " n"]:
        """0 normal, 1 anomalous, in the order of `scores`."""
        return np.concatenate([item.labels for item in self.items])

    @property
    def events(self) -> tuple[Event, ...]:
        """All events, in item order."""
        return tuple(event for item in self.items for event in item.events)
