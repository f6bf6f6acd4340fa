"""`Clock`: CPU seconds of the process and seconds on the clock, from its making over `fitted` to `outcome`."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.bench.protocol import Outcome

__all__ = ["Clock"]


class Clock:
    """Measures a method that reads files: begun when it is made."""

    def __init__(self) -> None:
        self.laps = [(time.process_time(), time.perf_counter())]

    def fitted(self) -> None:
        """Mark the end of fitting and the beginning of scoring."""
        self.laps.append((time.process_time(), time.perf_counter()))

    def outcome(
        self,
        scores: Float[np.ndarray, " n"],
        maps: Sequence[Float[np.ndarray, "h w"]] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """Give scores, and maps where there are any, with the seconds that they took."""
        begun, fitted = self.laps
        fit_s, fit_wall_s = (later - earlier for earlier, later in zip(begun, fitted, strict=True))
        score_s, score_wall_s = time.process_time() - fitted[0], time.perf_counter() - fitted[1]
        return Outcome(scores, fit_s, score_s, maps, fit_wall_s, score_wall_s, settings or {})
