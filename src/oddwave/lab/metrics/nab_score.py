"""The Numenta Anomaly Benchmark's own score: early detections in a window earn, false alarms cost.

Rows of a stream are scored after its probationary part (15 %, at most 750 rows). With S(y) = 2 / (1 + e^(5y)) - 1:

    in a window of width m ending at row e       +tp * S(y) / S(-1),  y = -(e - i + 1) / m; the best flagged row counts
    window with no flagged row                   -fn
    outside, after the last window (width m, e)  fp * S(y),  y = (i - e) / (m - 1), and -fp from y = 3 on
    outside, before any window                   -fp
    NAB score = 100 * (raw - null) / (perfect - null),  null = -fn * windows (flags nothing),  perfect = tp * windows

A window of one row takes m - 1 = 1 (NAB's own code divides by zero there; its corpus has none). A window that lies
wholly in the probationary part is not counted (its corpus has none either).

One threshold serves the whole corpus, so scores of different streams must be comparable (p-values, or scores
standardised per stream). NAB's rule picks that threshold, per profile, to give the best score ON THE LABELS: such a
value is an upper bound that no deployed detector reaches. A fixed threshold gives the honest value.
Source: Lavin and Ahmad 2015; numenta/NAB `sweeper.py`, `optimizer.py`, `config/profiles.json`. Read `vus.py` for a
rule that needs no threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.lab.datasets.nab import probation_end
from oddwave.lab.metrics.inputs import checked_labels_and_scores

__all__ = ["NAB_PROFILES", "NabProfile", "NabScore", "nab_score"]

Windows = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class NabProfile:
    """What a detected window earns and what a missed one and a false alarm cost."""

    tp: float
    fp: float
    fn: float


NAB_PROFILES: dict[str, NabProfile] = {
    "standard": NabProfile(tp=1.0, fp=0.11, fn=1.0),
    "reward_low_FP_rate": NabProfile(tp=1.0, fp=0.22, fn=1.0),
    "reward_low_FN_rate": NabProfile(tp=1.0, fp=0.11, fn=2.0),
}


@dataclass(frozen=True, slots=True)
class NabScore:
    """The normalised `value` (100 perfect, 0 flags nothing, negative worse), and how it came about.

    `uses_labels` is True where the threshold was chosen on the labels, as NAB's own rule does.
    """

    value: float
    threshold: float
    uses_labels: bool
    num_windows: int
    num_detected: int
    num_false_alarms: int


@dataclass(frozen=True, slots=True)
class _Rows:
    """All scored rows of a corpus by falling score: their worth if flagged, their window (-1: outside)."""

    score: Float[np.ndarray, " r"]
    worth: Float[np.ndarray, " r"]
    window: Int[np.ndarray, " r"]
    num_windows: int


def nab_score(
    anomaly_scores: Sequence[ArrayLike],
    windows: Sequence[Windows],
    profile: str = "standard",
    threshold: float | None = None,
) -> NabScore:
    """Score a corpus: per stream an array of scores (n,) and its (start, end) windows, inclusive row indices.

    `threshold` flags rows with a score at or above it; None lets NAB's rule choose the best one on the labels. For one
    stream give lists of length one; for NAB's own figure give all 58 files.
    Raises: ConfigError for an unknown profile; ShapeError or DataError for scores and windows that do not fit.
    """
    if profile not in NAB_PROFILES:
        raise ConfigError(f"profile is {profile!r}: choose from {', '.join(NAB_PROFILES)}")
    if len(anomaly_scores) != len(windows):
        raise ShapeError(
            f"{len(anomaly_scores)} score arrays with {len(windows)} window lists: give one each per stream"
        )
    weights = NAB_PROFILES[profile]
    rows = _pooled_rows(anomaly_scores, windows, weights)
    if rows.num_windows == 0:
        raise DataError("no stream has a window after its probationary part: the NAB score needs at least one")
    raw = np.concatenate(([0.0], np.cumsum(_gains(rows, weights)))) - weights.fn * rows.num_windows
    cut = threshold if threshold is not None else _best_threshold(rows.score, raw)
    num_flagged = int(np.count_nonzero(rows.score >= cut))
    flagged = rows.window[:num_flagged]
    return NabScore(
        value=100.0 * (float(raw[num_flagged]) / rows.num_windows + weights.fn) / (weights.tp + weights.fn),
        threshold=cut,
        uses_labels=threshold is None,
        num_windows=rows.num_windows,
        num_detected=len(np.unique(flagged[flagged >= 0])),
        num_false_alarms=int(np.count_nonzero(flagged < 0)),
    )


def _best_threshold(score: Float[np.ndarray, " r"], raw: Float[np.ndarray, " r1"]) -> float:
    """Return the best threshold, inf where flagging nothing is best; the higher one wins a draw.

    `score` falls; raw[k] is the raw score with the first k rows flagged; rows of equal score are flagged together.
    """
    cuts = np.concatenate(([0], np.flatnonzero(np.diff(score)) + 1, [len(score)]))
    num_flagged = int(cuts[np.argmax(raw[cuts])])
    return float(score[num_flagged - 1]) if num_flagged else float("inf")


def _pooled_rows(anomaly_scores: Sequence[ArrayLike], windows: Sequence[Windows], weights: NabProfile) -> _Rows:
    scores, worths, owners, num_windows = [], [], [], 0
    for stream, (given, spans) in enumerate(zip(anomaly_scores, windows, strict=True)):
        score = np.asarray(given, dtype=np.float64)
        checked_labels_and_scores(np.zeros(score.shape, dtype=np.int64), score, both_classes=False)
        worth, owner = _worth(len(score), _checked_windows(spans, len(score), stream), weights)
        first = probation_end(len(score))
        names, local = np.unique(owner[first:], return_inverse=True)
        number = np.where(names < 0, -1, num_windows + np.cumsum(names >= 0) - 1)
        num_windows += int(np.count_nonzero(names >= 0))
        scores.append(score[first:])
        worths.append(worth[first:])
        owners.append(number[local])
    if not scores:
        raise DataError("no stream was given: the NAB score needs at least one")
    score = np.concatenate(scores)
    order = np.argsort(-score, kind="stable")
    return _Rows(score[order], np.concatenate(worths)[order], np.concatenate(owners)[order], num_windows)


def _checked_windows(spans: Windows, n: int, stream: int) -> list[tuple[int, int]]:
    ordered = sorted((int(start), int(end)) for start, end in spans)
    last = -1
    for start, end in ordered:
        if not last < start <= end < n:
            raise DataError(
                f"stream {stream}: window ({start}, {end}) overlaps another or leaves rows 0..{n - 1}:"
                " give disjoint (start, end) rows, both inclusive"
            )
        last = end
    return ordered


def _worth(n: int, spans: list[tuple[int, int]], weights: NabProfile) -> tuple[np.ndarray, np.ndarray]:
    """Return what each row is worth once flagged, and the number of its window, -1 outside."""
    worth, owner = np.full(n, -weights.fp), np.full(n, -1)
    for number, (start, end) in enumerate(spans):
        width = end - start + 1
        inside = -np.arange(width, 0, -1) / width
        worth[start : end + 1] = weights.tp * _scaled_sigmoid(inside) / _scaled_sigmoid(np.array([-1.0]))
        owner[start : end + 1] = number
        past = np.arange(1, n - end) / max(width - 1, 1)
        worth[end + 1 :] = weights.fp * np.where(past >= 3.0, -1.0, _scaled_sigmoid(past))  # later windows overwrite it
    return worth, owner


def _scaled_sigmoid(position: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return 2.0 / (1.0 + np.exp(5.0 * position)) - 1.0


def _gains(rows: _Rows, weights: NabProfile) -> Float[np.ndarray, " r"]:
    """Return by how much the raw score changes as each row is flagged in turn, by falling score."""
    gains = np.where(rows.window < 0, rows.worth, 0.0)
    by_window = np.argsort(rows.window, kind="stable")
    bounds = np.searchsorted(rows.window[by_window], np.arange(rows.num_windows + 1))
    for start, stop in pairwise(bounds):
        members = by_window[start:stop]
        best = np.maximum.accumulate(np.concatenate(([-weights.fn], rows.worth[members])))
        gains[members] = np.diff(best)
    return gains
