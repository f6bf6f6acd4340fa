"""Score and p-value of recordings over the time at which they were made, by their names or their files.

Drawn where four recordings or more, and most of them, have different times. A line joins recordings that follow one
another as usual; where there are none for several times as long, it breaks, and the gap is shaded. Recordings of one
moment (its channels) stand above each other, and the line goes through the highest. Read `audio_page.py` next.

Legend: m recordings that have a time, P moments.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.report import wording
from oddwave.report.histogram import ScoreAxis, apart
from oddwave.results import AudioResult, CalibrationSummary
from oddwave.visible import visible

__all__ = ["trend_of"]

_FEWEST, _MOST_WITHOUT = 4, 0.2
_MOST_POINTS = 2000
_GAP = 4.0  # times the usual distance of two moments
_WIDTH, _HEIGHT, _P_HEIGHT = 900, 200, 130
_LEFT, _TOP, _RIGHT, _BELOW = 58.0, 10.0, 14.0, 24.0
_TICK_GAP_PX = 110.0

Points = list[tuple[datetime, AudioResult]]


def trend_of(recordings: Sequence[AudioResult], calibration: CalibrationSummary) -> dict[str, Any] | None:
    """Return what is drawn of recordings over time; None where too few of them say when they were made."""
    judged = [item for item in recordings if item.status == "judged" and math.isfinite(item.score)]
    timed: Points = sorted(
        ((item.recorded_at, item) for item in judged if item.recorded_at is not None), key=lambda pair: pair[0]
    )
    moments = sorted({moment for moment, _ in timed})
    if len(moments) < _FEWEST or len(timed) < (1.0 - _MOST_WITHOUT) * len(judged):
        return None
    shown = _strongest(timed)
    scores = np.array([item.score for _, item in shown])
    p_values = np.array([max(item.p_value, 1e-12) for _, item in shown])
    normal = calibration.scores[np.isfinite(calibration.scores)]
    thresholds = np.array([_threshold(item, calibration) for _, item in shown])
    known = thresholds[np.isfinite(thresholds)]
    axis = ScoreAxis.choose(normal if normal.size else scores, scores, float(known.min()) if known.size else math.inf)
    inside = np.isfinite(thresholds) & (thresholds >= axis.first) & (thresholds <= axis.last)
    places = np.where(inside, axis.place(np.where(inside, thresholds, axis.first)), np.nan)
    lowest = min(float(p_values.min()), calibration.alpha) / 1.3
    depth = -math.log10(lowest)

    def below(p_value: float) -> float:
        return -math.log10(p_value) / depth

    powers = [10.0**-power for power in range(math.ceil(depth))]
    alpha = np.full(len(shown), below(calibration.alpha))
    return {
        "told": _told(timed, len(judged), len(shown)),
        "score": _panel(shown, moments, _HEIGHT, axis.place(scores), places, axis.ticks()),
        "p": _panel(
            shown,
            moments,
            _P_HEIGHT,
            np.array([below(p_value) for p_value in p_values.tolist()]),
            alpha,
            [(below(power), f"{power:g}") for power in powers],
        ),
    }


def _threshold(item: AudioResult, calibration: CalibrationSummary) -> float:
    return item.threshold if math.isfinite(item.threshold) else calibration.threshold


def _strongest(timed: Points) -> Points:
    """Return as many as can be drawn: of several in a row the one with the highest score."""
    per_point = math.ceil(len(timed) / _MOST_POINTS)
    groups = (timed[first : first + per_point] for first in range(0, len(timed), per_point))
    return [max(group, key=lambda pair: pair[1].score) for group in groups]


def _told(timed: Points, num_judged: int, num_shown: int) -> str:
    first, last = timed[0][0], timed[-1][0]
    told = f"{len(timed):,} recordings from {_moment(first)} to {_moment(last)}, by the times in their names or files."
    if len(timed) < num_judged:
        told += f" {num_judged - len(timed):,} more do not say when they were made."
    return told + (f" Of several in a row the highest is drawn ({num_shown:,} points)." * (num_shown < len(timed)))


def _moment(moment: datetime) -> str:
    return (
        f"{moment:%Y-%m-%d}" if moment == datetime.combine(moment, datetime.min.time()) else f"{moment:%Y-%m-%d %H:%M}"
    )


def _panel(
    shown: Points,
    moments: Sequence[datetime],
    height: int,
    places: Float[np.ndarray, " m"],
    thresholds: Float[np.ndarray, " m"],
    ticks: Sequence[tuple[float, str]],
) -> dict[str, Any]:
    """Return the shapes of one panel; places run from 0 at its bottom to 1 at its top."""
    frame = left, top, right, bottom = _LEFT, _TOP, _WIDTH - _RIGHT, height - _BELOW
    span_s = (moments[-1] - moments[0]).total_seconds()

    def x_of(moment: datetime) -> float:
        return round(left + (moment - moments[0]).total_seconds() / span_s * (right - left), 1)

    def y_of(place: float) -> float:
        return round(bottom - place * (bottom - top), 1)

    gaps = _gaps(moments)
    highest: dict[datetime, float] = {}
    for (moment, _), place in zip(shown, places.tolist(), strict=True):
        highest[moment] = max(place, highest.get(moment, -math.inf))
    breaks = [first for first, _ in gaps]
    lines: list[list[str]] = [[]]
    for moment, place in highest.items():
        lines[-1].append(f"{x_of(moment)} {y_of(place)}")
        if any(first <= moment < second for first, second in gaps if first in breaks):
            lines.append([])
    level = [
        (x_of(moment), y_of(place))
        for (moment, _), place in zip(shown, thresholds.tolist(), strict=True)
        if math.isfinite(place)
    ]
    return {
        "width": _WIDTH,
        "height": height,
        "frame": frame,
        "gaps": [(x_of(first), x_of(second)) for first, second in gaps],
        "paths": ["M" + "L".join(line) for line in lines if len(line) > 1],
        "points": [
            (x_of(moment), y_of(place), item.flagged, _point_text(moment, item))
            for (moment, item), place in zip(shown, places.tolist(), strict=True)
        ],
        "threshold": _steps(level, right) if level else "",
        "x_ticks": apart([(x_of(moment), text) for moment, text in _ticks(moments[0], moments[-1])], _TICK_GAP_PX),
        "y_ticks": apart([(y_of(place), text) for place, text in ticks], 16.0),
    }


def _steps(level: Sequence[tuple[float, float]], right: float) -> str:
    """Return a level as a path that changes only where it does, up to the right end."""
    path, height = f"M{level[0][0]} {level[0][1]}", level[0][1]
    for x, y in level[1:]:
        if y != height:
            path, height = f"{path}H{x}V{y}", y
    return f"{path}H{right}"


def _point_text(moment: datetime, item: AudioResult) -> str:
    score, p_value = wording.score_text(item.score), wording.p_value_text(item.p_value)
    return f"{visible(item.id)}, {_moment(moment)}: score {score}, p {p_value}"


def _gaps(moments: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """Return where there are no recordings for several times as long as usual."""
    steps = [(second - first).total_seconds() for first, second in pairwise(moments)]
    longest = _GAP * float(np.median(steps))
    return [pair for pair, step in zip(pairwise(moments), steps, strict=True) if step > longest]


_STEPS = (
    *((timedelta(minutes=minutes), "%H:%M") for minutes in (1, 2, 5, 10, 15, 30)),
    *((timedelta(hours=hours), "%m-%d %H:%M") for hours in (1, 2, 3, 6, 12)),
    *((timedelta(days=days), "%Y-%m-%d") for days in (1, 2, 7, 14, 28, 91, 182, 365, 1826)),
)


def _ticks(first: datetime, last: datetime) -> list[tuple[datetime, str]]:
    """Return a few moments, round on a clock or a calendar, with how they are written."""
    step, form = next(((step, form) for step, form in _STEPS if (last - first) / step <= 8), _STEPS[-1])
    midnight = datetime.combine(first, datetime.min.time())
    start = midnight + math.ceil((first - midnight) / step) * step
    count = math.floor((last - start) / step) + 1 if start <= last else 0
    return [(moment, moment.strftime(form)) for moment in (start + number * step for number in range(count))]
