"""Adding healthy series to a fitted model: which stretches of them are remembered, and which calibrate.

Legend: n points of a stream, N of its item (1 for an instance). Read `detection/adding.py` for what adding means.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from oddwave.detection.adding import Extension, held_back
from oddwave.detection.series.models import SeriesModel
from oddwave.detection.series.plan import split_streams
from oddwave.detection.series.points import calibrating, ties_lifted
from oddwave.detection.series.streams import Stream

__all__ = ["extended"]


def extended(
    model: SeriesModel,
    streams: Sequence[Stream],
    kept: Sequence[Bool[np.ndarray, " N"]],
    share: float,
    rng: np.random.Generator,
) -> Extension:
    """Remember streams or instances, and return what of them calibrates; `kept` are the points to learn from.

    Held back are random instances, or the last `share` of each stream that is long enough to be split.
    """
    first, panel, size = model.next_group, model.plan.panel, max(model.plan.sizes)
    streams = [replace(stream, group=first + number) for number, stream in enumerate(streams)]
    kept = [_on_points(stream, own) for stream, own in zip(streams, kept, strict=True)]
    if panel:
        back = held_back(len(streams), share, rng)
        train, held = ([s for s, own in zip(streams, back, strict=True) if own == side] for side in (False, True))
        known = [np.ones(len(stream), bool) for stream in held]
    else:
        long = [len(stream) * min(share, 1 - share) >= 2 * size for stream in streams]
        train, held = split_streams([s for s, own in zip(streams, long, strict=True) if own], share, gap=size)
        train += [stream for stream, own in zip(streams, long, strict=True) if not own]
        by_group = {stream.group: own for stream, own in zip(streams, kept, strict=True)}
        known = [by_group[stream.group][stream.offset : stream.offset + len(stream)] for stream in held]
        train = [part for stream in train for part in _stretches(stream, by_group[stream.group])]
    model.remember(train)
    scores = calibrating(model.score(held), held, "panel" if panel else "stream") if held else []
    if not panel:
        scores = [np.where(own, values, np.nan) for own, values in zip(known, scores, strict=True)]
    num_points = sum(len(stream) for stream in train)
    facts = {"num_train_items": len({stream.group for stream in train}), "num_train_points": num_points}
    return Extension(ties_lifted(scores) if scores else [], len(train) if panel else num_points, facts)


def _on_points(stream: Stream, kept: Bool[np.ndarray, " N"]) -> Bool[np.ndarray, " n"]:
    """Bring marks of an item's points to its stream's points; that of an instance to all of them."""
    if len(kept) == 1:
        return np.repeat(kept, len(stream))
    return kept if stream.places is None else kept[stream.places]


def _stretches(stream: Stream, kept: Bool[np.ndarray, " n"]) -> list[Stream]:
    """Return the parts of a stream, or of one of its parts, that may be learnt from."""
    own = kept[stream.offset : stream.offset + len(stream)]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], own, [False]]).astype(int)))
    return [stream.part(start, stop) for start, stop in edges.reshape(-1, 2)]
