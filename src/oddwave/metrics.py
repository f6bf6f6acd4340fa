"""The metrics of the laboratory under their public name: `from oddwave.metrics import auroc`; see `lab/metrics`."""

from oddwave.lab.metrics import *  # noqa: F403
from oddwave.lab.metrics import __all__ as __all__
