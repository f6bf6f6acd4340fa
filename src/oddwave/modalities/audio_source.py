"""`read_audio` at its address of version 0.1; import it from `oddwave`."""

import warnings

from oddwave.sources.audio.reader import read_audio

__all__ = ["read_audio"]

warnings.warn("oddwave.modalities is gone after 0.2: import read_audio from oddwave", DeprecationWarning, stacklevel=2)
