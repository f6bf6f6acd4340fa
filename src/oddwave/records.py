"""The records of what was found, one per item: plain, frozen, of numpy arrays.

`SeriesResult` for streams and panel instances, `ImageResult` for images, `AudioResult` for recordings. All of them
have `id`, `score`, `p_value`, `label`, `status`, `reason`, `flagged`, and what these rest on: `scores`, `p_values`,
`labels`, `events`, `parts`, `notes` and `error`. Higher scores are more anomalous, everywhere. A label is 1 for
anomalous, 0 for normal, and -1 for not judged: what has no score is never called normal. Read `results.py` next: the
records of a run together.

Legend: N points of a stream (1 for a panel instance or an image; the clips of a recording), T points of its values, C
channels, R rows of the source; H, W an image's own pixels, h, w the pixels of a smaller map that covers the whole
image or excerpt; n samples, F frequency rows and M time columns of a sound's map.
"""

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, Self, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.certainty import UNKNOWN, CalibrationSummary, Drift, Strength
from oddwave.visible import visible

__all__ = [
    "UNKNOWN",
    "VERDICTS",
    "AnyResult",
    "AudioEvent",
    "AudioExcerpt",
    "AudioResult",
    "BandShare",
    "CalibrationSummary",
    "Drift",
    "ImagePixels",
    "ImageRegion",
    "ImageResult",
    "Judged",
    "Kind",
    "Recording",
    "SeriesEvent",
    "SeriesResult",
    "Strength",
    "WaveletShare",
    "count_text",
]

Kind = Literal["stream", "panel", "image", "recording"]
VERDICTS = {1: "anomalous", 0: "normal", -1: "not judged"}


