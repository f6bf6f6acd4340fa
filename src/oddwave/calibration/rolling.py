"""A threshold that follows slow drift of a stream: each block is judged by the latest ones.

Before block k is judged, the maxima of the latest B blocks, those of the calibration before them, take the
calibration's place. Blocks far beyond them all, above the upper outer fence (quartile + 3 interquartile ranges), never
join; what is flagged by chance does, for without the highest of the normal ones more and more would be flagged.

Off by default: normal behaviour may wander as far as it likes then, if it does so slowly, and a fault that creeps in
becomes normal. If the data change so slowly that any B + 1 blocks in a row are exchangeable, P(p <= alpha) <= alpha
holds for each block; else nothing is guaranteed. (Adaptive conformal inference, Gibbs and Candes 2021, holds the share
of flagged blocks whatever happens, by falling silent after each of them: no use where these are what is looked for.)

Legend: N points of a stream, B blocks of the calibration, K blocks of the stream.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from oddwave.calibration.conformal import Calibration

__all__ = ["rolling_calibrations"]

_FENCE = 3.0


def rolling_calibrations(scores: Float[np.ndarray, " N"], calibration: Calibration) -> Sequence[Calibration]:
    """Return the calibration of each of the K blocks of a stream, in order; blocks without scores change nothing."""
    latest = deque(calibration.blocks.tolist(), maxlen=len(calibration.blocks))
    found = []
    for start in range(0, len(scores), calibration.block_size):
        own = replace(calibration, blocks=np.array(latest))
        found.append(own)
        seen = scores[start : start + calibration.block_size]
        seen = seen[np.isfinite(seen)]
        low, high = np.quantile(own.blocks, (0.25, 0.75))
        if len(seen) and seen.max() <= high + _FENCE * (high - low):
            latest.append(float(seen.max()))
    return found
