"""What scoring finds of one recording, before there is a verdict on it. Read `detector.py` next.

Legend: N clips of a recording, S parts of a clip, B bands of levels.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from oddwave.calibration.conformal import Calibration
from oddwave.detection.scored import Scored
from oddwave.sources.audio.items import AudioItem

__all__ = ["ScoredRecording"]


@dataclass(frozen=True, eq=False)
class ScoredRecording(Scored):
    """The scores of a recording's clips, where these begin, and the levels of their bands.

    `apart` says that it was judged by the others alone, although it is remembered; `known_as` which scores of the
    calibration are its own.
    """

    item: AudioItem
    starts_s: Float[np.ndarray, " N"] = field(default_factory=lambda: np.zeros(1))
    bands_db: Float[np.ndarray, "N S B"] = field(default_factory=lambda: np.zeros((1, 1, 1)))
    notes: tuple[str, ...] = ()
    apart: bool = False
    known_as: slice | None = None

    def judge(self, calibration: Calibration) -> Calibration:
        """Return the calibration by other recordings alone."""
        return calibration if self.known_as is None else calibration.without(self.known_as)
