"""What was not looked at, in plain words: channels without data, points without a verdict, silence that says nothing.

Legend: n points, C channels.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from oddwave.detection.series.models import SeriesModel
from oddwave.detection.series.plan import WindowPlan
from oddwave.detection.series.streams import Stream
from oddwave.records import SeriesResult
from oddwave.result_times import clock_text
from oddwave.sources.series.clock import MAX_GAP
from oddwave.tensors.series_scale import SeriesScaler, bridged, missing_runs

__all__ = ["length_fault", "not_monitored", "size_notes", "too_short"]

_MOST_STRETCHES = 3
_MANY_MISSING = 0.05


def not_monitored(items: Sequence[SeriesResult], scaler: SeriesScaler, model: SeriesModel) -> tuple[str, ...]:
    """Return, item by item and channel by channel, what carries no verdict, and for the model what it cannot tell."""
    read = [item for item in items if item.observed.any()]
    lines = [line for item in read for line in _of_item(item, scaler, model)]
    return (*lines, *_silent_channels(read[0].channel_names, scaler, model))


def length_fault(stream: Stream, plan: WindowPlan) -> str:
    """Return why a stream's length does not fit the model; "" where it does."""
    needed = min(plan.sizes)
    if plan.panel and len(stream) != needed:
        return f"instance '{stream.id}' has {len(stream)} points, the model knows instances of {needed}"
    if len(stream) < needed:
        held = "points" if stream.places is None else "points with values"
        return (
            f"series '{stream.id}' has {len(stream)} {held}, the model's shortest window has {needed}: "
            "give a longer stretch, or fit with smaller series.window_sizes"
        )
    return ""


def size_notes(stream: Stream, model: SeriesModel) -> tuple[str, ...]:
    """Return which windows a stream is too short for; none for one that has room for all."""
    longest = _longest(stream)
    fitting, left = ([size for size in model.plan.sizes if (size <= longest) == fits] for fits in (True, False))
    if not left or not fitting or model.plan.panel:
        return ()
    return (f"judged by windows of {_listed(fitting)} points alone: no stretch has room for those of {_listed(left)}",)


def too_short(stream: Stream, model: SeriesModel) -> str:
    """Return why a stream has no score at all; "" for one that has room for a window."""
    needed, longest = min(model.plan.sizes), _longest(stream)
    if model.plan.panel or longest >= needed:
        return ""
    return f"has no stretch of {needed} points, the model's shortest window (the longest has {longest})"


def _longest(stream: Stream) -> int:
    return max((stop - start for start, stop in stream.stretches()), default=0)


def _of_item(item: SeriesResult, scaler: SeriesScaler, model: SeriesModel) -> list[str]:
    noted = [note for note in item.notes if "not monitored" in note and "no value at all" not in note]
    said: dict[str, list[str]] = {}
    spacing = scaler.spacing or (1,) * len(item.channel_names)
    known = bridged(item.observed, spacing)
    for c, name in enumerate(item.channel_names):
        if spacing[c] == 0:
            without = (scaler.centre[c], scaler.scale[c]) == (0.0, 1.0)
            text = f"{'no data' if without else 'too few values'} when the model was fitted"
        else:
            text = _gaps(item, known[:, c], spacing[c])
        if text:
            said.setdefault(text, []).append(name)
    lines = [*noted, *(f"{', '.join(names)}: {text}" for text, names in said.items())]
    seen = item.observed[:, scaler.monitored].any(1)
    if not seen.all():
        lines.append(f"{int((~seen).sum())} points without a value")
    unjudged = int((seen & np.isnan(item.scores)).sum())
    if unjudged:
        lines.append(
            f"{unjudged} points not judged, in stretches shorter than a window ({min(model.plan.sizes)} points)"
        )
    return [f"{item.id}: {line}" for line in lines]


def _gaps(item: SeriesResult, known: Bool[np.ndarray, " n"], spacing: int) -> str:
    """Return where a channel is without data for long, or that it often is."""
    n = len(known)
    if not known.any():
        return "no data"
    runs = [(a, b) for a, b in missing_runs(known) if b - a > max(MAX_GAP, spacing)]
    if not runs:
        share = 1.0 - float(known.mean())
        return f"{share:.0%} of the values missing" if share >= _MANY_MISSING else ""
    if len(runs) > _MOST_STRETCHES:
        start, stop = max(runs, key=lambda run: run[1] - run[0])
        return f"no data in {len(runs)} stretches, the longest from {_when(item, start)} to {_when(item, stop - 1)}"
    return "no data " + " and ".join(_stretch(item, start, stop, n) for start, stop in runs)


def _stretch(item: SeriesResult, start: int, stop: int, n: int) -> str:
    if stop == n:
        return f"since {_when(item, start)}"
    return f"until {_when(item, stop)}" if start == 0 else f"from {_when(item, start)} to {_when(item, stop - 1)}"


def _when(item: SeriesResult, point: int) -> str:
    if item.timestamps is None:
        return f"point {point}"
    return clock_text(item.timestamps[point : point + 1].astype("datetime64[s]"), item.timezone)[0]


def _silent_channels(names: Sequence[str], scaler: SeriesScaler, model: SeriesModel) -> list[str]:
    """Name the channels whose events are so rare that normal windows of every size hold none."""
    if model.plan.panel:
        return []
    rare = [names[channel] for channel in model.rare_channels if scaler.monitored[channel]]
    if not rare:
        return []
    return [
        f"{', '.join(rare)}: events so rare that normal windows of {max(model.plan.sizes)} points hold hardly any: "
        "judged for bursts only, not for falling silent"
    ]


def _listed(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes))
