"""False alarms of series: what a marked event did to the data is taken out of them wherever it comes again.

Of an event two forms are remembered, in scaled units: its values, and their deviation from the normal version. A
stretch of other data is its like where, with r its deviation, d the remembered one, s the usual deviation,

    |r - g d|^2 <= 0.1 |r|^2,      0.7 <= g <= 1.4, in units of s        (or, of the values, g = 1)

less what is usual of both, in the channels that the event shows in, at any place, up to a quarter longer or shorter.
There the data become the normal version and what is left, r - g d, no larger than half of what is usual; they are
scored again, and the lower of both scores holds for the points that a window over the stretch reaches. What else is odd
beside it, or in other channels, is found as before; at the same place where it has a tenth of the energy of both.

Some events are odd though they hardly deviate from their normal version: each channel is normal, and all together are
not, or a level is one of another hour. Where the very values of an event come again in all channels, but for noise,
they score as the stream usually does, and what lies beside them is scored without them.
`detection/corrections.py` has what a mark is.

Legend: n points of a stream, m of a remembered event, C channels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.detection.corrected import Alarm, Corrected
from oddwave.detection.corrections import Correction, Corrections
from oddwave.detection.model_tensors import Expected
from oddwave.detection.scored import Scored
from oddwave.detection.series.events import runs
from oddwave.detection.series.models import SeriesModel
from oddwave.detection.series.points import ScoredSeries
from oddwave.detection.series.stream_scores import StreamScore
from oddwave.detection.series.streams import Stream
from oddwave.errors import DataError
from oddwave.records import AnyResult
from oddwave.result_times import clock_text
from oddwave.results import SeriesEvent

__all__ = [
    "FORGIVEN",
    "CorrectedSeries",
    "KnownEvent",
    "forgiven",
]

FORGIVEN = "what was marked a false alarm before was found here again, and taken out before it was judged"
_NAMES = ("values", "deviation", "unit")

_LEFT = 0.1  # of the energy of a deviation, beyond what is usual: what a like of it may leave
_GAINS = (0.7, 1.4)
_PASSES = 8
_USUAL_REST = 0.5  # of the usual deviation: what is left of an event is no larger
_CLEAR = 3.0  # times the usual energy: a deviation that says anything
_SAME = 3.0  # times the usual energy: how far the values of two events may lie apart that are the same
_SHOWS = 0.05  # of the energy in the channel that an event shows in most
_LENGTHS = (1.0, 0.8, 0.9, 1.12, 1.25)
_LEAST_PAD, _PAD = 4, 0.5  # points at each side of an event, and in units of its length
_SMALLEST_UNIT, _ROBUST = 0.02, 1.4826  # of the stream's own scale
_MOST_POINTS = 100_000


@dataclass(frozen=True, eq=False)
class KnownEvent:
    """A false alarm: its values, their deviation from the normal version, and the usual deviation of each channel."""

    values: Float[np.ndarray, "m C"]
    deviation: Float[np.ndarray, "m C"]
    unit: Float[np.ndarray, " C"]

    @property
    def channels(self) -> Int[np.ndarray, " K"]:
        """The channels that it shows in."""
        energy = np.square(self.deviation / self.unit).mean(0)
        return np.flatnonzero(energy >= min(max(_CLEAR, _SHOWS * energy.max()), energy.max()))

    def of_length(self, factor: float) -> "KnownEvent":
        """Return the same event lasting longer or shorter."""
        m = len(self.values)
        length = max(2, round(factor * m))
        if length == m:
            return self
        at = np.linspace(0, m - 1, length)
        values, deviation = (
            np.stack([np.interp(at, np.arange(m), own) for own in form.T], 1) for form in (self.values, self.deviation)
        )
        return KnownEvent(values, deviation, self.unit)


def _event_mask(scored: Scored, events: Sequence[SeriesEvent]) -> Bool[np.ndarray, " N"]:
    """Return which scores of an item are those of these events; of an instance its one, of none all."""
    inside = np.zeros(len(scored.scores), bool)
    for event in events:
        inside[event.start : event.end + 1] = True
    return inside if events else np.ones(len(inside), bool)


def _stretch_text(scored: Scored, events: Sequence[SeriesEvent]) -> str:
    """Return from when to when events last, or from which point to which."""
    item = scored.item
    times = np.arange(len(item.values)) if item.timestamps is None else item.timestamps
    named = [clock_text(times[[event.start, event.end]], item.timezone) for event in events]
    return ", ".join(f"{start} to {end}" for start, end in named) or "all of it"


def _event_tensors(correction: Correction, n_channels: int) -> dict[str, Expected]:
    """Return what a saved model holds of a false alarm."""
    points = f"points of correction {correction.mark.id}"
    form = Expected("F32", (points, n_channels), most=_MOST_POINTS)
    return {"values": form, "deviation": form, "unit": Expected("F32", (n_channels,), _SMALLEST_UNIT / 2)}


def _marked_event(model: SeriesModel, scored: Scored, events: Sequence[SeriesEvent]) -> dict[str, np.ndarray]:
    """Return what is remembered of an event, with what its like are measured by."""
    assert isinstance(scored, ScoredSeries)
    stream = scored.stream
    assert stream is not None
    inside = np.ones(len(stream), bool)
    if events:
        on_item = _event_mask(scored, events)
        inside[:] = False
        inside[stream.history :] = on_item if stream.places is None else on_item[stream.places]
    deviation = (stream.values - _normal(model, [stream])[0]).astype(np.float32)
    marked = np.flatnonzero(inside)
    first, last = int(marked[0]), int(marked[-1])
    pad = max(_LEAST_PAD, round(_PAD * (last - first + 1)))
    own = slice(max(0, first - pad), min(len(stream), last + 1 + pad))
    others = deviation[~inside] if (~inside).any() else deviation[:0]
    usual = _ROBUST * np.median(np.abs(others), axis=0) if len(others) else np.zeros(stream.values.shape[1])
    unit = np.maximum(usual, _SMALLEST_UNIT).astype(np.float32)
    return {"values": stream.values[own].astype(np.float32), "deviation": deviation[own], "unit": unit}


class CorrectedSeries(Corrected):
    """The part of a detector of series that knows what a mark is of."""

    channel_names: tuple[str, ...]
    model: SeriesModel | None

    def _marked(self, scored: Scored, events: tuple[Any, ...]) -> Bool[np.ndarray, " N"]:
        return _event_mask(scored, events)

    def _stretch(self, scored: Scored, events: tuple[Any, ...]) -> str:
        return _stretch_text(scored, events)

    def _alarm(self, scored: Scored, result: AnyResult, events: tuple[Any, ...]) -> Alarm:
        assert self.model is not None
        if self.model.plan.panel:
            raise DataError(
                "a false alarm on a whole instance has no place in it to be known by: add it as healthy "
                "(oddwave add ... --allow-flagged)"
            )
        return _marked_event(self.model, scored, events)

    def correction_tensors(self, correction: Correction) -> dict[str, Expected]:
        """Return what a saved model holds of a false alarm."""
        return _event_tensors(correction, len(self.channel_names))


def forgiven(
    model: SeriesModel, streams: Sequence[Stream], scored: Sequence[StreamScore], corrections: Corrections
) -> tuple[list[StreamScore], list[bool]]:
    """Return scores with known false alarms taken out of the streams, and in which of them there were any."""
    known = [KnownEvent(**{name: own.arrays[name] for name in _NAMES}) for own in corrections.alarms]
    if not known:
        return list(scored), [False] * len(scored)
    normal = _normal(model, streams)
    result, told, reach = list(scored), [False] * len(streams), max(model.plan.sizes)
    for number, (stream, own) in enumerate(zip(streams, normal, strict=True)):
        rest, taken = _taken_out(stream, own, known)
        if taken.any():
            told[number] = True
            result[number] = _lower(result[number], *_again(model, stream, own, rest, taken, reach))
        same = _same_values(stream, known)
        if same.any():
            told[number] = True
            result[number] = _lower(result[number], *_without(model, stream, same, result[number], reach))
    return result, told


def _same_values(stream: Stream, known: Sequence[KnownEvent]) -> Bool[np.ndarray, " n"]:
    """Return where a stream has the values of known events again, in all channels."""
    same = np.zeros(len(stream), bool)
    for event in known:
        m, channels = event.values.shape
        if m <= len(stream):
            apart = _difference(stream.values / event.unit, event.values / event.unit)
            for start in np.flatnonzero(apart <= _SAME * m * channels):
                same[start : start + m] = True
    return same


def _without(
    model: SeriesModel, stream: Stream, left_out: Bool[np.ndarray, " n"], before: StreamScore, reach: int
) -> tuple[StreamScore, Bool[np.ndarray, " n"]]:
    """Score what lies between known points, which get what is usual; return which points these scores are of."""
    near = _near(left_out, reach)
    parts = [
        (first, last) for first, last in runs(~left_out) if last - first + 1 >= reach and near[first : last + 1].any()
    ]
    usual = (float(np.nanmedian(before.scores)), np.nanmedian(before.by_size, axis=1, keepdims=True))
    scores, by_size = np.where(left_out, usual[0], before.scores), np.where(left_out, usual[1], before.by_size)
    said = {name: np.where(left_out, float(np.nanmedian(own)), own) for name, own in before.parts.items()}
    found = model.score([stream.part(first, last + 1) for first, last in parts]) if parts else []
    for (first, last), one in zip(parts, found, strict=True):
        inside = slice(first, last + 1)
        scores[inside], by_size[:, inside] = one.scores, one.by_size
        for name, own in one.parts.items():
            said[name][inside] = own
    return StreamScore(scores, said, by_size), near


def _again(
    model: SeriesModel,
    stream: Stream,
    normal: Float[np.ndarray, "n C"],
    rest: Float[np.ndarray, "n C"],
    taken: Bool[np.ndarray, "n C"],
    reach: int,
) -> tuple[StreamScore, Bool[np.ndarray, " n"]]:
    """Score the parts of a stream around what is taken out of it; return which points these scores are of."""
    changed = np.asarray(taken.any(axis=1))
    near, around = (_near(changed, times * reach) for times in (1, 2))
    values, parts = np.where(taken, normal + rest, stream.values).astype(np.float32), runs(around)
    for _ in range(_PASSES):  # the normal version of what is odd leans towards it, that of what was cleared less so
        pieces = [replace(stream, values=values).part(start, stop + 1) for start, stop in parts]
        for (start, stop), own in zip(parts, _normal(model, pieces), strict=True):
            inside = slice(start, stop + 1)
            values[inside] = np.where(taken[inside], own + rest[inside], values[inside])
    found = model.score([replace(stream, values=values).part(start, stop + 1) for start, stop in parts])
    scores, by_size = (np.full((*lead, len(stream)), np.nan) for lead in ((), (len(found[0].by_size),)))
    said = {name: np.full(len(stream), np.nan) for name in found[0].parts}
    for (start, stop), one in zip(parts, found, strict=True):
        inside = slice(start, stop + 1)
        scores[inside], by_size[:, inside] = one.scores, one.by_size
        for name, own in one.parts.items():
            said[name][inside] = own
    return StreamScore(scores, said, by_size), near


def _normal(model: SeriesModel, streams: Sequence[Stream]) -> list[Float[np.ndarray, "n C"]]:
    """Return the normal version of streams, and themselves where there is none."""
    found = model.normal_streams(list(streams))
    return [np.where(np.isnan(own), stream.values, own) for stream, own in zip(streams, found, strict=True)]


@dataclass(frozen=True, eq=False)
class _Like:
    """Where a stream has the like of an event, which share of its energy it leaves over, and what that is."""

    left: float
    start: int
    rest: Float[np.ndarray, "m K"]
    channels: Int[np.ndarray, " K"]


def _taken_out(
    stream: Stream, normal: Float[np.ndarray, "n C"], known: Sequence[KnownEvent]
) -> tuple[Float[np.ndarray, "n C"], Bool[np.ndarray, "n C"]]:
    """Return what is left of known events beside the normal version, and which values they are; the likest go first."""
    deviation = (stream.values - normal).astype(np.float32)
    rest, taken = np.zeros_like(deviation), np.zeros(deviation.shape, bool)
    versions = [event.of_length(factor) for event in known for factor in _LENGTHS]
    likes = [
        own for event in versions if len(event.values) <= len(stream) for own in _likes(stream.values, deviation, event)
    ]
    for own in sorted(likes, key=lambda each: each.left):
        stretch = slice(own.start, own.start + len(own.rest))
        if not taken[stretch].any():
            rest[stretch, own.channels] = own.rest
            taken[stretch, own.channels] = True
    return rest, taken


def _likes(
    values: Float[np.ndarray, "n C"],
    deviation: Float[np.ndarray, "n C"],
    event: KnownEvent,
) -> Iterator[_Like]:
    """Yield where a stream has the like of an event, the most alike first, in the channels that the event shows in."""
    m, channels = len(event.values), event.channels
    own_unit = event.unit[channels]
    away, form = deviation[:, channels] / own_unit, event.deviation[:, channels] / own_unit
    energy = _moving(np.square(away).sum(1), m)
    of_values = _difference(values[:, channels] / own_unit, event.values[:, channels] / own_unit)
    along, own = _products(away, form)
    gain = np.clip(along / max(own, 1e-12), *_GAINS)
    of_deviation = energy - 2.0 * gain * along + gain**2 * own
    noise = float(m * len(channels))  # what a stretch deviates by on the whole
    left = np.maximum(np.minimum(of_values, of_deviation) - noise, 0.0) / np.maximum(energy - noise, 1e-12)
    left[energy < _CLEAR * noise] = np.inf
    free = left <= _LEFT
    while free.any():
        start = int(np.argmin(np.where(free, left, np.inf)))
        stretch = slice(start, start + m)
        rest = deviation[stretch][:, channels] - gain[start] * event.deviation[:, channels]
        if of_values[start] < of_deviation[start]:
            rest = (values[stretch] - event.values)[:, channels]
        size = np.sqrt(np.square(rest / own_unit).mean(0))
        yield _Like(float(left[start]), start, rest * (_USUAL_REST / np.maximum(size, _USUAL_REST)), channels)
        free[max(0, start - m + 1) : start + m] = False


def _moving(values: Float[np.ndarray, " n"], m: int) -> Float[np.ndarray, " k"]:
    """Return the sums of m points in a row."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    sums: np.ndarray = total[m:] - total[:-m]
    return sums


