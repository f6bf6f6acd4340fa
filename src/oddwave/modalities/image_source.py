"""`read_images` at its address of version 0.1; import it from `oddwave`."""

import warnings

from oddwave.sources.image.reader import read_images

__all__ = ["read_images"]

warnings.warn("oddwave.modalities is gone after 0.2: import read_images from oddwave", DeprecationWarning, stacklevel=2)
