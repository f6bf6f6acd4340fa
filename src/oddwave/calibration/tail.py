"""How rare a score beyond all calibration scores is: a generalised Pareto tail of the highest of them.

    P(S > s) = r E[(1 + xi (s - u) / sigma)^(-1 / xi)],     E over the posterior of (xi, sigma) given the exceedances

u is the score that k of the n calibration scores exceed, r = k / (n + 1). Conformal p-values end at 1 / (n + 1); what
lies beyond is extrapolated. Few exceedances say little about the shape xi, and one best guess of it would call rare
what is not: the mean over all shapes and scales that explain them (a predictive probability) does not, and their
quantiles are its uncertainty. Before data, xi is normal around -0.1 (deviation 0.15): tails that fall a little faster
than exponentially, as maxima of bounded evidence do; log sigma is uniform.

Source: Pickands 1975 (the limit); Davison and Smith 1990 (exceedances); the prior follows Martins and Stedinger 2000 in
keeping xi near 0.

What is asked of a long stretch, whether any of its n blocks is as rare, reaches n times as far into the tail, where a
shape that is a little too light errs most: there xi is normal around 0 (deviation 0.2), and the answer is the
predictive probability E[1 - (1 - p)^n], not the median.

Legend: n calibration scores (of streams: maxima of blocks), k exceedances, S shapes, C scales.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = ["SHAPES", "Tail"]


SHAPES = np.linspace(-0.5, 0.7, 25)
_LOG_SCALES = np.linspace(-2.5, 2.5, 51)  # about the logarithm of the mean exceedance
_USUAL, _DEVIATION = -0.1, 0.15  # of the shape, before data
_USUAL_FAR, _DEVIATION_FAR = 0.0, 0.2  # the same for questions about stretches of several blocks
_FEWEST = 3  # exceedances, to say anything
_INTERVAL = (0.05, 0.95)
_HALVINGS = 50
_ALMOST_ONE = 1.0 - 1e-12


@dataclass(frozen=True)
class Tail:
    """Where the tail begins, the share above it, and the weight of each shape and scale."""

    start: float
    share: float
    scales: Float[np.ndarray, " C"]
    weights: Float[np.ndarray, "S C"]

    @classmethod
    def fit(cls, scores: Float[np.ndarray, " n"], num_blocks: int = 1) -> "Tail | None":
        """Fit to the highest half of few scores, of many to the highest 3 sqrt(n); None where there are too few.

        `num_blocks` says of how long stretches will be asked.
        """
        usual, deviation = (_USUAL, _DEVIATION) if num_blocks == 1 else (_USUAL_FAR, _DEVIATION_FAR)
        falling = np.sort(scores)[::-1]
        count = min(len(falling) // 2, max(15, int(np.ceil(3.0 * np.sqrt(len(falling))))))
        if count < _FEWEST:
            return None
        start = float(falling[count])
        over = falling[:count] - start
        over = over[over > 0.0]
        if len(over) < _FEWEST:
            return None
        mean = float(over.mean())
        scales = mean * np.exp(_LOG_SCALES)
        log_weights = np.stack([_log_likelihood(over, shape, scales) for shape in SHAPES])
        log_weights -= 0.5 * ((SHAPES[:, None] - usual) / deviation) ** 2
        weights = np.exp(log_weights - log_weights.max())
        return cls(start, len(over) / (len(falling) + 1.0), scales, weights / weights.sum())

    def p_value(self, score: float) -> float:
        """Return the share of normals expected to reach a score; 1 up to where the tail begins: it says nothing."""
        if not score > self.start:  # or no number
            return 1.0 if score <= self.start else score
        return float(self.share * (self.weights * self._reaching(score)).sum())

    def median(self, score: float) -> float:
        """Return the share that is as likely as not to be exceeded: lower than the mean, which heavy tails dominate."""
        return self._quantiles(score, (0.5,))[0]

    def verdict(self, score: float, num_blocks: int = 1) -> float:
        """Return what verdicts go by: of one block the median share, of several how probable any is as rare."""
        if num_blocks == 1:
            return self.median(score)
        if not score > self.start:
            return 1.0 if score <= self.start else score
        rare = np.minimum(self.share * self._reaching(score), _ALMOST_ONE)
        return float((self.weights * -np.expm1(num_blocks * np.log1p(-rare))).sum())

    def interval(self, score: float) -> tuple[float, float]:
        """Return the 90 % credible interval of that share; (1, 1) up to where the tail begins."""
        low, high = self._quantiles(score, _INTERVAL)
        return low, high

    def _quantiles(self, score: float, levels: tuple[float, ...]) -> list[float]:
        if not score > self.start:
            return [1.0 if score <= self.start else score] * len(levels)
        reaching = self._reaching(score).ravel()
        order = np.argsort(reaching)
        below = np.cumsum(self.weights.ravel()[order])
        places = np.minimum(np.searchsorted(below, levels), len(order) - 1)
        return [float(self.share * reaching[order[place]]) for place in places]

    def score(self, rate: float, num_blocks: int = 1) -> float:
        """Return the score whose verdict is `rate`; the start, of more than that has."""
        low, high = self.start, self.start + float(self.scales.max())
        if rate >= self.verdict(np.nextafter(low, np.inf), num_blocks):
            return low
        while self.verdict(high, num_blocks) > rate:
            high += high - low
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.verdict(middle, num_blocks) > rate else (low, middle)
        return high

    def _reaching(self, score: float) -> Float[np.ndarray, "S C"]:
        """Return how probable it is that a score above the start is this high, by each shape and scale."""
        away = (score - self.start) / self.scales
        return np.stack([_survival(away, shape) for shape in SHAPES])


def _survival(away: Float[np.ndarray, " C"], shape: float) -> Float[np.ndarray, " C"]:
    if abs(shape) < 1e-9:
        return np.asarray(np.exp(-away))
    inside = np.maximum(1.0 + shape * away, 0.0)  # 0 beyond the end of a tail that has one
    with np.errstate(divide="ignore"):
        return np.asarray(inside ** (-1.0 / shape))


def _log_likelihood(over: Float[np.ndarray, " k"], shape: float, scales: Float[np.ndarray, " C"]) -> np.ndarray:
    if abs(shape) < 1e-9:
        return np.asarray(-over.sum() / scales - len(over) * np.log(scales))
    inside = 1.0 + shape * over[:, None] / scales
    with np.errstate(divide="ignore", invalid="ignore"):
        fitting = -(1.0 + 1.0 / shape) * np.log(inside).sum(axis=0) - len(over) * np.log(scales)
    return np.where((inside > 0.0).all(axis=0), fitting, -np.inf)
