"""Files as other tools export them: one module per tool, each of which says where its tables begin and what they mean.

Anything that no module here knows is read by the general rules of `sources/series/text.py`. Read `grafana.py` for the
simplest.
"""

from collections.abc import Callable, Sequence

from oddwave.sources.series.exports.cloudwatch import recognise_cloudwatch
from oddwave.sources.series.exports.grafana import recognise_sep_line
from oddwave.sources.series.exports.influxdb import recognise_influxdb
from oddwave.sources.series.exports.layout import Block, Layout
from oddwave.sources.series.exports.prometheus import metric_labels

__all__ = ["Block", "Layout", "metric_labels", "recognise_export"]

_READERS: tuple[Callable[[Sequence[str]], Layout | None], ...] = (
    recognise_sep_line,
    recognise_influxdb,
    recognise_cloudwatch,
)


def recognise_export(lines: Sequence[str]) -> Layout | None:
    """Return the layout of a file that one of the modules knows, else None."""
    return next((layout for reader in _READERS if (layout := reader(lines)) is not None), None)
