"""Whether scores as a whole have moved away from those of normal data: drift, told apart from single anomalies.

Two checks, both exact for independent units (images, recordings, blocks of a stream), however few calibrate:

    in order     a conformal test martingale. Each score gets a smoothed p-value among the calibration scores and all
                 scores before it; if all are exchangeable these are independent and uniform. Bets on small ones,

                     M_n = sum_k w_k sum_e (1 / E) prod_{i=k..n} (1 + e (1 - 2 p_i)),    w_k = 1 / (k (k + 1)),

                 start at every unit k, with E stakes e. M is a non-negative martingale that starts at 1: the
                 probability that it ever reaches 100 is at most 0.01, however long it runs (Ville 1939)
    as a batch   how many scores lie above the j-th highest calibration score, j being a fifth of them. This number is
                 beta-binomial if all are exchangeable

A bet never pays more than 2 for one unit, so a few anomalies are no drift. How many units are unlike the calibration is
estimated from the share above its median (Storey 2002); drift is only what lasts, two fifths or more of all units since
it began.

Sources: Vovk, Gammerman and Shafer 2005 (conformal martingales); Vovk 2021 (testing exchangeability by betting). No
restart is used that the bound would not cover. Read `detection/drift.py` next: what the units are.

Legend: n calibration scores, m new ones; N points of a stream, B blocks.
"""

import math
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = [
    "ALARM",
    "BATCH_P_VALUE",
    "DriftFinding",
    "block_values",
    "excess_p_value",
    "find_drift",
    "independent_blocks",
    "log_martingale",
    "online_p_values",
    "share_unlike",
]

ALARM = 100.0
BATCH_P_VALUE = 0.001
_STAKES = np.array([0.25, 0.5, 0.75, 1.0])
_UPPER_SHARE = 0.2  # of calibration scores: as a batch, new ones are counted above these
_LASTING = 0.4  # of the units since the drift began: single anomalies hardly make up so many
_FEWEST = 5  # units, to speak of most of them
_FEWEST_BLOCKS = 8  # that dependence may leave of a calibration
_NEARLY = 1.5  # in logarithms of capital: less than what tells two beginnings apart
_LONGEST_BLOCK = 16  # blocks joined into one


@dataclass(frozen=True, slots=True)
class DriftFinding:
    """Where scores moved away (`since`: a unit's number), how sure that is, and how many of all are unlike normal ones.

    `capital` is the highest value of the martingale, `p_value` that of the batch, `share_since` the share of units
    unlike normal ones from `since` on, `share` that of all.
    """

    since: int
    capital: float
    p_value: float
    share: float
    share_since: float


def find_drift(
    new: Float[np.ndarray, " m"], calibration: Float[np.ndarray, " n"], *, num_tests: int = 1, seed: int = 0
) -> DriftFinding | None:
    """Return the drift of scores in their order, or None; NaN scores are passed over.

    Of exchangeable scores a share of at most 0.011 is called drifted: 0.01 by the martingale, 0.001 as a batch.
    `num_tests` divides both where several statistics of the same units are tested.
    """
    places = np.flatnonzero(np.isfinite(new))
    seen, calibration = new[places], calibration[np.isfinite(calibration)]
    if len(seen) < _FEWEST or not len(calibration):
        return None
    p_values = online_p_values(seen, calibration, seed)
    course, p_value = log_martingale(p_values), excess_p_value(seen, calibration)
    peak = int(np.argmax(course))
    if course[peak] < math.log(ALARM * num_tests) and p_value > BATCH_P_VALUE / num_tests:
        return None
    since = _best_start(p_values[: peak + 1])
    share_since = share_unlike(seen[since:], calibration)
    if len(seen) - since < _FEWEST or share_since <= _LASTING:
        return None
    capital = math.exp(min(float(course[peak]), 700.0))
    return DriftFinding(int(places[since]), capital, p_value, share_unlike(seen, calibration), share_since)


def online_p_values(
    new: Float[np.ndarray, " m"], calibration: Float[np.ndarray, " n"], seed: int = 0
) -> Float[np.ndarray, " m"]:
    """Return each score's smoothed p-value among the calibration scores and the scores before it.

    Equal scores share their ranks by a random number of the seed, so that ties do not inflate.
    """
    bag, shares = sorted(calibration.tolist()), np.random.default_rng([seed, 17]).random(len(new)).tolist()
    p_values = []
    for score, share in zip(new.tolist(), shares, strict=True):
        low, high = bisect_left(bag, score), bisect_right(bag, score)
        p_values.append((len(bag) - high + share * (high - low + 1)) / (len(bag) + 1))
        insort(bag, score)
    return np.array(p_values)


