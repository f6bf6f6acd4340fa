"""Drift of the data as a whole: which scores are tested in which order, and which plain measure of the items moved.

An item counts once: a recording by the median of its clips, which correlate. What is flagged in many items, or in all
after some point, may be many anomalies or other data altogether (another light, room, or machine). Measures of the
whole item that a local fault hardly changes tell these apart: they are compared with those of normal items. Streams:
`series/drift.py`. The test itself: `calibration/drift.py`.

Legend: N scores of one item.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.drift import find_drift
from oddwave.detection.scored import Scored, Unjudged
from oddwave.records import Drift

__all__ = ["MOVED", "items_drift", "most_moved", "usual_traits"]

_MOST = 0.5  # of the items
MOVED = 3.0  # usual deviations, in the median over items, from which on a measure has moved
_SMALLEST_SHARE, _SMALLEST, _NORMAL = 1e-2, 1e-4, 1.4826
_LARGEST = 1e6

Traits = Mapping[str, float]


def usual_traits(found: Sequence[Traits]) -> dict[str, list[float]]:
    """Return, for each measure of normal items, their median and robust deviation."""
    usual = {}
    for name in found[0] if found else ():
        values = np.array([own[name] for own in found])
        middle = float(np.median(values))
        spread = max(_NORMAL * float(np.median(np.abs(values - middle))), 0.5 * float(values.std()))
        usual[name] = [middle, max(spread, _SMALLEST_SHARE * abs(middle), _SMALLEST)]
    return usual


def most_moved(found: Sequence[Traits], usual: Mapping[str, Sequence[float]]) -> tuple[str, float]:
    """Return the measure that moved most in the median over items, and by how many usual deviations; "" for none."""
    shifts = {}
    for name, (middle, spread) in usual.items():
        away = [(own[name] - middle) / spread for own in found if np.isfinite(own.get(name, np.nan))]
        if away:
            shifts[name] = float(np.clip(np.median(away), -_LARGEST, _LARGEST))
    best = max(shifts, key=lambda name: abs(shifts[name]), default="")
    return (best, shifts[best]) if best and abs(shifts[best]) >= MOVED else ("", float("nan"))


def items_drift(
    judged: Sequence[Scored | Unjudged], calibration: Calibration, usual: Mapping[str, Sequence[float]]
) -> tuple[Drift, ...]:
    """Return the drift of items in the order given; of items that were not judged nothing is said."""
    seen = [(place, own) for place, own in enumerate(judged) if isinstance(own, Scored) and not own.fault]
    scores = np.array([_middle(own) for _, own in seen])
    found = find_drift(scores, calibration.scores)
    if found is None:
        return ()
    place, first = seen[found.since]
    moved, shift = most_moved([own.traits for _, own in seen[found.since :]], usual)
    if not moved and found.share <= _MOST:  # as many anomalies: they are told one by one
        return ()
    return (Drift(first.item.id, place, moved, shift, found.share, found.share_since, found.capital, found.p_value),)


def _middle(own: Scored) -> float:
    known = own.scores[np.isfinite(own.scores)]
    return float(np.median(known)) if len(known) else float("nan")
