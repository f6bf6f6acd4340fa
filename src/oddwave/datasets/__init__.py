"""Loaders for public labelled data sets in their official layouts; read `registry.py` next."""

from oddwave.datasets.msl import load_msl
from oddwave.datasets.mvtec import MVTEC_CATEGORIES, load_category, load_magnetic_tile, load_mvtec
from oddwave.datasets.nab import load_nab, probation_end
from oddwave.datasets.pictures import PictureSplit
from oddwave.datasets.records import LabelledPanel, LabelledSeries, LabelledSplit, data_root
from oddwave.datasets.registry import DATASETS, DatasetEntry
from oddwave.datasets.ucr import NORMAL_CLASS, load_ucr, load_ucr_panels
from oddwave.datasets.visa import load_visa

__all__ = [
    "DATASETS",
    "MVTEC_CATEGORIES",
    "NORMAL_CLASS",
    "DatasetEntry",
    "LabelledPanel",
    "LabelledSeries",
    "LabelledSplit",
    "PictureSplit",
    "data_root",
    "load_category",
    "load_magnetic_tile",
    "load_msl",
    "load_mvtec",
    "load_nab",
    "load_ucr",
    "load_ucr_panels",
    "load_visa",
    "probation_end",
]
