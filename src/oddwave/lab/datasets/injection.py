"""Labelled anomalies planted in any series, for data that have none of their own: seeded, apart, documented.

One event lies in one window of W = `window_size` points; d is `strength` times the channel's own deviation, the robust
one of the whole series that is given. An event touches a random nonempty subset of the channels.

    kind               its length      what happens
    spike              1 .. 3 % of W   a few points 3 to 8 d off, each by 60 to 100 % of that
    level_shift        10 .. 50 %      all points 1 to 4 d up or down
    frequency_change   20 .. 60 %      the signal runs 1.5 to 3 times as fast, or as slow
    flat_line          10 .. 50 %      the last value before it is repeated
    noise_burst        10 .. 50 %      white noise on top, of deviation 0.75 to 3 d
    segment_swap       20 .. 60 %      values of another place, as long, of the same series

Every event changes some value by half of d at least: it is drawn again until it does, and in the rare case that eight
draws do not (a flat line where the signal is flat), a level shift stands in its place. The windows of two events have W
points or more between them, so events never overlap, and whoever scores windows of at most W never sees two at once.
What was odd in the series before stays unlabelled.

Legend: n points, C channels. `planted/series.py` holds the changes themselves; read `pems_bay.py` next.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import ConfigError, ShapeError
from oddwave.lab.datasets.records import label_from_windows
from oddwave.planted.series import SERIES_ANOMALIES, own_scale
from oddwave.tensors.series_scale import fill_missing

__all__ = ["INJECTED_KINDS", "InjectedSeries", "inject_anomalies"]

INJECTED_KINDS = ("spike", "level_shift", "frequency_change", "flat_line", "noise_burst", "segment_swap")
_LEAST_WINDOW = 4  # points, as the anomalies want


class InjectedSeries(NamedTuple):
    """A series with anomalies in it: 1 in `gt_label` and a (start, end) of `windows`, both inclusive, where they are.

    `windows` are in the order of time, and `kinds` names what was planted in each.
    """

    values: Float[np.ndarray, "n C"]
    gt_label: Int[np.ndarray, " n"]
    windows: tuple[tuple[int, int], ...]
    kinds: tuple[str, ...]


def inject_anomalies(
    values: Float[np.ndarray, "n C"],
    *,
    num_events: int | None = None,
    rate: float | None = None,
    kinds: Sequence[str] = INJECTED_KINDS,
    seed: int = 0,
    window_size: int = 96,
    strength: float = 1.0,
) -> InjectedSeries:
    """Plant anomalies in a copy of a series and say where they are; equal arguments give equal anomalies.

    Give `num_events`, or `rate`, the share of points that shall be anomalous, which is met about. The kinds occur
    equally often, in random order. Missing values (NaN) stay missing, but for those within an event, which are filled
    first. `strength` scales what the kinds do in deviations.

    Raises: ConfigError for an unknown kind, other settings that cannot work, or more events than have room; ShapeError
    for values that are not (n, C).
    """
    if values.ndim != 2 or 0 in values.shape:
        raise ShapeError(f"values have shape {values.shape}: expected (n_timepoints, n_channels), x[:, None] for (n,)")
    _check_settings(kinds, window_size, strength)
    count = _number_of_events(len(values), num_events, rate, kinds, window_size)
    rng = np.random.default_rng(seed)
    names = rng.permutation([kinds[i % len(kinds)] for i in range(count)]).tolist()
    filled, injected = fill_missing(np.asarray(values, np.float64))[0], np.array(values, np.float64)
    scale = strength * own_scale(filled.T)
    windows = []
    for name, start in zip(names, _starts(len(values), count, window_size, rng), strict=True):
        place = int(rng.integers(0, len(values) - window_size + 1))
        donor = filled[place : place + window_size].T
        changed, mask = SERIES_ANOMALIES[name](filled[start : start + window_size].T, rng, scale=scale, donor=donor)
        points = start + np.flatnonzero(mask)
        injected[points] = changed.T[mask]
        windows.append((int(points[0]), int(points[-1])))
    return InjectedSeries(injected, label_from_windows(len(values), windows), tuple(windows), tuple(names))


def _check_settings(kinds: Sequence[str], window_size: int, strength: float) -> None:
    unknown = [kind for kind in kinds if kind not in SERIES_ANOMALIES]
    if unknown or not kinds:
        raise ConfigError(f"kinds is {list(kinds)}: give one or more of {', '.join(SERIES_ANOMALIES)}")
    if window_size < _LEAST_WINDOW or not 0 < strength < np.inf:
        raise ConfigError(
            f"window_size is {window_size}, strength {strength}: give {_LEAST_WINDOW} points or more, and above 0"
        )


def _number_of_events(
    n: int, num_events: int | None, rate: float | None, kinds: Sequence[str], window_size: int
) -> int:
    if (num_events is None) == (rate is None):
        raise ConfigError(f"num_events is {num_events} and rate {rate}: give one of the two")
    room = (n + window_size) // (2 * window_size)  # the last event needs no gap behind it
    if rate is None:
        count = num_events or 0
    else:
        shares = [(SERIES_ANOMALIES[kind].shortest + SERIES_ANOMALIES[kind].longest) / 2 for kind in kinds]
        mean_size = np.mean([max(1.0, share * window_size) for share in shares])
        count = max(1, round(rate * n / float(mean_size))) if 0 < rate < 1 else 0
    if not 1 <= count <= room:
        asked = f"{count} events" if rate is None else f"rate {rate}, {count} events,"
        raise ConfigError(
            f"{asked} with window_size {window_size} in {n} points: there is room for {room}; give 1 to that many, a "
            "smaller window_size or a longer series"
        )
    return count


def _starts(n: int, count: int, window_size: int, rng: np.random.Generator) -> list[int]:
    """Draw where the windows of the events begin, every placement with the gaps between them being equally likely."""
    slack = n - (2 * count - 1) * window_size
    starts: list[int] = (np.sort(rng.integers(0, slack + 1, count)) + 2 * window_size * np.arange(count)).tolist()
    return starts
