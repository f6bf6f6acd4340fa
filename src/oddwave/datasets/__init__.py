"""Loaders for public labelled data sets in their official layouts; read `registry.py` next."""

from oddwave.datasets.msl import load_msl
from oddwave.datasets.nab import load_nab, probation_end
from oddwave.datasets.records import LabelledPanel, LabelledSeries, LabelledSplit, data_root
from oddwave.datasets.registry import DATASETS, DatasetEntry
from oddwave.datasets.ucr import NORMAL_CLASS, load_ucr, load_ucr_panels

__all__ = [
    "DATASETS",
    "NORMAL_CLASS",
    "DatasetEntry",
    "LabelledPanel",
    "LabelledSeries",
    "LabelledSplit",
    "data_root",
    "load_msl",
    "load_nab",
    "load_ucr",
    "load_ucr_panels",
    "probation_end",
]
