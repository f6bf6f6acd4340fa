"""What a detector has to be able to do so that its verdicts can be corrected: hooks, and the calibration with marks.

Read `corrections.py` for what a mark is, `feedback.py` for how one is made, `base.py` for the detector.

Legend: N scores of an item.
"""

from abc import ABC
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Float

from oddwave.calibration.conformal import Calibration
from oddwave.detection.corrections import Correction, Corrections
from oddwave.detection.model_tensors import Expected
from oddwave.detection.scored import Scored
from oddwave.errors import DataError, NotFittedError
from oddwave.records import AnyResult

__all__ = ["Alarm", "Corrected"]

Alarm = Mapping[str, Float[np.ndarray, "..."]]  # what a false alarm and its like are known by, by name


class Corrected(ABC):
    """The part of a detector that knows its corrections; `calibration` is the one that was learnt."""

    calibration: Calibration | None
    corrections: Corrections = Corrections()
    _joined: tuple[Calibration, Corrections, Calibration] | None = None

    @final
    def learnt_calibration(self) -> Calibration:
        """Return the calibration as it was learnt. Raises: NotFittedError."""
        if self.calibration is None:
            raise NotFittedError("this detector has learnt nothing yet: call fit or detect, or load a saved model")
        return self.calibration

    @final
    def fitted_calibration(self) -> Calibration:
        """Return the calibration, false alarms among it. Raises: NotFittedError."""
        learnt, known = self.learnt_calibration(), self._joined
        if known is None or known[0] is not learnt or known[1] is not self.corrections:
            known = self._joined = (learnt, self.corrections, self.corrections.calibrated(learnt))
        return known[2]

    def restore_corrections(self, corrections: Corrections) -> None:
        """Take back what a saved model holds."""
        self.corrections = corrections

    def _alarm(self, scored: Scored, result: AnyResult, events: tuple[Any, ...]) -> Alarm:
        """Return what events of an item, or all of it, and their like are to be known by. Raises: DataError."""
        raise DataError(f"verdicts on {type(result).__name__} cannot be corrected: fit again on all data")

    def _marked(self, scored: Scored, events: tuple[Any, ...]) -> Bool[np.ndarray, " N"]:
        """Return which scores are those of these events; all of them, where an item has none or is one."""
        return np.ones(len(scored.scores), bool)

    def _stretch(self, scored: Scored, events: tuple[Any, ...]) -> str:
        """Return, in words, where in the item that is."""
        return "all of it"

    def correction_tensors(self, correction: Correction) -> dict[str, Expected]:
        """Return what a saved model holds of a false alarm."""
        return {}
