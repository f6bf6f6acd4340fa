"""Loaders for public labelled data sets in their official layouts; read `registry.py` next."""

from oddwave.lab.datasets.dcase import load_dcase
from oddwave.lab.datasets.esc import load_esc10, load_esc50
from oddwave.lab.datasets.images import ImageSplit
from oddwave.lab.datasets.msl import load_msl
from oddwave.lab.datasets.mvtec import MVTEC_CATEGORIES, load_category, load_magnetic_tile, load_mvtec
from oddwave.lab.datasets.nab import load_nab, probation_end
from oddwave.lab.datasets.recordings import ClipSplit
from oddwave.lab.datasets.records import LabelledPanel, LabelledSeries, LabelledSplit, data_root
from oddwave.lab.datasets.registry import DATASETS, DatasetEntry
from oddwave.lab.datasets.tsb_uad import load_tsb_uad, semi_split
from oddwave.lab.datasets.ucr import NORMAL_CLASS, load_ucr, load_ucr_panels, ucr_names
from oddwave.lab.datasets.urbansound8k import URBANSOUND8K_CLASSES, load_urbansound8k
from oddwave.lab.datasets.visa import load_visa

__all__ = [
    "DATASETS",
    "MVTEC_CATEGORIES",
    "NORMAL_CLASS",
    "URBANSOUND8K_CLASSES",
    "ClipSplit",
    "DatasetEntry",
    "ImageSplit",
    "LabelledPanel",
    "LabelledSeries",
    "LabelledSplit",
    "data_root",
    "load_category",
    "load_dcase",
    "load_esc10",
    "load_esc50",
    "load_magnetic_tile",
    "load_msl",
    "load_mvtec",
    "load_nab",
    "load_tsb_uad",
    "load_ucr",
    "load_ucr_panels",
    "load_urbansound8k",
    "load_visa",
    "probation_end",
    "semi_split",
    "ucr_names",
]
