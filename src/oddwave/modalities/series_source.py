"""`read_series` at its address of version 0.1; import it from `oddwave`."""

import warnings

from oddwave.sources.series.reader import read_series

__all__ = ["read_series"]

warnings.warn("oddwave.modalities is gone after 0.2: import read_series from oddwave", DeprecationWarning, stacklevel=2)
