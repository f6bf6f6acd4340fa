"""Healthy streams without what they themselves call certain anomalies (`calibration.trim`): learnt from once more.

Read `calibration/trimming.py` for what is certain.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from oddwave.calibration.trimming import certain_anomalies
from oddwave.detection.series.models import SeriesModel
from oddwave.detection.series.points import calibrating
from oddwave.detection.series.stream_scores import StreamScore
from oddwave.detection.series.streams import Stream

__all__ = ["trimmed", "without_stretches"]

_STRETCH = 8  # points whose evidence is judged together


def trimmed(model: SeriesModel, streams: Sequence[Stream], scored: Sequence[StreamScore], kind: str) -> list[Stream]:
    """Return streams without their certain anomalies; none where there are no such, or nothing would be left.

    A window spreads the evidence of a fault over all of its points, so that a tenth of faulty points may touch most
    blocks. Of streams, the evidence of each point by itself decides, in stretches of a few points.
    """
    if model.plan.panel:
        odd = certain_anomalies(calibrating(model.ranged(scored), streams, kind), 1)
        return without_stretches(streams, odd, min(model.plan.sizes)) if any(own.any() for own in odd) else []
    points = [own.parts["point"].astype(float) for own in scored]
    odd = [_whole_stretches(own) for own in certain_anomalies(points, _STRETCH)]
    return without_stretches(streams, odd, min(model.plan.sizes)) if any(own.any() for own in odd) else []


def _whole_stretches(odd: Bool[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Return odd points and their neighbours, as far as a stretch reaches."""
    wide: Bool[np.ndarray, " n"] = np.convolve(odd, np.ones(2 * _STRETCH + 1), mode="same")[: len(odd)] > 0
    return wide


def without_stretches(streams: Sequence[Stream], odd: Sequence[Bool[np.ndarray, " _"]], size: int) -> list[Stream]:
    """Return what is left of streams without their odd points; stretches shorter than `size` points go with them.

    Of an instance (one mark) all of it is left out, or nothing.
    """
    kept = []
    for stream, marks in zip(streams, odd, strict=True):
        if len(marks) == 1:
            kept += [stream] * (not marks[0])
            continue
        edges = np.flatnonzero(np.diff(np.concatenate([[False], ~marks, [False]]).astype(int))).reshape(-1, 2)
        kept += [stream.part(start, stop) for start, stop in edges if stop - start >= size]
    return kept
