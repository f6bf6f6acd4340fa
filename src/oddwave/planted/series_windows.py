"""Anomalies planted in normals: labels to choose settings by, where no real label may be looked at.

Legend: C channels, L points of a window, N windows. Read `series.py` next for the kinds.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from oddwave.errors import ConfigError, ShapeError
from oddwave.planted.series import MIN_CHANGE, SERIES_ANOMALIES, SeriesAnomaly, own_scale

__all__ = [
    "MIN_CHANGE",
    "SERIES_ANOMALIES",
    "SeriesAnomaly",
    "make_synthetic_windows",
]


def make_synthetic_windows(
    windows: Float[np.ndarray, "N C L"], rng: np.random.Generator, kinds: Sequence[str] | None = None
) -> tuple[Float[np.ndarray, "N C L"], list[str]]:
    """Plant one anomaly in each of the given normal windows, the kinds in random order; donors are the other windows.

    Raises: ConfigError for an unknown kind; ShapeError for an array of another form or windows of fewer than 4 points.
    """
    if windows.ndim != 3 or not len(windows):
        raise ShapeError(
            f"windows have shape {windows.shape}: expected (windows, channels, points), one window or more"
        )
    chosen = _checked_kinds(kinds, len(windows))
    order = rng.permutation(len(windows))
    names = [chosen[place % len(chosen)] for place in order]
    whole = own_scale(np.moveaxis(windows, 1, 0).reshape(windows.shape[1], -1))
    planted = []
    for window, name in zip(windows, names, strict=True):
        donor = windows[int(rng.integers(len(windows)))]
        changed, _ = SERIES_ANOMALIES[name](window, rng, scale=_drawn_scale(window, whole, rng), donor=donor)
        planted.append(changed)
    return np.stack(planted), names


def _drawn_scale(
    window: Float[np.ndarray, "C L"], whole: Float[np.ndarray, " C"], rng: np.random.Generator
) -> Float[np.ndarray, " C"]:
    """A unit of change between the window's own scale and that of all the data: both hard and easy anomalies occur."""
    share = rng.uniform()
    scale: np.ndarray = own_scale(window) ** share * whole ** (1 - share)
    return scale


def _checked_kinds(kinds: Sequence[str] | None, num: int) -> tuple[str, ...]:
    chosen = tuple(SERIES_ANOMALIES) if kinds is None else tuple(kinds)
    unknown = [kind for kind in chosen if kind not in SERIES_ANOMALIES]
    if unknown or not chosen or num < 1:
        raise ConfigError(
            f"kinds is {list(chosen)} and num {num}: give 1 or more of each, kinds among {', '.join(SERIES_ANOMALIES)}"
        )
    return chosen
