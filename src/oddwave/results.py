"""What every scorer returns: a `DetectionResult`, which holds one record per item.

The records are those of `records.py`; `result_rows.py` and `result_text.py` show them. Read `detector.py` next: it
fills them in.

Legend: n scores of all items together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from oddwave.records import (
    AnyResult,
    AudioEvent,
    AudioExcerpt,
    AudioResult,
    BandShare,
    CalibrationSummary,
    ImagePixels,
    ImageRegion,
    ImageResult,
    Kind,
    Recording,
    SeriesEvent,
    SeriesResult,
    WaveletShare,
)
from oddwave.result_rows import score_frame
from oddwave.result_text import result_html, result_text

__all__ = [
    "AnyResult",
    "AudioEvent",
    "AudioExcerpt",
    "AudioResult",
    "BandShare",
    "CalibrationSummary",
    "DetectionResult",
    "ImagePixels",
    "ImageRegion",
    "ImageResult",
    "Recording",
    "SeriesEvent",
    "SeriesResult",
    "WaveletShare",
]


@dataclass(frozen=True, repr=False)
class DetectionResult:
    """Everything one scoring run found; `kind` says what its items are: streams, panel instances, images, audio.

    `items` has one entry per item given, in the order given, those that could not be judged among them.
    """

    modality: str
    kind: Kind
    items: tuple[AnyResult, ...]
    calibration: CalibrationSummary
    not_monitored: tuple[str, ...] = ()
    model: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return a few lines: the verdict, the counts, the strongest findings."""
        return result_text(self.kind, self.items, self.calibration)

    def _repr_html_(self) -> str:
        """Return the same for a notebook."""
        return result_html(self.kind, self.items, self.calibration)

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with the rows and columns of scores.csv. Raises: MissingExtraError."""
        return score_frame(self.kind, self.items)

    @property
    def scores(self) -> Float[np.ndarray, " n"]:
        """All scores, items joined in order (streams: points; panels: instances; recordings: clips)."""
        return np.concatenate([item.scores for item in self.items])

    @property
    def labels(self) -> Int[np.ndarray, " n"]:
        """0 normal, 1 anomalous, -1 not judged, in the order of `scores`."""
        return np.concatenate([item.labels for item in self.items])

    @property
    def flagged(self) -> tuple[AnyResult, ...]:
        """The items with anything anomalous in them."""
        return tuple(item for item in self.items if item.flagged)

    @property
    def not_judged(self) -> tuple[AnyResult, ...]:
        """The items in which nothing was judged; each has a `reason`."""
        return tuple(item for item in self.items if item.status == "not judged")

    @property
    def series(self) -> tuple[SeriesResult, ...]:
        """The items that are streams or panel instances."""
        return tuple(item for item in self.items if isinstance(item, SeriesResult))

    @property
    def images(self) -> tuple[ImageResult, ...]:
        """The items that are images."""
        return tuple(item for item in self.items if isinstance(item, ImageResult))

    @property
    def recordings(self) -> tuple[AudioResult, ...]:
        """The items that are recordings."""
        return tuple(item for item in self.items if isinstance(item, AudioResult))

    @property
    def events(self) -> tuple[SeriesEvent | ImageRegion | AudioEvent, ...]:
        """All events (streams, recordings) or regions (images), in item order."""
        return tuple(event for item in self.items for event in item.events)
