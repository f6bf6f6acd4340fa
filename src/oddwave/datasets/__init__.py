"""Loaders for public labelled data sets in their official layouts; read `registry.py` next."""

from oddwave.datasets.dcase import load_dcase
from oddwave.datasets.esc import load_esc10, load_esc50
from oddwave.datasets.msl import load_msl
from oddwave.datasets.mvtec import MVTEC_CATEGORIES, load_category, load_magnetic_tile, load_mvtec
from oddwave.datasets.nab import load_nab, probation_end
from oddwave.datasets.pictures import PictureSplit
from oddwave.datasets.recordings import ClipSplit
from oddwave.datasets.records import LabelledPanel, LabelledSeries, LabelledSplit, data_root
from oddwave.datasets.registry import DATASETS, DatasetEntry
from oddwave.datasets.ucr import NORMAL_CLASS, load_ucr, load_ucr_panels
from oddwave.datasets.urbansound8k import URBANSOUND8K_CLASSES, load_urbansound8k
from oddwave.datasets.visa import load_visa

__all__ = [
    "DATASETS",
    "MVTEC_CATEGORIES",
    "NORMAL_CLASS",
    "URBANSOUND8K_CLASSES",
    "ClipSplit",
    "DatasetEntry",
    "LabelledPanel",
    "LabelledSeries",
    "LabelledSplit",
    "PictureSplit",
    "data_root",
    "load_category",
    "load_dcase",
    "load_esc10",
    "load_esc50",
    "load_magnetic_tile",
    "load_msl",
    "load_mvtec",
    "load_nab",
    "load_ucr",
    "load_ucr_panels",
    "load_urbansound8k",
    "load_visa",
    "probation_end",
]
