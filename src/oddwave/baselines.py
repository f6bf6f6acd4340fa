"""The rivals of the laboratory under their public name: `from oddwave.baselines import make_baseline`."""

from oddwave.lab.rivals import *  # noqa: F403
from oddwave.lab.rivals import __all__ as __all__
