"""Nearest neighbours on log-mel statistics: the mean and the deviation over time of each of 128 log-mel bands.

    d(c) = [mean over t of L(c)_rt, deviation over t of L(c)_rt  for each band r],  each divided by its deviation

over the training clips. It hears what a sound is made of and how unsteady that is, not in which order it comes: the
bag-of-frames description that sound classification used for long.
Source: Aucouturier, Defreville and Pachet 2007, The bag-of-frames approach to audio pattern recognition.

Departure: neighbours instead of a Gaussian mixture. Read `clip_knn.py` for the score.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from oddwave.lab.rivals.clip_knn import ClipKNN

__all__ = ["LogMelKNN"]


@dataclass(kw_only=True, eq=False)
class LogMelKNN(ClipKNN):
    """Neighbours by means and deviations of log-mel bands."""

    name: ClassVar[str] = "log_mel_knn"
    is_standardised: ClassVar[bool] = True

    def _describe(self, batch: Float[np.ndarray, "b n"]) -> Float[np.ndarray, "b D"]:
        levels = self._levels_db(batch)
        return np.concatenate([levels.mean(axis=2), levels.std(axis=2)], axis=1)
