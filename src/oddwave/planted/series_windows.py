"""Anomalies planted in normals: labels to choose settings by, where no real label may be looked at.

Legend: C channels, L points of a window, n points of a stream, N windows. Read
`series.py` next for the kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.errors import ConfigError, ShapeError
from oddwave.planted.series import MIN_CHANGE, SERIES_ANOMALIES, SeriesAnomaly, own_scale
from oddwave.tensors.series_scale import fill_missing
from oddwave.tensors.series_windows import window_starts

__all__ = [
    "MIN_CHANGE",
    "SERIES_ANOMALIES",
    "PlantedStream",
    "SeriesAnomaly",
    "SyntheticWindows",
    "make_synthetic",
    "make_synthetic_windows",
    "plant_anomalies",
]


@dataclass(frozen=True, eq=False)
class SyntheticWindows:
    """Windows with one anomaly each, the normal windows they were made from, and where the anomalies are."""

    windows: Float[np.ndarray, "N C L"]
    normals: Float[np.ndarray, "N C L"]
    masks: Bool[np.ndarray, "N L"]
    kinds: tuple[str, ...]
    starts: Int[np.ndarray, " N"]  # where each window begins in the stream


@dataclass(frozen=True, eq=False)
class PlantedStream:
    """A stream with anomalies in it; `spans` are their (start, end) points, the end excluded."""

    values: Float[np.ndarray, "n C"]
    mask: Bool[np.ndarray, " n"]
    kinds: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


def make_synthetic(
    values: Float[np.ndarray, "n C"],
    window_size: int,
    rng: np.random.Generator,
    kinds: Sequence[str] | None = None,
    num: int = 64,
) -> SyntheticWindows:
    """Cut `num` windows at random places of a normal stream and plant one anomaly in each, the kinds in turn.

    The unit of change is drawn between the window's own scale and the whole stream's, so that hard and easy ones occur.
    Raises: ConfigError for an unknown kind; ShapeError for a stream shorter than a window.
    """
    chosen = _checked_kinds(kinds, num)
    filled = _checked_stream(values, window_size)
    starts = rng.integers(0, len(filled) - window_size + 1, size=num)
    names = tuple(chosen[i % len(chosen)] for i in range(num))
    whole = own_scale(filled.T)
    planted = [
        _plant(filled, whole, int(start), window_size, name, rng) for start, name in zip(starts, names, strict=True)
    ]
    normals = np.stack([filled[start : start + window_size].T for start in starts])
    windows, masks = (np.stack(part) for part in zip(*planted, strict=True))
    return SyntheticWindows(windows, normals, masks, names, starts)


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


def plant_anomalies(
    values: Float[np.ndarray, "n C"],
    window_size: int,
    rng: np.random.Generator,
    kinds: Sequence[str] | None = None,
    num: int | None = None,
) -> PlantedStream:
    """Plant `num` anomalies in a normal stream, at random places that do not overlap, the kinds in random order.

    Without `num` there is one for every four windows of length (one at least), about a twentieth of the points.
    Raises: ConfigError for an unknown kind or more anomalies than windows; ShapeError for a stream shorter than one.
    """
    filled = _checked_stream(values, window_size)
    count = max(1, len(filled) // (4 * window_size)) if num is None else num
    chosen = _checked_kinds(kinds, count)
    if count * window_size > len(filled):
        raise ConfigError(f"num is {count}: {len(filled)} points have room for {len(filled) // window_size} anomalies")
    order = rng.permutation(len(chosen))
    names = tuple(chosen[order[i % len(chosen)]] for i in range(count))
    stream, mask, spans = filled.copy(), np.zeros(len(filled), dtype=bool), []
    whole = own_scale(filled.T)
    edges = np.linspace(0, len(filled), count + 1).astype(int)
    for name, low, high in zip(names, edges[:-1], edges[1:], strict=True):
        start = int(rng.integers(low, max(low, high - window_size) + 1))
        window, marked = _plant(filled, whole, start, window_size, name, rng)
        stream[start : start + window_size] = window.T
        mask[start : start + window_size] |= marked
        first = start + int(np.argmax(marked))
        spans.append((first, first + int(marked.sum())))
    return PlantedStream(stream, mask, names, tuple(spans))


def _plant(
    filled: Float[np.ndarray, "n C"],
    whole: Float[np.ndarray, " C"],
    start: int,
    size: int,
    kind: str,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "C L"], Bool[np.ndarray, " L"]]:
    window = filled[start : start + size].T
    place = int(rng.integers(0, len(filled) - size + 1))
    donor = filled[place : place + size].T
    return SERIES_ANOMALIES[kind](window, rng, scale=_drawn_scale(window, whole, rng), donor=donor)


def _drawn_scale(
    window: Float[np.ndarray, "C L"], whole: Float[np.ndarray, " C"], rng: np.random.Generator
) -> Float[np.ndarray, " C"]:
    """A unit of change between the window's own scale and that of all the data: both hard and easy anomalies occur."""
    share = rng.uniform()
    scale: np.ndarray = own_scale(window) ** share * whole ** (1 - share)
    return scale


def _checked_stream(values: Float[np.ndarray, "n C"], window_size: int) -> Float[np.ndarray, "n C"]:
    if values.ndim != 2:
        raise ShapeError(f"values have shape {values.shape}: expected (n_timepoints, n_channels)")
    window_starts(len(values), window_size, 1)  # refuses a stream shorter than a window
    return fill_missing(values)[0]


def _checked_kinds(kinds: Sequence[str] | None, num: int) -> tuple[str, ...]:
    chosen = tuple(SERIES_ANOMALIES) if kinds is None else tuple(kinds)
    unknown = [kind for kind in chosen if kind not in SERIES_ANOMALIES]
    if unknown or not chosen or num < 1:
        raise ConfigError(
            f"kinds is {list(chosen)} and num {num}: give 1 or more of each, kinds among {', '.join(SERIES_ANOMALIES)}"
        )
    return chosen
