"""Recordings that judge each other: which of their own scores calibrate, and which of those are whose.

Several recordings are compared as wholes: one whose highest clip lies beyond the fence of all highest ones is surely
odd, and calibrates nothing; each other one is judged by the calibration without its own clips. Of one or two, clips
beyond the fence of all clips do not calibrate, and a clip is not compared with itself. Read `detector.py` next.

Legend: N clips of a recording.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.trimming import below_fence
from oddwave.detection.audio.scored import ScoredRecording
from oddwave.detection.scored import Scored

__all__ = ["calibrated_itself"]

_SOURCE = "the data themselves, without their outliers"


def calibrated_itself(scored: Sequence[Scored], *, whole: bool) -> tuple[Calibration, list[Scored]]:
    """Return the calibration by recordings that judge each other, and each with what it is to be judged by.

    `whole` says that recordings were compared as wholes.
    """
    own = [recording for recording in scored if isinstance(recording, ScoredRecording)]
    if not whole:
        fenced = below_fence(np.concatenate([recording.scores for recording in own]))
        parts = np.split(fenced, np.cumsum([len(recording.scores) for recording in own])[:-1])
        found = Calibration.fit(list(parts), 1, _SOURCE)
        return replace(found, judges_itself=True), [replace(recording, apart=True) for recording in own]
    usual = np.isfinite(below_fence(np.array([float(recording.scores.max()) for recording in own])))
    kept: list[Float[np.ndarray, " _"]] = []
    judged: list[Scored] = []
    first = 0
    for recording, calibrates in zip(own, usual, strict=True):
        place = slice(first, first + len(recording.scores)) if calibrates else None
        if place is not None:
            kept.append(recording.scores)
            first = place.stop
        judged.append(replace(recording, apart=True, known_as=place))
    return Calibration.fit(kept, 1, _SOURCE), judged
