"""Anomalies planted into whole streams, with exact masks: single ones, and faults that come again.

Legend: n points, C channels.
"""

import numpy as np
from jaxtyping import Bool, Float

from oddwave.planted.series import SERIES_ANOMALIES
from oddwave.tensors.series_scale import robust_scale

__all__ = ["plant_in_stream"]

_SHORTEST, _LONGEST = 12, 240  # points of the window that an anomaly is planted into
_GAP = 32  # points between two of them
_SEEN = 0.05  # units of change below which a point does not count as changed


def plant_in_stream(
    values: Float[np.ndarray, "n C"],
    rng: np.random.Generator,
    *,
    num: int,
    recurring: bool = False,
    strength: tuple[float, float] = (0.4, 1.5),
    region: tuple[int, int] | None = None,
) -> tuple[Float[np.ndarray, "n C"], Bool[np.ndarray, "n C"]]:
    """Plant up to `num` anomalies of random kinds, sizes and places; return the stream and which values were changed.

    A unit of change lies between the stretch's own scale and the stream's, times `strength`. With `recurring` most of
    them are the same fault again. `region` bounds the places.
    """
    changed, mask = values.copy(), np.zeros(values.shape, bool)
    first, last = region or (0, len(values))
    whole = np.array([robust_scale(channel)[1] for channel in values.T])
    kinds = list(SERIES_ANOMALIES)
    one = kinds[rng.integers(len(kinds))]
    longest = min(_LONGEST, (last - first) // 3)
    size = int(np.exp(rng.uniform(np.log(_SHORTEST), np.log(longest))))
    seed = int(rng.integers(1 << 30))
    for _ in range(num):
        if not recurring or rng.uniform() < 0.2:
            one, seed = kinds[rng.integers(len(kinds))], int(rng.integers(1 << 30))
            size = int(np.exp(rng.uniform(np.log(_SHORTEST), np.log(longest))))
        start = int(rng.integers(first, last - size + 1))
        if mask[max(0, start - _GAP) : start + size + _GAP].any():
            continue
        window, other = (changed[a : a + size] for a in (start, int(rng.integers(first, last - size + 1))))
        low = np.maximum(np.array([robust_scale(channel)[1] for channel in window.T]), 0.02 * whole)
        share = rng.uniform()
        unit = np.minimum(low, whole) ** share * np.maximum(low, whole) ** (1 - share)
        unit = unit * np.exp(rng.uniform(*np.log(strength)))
        planted, stretch = SERIES_ANOMALIES[one](
            window.T, np.random.default_rng(seed), scale=unit, donor=np.ascontiguousarray(other.T)
        )
        moved = np.abs(planted.T - window).max(0) > _SEEN * unit
        mask[start : start + size] |= stretch[:, None] & moved[None, :]
        changed[start : start + size] = planted.T
    return changed, mask