def count_text(count: int, noun: str) -> str:
    """Return "1 event", "2,000 events"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


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
class SeriesEvent:
    """A contiguous run of points above the threshold; `start`, `end` and `peak` are indices, both ends included."""

    item: str
    start: int
    end: int
    peak: int
    score: float
    p_value: float
    bands: tuple[BandShare, ...] = ()
    channel: str | None = None
    strength: Strength = UNKNOWN


@dataclass(frozen=True, slots=True)
class WaveletShare:
    """The share of an image's anomaly in one band of its residual's wavelet pyramid.

    `level` counts from 1, the finest, whose details are `scale_px` pixels of the image wide; `orientation` says which
    way the details run: horizontal, vertical, diagonal, or coarse for what is left below the last level.
    """

    level: int
    orientation: Literal["horizontal", "vertical", "diagonal", "coarse"]
    scale_px: float
    share: float


@dataclass(frozen=True, slots=True)
class ImageRegion:
    """A connected part of an image above the pixel threshold, in the image's own pixels; right and bottom excluded.

    `score` is the highest value of the anomaly map in it, `p_value` that peak's conformal p-value among the highest
    peaks of normal images. `on_part` says whether it lies on the part that images show on a background, None where no
    part is known.
    """

    item: str
    left_px: int
    top_px: int
    right_px: int
    bottom_px: int
    peak_x_px: int
    peak_y_px: int
    area_px: int
    score: float
    p_value: float
    strength: Strength = UNKNOWN
    on_part: bool | None = None


class Judged:
    """What is said of every item as a whole, whatever its modality."""

    id: str
    scores: Float[np.ndarray, " N"]
    p_values: Float[np.ndarray, " N"]
    labels: Int[np.ndarray, " N"]
    error: str
    strength: Strength = UNKNOWN

    @property
    def num_events(self) -> int:
        """How many events or regions were found in it."""
        return len(getattr(self, "events", ()))

    def __post_init__(self) -> None:
        """Hold that what has no score is labelled -1, whoever made the record."""
        object.__setattr__(self, "labels", np.where(np.isnan(self.scores), -1, self.labels))

    def __repr__(self) -> str:
        """Return one line without the arrays: "ImageResult('b.png': anomalous, score 9.1, p 0.012, 2 events)"."""
        if self.label == -1:
            facts = [VERDICTS[self.label], self.reason]
        else:
            found = count_text(self.num_events, "event")
            facts = [VERDICTS[self.label], f"score {self.score:.3g}", f"p {self.p_value:.2g}", found]
        facts += [count_text(len(self.scores), "score")] * (len(self.scores) > 1)
        return visible(f"{type(self).__name__}('{self.id}': {', '.join(facts)})")

    def rated(self, strength: Strength) -> Self:
        """Return the same record with what is known of how far its highest score lies beyond normal."""
        own = copy(self)
        object.__setattr__(own, "strength", strength)
        return own

    @property
    def score(self) -> float:
        """The highest of its scores; NaN where it was not judged."""
        return float(np.fmax.reduce(self.scores, initial=np.nan))

    @property
    def p_value(self) -> float:
        """The p-value of its highest score; NaN where it was not judged."""
        return float(np.fmin.reduce(self.p_values, initial=np.nan))

    @property
    def label(self) -> int:
        """1 where anything in it is anomalous, 0 where nothing is, -1 where nothing in it was judged."""
        return int(self.labels.max(initial=-1))

    @property
    def flagged(self) -> bool:
        """Whether anything in it is anomalous."""
        return self.label == 1

    @property
    def status(self) -> Literal["judged", "not judged"]:
        """Whether anything in it was judged."""
        return "not judged" if self.label == -1 else "judged"

    @property
    def reason(self) -> str:
        """Why it was not judged; empty where it was."""
        return (" ".join(self.error.split()) or "nothing in it could be scored") if self.label == -1 else ""


@dataclass(frozen=True, repr=False)
class SeriesResult(Judged):
    """One stream (a score per point) or one panel instance (one score).

    `timestamps` and `row_timestamps` are UTC; `timezone` ("Europe/Berlin", "+02:00") says in which local time they are
    shown, None that they are shown as they are. One that could not be read has a single NaN score and an `error`.
    """

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
    events: tuple[SeriesEvent, ...] = ()
    notes: tuple[str, ...] = ()
    sample_period_s: float | None = None
    row_index: Int[np.ndarray, " R"] | None = None  # the point that each row of the source became, -1 for none
    row_timestamps: np.ndarray | None = None
    timezone: str | None = None
    error: str = ""
    strength: Strength = UNKNOWN  # of the item as a whole

    @property
    def p_value(self) -> float:
        """The p-value of its strongest event, among blocks; without one that of its highest score; NaN if unjudged."""
        of_events = min((event.p_value for event in self.events), default=None)
        return super().p_value if of_events is None else of_events

    @classmethod
    def unread(cls, identifier: str, error: str, channel_names: tuple[str, ...] = ()) -> "SeriesResult":
        """Return the record of a series that could not be read: one point without a score, and why."""
        nothing, size = np.array([np.nan]), (1, len(channel_names))
        return cls(
            id=identifier,
            scores=nothing,
            p_values=nothing,
            labels=np.array([-1]),
            values=np.full(size, np.nan),
            observed=np.zeros(size, bool),
            channel_names=channel_names,
            error=error,
        )


@runtime_checkable
class ImagePixels(Protocol):
    """Where an image's pixels can be had again: results do not hold thousands of images."""

    def pixels(self) -> Float[np.ndarray, "H W C"]:
        """Read the image, values in [0, 1]."""
        ...


