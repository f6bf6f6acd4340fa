"""How rare a score beyond all calibration scores is: a generalised Pareto tail of the highest block maxima.

    P(S > s) = r (1 + xi (s - u) / sigma)^(-1 / xi),    u the median of the maxima, r the share above it

Conformal p-values end at 1 / (n + 1); the tail extrapolates by probability-weighted moments, with xi within
[-0.2, 0.5]: a sharper end would call what lies beyond it impossible.

Source: Hosking and Wallis 1987 (the estimator); Pickands 1975 (the limit). Legend: B block maxima.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = ["Tail"]


_LIGHTEST, _HEAVIEST = -0.2, 0.5
_FEWEST = 3  # maxima above the median, to say anything
_TINY = 1e-6


@dataclass(frozen=True)
class Tail:
    """The threshold u, the share r above it, shape xi and scale sigma."""

    start: float
    share: float
    shape: float
    scale: float

    @classmethod
    def fit(cls, maxima: Float[np.ndarray, " B"]) -> "Tail | None":
        """Fit to the upper half; None where there are too few."""
        if len(maxima) < 2 * _FEWEST:
            return None
        start = float(np.median(maxima))
        over = np.sort(maxima[maxima > start] - start)
        if len(over) < _FEWEST:
            return None
        rank = (np.arange(1, len(over) + 1) - 0.35) / len(over)
        mean, weighted = float(over.mean()), float(((1.0 - rank) * over).mean())
        shape = float(np.clip(2.0 - mean / max(mean - 2.0 * weighted, _TINY), _LIGHTEST, _HEAVIEST))
        return cls(start, len(over) / len(maxima), shape, mean * (1.0 - shape))

    def p_value(self, score: float) -> float:
        """Return the share of normal blocks that reach a score; 1 below the threshold, where the tail says nothing."""
        if not score > self.start:  # or no number
            return 1.0 if score <= self.start else score
        away = (score - self.start) / self.scale
        shape = self.shape if abs(self.shape) > _TINY else _TINY
        return float(self.share * max(1.0 + shape * away, 0.0) ** (-1.0 / shape))