def log_martingale(p_values: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Return the logarithm of the martingale after each p-value."""
    capital, course = np.full(len(_STAKES), -np.inf), np.zeros(len(p_values))
    for place, gain in enumerate(_log_gains(p_values)):
        fresh = -math.log((place + 1.0) * (place + 2.0)) - math.log(len(_STAKES))
        capital = np.logaddexp(capital, fresh) + gain
        course[place] = np.logaddexp.reduce([*capital, -math.log(place + 2.0)])
    return course


def _log_gains(p_values: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m E"]:
    gains: np.ndarray = np.log1p(_STAKES * (1.0 - 2.0 * p_values[:, None]))
    return gains


def _best_start(p_values: Float[np.ndarray, " m"]) -> int:
    """Return from where bets up to the last unit gain most; the first one, where that gains nearly as much."""
    summed = np.cumsum(_log_gains(p_values)[::-1], axis=0)[::-1].max(1)
    return 0 if summed[0] >= summed.max() - _NEARLY else int(np.argmax(summed))


def excess_p_value(new: Float[np.ndarray, " m"], calibration: Float[np.ndarray, " n"]) -> float:
    """Return how likely as many new scores, or more, lie above the upper fifth's lowest calibration score by chance.

    Of exchangeable scores that number is beta-binomial with j and n + 1 - j, for the j-th highest of n.
    """
    num, rank = len(calibration), max(1, round(_UPPER_SHARE * (len(calibration) + 1)))
    above = int((new > np.sort(calibration)[-rank]).sum())
    least = _log_beta(rank, num + 1 - rank)
    terms = [
        -math.log(len(new) + 1)
        - _log_beta(k + 1, len(new) - k + 1)
        + _log_beta(k + rank, len(new) - k + num + 1 - rank)
        - least
        for k in range(above, len(new) + 1)
    ]
    return min(1.0, float(np.exp(np.logaddexp.reduce(terms))))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def share_unlike(new: Float[np.ndarray, " m"], calibration: Float[np.ndarray, " n"]) -> float:
    """Return the estimated share of new scores that are not like the calibration's: twice what lies above its median.

    Normal ones lie above it in half of all cases, the others, all of them high, always: share = 2 F - 1, at least 0.
    """
    middle = float(np.median(calibration))
    above = float(np.mean(new > middle) + 0.5 * np.mean(new == middle))
    return max(0.0, 2.0 * above - 1.0)


def block_values(scores: Float[np.ndarray, " N"], block_size: int) -> Float[np.ndarray, "2 B"]:
    """Return the maxima and the medians of blocks of points; NaN where less than half of a block has scores.

    A rest shorter than half a block is left out.
    """
    num = max(1, (len(scores) + block_size // 2) // block_size)
    padded = np.full(num * block_size, np.nan)
    padded[: len(scores)] = np.where(np.isfinite(scores), scores, np.nan)[: num * block_size]
    ordered = np.sort(padded.reshape(num, block_size), axis=1)  # NaN last
    count = np.isfinite(ordered).sum(1)
    lower, upper, last = (np.maximum(rank, 0) for rank in ((count - 1) // 2, count // 2, count - 1))
    row = np.arange(num)
    middle = (ordered[row, lower] + ordered[row, np.minimum(upper, block_size - 1)]) / 2.0
    found = np.stack([ordered[row, last], middle])
    found[:, (2 * count < min(block_size, len(scores))) | (count == 0)] = np.nan
    return found


def independent_blocks(scores: Float[np.ndarray, " N"], block_size: int) -> int:
    """Return how many points a block needs so that neighbouring blocks' medians hardly resemble one another.

    Blocks are doubled while the correlation of neighbours lies above what chance gives (one standard error), as long as
    eight of them are left.
    """
    size = block_size
    while size < _LONGEST_BLOCK * block_size and len(scores) // (2 * size) >= _FEWEST_BLOCKS:
        medians = block_values(scores, size)[1]
        ranks = np.argsort(np.argsort(medians[np.isfinite(medians)])).astype(float)
        if not _correlation(ranks) > 1.0 / math.sqrt(len(ranks)):
            break
        size *= 2
    return size


def _correlation(values: Float[np.ndarray, " B"]) -> float:
    away = values - values.mean()
    return float((away[1:] * away[:-1]).sum() / max(float((away**2).sum()), 1e-12))
