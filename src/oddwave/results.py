"""What every scorer returns: a `DetectionResult`, which holds one record per item.

The records are those of `records.py`; `result_rows.py` and `result_text.py` show them. Read `detector.py` next: it
fills them in.

Legend: n scores of all items together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.errors import ConfigError
from oddwave.records import (
    AnyResult,
    AudioEvent,
    AudioExcerpt,
    AudioResult,
    BandShare,
    CalibrationSummary,
    Drift,
    ImagePixels,
    ImageRegion,
    ImageResult,
    Kind,
    Recording,
    SeriesEvent,
    SeriesResult,
    Strength,
    WaveletShare,
)
from oddwave.result_rows import score_frame
from oddwave.result_text import result_html, result_text

__all__ = [
    "FDR_METHODS",
    "AnyResult",
    "AudioEvent",
    "AudioExcerpt",
    "AudioResult",
    "BandShare",
    "CalibrationSummary",
    "DetectionResult",
    "Drift",
    "ImagePixels",
    "ImageRegion",
    "ImageResult",
    "Recording",
    "SeriesEvent",
    "SeriesResult",
    "Strength",
    "WaveletShare",
    "WholeRun",
    "are_discoveries",
    "item_p_value",
]

FDR_METHODS = ("bh", "by")


def are_discoveries(
    p_values: Float[np.ndarray, " n"], rate: float, method: Literal["bh", "by"] = "bh"
) -> Bool[np.ndarray, " n"]:
    """Return which p-values are discoveries at a false discovery rate; NaN counts for nothing and is never one.

    Of the discoveries, at most the share `rate` is expected to be normal: by "bh" (Benjamini and Hochberg 1995; valid
    for conformal p-values that share a calibration by Bates et al. 2023) where p-values are independent or depend
    positively, by "by" (Benjamini and Yekutieli 2001) however they depend, at the price of fewer discoveries.

    Raises:
        ConfigError: there is no such method.
    """
    from scipy.stats import false_discovery_control

    if method not in FDR_METHODS:
        raise ConfigError(f"the method of false discovery control is {method!r:.40}: give one of {list(FDR_METHODS)}")

    known = ~np.isnan(p_values)
    adjusted = np.full(len(p_values), np.inf)
    if known.any():
        adjusted[known] = false_discovery_control(p_values[known], method=method)
    return adjusted <= rate


@dataclass(frozen=True, slots=True)
class WholeRun:
    """What a run found in all, of which a result may hold the strongest items only: counts of items and of scores.

    `flagged` items hold something anomalous, `failed` ones could not be judged; of the `scores`, so many were `scored`
    (are numbers) and `anomalous`. `discoveries` are the ids of those at the false discovery rate that was asked for.
    """

    items: int
    flagged: int
    failed: int
    scores: int
    scored: int
    anomalous: int
    events: int
    discoveries: tuple[str, ...] | None = None


def item_p_value(item: AnyResult, kind: Kind, block_size: int) -> float:
    """Return the p-value of an item as a whole, however many scores it has; NaN where it was not judged."""
    if kind != "stream" or item.label == -1:
        return item.p_value
    num_blocks = max(1, int(np.isfinite(item.scores).sum()) // block_size)
    return min(1.0, num_blocks * min((event.p_value for event in item.events), default=1.0))


@dataclass(frozen=True, repr=False)
class DetectionResult:
    """Everything one scoring run found; `kind` says what its items are: streams, panel instances, images, audio.

    `items` has one entry per item given, in the order given, those that could not be judged among them. `drift` says
    where the data as a whole moved away from what was learnt. Of a run on very many items `items` are the strongest,
    and `whole` counts all.
    """

    modality: str
    kind: Kind
    items: tuple[AnyResult, ...]
    calibration: CalibrationSummary
    not_monitored: tuple[str, ...] = ()
    model: Mapping[str, Any] = field(default_factory=dict)
    drift: tuple[Drift, ...] = ()
    whole: WholeRun | None = None

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
    def counts(self) -> WholeRun:
        """How many items and scores there are, flagged and not judged: of all that the run was given."""
        if self.whole is not None:
            return self.whole
        if not self.items:
            return WholeRun(0, 0, 0, 0, 0, 0, 0)
        found = (len(self.items), len(self.flagged), len(self.not_judged), len(self.scores))
        scored, anomalous = int(np.isfinite(self.scores).sum()), int((self.labels == 1).sum())
        return WholeRun(*found, scored, anomalous, len(self.events))

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

    def discoveries(self, rate: float, *, method: Literal["bh", "by"] = "bh") -> tuple[AnyResult, ...]:
        """Return the items that are anomalous at a false discovery rate, in item order.

        Where `alpha` bounds the share of normal items that are flagged, `rate` bounds the share of the returned items
        that is expected to be normal, however many items there are. What was not judged is never a discovery. A
        stream's p-value is that of its strongest event times the number of blocks in the stream (Bonferroni).
        `method` "by" holds the rate however the items depend on one another, "bh" where they do so positively.

        Raises:
            ConfigError: `rate` is not between 0 and 1, or there is no such method; the result is of a run in shards and
                holds its strongest items only.
        """
        if isinstance(rate, bool) or not 0.0 < rate < 1.0:
            raise ConfigError(f"the false discovery rate is {rate}: give a number between 0 and 1, for example 0.1")
        if self.whole is not None and len(self.items) < self.whole.items:
            raise ConfigError(
                f"a false discovery rate needs all items, and this result holds {len(self.items)} of "
                f"{self.whole.items:,}: ask for it in the run itself"
            )
        p_values = np.array([self.whole_p_value(item) for item in self.items])
        found = are_discoveries(p_values, rate, method)
        return tuple(item for item, is_one in zip(self.items, found, strict=True) if is_one)

    def discovered(self, rate: float, *, method: Literal["bh", "by"] = "bh") -> tuple[str, ...]:
        """Return the ids of the discoveries, of a run in shards those among all of its items. Raises: ConfigError."""
        if self.whole is None or self.whole.discoveries is None:
            return tuple(item.id for item in self.discoveries(rate, method=method))
        return self.whole.discoveries

    def whole_p_value(self, item: AnyResult) -> float:
        """Return the p-value of an item as a whole, however many scores it has; NaN where it was not judged."""
        return item_p_value(item, self.kind, self.calibration.block_size)
