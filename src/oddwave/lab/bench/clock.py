"""`Clock`: CPU seconds of the process and seconds on the clock, from its making over `lap` to `outcome`."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.lab.bench.protocol import Outcome

__all__ = ["Clock"]


class Clock:
    """Measures a method that reads files: begun when it is made."""

    def __init__(self) -> None:
        self.laps = [(time.process_time(), time.perf_counter())]

    def lap(self) -> None:
        """Mark the end of fitting and the beginning of scoring, or the other way round."""
        self.laps.append((time.process_time(), time.perf_counter()))

    def outcome(
        self,
        scores: Float[np.ndarray, " n"],
        maps: Sequence[Float[np.ndarray, "h w"]] = (),
        settings: Mapping[str, Any] | None = None,
        num_parameters: int = 0,
    ) -> Outcome:
        """Return scores, and maps where there are any, with the seconds that they took.

        The first lap is fitting, the others scoring, in turns; of a method that fits and scores at once all is fitting.
        """
        self.lap()
        spent = np.diff(np.array(self.laps), axis=0)
        fit_s, fit_wall_s = (float(total) for total in spent[::2].sum(axis=0))
        score_s, score_wall_s = (float(total) for total in spent[1::2].sum(axis=0))
        return Outcome(scores, fit_s, score_s, maps, fit_wall_s, score_wall_s, settings or {}, num_parameters)