@dataclass(frozen=True, repr=False)
class ImageResult(Judged):
    """One image: one score, and where in it. An image that could not be judged has NaN for a score and an `error`.

    `anomaly_map` covers the whole image, in deviations of normal images; `reconstruction` is the normal version
    (values in [0, 1], covering the whole image too), made for the most abnormal images only. `part` says where the part
    lies, where images show one on a background.
    """

    id: str
    scores: Float[np.ndarray, " N"]
    p_values: Float[np.ndarray, " N"]
    labels: Int[np.ndarray, " N"]
    size: tuple[int, int]  # height, width in pixels; (0, 0) where unknown
    anomaly_map: Float[np.ndarray, "h w"]
    image: ImagePixels | None = None
    reconstruction: Float[np.ndarray, "h2 w2 C"] | None = None
    parts: Mapping[str, Float[np.ndarray, " N"]] = field(default_factory=dict)
    events: tuple[ImageRegion, ...] = ()
    bands: tuple[WaveletShare, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""
    strength: Strength = UNKNOWN  # of the item as a whole
    part: Bool[np.ndarray, "h3 w3"] | None = None


@dataclass(frozen=True, slots=True)
class AudioEvent:
    """An anomalous stretch of time and frequency in a recording, in its own seconds and hertz.

    `level_db` is how far its power lies above what is normal there; negative: something is missing. `score` is the
    highest of the clips that it lies in, `p_value` that of such a peak among the highest scores of stretches of normal
    sound as long as the recording. `throughout` says that it lasts as long as the recording, `channel` which one of
    several carries it ("left", "channel 3 of 4"), where one clearly does.
    """

    item: str
    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    peak_hz: float
    level_db: float
    score: float
    p_value: float
    throughout: bool = False
    strength: Strength = UNKNOWN
    channel: str = ""


@runtime_checkable
class Recording(Protocol):
    """Where a recording's samples can be had again: results do not hold hours of sound."""

    def blocks(self, sample_rate: int, block_s: float) -> Iterator[Float[np.ndarray, " n"]]:
        """Read the recording in blocks of `block_s` seconds, resampled to `sample_rate` hertz."""
        ...


@dataclass(frozen=True, eq=False)
class AudioExcerpt:
    """A part of a recording, explained: what it was, what it would have been, and where it differs.

    `samples` minus `normal` is the odd part alone. The maps cover the excerpt; their rows rise in frequency.
    """

    start_s: float
    sample_rate: int
    samples: Float[np.ndarray, " n"]
    normal: Float[np.ndarray, " n"]
    levels_db: Float[np.ndarray, "F M"]
    normal_levels_db: Float[np.ndarray, "F M"]
    anomaly_map: Float[np.ndarray, "h w"]
    frequencies_hz: Float[np.ndarray, " F"]

    @property
    def odd(self) -> Float[np.ndarray, " n"]:
        """What was heard beside the normal sound."""
        difference: np.ndarray = self.samples - self.normal
        return difference

    @property
    def end_s(self) -> float:
        """Where the excerpt ends in the recording."""
        return self.start_s + len(self.samples) / self.sample_rate


@dataclass(frozen=True, repr=False)
class AudioResult(Judged):
    """One recording: one score per clip of `clip_s` seconds, the clips beginning at `starts_s`.

    Alpha is the rate of false alarms per recording: a clip is anomalous where it lies in an event, from `threshold` on
    in a recording of this length. `score` is that of its most abnormal clip, and `p_value` that of such a peak among
    the highest scores of stretches of normal sound as long as the recording. `excerpt` explains the most abnormal part,
    `more_excerpts` those of further events, the strongest first. `channel` says which one of several it is,
    `recorded_at` when it was made, where its name or its file says so. A recording that could not be judged has one NaN
    score and an `error`.
    """

    id: str
    scores: Float[np.ndarray, " N"]
    p_values: Float[np.ndarray, " N"]
    labels: Int[np.ndarray, " N"]
    starts_s: Float[np.ndarray, " N"]
    clip_s: float
    duration_s: float
    sample_rate: int
    recording: Recording | None = None
    excerpt: AudioExcerpt | None = None
    parts: Mapping[str, Float[np.ndarray, " N"]] = field(default_factory=dict)
    events: tuple[AudioEvent, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""
    peak_p_value: float = float("nan")
    threshold: float = float("nan")
    more_excerpts: tuple[AudioExcerpt, ...] = ()
    channel: str = ""
    strength: Strength = UNKNOWN  # of the item as a whole
    recorded_at: datetime | None = None

    @property
    def p_value(self) -> float:
        """The recording's p-value; NaN where it was not judged."""
        return self.peak_p_value if self.status == "judged" else float("nan")

    @property
    def excerpts(self) -> tuple[AudioExcerpt, ...]:
        """All excerpts, that of the most abnormal part first."""
        return () if self.excerpt is None else (self.excerpt, *self.more_excerpts)


AnyResult = SeriesResult | ImageResult | AudioResult
