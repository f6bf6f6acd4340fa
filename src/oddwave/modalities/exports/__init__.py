"""Files as other tools export them: one module per tool, each of which says where its tables begin and what they mean.

Anything that no module here knows is read by the general rules of `series_text.py`. Read `grafana.py` for the simplest.
"""

from collections.abc import Callable, Sequence

from oddwave.modalities.exports.cloudwatch import recognise_cloudwatch
from oddwave.modalities.exports.grafana import recognise_sep_line
from oddwave.modalities.exports.influxdb import recognise_influxdb
from oddwave.modalities.exports.layout import Block, Layout
from oddwave.modalities.exports.prometheus import metric_labels

__all__ = ["Block", "Layout", "metric_labels", "recognise_export"]

_READERS: tuple[Callable[[Sequence[str]], Layout | None], ...] = (
    recognise_sep_line,
    recognise_influxdb,
    recognise_cloudwatch,
)


def recognise_export(lines: Sequence[str]) -> Layout | None:
    """Return the layout of a file that one of the modules knows, else None."""
    return next((layout for reader in _READERS if (layout := reader(lines)) is not None), None)
