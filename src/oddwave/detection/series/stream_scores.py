"""Scores of the points of streams: the window sizes combined, and kept comparable where not all of them look.

A short file or a stretch between two gaps has room for the shorter windows alone. Fewer sizes scatter more than the
mean of all does, so their scores are brought to the range that the calibration knows.

Legend: n points, K window sizes, the shortest first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from oddwave.scoring.fusion import TEMPERATURE, combined_scores

__all__ = ["Ranges", "StreamScore", "learnt_ranges", "over_sizes", "strongest"]

_HIGH = 0.99  # share of normal scores that lie below what counts as a high one

Ranges = tuple[tuple[float, float], ...]  # for 1, 2 .. K sizes: the usual score, and how far above it a high one lies


@dataclass(frozen=True, eq=False)
class StreamScore:
    """One score per point (higher = more anomalous, NaN where no window looks), and the share of each group in it.

    `by_size` are the standardised scores of each of the K window sizes.
    """

    scores: Float[np.ndarray, " n"]
    parts: Mapping[str, Float[np.ndarray, " n"]]
    by_size: Float[np.ndarray, "K n"]

    def in_range(self, ranges: Ranges) -> "StreamScore":
        """Bring scores of few window sizes to the range of those of all of them."""
        scores, num_sizes = self.scores.copy(), np.isfinite(self.by_size).sum(0)
        for count, (usual, reach) in enumerate(ranges[:-1], start=1):
            own = num_sizes == count
            factor = min(1.0, ranges[-1][1] / reach) if reach > 0 else 1.0
            scores[own] = ranges[-1][0] + factor * (scores[own] - usual)
        return replace(self, scores=scores)


def learnt_ranges(scored: Sequence[StreamScore], temperature: float = TEMPERATURE) -> Ranges:
    """Return the ranges of normal scores, each from the shortest sizes alone, where all of them look; else none."""
    whole = np.concatenate([own.by_size for own in scored], axis=1)
    whole = whole[:, np.isfinite(whole).all(0)]
    if not whole.shape[1]:
        return ()
    levels = [np.quantile(combined_scores(whole[: k + 1], temperature)[0], (0.5, _HIGH)) for k in range(len(whole))]
    return tuple((float(usual), float(high - usual)) for usual, high in levels)


def over_sizes(
    layers: Sequence[Mapping[str, list[Float[np.ndarray, " _"]]]],
    number: int,
    n: int,
    num_sizes: int,
    temperature: float = TEMPERATURE,
) -> StreamScore:
    """Combine the window sizes of one stream; the parts are weighed by what each size says, point by point.

    `layers` are the sizes that had a window anywhere, the shortest of all.
    """
    if not layers:
        return StreamScore(np.full(n, np.nan), {}, np.full((num_sizes, n), np.nan))
    by_size = np.stack([layer["score"][number] for layer in layers])
    scores, shares = combined_scores(by_size, temperature)
    unseen = np.isnan(scores)
    parts = {}
    for name in layers[0]:
        if name != "score":
            values = np.nan_to_num(np.stack([layer[name][number] for layer in layers]))
            parts[name] = np.where(unseen, np.nan, (shares * values).sum(0))
    longer = np.full((num_sizes - len(layers), n), np.nan)
    return StreamScore(scores, parts, np.concatenate([by_size, longer]))


def strongest(views: Sequence[StreamScore]) -> StreamScore:
    """Return, point by point, the highest of several scores of the same stream, with its parts."""
    if len(views) == 1:
        return views[0]
    stacked = np.stack([np.nan_to_num(own.scores, nan=-np.inf) for own in views])
    best, points = stacked.argmax(0), np.arange(stacked.shape[1])
    parts = {name: np.stack([own.parts[name] for own in views])[best, points] for name in views[0].parts}
    by_size = np.fmax.reduce([own.by_size for own in views])
    return StreamScore(np.fmax.reduce([own.scores for own in views]), parts, by_size)
