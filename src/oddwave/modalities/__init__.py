"""Modalities: sources to items, items to tensors, maps and reconstructions back. Read `base.py` next.

Only the readers are imported here; period search, scaling and synthetic anomalies come from their own modules.
"""

from oddwave.modalities.base import Item, ItemSet, Scale, TensorForm
from oddwave.modalities.series_items import SeriesItem, SeriesSet, match_channels
from oddwave.modalities.series_source import read_series

__all__ = ["Item", "ItemSet", "Scale", "SeriesItem", "SeriesSet", "TensorForm", "match_channels", "read_series"]