def _products(
    values: Float[np.ndarray, "n C"], event: Float[np.ndarray, "m C"]
) -> tuple[Float[np.ndarray, " k"], float]:
    """Return the inner product of an event with each stretch of a stream, and with itself."""
    from scipy.signal import oaconvolve

    values, event = values.astype(np.float64), event.astype(np.float64)
    along = oaconvolve(values, event[::-1], mode="valid", axes=0).sum(1)
    return along, float(np.square(event).sum())


def _difference(values: Float[np.ndarray, "n C"], event: Float[np.ndarray, "m C"]) -> Float[np.ndarray, " k"]:
    """Return the squared distance of an event from each stretch of a stream."""
    along, own = _products(values, event)
    return np.maximum(_moving(np.square(values).sum(1), len(event)) - 2.0 * along + own, 0.0)


def _near(taken: Bool[np.ndarray, " n"], reach: int) -> Bool[np.ndarray, " n"]:
    """Return the points within a window's length of those that were taken out."""
    count = np.concatenate([[0], np.cumsum(taken)])
    n = np.arange(len(taken))
    near: np.ndarray = count[np.minimum(n + reach, len(taken))] - count[np.maximum(n - reach + 1, 0)] > 0
    return near


def _lower(first: StreamScore, other: StreamScore, near: Bool[np.ndarray, " n"]) -> StreamScore:
    """Return the other scores near what was taken out where they are lower, with their parts."""
    better = near & (other.scores < first.scores)
    parts = {
        name: np.where(better, other.parts[name], own) if name in other.parts else own
        for name, own in first.parts.items()
    }
    by_size = (
        np.where(better, other.by_size, first.by_size) if other.by_size.shape == first.by_size.shape else first.by_size
    )
    return StreamScore(np.where(better, other.scores, first.scores), parts, by_size)
